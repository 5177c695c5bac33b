"""ResourceSlices and ResourceClaims (DRA): the devices that exist, and those that are in use."""

from collections.abc import Iterable

import msgspec

from ...engine.fleet.devices import CounterId, Device, DeviceId, Devices, NamedClass
from ...engine.quantity import exact
from .nodes import ClassItem

_Values = dict[str, dict[str, str | int | bool]]


class _Amount(msgspec.Struct):
    value: str | int = 0


class _CounterSet(msgspec.Struct):
    name: str = ""
    counters: dict[str, _Amount] | None = None


class _Consumption(msgspec.Struct, rename="camel"):
    counter_set: str = ""
    counters: dict[str, _Amount] | None = None


class _Device(msgspec.Struct, rename="camel"):
    name: str = ""
    attributes: _Values | None = None
    allow_multiple_allocations: bool | None = None
    consumes_counters: list[_Consumption] | None = None
    node_name: str | None = None


class _Pool(msgspec.Struct):
    name: str = ""
    generation: int = 0


class _SliceSpec(msgspec.Struct, rename="camel"):
    driver: str = ""
    pool: _Pool = msgspec.field(default_factory=_Pool)
    node_name: str | None = None
    devices: list[_Device] | None = None
    shared_counters: list[_CounterSet] | None = None


class SliceItem(msgspec.Struct):
    """A ResourceSlice (resource.k8s.io/v1)."""

    spec: _SliceSpec = msgspec.field(default_factory=_SliceSpec)

    @property
    def nodes(self) -> set[str]:
        """The nodes that it names."""
        names = [self.spec.node_name, *(device.node_name for device in self.spec.devices or ())]
        return {name for name in names if name}


class _Result(msgspec.Struct, rename="camel"):
    driver: str = ""
    pool: str = ""
    device: str = ""
    admin_access: bool | None = None


class _Results(msgspec.Struct):
    results: list[_Result] | None = None


class _Allocation(msgspec.Struct):
    devices: _Results = msgspec.field(default_factory=_Results)


class _ClaimStatus(msgspec.Struct):
    allocation: _Allocation | None = None


class AllocatedClaim(msgspec.Struct):
    """A ResourceClaim: the devices that it holds."""

    status: _ClaimStatus = msgspec.field(default_factory=_ClaimStatus)

    @property
    def holds(self) -> list[DeviceId]:
        """The devices that no other claim can get. Administrative access (``adminAccess``) does not hold devices."""
        allocation = self.status.allocation
        results = (allocation.devices.results if allocation else None) or ()
        return [(one.driver, one.pool, one.device) for one in results if not one.admin_access]


def devices_of(
    classes: Iterable[ClassItem], slices: Iterable[SliceItem], claims: Iterable[AllocatedClaim], unavailable: set[str]
) -> Devices:
    """Return the devices of a cluster.

    Args:
        classes: the DeviceClasses with a resource name. If two have one name, the newer is used, or the first by name if they
            are equally old (DeviceClassSpec, KEP-5004).
        slices: all ResourceSlices. Only the newest generation of a pool counts.
        claims: all ResourceClaims.
        unavailable: the nodes that accept no pods now.
    """
    named: dict[str, NamedClass] = {}
    for one in sorted(
        sorted(classes, key=lambda one: one.metadata.name, reverse=True),
        key=lambda one: one.metadata.creation_timestamp,
    ):
        name = one.spec.extended_resource_name or ""
        named[name] = NamedClass(one.metadata.name, name, tuple(one.expressions))
    every = list(slices)
    newest: dict[tuple[str, str], int] = {}
    for each in every:
        pool = each.spec.driver, each.spec.pool.name
        newest[pool] = max(newest.get(pool, 0), each.spec.pool.generation)
    specs = [s.spec for s in every if s.spec.pool.generation == newest[s.spec.driver, s.spec.pool.name]]
    return Devices(
        list(named.values()),
        [_device(spec, device) for spec in specs for device in spec.devices or ()],
        {
            (spec.driver, spec.pool.name, counters.name, name): _whole(amount)
            for spec in specs
            for counters in spec.shared_counters or ()
            for name, amount in (counters.counters or {}).items()
        },
        frozenset(device for claim in claims for device in claim.holds),
        unavailable,
    )


def _device(spec: _SliceSpec, device: _Device) -> Device:
    attributes: dict[str, str | int | bool] = {
        "driver": spec.driver,
        "allowMultipleAllocations": bool(device.allow_multiple_allocations),
    }
    for name, typed in (device.attributes or {}).items():
        # A name without a domain is in the driver's (k8s.io/api/resource/v1 QualifiedName).
        attributes[name if "/" in name else f"{spec.driver}/{name}"] = next(iter(typed.values()), "")
    consumes: dict[CounterId, int] = {
        (spec.driver, spec.pool.name, one.counter_set, name): _whole(amount)
        for one in device.consumes_counters or ()
        for name, amount in (one.counters or {}).items()
    }
    id_ = (spec.driver, spec.pool.name, device.name)
    return Device(id_, attributes, device.node_name or spec.node_name or "", consumes)


def _whole(amount: _Amount) -> int:
    found = exact(amount.value)
    return int(found) if found is not None else 0

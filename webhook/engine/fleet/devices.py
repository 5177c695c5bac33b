"""Devices of ResourceSlices (DRA): which of them belong to a resource name, and which are in use."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from ..device_classes import Attributes, admits
from ..forms import Form, Sharing
from ..resources import GpuResource, classify
from .usage import FormUse, Share

DeviceId = tuple[str, str, str]
"""The driver, the pool and the name of a device."""
CounterId = tuple[str, str, str, str]
"""The driver, the pool, the counter set and the counter: shared by devices that are parts of one GPU (KEP-4815)."""


class Device(msgspec.Struct, frozen=True):
    """A device.

    Attributes:
        attributes: its attributes by qualified name, ``driver`` and ``allowMultipleAllocations``.
        node: its node; empty if several nodes can use it.
        consumes: how much of each shared counter it uses.
    """

    id: DeviceId
    attributes: Attributes
    node: str = ""
    consumes: Mapping[CounterId, int] = {}


class NamedClass(msgspec.Struct, frozen=True):
    """A DeviceClass with a resource name, and its CEL selectors, which must all hold."""

    name: str
    resource: str
    selectors: tuple[str, ...] = ()


class Devices(msgspec.Struct, frozen=True):
    """The devices of a cluster.

    Attributes:
        classes: one for each resource name.
        devices: all devices.
        counters: the shared counters with their capacity.
        allocated: the devices that are allocated to claims.
        unavailable: nodes that accept no pods now.
    """

    classes: Sequence[NamedClass] = ()
    devices: Sequence[Device] = ()
    counters: Mapping[CounterId, int] = {}
    allocated: Collection[DeviceId] = ()
    unavailable: Collection[str] = ()

    def uses(self) -> Iterator[tuple[FormUse, str]]:
        """The devices of each resource name, with a note about how they were counted; only a note if they can't be counted."""
        left = self._left()
        for one in self.classes:
            resource = classify(one.resource)
            if not isinstance(resource, GpuResource):
                continue
            form = Form(resource.partition, Sharing.ANY if resource.shared else Sharing.NONE)
            admitted = [admits(one.selectors, device.attributes) for device in self.devices]
            own = [device for device, yes in zip(self.devices, admitted, strict=True) if yes]
            yield (
                FormUse(form, one.resource, len({device.node for device in own}), self._share(own, left)),
                self._note(one, own, readable=None not in admitted),
            )

    def _left(self) -> Mapping[CounterId, int]:
        used: Counter[CounterId] = Counter()
        for device in self.devices:
            if device.id in self.allocated:
                used.update(device.consumes)
        return {counter: most - used[counter] for counter, most in self.counters.items()}

    def _share(self, own: Iterable[Device], left: Mapping[CounterId, int]) -> Share:
        total = Share()
        free_on: Counter[str] = Counter()
        for device in own:
            used = device.id in self.allocated
            fits = all(left.get(counter, 0) >= amount for counter, amount in device.consumes.items())
            free = not used and fits and device.node not in self.unavailable
            free_on[device.node] += free
            total += Share(1, used, int(free), int(not used and not free))
        return msgspec.structs.replace(total, most=max(free_on.values(), default=0))

    @staticmethod
    def _note(one: NamedClass, own: Sequence[Device], *, readable: bool) -> str:
        if not readable:
            return f"{one.resource}: the selectors of DeviceClass {one.name} can't be read here, so its devices are not counted"
        parts = (
            ". They overlap, so not all of them can be allocated at once"
            if any(device.consumes for device in own)
            else ""
        )
        return f"{one.resource}: {len(own)} of them are devices of DeviceClass {one.name} (DRA){parts}"

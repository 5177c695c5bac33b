"""ResourceClaims and ResourceClaimTemplates (DRA): typed views of their fields, and the parts that gpuwarden keeps."""

from collections.abc import Iterator
from typing import Any

import msgspec

from .device_classes import mig_profile
from .text import Name

MPS = "MPS"


class _Tree(msgspec.Struct, rename="camel", gc=False):
    """A part of an object. A null field means the same as a missing one."""


class _Cel(_Tree):
    expression: str = ""


class DeviceSelector(_Tree):
    """A selector of devices: in CEL, or of a kind that is not known."""

    cel: _Cel | None = None


class _Exact(_Tree):
    """``exactly``, an alternative of ``firstAvailable``, or (until v1beta1) the request itself."""

    name: Name = ""
    device_class_name: Name = ""
    selectors: list[DeviceSelector] | None = None
    allocation_mode: Name | None = None
    count: int | None = None
    admin_access: bool | None = None


class _Request(_Exact):
    exactly: _Exact | None = None
    first_available: list[_Exact] | None = None


class _Opaque(_Tree):
    parameters: Any = None


class _Configured(_Tree):
    requests: list[Name] | None = None
    opaque: _Opaque | None = None


class _Devices(_Tree):
    requests: list[_Request] | None = None
    config: list[_Configured] | None = None


class ClaimSpec(_Tree):
    """``spec`` of a ResourceClaim, from v1alpha3 to v1; earlier versions have the field ``resourceClassName``."""

    devices: _Devices | None = None
    resource_class_name: Name | None = None


class ClaimObject(_Tree):
    """A ResourceClaim."""

    spec: ClaimSpec | None = None

    @property
    def claimed(self) -> ClaimSpec | None:
        """The spec of its claim, or of the claims that are made from it."""
        return self.spec


class ClaimTemplateObject(_Tree):
    """A ResourceClaimTemplate."""

    spec: ClaimObject | None = None

    @property
    def claimed(self) -> ClaimSpec | None:
        """The spec of its claim, or of the claims that are made from it."""
        return self.spec.spec if self.spec else None


class RequestedDevice(msgspec.Struct, frozen=True):
    """One alternative of a request.

    Attributes:
        device_class: the DeviceClass.
        count: how many devices; ``None`` for every one that matches (``allocationMode: All``).
        profile: the MIG profile that the selectors name, if they do.
        admin_access: the devices are allocated for monitoring, even while other claims use them.
        mps: the sharing strategy of the configuration is MPS.
    """

    device_class: str
    count: int | None = 1
    profile: str | None = None
    admin_access: bool = False
    mps: bool = False


class DeviceRequest(msgspec.Struct, frozen=True):
    """One request of a claim, with its alternatives. The scheduler uses the first one that is available."""

    name: str
    alternatives: tuple[RequestedDevice, ...]


class Claim(msgspec.Struct, frozen=True):
    """A ResourceClaim or a ResourceClaimTemplate. Neither spec can change (ValidateResourceClaimUpdate)."""

    requests: tuple[DeviceRequest, ...] = ()


def claim(spec: ClaimSpec | None) -> Claim | None:
    """Return the parts of a claim that are kept; ``None`` for an API version without readable devices (before v1alpha3).

    A request of an unknown structure gets the DeviceClass "", which has no form.
    """
    if spec is None or spec.resource_class_name:
        return None
    devices = spec.devices or _Devices()
    mps = frozenset(_mps(devices))
    return Claim(tuple(_request(request, mps) for request in devices.requests or ()))


def _mps(devices: _Devices) -> Iterator[str]:
    """The requests that configuration gives the sharing strategy MPS, as ``request`` or ``request/alternative``; "" for all."""
    for entry in devices.config or ():
        parameters = entry.opaque and entry.opaque.parameters
        sharing = parameters.get("sharing") if isinstance(parameters, dict) else None
        if isinstance(sharing, dict) and sharing.get("strategy") == MPS:
            yield from entry.requests or ("",)


def _request(request: _Request, mps: frozenset[str]) -> DeviceRequest:
    configured = bool(mps & {"", request.name})
    if request.first_available:
        listed = [(one, configured or f"{request.name}/{one.name}" in mps) for one in request.first_available]
    else:
        listed = [(request.exactly or request, configured)]
    return DeviceRequest(request.name, tuple(_device(one, mps=is_mps) for one, is_mps in listed))


def _device(exact: _Exact, *, mps: bool) -> RequestedDevice:
    expressions = (selector.cel.expression for selector in exact.selectors or () if selector.cel)
    # ExactCount with a count of 1 is the default. An unknown mode may mean any number.
    count = (exact.count or 1) if exact.allocation_mode in {None, "", "ExactCount"} else None
    return RequestedDevice(exact.device_class_name, count, mig_profile(expressions), bool(exact.admin_access), mps)

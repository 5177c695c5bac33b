"""The claims (DRA) of a pod: the GPUs of its resource claims and of DeviceClasses that it requests by name."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from .claim_objects import Claim, DeviceRequest, RequestedDevice
from .device_classes import NVIDIA_CLASSES, DeviceClasses
from .forms import Form, Sharing
from .pods import Place, PodResourceClaim, PodSpec, containers
from .quantity import whole
from .requests import GpuContainer, pod_count

CLAIM = "ResourceClaim"
TEMPLATE = "ResourceClaimTemplate"


class Reference(msgspec.Struct, frozen=True):
    """The object that an entry of ``spec.resourceClaims`` names, in the pod's namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f'{self.kind} "{self.name}"'


Resolved = Mapping[Reference, Claim | None]
"""The objects of references; ``None`` for one that does not exist or can't be read. Others were not looked up."""


def reference(entry: PodResourceClaim) -> Reference | None:
    """Return the object that an entry names; ``None`` for an unknown kind of source."""
    if entry.resource_claim_template_name:
        return Reference(TEMPLATE, entry.resource_claim_template_name)
    return Reference(CLAIM, entry.resource_claim_name) if entry.resource_claim_name else None


def references(spec: PodSpec) -> list[Reference]:
    """Return the objects that a pod's claims name, each once."""
    every = (reference(entry) for entry in spec.resource_claims or ())
    return list(dict.fromkeys(one for one in every if one))


class Alternative(msgspec.Struct, frozen=True):
    """One alternative of a request for GPUs: the device, and its form if that is known."""

    device: RequestedDevice
    form: Form | None


class Claimed(msgspec.Struct, frozen=True):
    """One request for GPUs.

    Attributes:
        subject: the requester in messages: ``claim "gpu"``, ``container "train"``.
        source: the object, or the resource with its quantity.
        field: its path in the pod.
        alternatives: its alternatives that provide GPUs.
        users: the containers that use the devices.
        uses: the fields that reference it, in the same order.
        by_name: it is a resource of the container, not a claim of the pod.
        template: the name of the template that it is made from; empty for a ResourceClaim, which any number of pods can use.
    """

    subject: str
    source: str
    field: str
    alternatives: tuple[Alternative, ...]
    users: tuple[Place, ...]
    uses: tuple[str, ...]
    by_name: bool = False
    template: str = ""

    @property
    def count(self) -> int | None:
        """The maximum number of GPUs that it may get; ``None`` for no limit."""
        counts = [one.device.count for one in self.alternatives if not one.device.admin_access]
        return None if None in counts else max((count for count in counts if count), default=0)

    @property
    def is_other(self) -> bool:
        """Whether a resource name without a form requests it. It counts as a GPU; ``rules.permission`` checks the name."""
        return self.by_name and any(one.form is None for one in self.alternatives)


class ClaimEntry(msgspec.Struct, frozen=True):
    """An entry of ``spec.resourceClaims``: its name, what it names, and its path."""

    name: str
    reference: Reference | None
    field: str


class Claims(msgspec.Struct, frozen=True):
    """All claims of a pod.

    Attributes:
        gpus: its requests for GPUs.
        missing: entries without an object that can be evaluated.
        unknown: entries whose objects were not looked up.
    """

    gpus: tuple[Claimed, ...] = ()
    missing: tuple[ClaimEntry, ...] = ()
    unknown: tuple[ClaimEntry, ...] = ()

    @property
    def of_resources(self) -> "Claims":
        """The claims by resource names, without any object."""
        by_name = tuple(one for one in self.gpus if one.by_name)
        return Claims(by_name) if by_name else NO_CLAIMS

    @property
    def by_resource(self) -> frozenset[str]:
        """The paths of resources whose forms are evaluated here."""
        return frozenset(one.field for one in self.gpus if one.by_name and not one.is_other)


NO_CLAIMS = Claims()


def read(
    spec: PodSpec, gpu_containers: Sequence[GpuContainer], resolved: Resolved, classes: DeviceClasses = NVIDIA_CLASSES
) -> Claims:
    """Read the claims of a pod."""
    gpus = [
        one for gpu_container in gpu_containers if gpu_container.others for one in _implicit(gpu_container, classes)
    ]
    if not spec.resource_claims:
        return Claims(tuple(gpus)) if gpus else NO_CLAIMS
    missing: list[ClaimEntry] = []
    unknown: list[ClaimEntry] = []
    uses = _uses(spec)
    for index, claim in enumerate(spec.resource_claims):
        entry = ClaimEntry(claim.name, reference(claim), f"spec.resourceClaims[{index}]")
        found = resolved.get(entry.reference) if entry.reference else None
        if found:
            gpus += _of_claim(entry, found, uses.get(claim.name, ()), spec, classes)
        else:
            (missing if entry.reference is None or entry.reference in resolved else unknown).append(entry)
    return Claims(tuple(gpus), tuple(missing), tuple(unknown))


class _Use(msgspec.Struct, frozen=True):
    """The use of a claim, or of one of its requests, by a container, with the field that references it."""

    request: str | None
    place: Place
    field: str


def _uses(spec: PodSpec) -> dict[str, list[_Use]]:
    """The uses of each claim, by its name in the pod."""
    found: dict[str, list[_Use]] = {}
    for section, index, container in containers(spec):
        for number, used in enumerate((container.resources and container.resources.claims) or ()):
            place = Place(section, index)
            field = f"{place.field}.resources.claims[{number}]"
            found.setdefault(used.name, []).append(_Use(used.request or None, place, field))
    return found


def _of_claim(
    entry: ClaimEntry, found: Claim, uses: Sequence[_Use], spec: PodSpec, classes: DeviceClasses
) -> Iterator[Claimed]:
    template = entry.reference.name if entry.reference and entry.reference.kind == TEMPLATE else ""
    at_once: dict[tuple[Place, ...], int] = {}
    for request in found.requests:
        using = [use for use in uses if use.request in {None, request.name}]
        users = tuple(use.place for use in using)
        if users not in at_once:
            at_once[users] = pod_count(spec, dict.fromkeys(users, 1))
        alternatives = _alternatives(request, classes, shared=not template or at_once[users] > 1)
        if alternatives:
            source = f"{entry.reference}, request {request.name}"
            fields = tuple(use.field for use in using)
            yield Claimed(f'claim "{entry.name}"', source, entry.field, alternatives, users, fields, template=template)


def of_object(name: Reference, found: Claim, classes: DeviceClasses, *, shared: bool) -> tuple[Claimed, ...]:
    """Return the requests for GPUs of a claim or template itself, whichever pods use it.

    ``shared`` is whether several containers or pods use it at once.
    """
    is_template = name.kind == TEMPLATE
    field = "spec.spec.devices.requests" if is_template else "spec.devices.requests"
    every = ((index, one, _alternatives(one, classes, shared=shared)) for index, one in enumerate(found.requests))
    return tuple(
        Claimed(
            str(name),
            f"request {request.name}",
            f"{field}[{index}]",
            alternatives,
            (),
            (),
            template=name.name if is_template else "",
        )
        for index, request, alternatives in every
        if alternatives
    )


def _alternatives(request: DeviceRequest, classes: DeviceClasses, *, shared: bool) -> tuple[Alternative, ...]:
    """The alternatives of a request that provide GPUs."""
    return tuple(
        Alternative(device, _form(device, classes, shared=shared))
        for device in request.alternatives
        if classes.provides_gpus(device.device_class)
    )


def _form(device: RequestedDevice, classes: DeviceClasses, *, shared: bool) -> Form | None:
    """The form of a device. A sharing strategy has no effect if only one container uses the device."""
    form = classes.form(device.device_class, device.profile)
    if form is None or form.shared or not shared:
        return form
    return Form(form.partition, Sharing.MPS if device.mps else Sharing.TIME_SLICING, form.platform)


def _implicit(gpu_container: GpuContainer, classes: DeviceClasses) -> Iterator[Claimed]:
    """DeviceClasses that a container requests by resource names, implicit or published, in whatever form."""
    for other in gpu_container.others:
        names, count = classes.of_resource(other.name), whole(other.written)
        if names and count is not None:
            alternatives = tuple(Alternative(RequestedDevice(name, count), classes.form(name, None)) for name in names)
            yield Claimed(
                gpu_container.name,
                str(other),
                other.field,
                alternatives,
                (gpu_container.place,),
                (other.field,),
                by_name=True,
            )

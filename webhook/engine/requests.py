"""Requests: which containers request GPUs, and how many."""

import msgspec

from .other_gpus import BUILT_IN, GpuNames
from .pods import Container, Place, PodSpec, Resources
from .quantity import COUNTS, Quantity, shown, whole
from .resources import KNOWN, GpuResource, Unknown, classify

_NONE: dict[str, Quantity] = {}
_SECTIONS = {(True, True): ("limits", "requests"), (True, False): ("limits",), (False, True): ("requests",)}
ORDINARY = frozenset({"cpu", "memory", "ephemeral-storage"})
"""Common resources that are not GPUs."""


class Amount(msgspec.Struct, frozen=True, gc=False):
    """The request of one container for one GPU resource.

    Attributes:
        limit, request: the quantities as the user wrote them.
        limit_count, request_count: the same as counts; ``None`` if not set or invalid.
        count: the quantity as a number; 0 if it is invalid, which a rule denies.
    """

    resource: GpuResource
    limit: Quantity
    request: Quantity
    in_limits: bool
    in_requests: bool
    limit_count: int | None
    request_count: int | None
    count: int

    @property
    def written(self) -> Quantity:
        """The quantity as the user wrote it."""
        return self.limit if self.in_limits else self.request

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections of a container's ``resources`` that have it."""
        return _SECTIONS[self.in_limits, self.in_requests]

    def __str__(self) -> str:
        return f"{self.resource.name}: {shown(self.written)}"


class OtherAmount(msgspec.Struct, frozen=True, gc=False):
    """A container's request for a resource that provides GPUs without a form: name, quantity and the quantity's path."""

    name: str
    written: Quantity
    field: str

    def __str__(self) -> str:
        return f"{self.name}: {shown(self.written)}"


class GpuContainer(msgspec.Struct, frozen=True, gc=False):
    """A container with GPUs in its resources, other than with the value 0.

    Attributes:
        amounts: its requests for forms of GPUs.
        unknown: names that look like misspelt GPU resources, each with its path.
        others: its requests for GPUs by other names, misspelt ones included.
    """

    place: Place
    container: Container
    amounts: tuple[Amount, ...]
    unknown: tuple[tuple[Unknown, str], ...] = ()
    others: tuple[OtherAmount, ...] = ()

    @property
    def name(self) -> str:
        """The container's name in messages."""
        return f'container "{self.container.name}"'

    @property
    def is_wellformed(self) -> bool:
        """Whether it has one valid request for a GPU resource, as nearly all have."""
        amounts = self.amounts
        return len(amounts) == 1 and bool(amounts[0].limit_count) and amounts[0].limit_count == amounts[0].request_count

    @property
    def requested(self) -> tuple[Amount | OtherAmount, ...]:
        """Every request for a GPU, by whatever name."""
        return self.amounts + self.others

    def field(self, amount: Amount) -> str:
        """The path of the amount's quantity, in Kubernetes' notation."""
        return f"{self.place.field}.resources.{'limits' if amount.in_limits else 'requests'}[{amount.resource.name}]"


def read(spec: PodSpec, names: GpuNames = BUILT_IN) -> list[GpuContainer]:
    """The containers that request GPUs, or names that look like GPU resources, in start order.

    ``names`` are the resources that provide GPUs in addition to those of forms.
    """
    found = _read("containers", spec.containers, names) if spec.containers else []
    return _read("initContainers", spec.init_containers, names) + found if spec.init_containers else found


def requests_any(spec: PodSpec, resources: frozenset[str]) -> bool:
    """Whether a container requests one of these resources, other than 0."""
    for container in (spec.init_containers or []) + (spec.containers or []):
        written = container.resources
        for amounts in (written.limits, written.requests) if written else ():
            # First the fastest test, because nearly no pod requests one.
            if not amounts or resources.isdisjoint(amounts):
                continue
            if any(whole(amounts[name]) != 0 for name in resources & amounts.keys()):
                return True
    return False


def _read(section: str, listed: list[Container], names: GpuNames) -> list[GpuContainer]:
    found = (
        _gpu_container(section, index, container, container.resources, names)
        for index, container in enumerate(listed)
        if container.resources is not None
    )
    return [gpu_container for gpu_container in found if gpu_container is not None]


def _gpu_container(
    section: str, index: int, container: Container, resources: Resources, names: GpuNames
) -> GpuContainer | None:
    limits, requests = resources.limits or _NONE, resources.requests or _NONE
    amounts: list[Amount] = []
    unknown: list[tuple[Unknown, str]] = []
    others: list[OtherAmount] = []
    for name in {**limits, **requests} if limits and requests else limits or requests:
        if name in ORDINARY:
            continue
        resource = KNOWN.get(name) or classify(name)
        is_other = type(resource) is not GpuResource and names.is_gpu(name)
        if resource is None and not is_other:
            continue
        limit, request = limits.get(name), requests.get(name)
        limit_count = COUNTS[limit] if limit in COUNTS else whole(limit)
        request_count = limit_count if request == limit else whole(request)
        if limit_count == 0 and request_count == 0:
            continue
        section_of_name, written = ("limits", limit) if name in limits else ("requests", request)
        if isinstance(resource, GpuResource):
            in_limits = name in limits
            count = (limit_count if in_limits else request_count) or 0
            amounts.append(
                Amount(resource, limit, request, in_limits, name in requests, limit_count, request_count, count)
            )
            continue
        field = f"spec.{section}[{index}].resources.{section_of_name}[{name}]"
        if is_other:
            others.append(OtherAmount(name, written, field))
        unknown += _misspelt(resource, field, names)
    if not amounts and not unknown and not others:
        return None
    if len(amounts) > 1:
        amounts.sort(key=lambda amount: amount.resource.name)
    return GpuContainer(Place(section, index), container, tuple(amounts), tuple(unknown), tuple(others))


def _misspelt(resource: Unknown | None, field: str, names: GpuNames) -> list[tuple[Unknown, str]]:
    """A name with its path, if it looks misspelt and neither the configuration nor a DeviceClass defines it."""
    if resource is None or names.configured(resource.name) or names.classes(resource.name):
        return []
    return [(resource, field)]


def pod_count(spec: PodSpec, counts: dict[Place, int]) -> int:
    """The GPUs that a pod needs at once, given the count of each container that requests them.

    Mirrors k8s.io/component-helpers/resource PodRequests: init containers run one after another, and sidecars (init containers
    that always restart) in parallel to all that start after them.
    """
    if not spec.init_containers:
        return sum(counts.values())
    sidecars = highest = 0
    for index, container in enumerate(spec.init_containers):
        count = counts.get(Place("initContainers", index), 0)
        if container.restart_policy == "Always":
            sidecars += count
            highest = max(highest, sidecars)
        else:
            highest = max(highest, sidecars + count)
    return max(highest, sidecars + sum(count for place, count in counts.items() if place.section == "containers"))

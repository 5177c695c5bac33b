"""Rules about the resources of one container, which apply under every policy."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ..findings import Finding, Rule, Severity
from ..policy import Policy
from ..quantity import shown
from ..requests import GpuContainer
from ..resources import MOST_NEAREST, GpuResource, resource_name
from ..spelling import DevicePlugin

NOT_A_WHOLE_NUMBER = Rule(
    "not-a-whole-number",
    Severity.DENY,
    "The quantity is not a whole number",
    "GPUs can't be divided: 0.5 and 1500m are not valid. Write an integer, and choose a shared form or a MIG "
    "profile for a part of a GPU.",
)

LIMITS_REQUESTS_DIFFER = Rule(
    "limits-requests-differ",
    Severity.DENY,
    "Limits and requests differ, or only requests is set",
    "Kubernetes requires an extended resource in limits, and equal requests. Set it in limits only.",
)

MIXED_GPU_RESOURCES = Rule(
    "mixed-gpu-resources",
    Severity.DENY,
    "One container requests two GPU resources",
    "The container would be charged for both and see only one. Keep one of them, or use a container for each.",
)

UNKNOWN_GPU_RESOURCE = Rule(
    "unknown-gpu-resource",
    Severity.WARN,
    "A GPU resource that no node offers",
    "The name is misspelt, or the device plugin's settings rule it out (nvidia.com/mig-… under MIG strategy single), so"
    " the pod would stay Pending forever. The message names the right one. Under every policy but any, a misspelt name"
    " that counts as a GPU denies the pod.",
)

_CONFIGURE = " If a node does, an administrator can list it under resources in gpuwarden's configuration"


def malformed(gpu_container: GpuContainer) -> Finding | None:
    """The first error that makes a container's request invalid, or ``None``."""
    return (
        not_a_whole_number(gpu_container) or limits_requests_differ(gpu_container) or mixed_gpu_resources(gpu_container)
    )


def not_a_whole_number(gpu_container: GpuContainer) -> Finding | None:
    """``0.5``, ``1500m``, ``-1``: Kubernetes validation.go ValidateResourceQuantityValue, "must be an integer"."""
    for amount in gpu_container.amounts:
        if amount.limit_count is None or amount.request_count is None:
            section, quantity = ("limits", amount.limit) if amount.limit_count is None else ("requests", amount.request)
            name = amount.resource.name
            return NOT_A_WHOLE_NUMBER.found(
                f"{gpu_container.place.field}.resources.{section}[{name}]",
                f"{gpu_container.name}: {name}: {shown(quantity)} is not a whole number",
                "GPUs are counted, not divided; write an integer such as 1",
            )
    return None


def limits_requests_differ(gpu_container: GpuContainer) -> Finding | None:
    """Extended resources can't be overcommitted: validation.go "Limit must be set", "must be equal to … limit"."""
    for amount in gpu_container.amounts:
        name = amount.resource.name
        if not amount.in_limits:
            return LIMITS_REQUESTS_DIFFER.found(
                gpu_container.field(amount),
                f"{gpu_container.name}: {name}: {shown(amount.request)} is set only in requests",
                "Kubernetes requires an extended resource in limits; move it there",
            )
        if amount.in_requests and amount.limit_count != amount.request_count:
            return LIMITS_REQUESTS_DIFFER.found(
                gpu_container.field(amount),
                f"{gpu_container.name}: limits have {name}: {shown(amount.limit)} and requests have {shown(amount.request)}",
                "Kubernetes requires both to be equal for an extended resource; set it in limits only",
            )
    return None


def mixed_gpu_resources(gpu_container: GpuContainer) -> Finding | None:
    """Two GPU resources in one container: both are charged, and it is undefined which one is visible (k8s-device-plugin#728)."""
    if len(gpu_container.amounts) < 2:  # noqa: PLR2004 - two is what the rule is about
        return None
    names = " and ".join(amount.resource.name for amount in gpu_container.amounts)
    return MIXED_GPU_RESOURCES.found(
        gpu_container.field(gpu_container.amounts[1]),
        f"{gpu_container.name}: requests {names}",
        "the container would be charged for all and see only one; keep one of them, or use a container for each",
    )


def unknown_gpu_resources(gpu_containers: Sequence[GpuContainer], policy: Policy) -> list[Finding]:
    """Names that look like misspelt GPU resources, up to a limit per pod: no node offers them.

    Those that count as GPUs deny the pod if the policy does not permit all forms. They come first, so that none is left out.
    """
    every = [(gpu_container, *named) for gpu_container in gpu_containers for named in gpu_container.unknown]
    others = (other for gpu_container in gpu_containers for other in gpu_container.others)
    denied = set() if policy.permits_any else {other.field for other in others}
    every.sort(key=lambda one: one[2] not in denied)
    return [
        UNKNOWN_GPU_RESOURCE.found_as(
            Severity.DENY if field in denied else Severity.WARN,
            field,
            f"{gpu_container.name}: {unknown.name} is not a GPU resource",
            f"no node offers it; did you mean {unknown.nearest}?{_CONFIGURE if field in denied else ''}",
        )
        for gpu_container, unknown, field in islice(every, MOST_NEAREST)
    ]


def absent_gpu_resources(gpu_containers: Iterable[GpuContainer], plugin: DevicePlugin) -> Iterator[Finding]:
    """Forms that the device plugin advertises by another name, under a policy that permits all: no node offers these names.

    Under every other policy a request is rewritten to the name that nodes offer, or denied.
    """
    for gpu_container in gpu_containers:
        for amount in gpu_container.amounts:
            resource = amount.resource
            if why := _absent(resource, plugin):
                partition = None if plugin.single else resource.partition
                offered = resource_name(partition, shared=resource.shared and plugin.rename_by_default)
                yield UNKNOWN_GPU_RESOURCE.found(
                    gpu_container.field(amount),
                    f"{gpu_container.name}: no node offers {resource.name}",
                    f"gpuwarden's configuration has {why}; request {offered}",
                )


def _absent(resource: GpuResource, plugin: DevicePlugin) -> str:
    """The device plugin setting that prevents nodes from offering a resource; empty if they may offer it."""
    if resource.partition and plugin.single:
        return "devicePlugin.migStrategy: single, so MIG slices are named like whole GPUs"
    if resource.shared and not plugin.rename_by_default:
        return "devicePlugin.renameByDefault: false, so shared GPUs are not renamed"
    return ""

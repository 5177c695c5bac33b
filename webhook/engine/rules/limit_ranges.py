"""Findings about LimitRanges: a warning if a default is removed, and an explanation if a default is denied."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ..findings import Finding, Rule, Severity
from ..limit_range_defaults import Additions, LimitRangeDefault
from ..requests import GpuContainer
from .container import MIXED_GPU_RESOURCES

LIMIT_RANGE_DEFAULT = Rule(
    "limit-range-default",
    Severity.WARN,
    "A LimitRange adds another GPU resource",
    "A LimitRange's default (or max without a default) is added to every container that does not name the resource, so "
    "a container whose request was renamed has two. gpuwarden removes the added one, but a max or min for its name still "
    'denies the pod. Set the default to "0", or use a ResourceQuota.',
)


# LimitRanger overwrites its annotation, so of two LimitRanges that changed a pod one is recorded.
_UNRECORDED = (
    ". If the pod names only one of these, a LimitRange of the namespace set the other; limit GPUs by a ResourceQuota instead, "
    "or write all defaults of the namespace into one LimitRange"
)


def limit_range_default(dropped: LimitRangeDefault) -> Finding:
    """A LimitRange's default next to a container's own request is removed, but its max and min still require the name.

    admission.go maxConstraint, minConstraint: "No limit is specified", "No request is specified".
    """
    gpu_container, name = dropped.gpu_container, dropped.amount.resource.name
    return LIMIT_RANGE_DEFAULT.found(
        gpu_container.field(dropped.amount),
        f"{gpu_container.name}: a LimitRange added {dropped.amount} alongside {gpu_container.amounts[0]}, and it is removed",
        f"if the LimitRange has a max or min for {name}, it then denies the pod; {_fix(name)}",
    )


def naming_limit_ranges(
    findings: Sequence[Finding], gpu_containers: Sequence[GpuContainer], added: Additions
) -> list[Finding]:
    """Add an explanation to findings that deny GPUs which a LimitRange added."""
    by_field = {gpu_container.place.field: [gpu_container] for gpu_container in gpu_containers}
    named: list[Finding] = []
    for finding in findings:
        # What is wrong with the pod as a whole may come from any of its containers.
        concerned = by_field.get(finding.path.partition(".resources.")[0], gpu_containers)
        unrecorded = _UNRECORDED if finding.rule is MIXED_GPU_RESOURCES else ""
        sentence = next(_sentences(concerned, added), unrecorded) if finding.denies else ""
        named.append(replace(finding, detail=f"{finding.detail}{sentence}") if sentence else finding)
    return named


def _sentences(gpu_containers: Sequence[GpuContainer], added: Additions) -> Iterator[str]:
    for gpu_container in gpu_containers:
        for amount in gpu_container.amounts:
            if added.touch(gpu_container, amount):
                name = amount.resource.name
                yield f". A LimitRange of the namespace, not the pod, set {name} for {gpu_container.name}; {_fix(name)}"


def _fix(name: str) -> str:
    return f'limit GPUs by a ResourceQuota instead, or set its default for {name} to "0"'

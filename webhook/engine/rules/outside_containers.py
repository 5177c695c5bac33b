"""The rule about GPU resources outside containers, which Kubernetes denies or silently drops."""

from collections.abc import Iterator

from ..findings import Finding, Rule, Severity
from ..pods import PodSpec, Resources
from ..resources import GpuResource, classify

GPU_OUTSIDE_CONTAINERS = Rule(
    "gpu-outside-containers",
    Severity.DENY,
    "A GPU resource where Kubernetes does not support it",
    "The resources of a pod as a whole and those of an ephemeral container can't hold a GPU: the API server rejects or "
    "drops it. Write it in the resources of the container that uses it.",
)

_OF_POD = "Kubernetes does not support GPUs at pod level; set it in the resources of the container that uses it"
_OF_EPHEMERAL = "Kubernetes gives an ephemeral container no resources; request it in a regular container"


def gpu_outside_containers(spec: PodSpec) -> Iterator[Finding]:
    """GPU resources of the pod as a whole (``spec.resources``, Kubernetes 1.34) or of an ephemeral container.

    validation.go: pod-level resources are cpu, memory and hugepages; ``resources`` of ephemeral containers are forbidden.
    """
    if spec.resources is not None:
        yield from _in(spec.resources, "spec", "pod", "a pod", _OF_POD)
    for index, container in enumerate(spec.ephemeral_containers or ()):
        if container.resources is not None:
            path, who = f"spec.ephemeralContainers[{index}]", f'container "{container.name}"'
            yield from _in(container.resources, path, who, "an ephemeral container", _OF_EPHEMERAL)


def _in(resources: Resources, path: str, who: str, what: str, detail: str) -> Iterator[Finding]:
    written = [(section, name) for section in ("limits", "requests") for name in getattr(resources, section) or ()]
    for section, name in written:
        if isinstance(classify(name), GpuResource):
            field = f"{path}.resources.{section}[{name}]"
            yield GPU_OUTSIDE_CONTAINERS.found(field, f"{who}: {name} is set in the resources of {what}", detail)
            return

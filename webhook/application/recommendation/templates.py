"""Pod templates of workloads, reduced to what decides which GPUs pods get: no variables, images, commands or volumes."""

import msgspec

from ...engine.claims import NO_CLAIMS, Claims
from ...engine.limit_range_defaults import ANNOTATION as LIMIT_RANGER
from ...engine.pods import Container, Metadata, Pod, PodSpec, Resources
from ...engine.requests import GpuContainer
from ...engine.rules.gpu_memory import ANNOTATION as GPU_MEMORY


class PodTemplate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A template, or a pod without one.

    Attributes:
        pod: the fields that ``decide`` reads for requests.
        claims: its claims (DRA), as far as they are known.
    """

    pod: Pod
    claims: Claims = NO_CLAIMS


def reduced(pod: Pod, gpu_containers: list[GpuContainer], claims: Claims) -> PodTemplate:
    """Return what is kept of a pod.

    Args:
        pod: the pod or template.
        gpu_containers: its containers that request GPUs, by any name (``requests.read``).
        claims: its claims, as far as they are known.
    """
    spec = pod.spec or PodSpec()
    annotations = (pod.metadata and pod.metadata.annotations) or {}
    kept = {key: annotations[key] for key in (GPU_MEMORY, LIMIT_RANGER) if key in annotations}
    names = frozenset(
        name
        for one in gpu_containers
        for name in (
            *(amount.resource.name for amount in one.amounts),
            *(unknown.name for unknown, _ in one.unknown),
            *(other.name for other in one.others),
        )
    )
    only = PodSpec(
        init_containers=[_reduced(one, names) for one in spec.init_containers or ()] or None,
        containers=[_reduced(one, names) for one in spec.containers or ()],
        node_selector=spec.node_selector,
        affinity=spec.affinity,
        resource_claims=spec.resource_claims,
        resources=_resources(spec.resources, names),
    )
    return PodTemplate(Pod(Metadata(annotations=kept) if kept else None, only), claims)


def _reduced(container: Container, names: frozenset[str]) -> Container:
    return Container(
        name=container.name,
        resources=_resources(container.resources, names),
        restart_policy=container.restart_policy,
    )


def _resources(written: Resources | None, names: frozenset[str]) -> Resources | None:
    if written is None:
        return None
    limits, requests = (
        {name: amount for name, amount in (section or {}).items() if name in names} or None
        for section in (written.limits, written.requests)
    )
    return Resources(limits, requests, written.claims) if limits or requests or written.claims else None

"""Pod templates of workloads, reduced to what decides which GPUs pods get: no variables, images, commands or volumes."""

import msgspec

from ...engine.claims import NO_CLAIMS, Claims
from ...engine.limit_range_defaults import ANNOTATION as LIMIT_RANGER
from ...engine.other_gpus import GpuNames
from ...engine.pods import Container, Metadata, Pod, PodSpec, Resources
from ...engine.resources import classify
from ...engine.rules.gpu_memory import ANNOTATION as GPU_MEMORY


class PodTemplate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A template, or a pod without one.

    Attributes:
        pod: the fields that ``decide`` reads for requests.
        claims: its claims (DRA), as far as they are known.
    """

    pod: Pod
    claims: Claims = NO_CLAIMS


def reduced(pod: Pod, claims: Claims, names: GpuNames) -> PodTemplate:
    """Return what is kept of a pod; of its resources, only GPUs: those of forms, and those with ``names``."""
    spec = pod.spec or PodSpec()
    annotations = (pod.metadata and pod.metadata.annotations) or {}
    kept = {key: annotations[key] for key in (GPU_MEMORY, LIMIT_RANGER) if key in annotations}
    only = PodSpec(
        init_containers=[_reduced(one, names) for one in spec.init_containers or ()] or None,
        containers=[_reduced(one, names) for one in spec.containers or ()],
        node_selector=spec.node_selector,
        host_ipc=spec.host_ipc,
        affinity=spec.affinity,
    )
    return PodTemplate(Pod(Metadata(annotations=kept) if kept else None, only), claims)


def _reduced(container: Container, names: GpuNames) -> Container:
    gpus = _gpus(container.resources, names)
    return Container(name=container.name, resources=gpus, restart_policy=container.restart_policy)


def _gpus(written: Resources | None, names: GpuNames) -> Resources | None:
    if written is None:
        return None
    limits, requests = (
        {name: amount for name, amount in (section or {}).items() if classify(name) or names.is_gpu(name)} or None
        for section in (written.limits, written.requests)
    )
    return Resources(limits, requests, written.claims) if limits or requests or written.claims else None

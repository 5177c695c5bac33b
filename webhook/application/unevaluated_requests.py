"""Requests in evaluated objects that no rule evaluates: other vendors' devices, KAI's shares, GPUs in the wrong place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..engine import requests
from ..engine.other_gpus import ANY_SUFFIX, GpuNames
from ..engine.pods import Pod, containers
from ..engine.quantity import whole
from ..engine.resources import GpuResource, classify
from ..engine.schedulers import KAI_KEYS, kai_shares
from ..engine.text import first_of
from .field_paths import Path
from .structural_search import gpu_maps, search
from .unevaluated_parts import UnevaluatedPart
from .workload_kinds import WorkloadKind, WorkloadPod

_SHOWN = 2
_WORDS = ("gpu", "GPU", "Gpu", "accelerator", "nvidia", "amd.com/", "habana.ai/")
_EVALUATED_LISTS = ("containers", "initContainers")


def _part(paths: Sequence[str], text: str) -> UnevaluatedPart:
    return UnevaluatedPart(paths[0], f"{first_of(paths, _SHOWN)}: {text}")


def other_vendors(pod: Pod, names: GpuNames) -> list[str]:
    """Requests for accelerators that are not counted as GPUs, by their paths within the pod."""
    if pod.spec is None:
        return []
    return [
        f"spec.{section}[{index}].resources.{field}[{name}]"
        for section, index, container in containers(pod.spec)
        if container.resources is not None
        for field, name in _first(container.resources.limits, container.resources.requests, names)
    ]


def misspelt(pod: Pod, names: GpuNames) -> list[str]:
    """Requests by misspelt names that do not count as GPUs, by container."""
    if pod.spec is None:
        return []
    gpu_containers = requests.read(pod.spec, names)
    return [
        f"{gpu_container.container.name}: {one.name}"
        for gpu_container in gpu_containers
        if not gpu_container.requested
        for one, _ in gpu_container.unknown
    ]


def _first(
    limits: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None, names: GpuNames
) -> Iterator[tuple[str, str]]:
    """Each accelerator of another vendor that is requested, once: in limits, or else in requests."""
    for name, amount in (limits or {}).items():
        if names.of_another_vendor(name) and whole(amount) != 0:
            yield "limits", name
    for name, amount in (wanted or {}).items():
        if name not in (limits or {}) and names.of_another_vendor(name) and whole(amount) != 0:
            yield "requests", name


def shares(pod: Pod, labels: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return a pod's requests to KAI Scheduler: the section of the metadata, the key and the value. In labels it is a mistake."""
    annotations = pod.metadata.annotations if pod.metadata else None
    return [
        (section, key, value)
        for section, entries in (("annotations", annotations), ("labels", labels))
        for key, value in kai_shares(entries)
    ]


def in_metadata(
    where: WorkloadPod, annotations: Mapping[str, str], labels: Mapping[str, str], names: GpuNames
) -> Iterator[UnevaluatedPart]:
    """Yield sentences that annotations or labels of a pod, or of an object, request GPUs; KAI's are ``shares``."""
    # Hardly any pod has such an annotation, so looking for words first saves the search.
    words = (*_WORDS, *(name.removesuffix(ANY_SUFFIX) for name in names.gpus))
    texts, named = (
        {
            key: text
            for key, text in entries.items()
            if key not in KAI_KEYS and any(word in f"{key} {text}" for word in words)
        }
        for entries in (annotations, labels)
    )
    found = search({"metadata": {"annotations": texts, "labels": named}}, names) if texts or named else None
    if found and found.requests:
        yield _part(
            [where.field(path) for path in found.requests],
            f"requests {found.resources[0]} in an annotation or label, so not evaluated; what reads it may create pods or change "
            "this one, and these are evaluated when they are created",
        )


def misplaced(workload: WorkloadKind, manifest: Mapping[str, Any], names: GpuNames) -> Iterator[UnevaluatedPart]:
    """Yield sentences that GPUs are set outside of the resources that Kubernetes reads.

    ``limits`` directly in a container, ``resources`` of a template or of a Deployment's spec, a pod's spec without its template.
    The API server denies such an object, or drops the field, depending on ``fieldValidation``: no GPU is requested.
    """
    found = list(gpu_maps(_without_evaluated(manifest, workload.pods[0]), names))
    if found:
        yield _part(
            [path for path, _ in found],
            f"{found[0][1][0]} is set where Kubernetes ignores resources, so it requests no GPU and is not evaluated; move it to "
            "resources.limits of a container",
        )


def _without_evaluated(above: Any, steps: Path) -> Any:
    """An object without what the rules evaluate in its pod."""
    if not isinstance(above, dict):
        return above
    if steps:
        return {**above, steps[0]: _without_evaluated(above.get(steps[0]), steps[1:])}
    spec = above.get("spec")
    if not isinstance(spec, dict):
        return above
    lists = {
        key: [_emptied(one, every=key in _EVALUATED_LISTS) for one in spec[key]]
        for key in (*_EVALUATED_LISTS, "ephemeralContainers")
        if isinstance(spec.get(key), list)
    }
    return {**above, "spec": {**_emptied(spec, every=False), **lists}}


def _emptied(owner: Any, *, every: bool) -> Any:
    """A container or a pod's spec without the resources that are evaluated: every one, or the forms of GPUs alone."""
    resources = owner.get("resources") if isinstance(owner, dict) else None
    if not isinstance(resources, dict):
        return owner
    kept = dict(resources)
    for key in {"limits", "requests"} & kept.keys():
        if isinstance(kept[key], dict):
            kept[key] = {} if every else {n: amount for n, amount in kept[key].items() if not _is_form(n)}
    return {**owner, "resources": kept}


def _is_form(name: object) -> bool:
    return isinstance(name, str) and isinstance(classify(name), GpuResource)


def sentences(
    where: WorkloadPod, vendors: Sequence[str], shared: Sequence[tuple[str, str, str]]
) -> Iterator[UnevaluatedPart]:
    """Yield sentences about requests that are not evaluated, with the fix; paths in the pod become paths in the object."""
    if vendors:
        yield _part(
            [where.field(path) for path in vendors],
            "not NVIDIA's GPUs by any name that gpuwarden knows, so not evaluated; add the name to resources.gpus or "
            "resources.notGPUs in the configuration to decide",
        )
    if shared:
        paths = [where.field(f"metadata.{section}[{key}]") for section, key, _ in shared]
        yield _part(
            paths,
            "part of a GPU, which only KAI Scheduler hands out, so not evaluated; it reads annotations of pods with "
            "schedulerName kai-scheduler",
        )

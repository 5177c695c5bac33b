"""Traps: operators and queues that misread the GPU requests in their own objects.

A pod that admission would accept, or rewrite, may never be created, or be created with other requests. Only the object shows it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from ..engine.decision import Decision
from ..engine.edits import RenameResource
from ..engine.findings import Finding, Rule, Severity
from ..engine.pods import Container, Pod, PodSpec, Resources
from ..engine.requests import GpuContainer
from ..engine.resources import GPU
from . import field_paths
from .evaluation import EvaluatedPod
from .field_paths import Place
from .operator_objects import QUEUE
from .workload_kinds import WorkloadKind

OPERATOR_TRAP = Rule(
    "operator-trap",
    Severity.WARN,
    "An operator or a queue would not handle the request as meant",
    "It reads the GPU's name or number from its own object, not from the pods: Ray's num-gpus, NIM's own nvidia.com/gpu, "
    "KServe's list of names, the quotas of Volcano and Kueue. Pods would be denied, not be created, or run without their GPUs. "
    "The message has the fix.",
)
"""The rule of the findings here: about an object, not a pod, so ``/validate`` never has one."""

# Kueue counts what pods request for these, not what a template does (pkg/controller/jobs).
_COUNTED_BY_PODS = frozenset({"Deployment", "StatefulSet", "LeaderWorkerSet", "ReplicaSet", "Pod"})
# ray-project/kuberay ray-operator/controllers/ray/utils/resources.go IsGPUResourceKey
_COUNTED_BY_RAY = re.compile(r".*gpu|.*nvidia\.com/mig-\d+g\.\d+gb")
# kserve/kserve pkg/constants/constants.go DefaultGPUResourceTypeList
_KNOWN_TO_KSERVE = frozenset({GPU, "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi"})
_GPU_TYPES = "serving.kserve.io/gpu-resource-types"


class OperatorObject(msgspec.Struct, frozen=True):
    """An object of an operator's kind.

    Attributes:
        pods: those that it describes; the place of what it requests outside of pod templates is empty.
        decide: what becomes of any other pod under the same policy.
    """

    data: Mapping[str, Any]
    pods: Sequence[EvaluatedPod]
    decide: Callable[[Pod], Decision]


def traps(workload: WorkloadKind, applied: OperatorObject) -> Iterator[Finding]:
    """Return the problems of an object besides the decisions on its pods; paths are within the object."""
    if not any(one.decision.gpu_containers for one in applied.pods):
        return
    if trap := _OF_GROUPS.get(workload.group):
        yield from trap(applied)
    if workload.kind not in _COUNTED_BY_PODS and _text_at(applied.data, ("metadata", "labels", QUEUE)):
        yield from _counted_by("Kueue", applied)


def _trap(path: str, fact: str, fix: str) -> Finding:
    return OPERATOR_TRAP.found(path, f"{path or 'its pods'}: {fact}", fix)


def _ray(applied: OperatorObject) -> Iterator[Finding]:
    """KubeRay takes ``num-gpus`` from the limits of the first container (common/pod.go), by the names that it knows."""
    for one in applied.pods:
        *group, last = one.where.place or ("",)
        gpu_containers = [
            gpu_container
            for gpu_container in one.decision.gpu_containers
            if gpu_container.place.section == "containers" and gpu_container.place.index == 0
        ]
        names = _names(gpu_containers)
        if last != "template" or not names or any(map(_COUNTED_BY_RAY.fullmatch, names)):
            continue
        parameters = (*group, "rayStartParams")
        if _text_at(applied.data, (*parameters, "num-gpus")):
            continue
        yield _trap(
            field_paths.written(one.where.place),
            f"Ray would start with num-gpus 0, because it does not count {names[0]}",
            f"set {field_paths.written(parameters)}.num-gpus, or request {GPU} and let gpuwarden rewrite the pods",
        )


def _nim(applied: OperatorObject) -> Iterator[Finding]:
    """The NIM operator adds ``nvidia.com/gpu`` if that very name is not requested (internal/controller/platform)."""
    for one in applied.pods:
        for gpu_container in one.decision.gpu_containers:
            names = _names([gpu_container])
            resources = gpu_container.container.resources or Resources()
            if GPU in names:
                continue
            limits = {**(resources.limits or {}), GPU: "1"}
            made = Pod(None, PodSpec(containers=[Container(gpu_container.container.name, resources=Resources(limits))]))
            rules = dict.fromkeys(finding.rule.id for finding in applied.decide(made).denials)
            if rules:
                yield _trap(
                    gpu_container.container.name or "",
                    f"the NIM operator adds {GPU} alongside {names[0]}, and such pods would be denied ({', '.join(rules)})",
                    f"request {GPU} and let gpuwarden rewrite the pods",
                )


def _kserve(applied: OperatorObject) -> Iterator[Finding]:
    """With several nodes KServe denies names that it doesn't know (pkg/utils HasUnknownGpuResourceType)."""
    for root, annotations in ((("spec", "predictor"), ("metadata",)), (("spec",), ("spec",))):
        if not any(field_paths.find(applied.data, (*root, "workerSpec"))):
            continue
        listed = _text_at(applied.data, (*annotations, "annotations", _GPU_TYPES))
        gpu_containers = [gpu_container for one in applied.pods for gpu_container in one.decision.gpu_containers]
        unknown = [name for name in _names(gpu_containers) if name not in _KNOWN_TO_KSERVE | _names_in(listed)]
        if unknown:
            yield _trap(
                f"{field_paths.written(root)}.workerSpec",
                f"KServe would deny {', '.join(unknown)}, because with workerSpec it permits only names that it knows",
                f"request {GPU} and let gpuwarden rewrite the pods, or set "
                f"{field_paths.written(annotations)}.annotations[{_GPU_TYPES}] to '{json.dumps(unknown)}'",
            )


def _text_at(data: Mapping[str, Any], path: Place) -> str:
    """The text at a path; empty if there is none."""
    return str(next((value for _, value in field_paths.find(data, path)), ""))


def _names_in(annotation: str) -> frozenset[str]:
    try:
        names = json.loads(annotation or "[]")
    except ValueError:
        return frozenset()
    return frozenset(map(str, names)) if isinstance(names, list) else frozenset()


def _counted_by(queue: str, applied: OperatorObject) -> Iterator[Finding]:
    for one in applied.pods:
        for old, new in dict.fromkeys(
            (edit.old, edit.new) for edit in one.decision.edits if isinstance(edit, RenameResource)
        ):
            yield _trap(
                field_paths.written(one.where.place),
                f"{queue} counts {old} as the template requests it, and the pods would request {new}",
                f"if no node or quota offers {old}, no pod is ever created; request {new} here",
            )


def _names(gpu_containers: Sequence[GpuContainer]) -> list[str]:
    """The GPU resources that containers request."""
    found = (
        *(amount.resource.name for gpu_container in gpu_containers for amount in gpu_container.amounts),
        *(other.name for gpu_container in gpu_containers for other in gpu_container.others),
    )
    return list(dict.fromkeys(found))


# Volcano's queues compare what templates request before any pod exists (job_controller_actions.go calcPGMinResources).
_volcano = partial(_counted_by, "Volcano")
_OF_GROUPS: Mapping[str, Callable[[OperatorObject], Iterator[Finding]]] = {
    "ray.io": _ray,
    "orchestration.aibrix.ai": _ray,
    "apps.nvidia.com": _nim,
    "serving.kserve.io": _kserve,
    "batch.volcano.sh": _volcano,
    "flow.volcano.sh": _volcano,
}

"""Objects of operators' kinds, and of kinds that are in no row: where they describe pods, how many, and what else they request.

Rows have the paths. In an object of any other kind, pods are found by their shape (``structural_search.pod_specs``).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..engine.pods import Container, Pod, PodSpec, Resources, containers
from ..engine.text import plural
from . import field_paths
from .kind_lookup import correction, group_of, qualified
from .pod_counts import PlannedPods
from .structural_search import pod_specs
from .type_mismatches import TypeMismatchError, convert, replaced
from .unevaluated import quotes
from .workload_kinds import WorkloadKind, WorkloadPod, is_suspended, places

_SPEC = "spec"
_EVALUATED = ("containers", "initContainers", "resourceClaims")
QUEUE = "kueue.x-k8s.io/queue-name"
"""The label that puts an object into a queue of Kueue."""
_PARAMETERS = ("{{", "$(", "${")  # Argo; Tekton; envsubst and OpenShift


IMPLICIT = Pod(None, PodSpec(containers=[Container("pods", resources=Resources(limits={"nvidia.com/gpu": "1"}))]))
"""The pod that an operator creates for an object of an ``implicit`` kind that names no GPU."""


def pods_in(workload: WorkloadKind | None, manifest: Mapping[str, Any]) -> list[tuple[WorkloadPod, Pod]]:
    """Return the pods and templates in an object that can be evaluated.

    Those with a GPU count that a template engine has yet to fill in are left out, and so is anything that only resembles a pod.

    The objects at a row's paths must fit the type of a pod (``workload_pods.pods_of``).
    """
    if workload is None and not _may_describe_pods(manifest):
        return []
    found = places(workload, manifest) if workload and not workload.by_shape else _by_shape(manifest)
    return [(where, pod) for where, data in found if (pod := _pod(where, data)) and not _has_parameters(pod)]


def _may_describe_pods(manifest: Mapping[str, Any]) -> bool:
    """Whether an object is a custom resource, not one of Kubernetes' own that is mistyped, and not one that quotes pods."""
    api_version, kind = manifest.get("apiVersion"), str(manifest.get("kind") or "")
    group = group_of(api_version)
    return "." in group and not correction(api_version, kind) and not quotes(group, qualified(api_version, kind))


def _by_shape(manifest: Mapping[str, Any]) -> Iterator[tuple[WorkloadPod, Any]]:
    for place in pod_specs(manifest):
        is_whole = place[-1:] == (_SPEC,)
        where = WorkloadPod(place[:-1] if is_whole else place, is_whole)
        yield from ((where, data) for _, data in field_paths.find(manifest, where.place))


def _pod(where: WorkloadPod, data: Any) -> Pod | None:
    try:
        return convert(data, Pod) if where.is_whole else Pod(None, convert(data, PodSpec))
    except TypeMismatchError:
        return None


def _has_parameters(pod: Pod) -> bool:
    amounts = (
        amount
        for _, _, container in (containers(pod.spec) if pod.spec else ())
        if container.resources
        for listed in (container.resources.limits, container.resources.requests)
        for amount in (listed or {}).values()
    )
    return any(isinstance(amount, str) and mark in amount for amount in amounts for mark in _PARAMETERS)


def without(manifest: Mapping[str, Any], evaluated: Iterable[WorkloadPod]) -> dict[str, Any]:
    """Return a copy of an object without the containers and claims of these pods; everything off the way to them is shared."""
    left: Any = dict(manifest)
    for where in evaluated:
        for place, spec in field_paths.find(left, (*where.place, _SPEC) if where.is_whole else where.place):
            if isinstance(spec, dict):
                left = replaced(left, place, {key: value for key, value in spec.items() if key not in _EVALUATED})
    return dict(left)


def title(workload: WorkloadKind | None, where: WorkloadPod, count: PlannedPods) -> str:
    """Return the prefix of sentences about a template: its place, how it was found, and how many pods it has."""
    if workload is None or workload.by_shape:
        return f"{where.field('')} (by its shape): "
    pods = "" if count.unknown else f" ({plural(count.number, 'pod')})"
    return f"{where.field('') or _SPEC}{pods}: "


def notes(workload: WorkloadKind, manifest: Mapping[str, Any], *, trapped: bool) -> Iterator[str]:
    """Return the notes on an object with GPUs: that it is suspended, and what is special about its kind if no trap reports it."""
    if is_suspended(workload, manifest):
        yield f"suspended by {workload.suspend}: no pod is created until that is false"
    if workload.note and not trapped:
        yield f"note: {workload.note.removesuffix('.')}"


def requesting(workload: WorkloadKind, manifest: Mapping[str, Any]) -> Pod:
    """Return a pod that requests what an object requests outside of pod templates, a container for each place."""
    made: list[Container] = []
    for path in workload.resources:
        for place, data in field_paths.find(manifest, field_paths.parse(path)):
            if isinstance(data, dict) and "quantity" in data:
                data = {"limits": {str(data.get("name")): data["quantity"]}}  # noqa: PLW2901 - the Spark operator's spelling
            try:
                made.append(Container(field_paths.written(place), resources=convert(data, Resources)))
            except TypeMismatchError:
                continue
    return Pod(None, PodSpec(containers=made))

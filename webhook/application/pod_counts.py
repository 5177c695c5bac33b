"""The number of pods that an object will have, by the counts in the table of workload kinds, or why it is not known."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from . import field_paths
from .field_paths import mapping
from .kind_lookup import group_of, identity
from .workload_kinds import WorkloadKind, WorkloadPod

_SCALED = "spec.replicas"
"""The count that an autoscaler sets: the one behind the ``scale`` subresource."""
# The field with the minimum of pods, and its default (autoscaling/v2; KEDA 2).
_AUTOSCALERS = {
    ("autoscaling", "HorizontalPodAutoscaler"): ("minReplicas", 1),
    ("keda.sh", "ScaledObject"): ("minReplicaCount", 0),
}


class PlannedPods(msgspec.Struct, frozen=True):
    """How many pods are created from a template.

    Attributes:
        number: what is known to be created; one of each template whose count is not known.
        unknown: why there may be more or fewer; empty if the number is known.
    """

    number: int = 1
    unknown: str = ""


class Autoscaler(msgspec.Struct, frozen=True):
    """An object that sets the replicas of another: its kind and name, and the least number of pods."""

    name: str
    least: int


Autoscalers = Mapping[tuple[str, str, str], Autoscaler]
"""Autoscalers by the namespace, kind (with its group) and name of what they scale."""


def autoscalers(manifests: Iterable[Mapping[str, Any]], default: str) -> dict[tuple[str, str, str], Autoscaler]:
    """Return the autoscalers among objects; ``default`` is the namespace of those that name none."""
    found = {}
    for manifest in manifests:
        kind = str(manifest.get("kind"))
        known = _AUTOSCALERS.get((group_of(manifest.get("apiVersion")), kind))
        if known is None:
            continue
        metadata, spec = mapping(manifest.get("metadata")), mapping(manifest.get("spec"))
        target = mapping(spec.get("scaleTargetRef"))
        # KEDA's two defaults: a Deployment of apps/v1.
        scaled = identity(str(target.get("apiVersion") or "apps/v1"), str(target.get("kind") or "Deployment"))
        field, otherwise = known
        least = spec.get(field, otherwise)
        namespace = str(metadata.get("namespace") or default)
        found[namespace, scaled, str(target.get("name"))] = Autoscaler(
            f"{kind} {metadata.get('name')}", least if _is_number(least) else otherwise
        )
    return found


def pod_count(
    workload: WorkloadKind | None, data: Any, where: WorkloadPod, autoscaler: Autoscaler | None = None
) -> PlannedPods:
    """Return how many pods are created from a template of an object, plain data or a typed view."""
    if workload is None or workload.by_shape:
        return PlannedPods(1, "no count is known for what is found by its shape")
    if workload.passive:
        return PlannedPods(1, "it depends on what uses it")
    number, unknown = 1, [workload.uncounted]
    for template, path in zip(workload.templates, workload.pods, strict=True):
        if not field_paths.leads_to(path, where.place):
            continue
        for count in template.replicas:
            if autoscaler and count == _SCALED:
                number *= autoscaler.least
                unknown.append(f"{autoscaler.name} scales it, from {autoscaler.least}")
                continue
            at = field_paths.bound(field_paths.parse(count), where.place)
            value = next((value for _, value in field_paths.find(data, at)), 1)
            if _is_number(value):
                number *= value - (count == template.with_leader and _has_leader(template.leader, data, where))
            else:
                unknown.append(f"{field_paths.written(at)} is not a number")
    return PlannedPods(max(number, 0), "; ".join(filter(None, unknown)))


def _has_leader(leader: str, data: Any, where: WorkloadPod) -> bool:
    return any(True for _ in field_paths.find(data, field_paths.bound(field_paths.parse(leader), where.place)))


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

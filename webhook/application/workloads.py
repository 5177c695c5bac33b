"""Workloads: the kinds that hold a pod or the template of one, and where in them it stands."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Workload(msgspec.Struct, frozen=True):
    """A kind that holds a pod, by the steps that lead to it; none for a pod itself."""

    kind: str
    groups: tuple[str, ...]
    steps: tuple[str, ...]

    @property
    def pointer(self) -> str:
        """Where the pod stands, as a JSON pointer."""
        return "".join(f"/{step}" for step in self.steps)

    def field(self, path: str) -> str:
        """A path within the pod as a path within the object."""
        return ".".join((*self.steps, path))

    def pod(self, manifest: Mapping[str, Any]) -> Any:
        """The pod within an object, or ``None`` where the object has none."""
        found: Any = manifest
        for step in self.steps:
            found = found.get(step) if isinstance(found, Mapping) else None
        return found


_TEMPLATE = ("spec", "template")
_APPS = ("apps", "extensions")  # the group that these kinds had before Kubernetes 1.16, in many a manifest still

WORKLOADS = {
    workload.kind: workload
    for workload in (
        Workload("Pod", ("",), ()),
        Workload("PodTemplate", ("",), ("template",)),
        Workload("ReplicationController", ("",), _TEMPLATE),
        Workload("Deployment", _APPS, _TEMPLATE),
        Workload("ReplicaSet", _APPS, _TEMPLATE),
        Workload("DaemonSet", _APPS, _TEMPLATE),
        Workload("StatefulSet", _APPS, _TEMPLATE),
        Workload("Job", ("batch",), _TEMPLATE),
        Workload("CronJob", ("batch",), ("spec", "jobTemplate", *_TEMPLATE)),
    )
}


def workload_of(api_version: object, kind: object) -> Workload | None:
    """The workload that a kind of an API version is, or ``None`` for every other kind."""
    workload = WORKLOADS.get(kind) if isinstance(kind, str) else None
    if workload is None or not isinstance(api_version, str):
        return workload if api_version is None else None
    group = api_version.rpartition("/")[0]
    return workload if group in workload.groups else None

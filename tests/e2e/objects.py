"""Pods and workloads as users write them, and what became of them in the cluster."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import MERGE_PATCH, TOLERATION

Json = dict[str, Any]

GPU = "nvidia.com/gpu"
SHARED = "nvidia.com/gpu.shared"
MIG = "nvidia.com/mig-1g.5gb"
ENFORCE = "gpuwarden.io/enforce"


def container(resource: str, count: int = 1, name: str = "train") -> Json:
    """A container that asks for a resource by its limit."""
    return {"name": name, "image": "example.test/train", "resources": {"limits": {resource: str(count)}}}


def pod_spec(
    resource: str, *, count: int = 1, tolerated: bool = False, selector: Mapping[str, str] | None = None
) -> Json:
    """A pod of one container that asks for a resource and, if told so, tolerates the fleet's taint."""
    return {
        "terminationGracePeriodSeconds": 1,
        "containers": [container(resource, count)],
        "tolerations": [TOLERATION] if tolerated else [],
        "nodeSelector": dict(selector or {}),
    }


def pod(spec: Json, name: str = "train") -> Json:
    """A bare pod."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def deployment(spec: Json, name: str = "train") -> Json:
    """A Deployment of one pod."""
    return _workload("apps/v1", "Deployment", name, spec, replicas=1, selector={"matchLabels": {"app": name}})


def stateful_set(spec: Json, name: str = "train") -> Json:
    """A StatefulSet of one pod."""
    more = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "serviceName": name}
    return _workload("apps/v1", "StatefulSet", name, spec, **more)


def daemon_set(spec: Json, name: str = "train") -> Json:
    """A DaemonSet: a pod for each node whose taints the template tolerates and whose labels it selects."""
    return _workload("apps/v1", "DaemonSet", name, spec, selector={"matchLabels": {"app": name}})


def job(spec: Json, name: str = "train") -> Json:
    """A Job of one pod."""
    return _workload("batch/v1", "Job", name, {**spec, "restartPolicy": "Never"})


def cron_job(spec: Json, name: str = "train") -> Json:
    """A CronJob that runs every minute; see :func:`make_due` for not waiting that long."""
    made = job(spec, name)
    schedule = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": made["spec"]}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": schedule}


def make_due(control_plane: ControlPlane, namespace: str, name: str = "train") -> None:
    """Let a CronJob's last run be so long ago that its controller starts the next one now."""
    last = (datetime.now(UTC) - timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    control_plane.api.patch(
        f"/apis/batch/v1/namespaces/{namespace}/cronjobs/{name}/status",
        json={"status": {"lastScheduleTime": last}},
        headers=MERGE_PATCH,
    ).raise_for_status()


def _workload(api: str, kind: str, name: str, spec: Json, **more: Any) -> Json:
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": {"template": template, **more}}


def create(control_plane: ControlPlane, namespace: str, *manifests: Json) -> None:
    """Create objects as a user does, by one ``kubectl create``."""
    done = control_plane.kubectl("create", "-n", namespace, "-f", "-", stdin=as_list(manifests))
    assert done.returncode == 0, done.stderr


def replace(control_plane: ControlPlane, path: str, change: Callable[[Json], Json]) -> None:
    """Read an object, and write what is made of it; once more where a controller has changed it in between."""

    def is_replaced() -> bool:
        answer = control_plane.api.put(path, json=change(control_plane.get(path)))
        return answer.status_code != httpx.codes.CONFLICT and bool(answer.raise_for_status())

    wait_for(f"{path} to be replaced", is_replaced)


def as_list(manifests: tuple[Json, ...]) -> str:
    """Objects as one document; one object as itself, for kubectl speaks of the items of a list in other words."""
    if len(manifests) == 1:
        return json.dumps(manifests[0])
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})


def pods_in(control_plane: ControlPlane, namespace: str) -> list[Json]:
    """Every pod of a namespace."""
    items: list[Json] = control_plane.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    return items


def node_of(found: Json) -> str:
    """The node that a pod is bound to, empty while it is Pending."""
    return str(found["spec"].get("nodeName", ""))


def node_of_the_only_pod(control_plane: ControlPlane, namespace: str) -> str:
    """Wait until the namespace's one pod is bound, and answer the node."""

    def node() -> str:
        (only,) = pods_in(control_plane, namespace)
        return node_of(only)

    return wait_for(f"the pod in {namespace} to be bound to a node", node)


def limits_of(found: Json) -> list[Json]:
    """What each container of a pod asks for."""
    return [one["resources"].get("limits", {}) for one in found["spec"]["containers"]]


def event_messages(control_plane: ControlPlane, namespace: str, reason: str) -> list[str]:
    """The messages of the events of a namespace that have this reason."""
    events = control_plane.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector=f"reason={reason}")
    return [event["message"] for event in events["items"]]

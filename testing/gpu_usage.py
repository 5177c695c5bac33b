"""Workloads on GPUs with two weeks of usage: a cast that has every case a recommendation must tell apart."""

from collections.abc import Callable
from typing import Any

from testing.prometheus import DAY, Device

SM, GR, UTIL = "DCGM_FI_PROF_SM_ACTIVE", "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL"
USED, FREE, ENCODER = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_ENC_UTIL"
A100, T4 = ("NVIDIA A100-SXM4-80GB", 81_920), ("Tesla T4", 15_360)
STEP = 240
Json = dict[str, Any]
Value = Callable[[int], float | None]


def steady(value: float) -> Value:
    return lambda _: value


def busy(share: float, often: float) -> Value:
    """Busy for this share of each day, else idle."""
    return lambda at: share if at % DAY < often * DAY else 0.0


def device(  # noqa: PLR0913 - a pod on a device, and what it does there
    namespace: str,
    pod: str,
    *,
    uuid: str = "",
    model: tuple[str, int] = A100,
    used: float | Value = 1000.0,
    capacity: float = 0,
    days: tuple[float, float] = (0, 14),
    labels: dict[str, str] | None = None,
    gaps: float = 0,
    **metrics: Value,
) -> Device:
    """A device with memory and the compute metrics that are given by ``sm``, ``gr``, ``util`` and ``enc``."""
    of_memory: Value = used if callable(used) else steady(used)
    whole = capacity or model[1]
    named = {"sm": SM, "gr": GR, "util": UTIL, "enc": ENCODER}
    values = {named[name]: value for name, value in metrics.items()}
    if used:
        values |= {USED: of_memory, FREE: lambda at: None if (held := of_memory(at)) is None else whole - held}
    if gaps:  # no samples for this share of each hour
        values = {name: _with_gaps(value, gaps) for name, value in values.items()}
    every = {
        "UUID": f"GPU-{uuid or pod}",
        "modelName": model[0],
        "Hostname": f"node-{uuid or pod}",
        "instance": "10.0.0.1:9400",
        "pod": "dcgm-exporter-x",
        "namespace": "gpu-operator",
        "container": "exporter",
        "exported_pod": pod,
        "exported_namespace": namespace,
        "exported_container": "main",
        **(labels or {}),
    }
    return Device(every, values, days, STEP)


def _with_gaps(value: Value, share: float) -> Value:
    return lambda at: None if at % DAY < share * DAY else value(at)


def pod(  # noqa: PLR0913 - the fields of a pod
    namespace: str,
    name: str,
    owner: tuple[str, str] | None,
    *,
    resource: str = "nvidia.com/gpu",
    count: int = 1,
    node: str = "node-a",
    started: str = "",
    phase: str = "Running",
    **container: Any,
) -> Json:
    """A pod as the API server lists it; ``owner`` is kind and name of its controller."""
    limits = {"limits": {resource: str(count)}}
    metadata: Json = {"namespace": namespace, "name": name, "uid": f"uid-{name}"}
    if owner:
        version = {"Job": "batch/v1", "PyTorchJob": "kubeflow.org/v1"}.get(owner[0], "apps/v1")
        metadata["ownerReferences"] = [{"apiVersion": version, "kind": owner[0], "name": owner[1], "controller": True}]
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "app:1", "resources": limits, **container}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, "startTime": started}}


def template(namespace: str, kind: str, name: str, owner: tuple[str, str] | None = None, **spec: Any) -> Json:
    """A controller with a template that requests a GPU."""
    limits = {"limits": {"nvidia.com/gpu": "1"}}
    inner: Json = {"spec": {"containers": [{"name": "main", "resources": limits}]}}
    metadata: Json = {"namespace": namespace, "name": name}
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "controller": True}
        ]
    if kind == "CronJob":
        return {"metadata": metadata, "spec": {"jobTemplate": {"spec": {"template": inner}}, **spec}}
    return {"metadata": metadata, "spec": {"template": inner, **spec}}


class Cast:
    """The pods, controllers and devices together."""

    def __init__(self, now: str, long_ago: str) -> None:
        self.now, self.long_ago = now, long_ago
        self.pods: list[Json] = []
        self.devices: list[Device] = []
        self.replicasets: list[Json] = []
        self.deployments: list[Json] = []

    def deploy(self, namespace: str, name: str, *devices: Device, pods: int = 1, **fields: Any) -> None:
        """A Deployment with running pods ``NAME-7d4b9c6f5d-bbbb…``, which the devices name."""
        replicaset = f"{name}-7d4b9c6f5d"
        for number in range(pods):
            fields.setdefault("started", self.long_ago)
            self.pods.append(
                pod(namespace, f"{replicaset}-{'bcdfg'[number] * 5}", ("ReplicaSet", replicaset), **fields)
            )
        self.replicasets.append(template(namespace, "ReplicaSet", replicaset, ("Deployment", name)))
        self.deployments.append(template(namespace, "Deployment", name))
        self.devices += devices


def first_pod(name: str, number: int = 0) -> str:
    """The name of a Deployment's pod."""
    return f"{name}-7d4b9c6f5d-{'bcdfg'[number] * 5}"


def recorded(namespace: str, pod: str, kind: str, name: str) -> Device:
    """What kube-state-metrics recorded of a pod's controller."""
    labels = {"namespace": namespace, "pod": pod, "owner_kind": kind, "owner_name": name}
    return Device(labels, {"kube_pod_owner": steady(1)}, (0, 2), 3600)


def above(namespace: str, kind: str, name: str, owner: tuple[str, str]) -> Device:
    """What kube-state-metrics recorded of the controller of a ReplicaSet or Job."""
    label = {"ReplicaSet": "replicaset", "Job": "job_name"}[kind]
    labels = {"namespace": namespace, label: name, "owner_kind": owner[0], "owner_name": owner[1]}
    return Device(labels, {f"kube_{kind.lower()}_owner": steady(1)}, (0, 2), 3600)

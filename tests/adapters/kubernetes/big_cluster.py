"""A cluster as large as one wants, made up page by page: namespaces with Deployments, their ReplicaSets and their pods.

Objects are of the size that real ones have (some 7 kB a pod, half of it managedFields), and are made when they are asked
for, so that the server itself needs no memory for them.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.adapters.kubernetes.workload_server import WorkloadServer

Json = dict[str, Any]
Make = Callable[[int], bytes]

_NAME, _NAMESPACE, _OWNER = "NAME-NAME", "SPACE-SPACE", "OWNER-OWNER"


class BigCluster(WorkloadServer):
    """So many pods in so many namespaces, ``each`` to a Deployment; every third Deployment asks for no GPU."""

    def __init__(self, pods: int, namespaces: int, each: int = 10) -> None:
        super().__init__()
        self.pods, self.deployments = pods, pods // each
        self.fill(namespaces)
        self._spaces, self._each = namespaces, each
        pod, plain_pod = _prototype(_pod(gpu=True)), _prototype(_pod(gpu=False))
        replica_set, deployment = _prototype(_controller("ReplicaSet")), _prototype(_controller("Deployment"))
        self._made: dict[str, tuple[int, Make]] = {
            "/api/v1/pods": (
                pods,
                lambda n: self._of(pod if (n // each) % 3 else plain_pod, n // each, f"-{n % each}"),
            ),
            "/apis/apps/v1/replicasets": (self.deployments * 3, lambda n: self._of(replica_set, n // 3, f"-{n % 3}")),
            "/apis/apps/v1/deployments": (self.deployments, lambda n: self._of(deployment, n, "")),
        }

    def listed(self, path: str, query: Mapping[str, str]) -> bytes | None:
        if path not in self._made:
            return super().listed(path, query)
        count, make = self._made[path]
        start = int(query.get("continue", "0"))
        end = min(start + int(query["limit"]), count)
        metadata: Json = {"resourceVersion": "1"}
        if end < count:
            metadata |= {"continue": str(end), "remainingItemCount": count - end}
        items = b",".join(map(make, range(start, end)))
        return b'{"kind":"List","metadata":%s,"items":[%s]}' % (json.dumps(metadata).encode(), items)

    def _of(self, prototype: bytes, deployment: int, suffix: str) -> bytes:
        name = f"trainer-{deployment:05}"
        made = prototype.replace(_NAME.encode(), f"{name}{suffix}".encode())
        made = made.replace(_NAMESPACE.encode(), f"team-{deployment % self._spaces:05}".encode())
        return made.replace(_OWNER.encode(), name.encode())


def _prototype(document: Json) -> bytes:
    return json.dumps(document).encode()


def _metadata(owner: tuple[str, str, str] | None) -> Json:
    metadata: Json = {
        "name": _NAME,
        "namespace": _NAMESPACE,
        "uid": "6f1d8a3e-0000-4000-8000-000000000000",
        "resourceVersion": "123456",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app.kubernetes.io/name": "trainer", "pod-template-hash": "5d8f7c9b4"},
        "annotations": {"owner": "someone@example.com", "checksum/config": "0" * 64},
        "managedFields": [
            {
                "manager": manager,
                "operation": "Update",
                "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {f"f:field-{number}-of-the-object": {} for number in range(40)}},
            }
            for manager in ("kube-controller-manager", "kubelet")
        ],
    }
    if owner:
        version, kind, name = owner
        reference = {"apiVersion": version, "kind": kind, "name": name, "uid": "6f1d8a3e", "controller": True}
        metadata["ownerReferences"] = [reference]
    return metadata


def _spec(*, gpu: bool) -> Json:
    amounts = {"cpu": "4", "memory": "16Gi", **({"nvidia.com/gpu": "1"} if gpu else {})}
    container = {
        "name": "train",
        "image": "example.com/team/train:1.0",
        "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(20)],
        "resources": {"limits": amounts, "requests": amounts},
        "volumeMounts": [{"name": f"volume-{number}", "mountPath": f"/mnt/{number}"} for number in range(6)],
    }
    return {
        "containers": [container, {"name": "proxy", "image": "example.com/proxy", "resources": {}}],
        "volumes": [{"name": f"volume-{number}", "configMap": {"name": "settings"}} for number in range(6)],
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
    }


def _pod(*, gpu: bool) -> Json:
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        for kind in ("Ready", "Initialized")
    ]
    return {
        "metadata": _metadata(("apps/v1", "ReplicaSet", f"{_OWNER}-0")),
        "spec": _spec(gpu=gpu),
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [{"name": "train"}] * 2},
    }


def _controller(kind: str) -> Json:
    owner = ("apps/v1", "Deployment", _OWNER) if kind == "ReplicaSet" else None
    template = {"metadata": {"labels": {"app": "trainer"}}, "spec": _spec(gpu=True)}
    return {"metadata": _metadata(owner), "spec": {"replicas": 10, "template": template}, "status": {"replicas": 10}}

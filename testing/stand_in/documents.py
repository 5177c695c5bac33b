"""Documents as kube-apiserver writes them."""

import json
from collections.abc import Mapping
from typing import Any


def namespace(name: str, revision: str = "1", /, **labels: str) -> dict[str, Any]:
    """A namespace as kube-apiserver writes it, with the usual company of our labels."""
    ours = {f"gpuwarden.io/{key}": value for key, value in labels.items()}
    return {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "uid": "6f1d8a3e-0000-4000-8000-000000000000",
            "resourceVersion": revision,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"kubernetes.io/metadata.name": name, "team": "vision", **ours},
            "annotations": {"owner": "someone@example.com"},
            "managedFields": [
                {
                    "manager": "kubectl-create",
                    "operation": "Update",
                    "apiVersion": "v1",
                    "time": "2026-01-01T00:00:00Z",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {
                        "f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}, "f:team": {}}}
                    },
                }
            ],
        },
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def node(  # noqa: PLR0913 - the fields of a node
    name: str,
    revision: str = "1",
    /,
    *,
    gpus: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    ready: bool = True,
    cordoned: bool = False,
    company: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A node as kube-apiserver writes it; ``gpus`` is what it offers, ``company`` more of its status."""
    amounts = {"cpu": "64", "memory": "512Gi", **{key: str(number) for key, number in (gpus or {}).items()}}
    conditions = [{"type": "Ready", "status": str(ready), "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "resourceVersion": revision,
            "labels": {"kubernetes.io/os": "linux", **(labels or {})},
        },
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"capacity": amounts, "allocatable": amounts, "conditions": conditions, **(company or {})},
    }


def status(code: int, message: str) -> dict[str, Any]:
    """An error as kube-apiserver writes it."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


def event(kind: str, document: dict[str, Any]) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": document}).encode() + b"\n"

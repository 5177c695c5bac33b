"""Documents as kube-apiserver writes them."""

import json
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


def status(code: int, message: str) -> dict[str, Any]:
    """An error as kube-apiserver writes it."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


def event(kind: str, document: dict[str, Any]) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": document}).encode() + b"\n"

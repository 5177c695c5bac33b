"""Custom kinds that are in no row, on a real API server: found by definition, read, and evaluated by their shape."""

import json
import subprocess
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.e2e.gpuwarden import PROGRAM

pytestmark = pytest.mark.e2e

GROUP = "e2e.ray.io"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SCHEMA = {
    "type": "object",
    "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
}


def audited(control_plane: ControlPlane, namespace: str) -> tuple[int, Any]:
    """The exit code and the report of a strict audit of one namespace."""
    command = [
        str(PROGRAM),
        "audit",
        "--strict",
        "-o",
        "json",
        "-n",
        namespace,
        f"--kubeconfig={control_plane.kubeconfig()}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, json.loads(done.stdout)


def test_objects_of_a_custom_kind_are_evaluated_by_their_shape(
    control_plane: ControlPlane, module_namespaces: Namespaces
) -> None:
    name = module_namespaces.make_bare()
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"clusters.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": "Cluster", "plural": "clusters"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}],
        },
    }
    control_plane.api.post(DEFINITIONS, json=definition).raise_for_status()
    path = f"/apis/{GROUP}/v1/namespaces/{name}/clusters"
    try:
        wait_for("the kind to be served", lambda: control_plane.api.get(path).is_success)
        container = {"name": "main", "image": "registry.test/a:1", "resources": {"limits": {"nvidia.com/gpu": "0.5"}}}
        for number, spec in enumerate(({"size": 1}, {"gpus": 2}, {"pools": [{"pod": {"containers": [container]}}]})):
            made = {"apiVersion": f"{GROUP}/v1", "kind": "Cluster", "metadata": {"name": f"c{number}"}, "spec": spec}
            control_plane.api.post(path, json=made).raise_for_status()
        code, report = audited(control_plane, name)
        found = {line["name"]: line["decision"] for line in report["objects"] if line["kind"] == "Cluster"}
        assert (code, found, report["kinds"]) == (1, {"c1": "not-evaluated", "c2": "denied"}, [])
    finally:
        control_plane.api.delete(f"{DEFINITIONS}/clusters.{GROUP}").raise_for_status()

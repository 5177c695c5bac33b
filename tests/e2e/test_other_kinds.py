"""Kinds that an audit does not look at, on a real API server: found by definition, counted, and reported."""

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
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def test_objects_of_a_custom_kind_are_counted_as_not_judged(
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
        assert audited(control_plane, name)[1]["kinds"] == []
        for number in range(3):
            made = {"apiVersion": f"{GROUP}/v1", "kind": "Cluster", "metadata": {"name": f"c{number}"}, "spec": {}}
            control_plane.api.post(path, json=made).raise_for_status()
        code, report = audited(control_plane, name)
        (line,) = report["kinds"]
        assert line["notJudged"].startswith(f"Cluster.{GROUP}: 3 objects were not checked; ")
        assert (code, report["totals"]["kinds"]) == (1, 1)
    finally:
        control_plane.api.delete(f"{DEFINITIONS}/clusters.{GROUP}").raise_for_status()

"""Operators' kinds in an audit of a real cluster: discovered there, read with the chart's rights, one line each."""

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml

from hack.workload_rules import rights
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.e2e.gpuwarden import PROGRAM
from webhook.application.operator_kinds import AUDITED
from webhook.application.workload_kinds import BUILT_IN

pytestmark = pytest.mark.e2e

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
# Groups, versions and plurals are the projects' own, the schemas are ours and let everything pass.
KINDS = (
    ("ray.io", "v1", "RayJob", "rayjobs"),
    ("ray.io", "v1", "RayCluster", "rayclusters"),
    ("batch.volcano.sh", "v1alpha1", "Job", "jobs"),
    ("apps.nvidia.com", "v1alpha1", "NIMService", "nimservices"),
)
SCHEMA = {
    "type": "object",
    "properties": {one: {"type": "object", "x-kubernetes-preserve-unknown-fields": True} for one in ("spec", "status")},
}
SPEC = {"containers": [{"name": "w", "image": "x", "resources": {"limits": {"nvidia.com/gpu": 1}}}]}
RAY = {"headGroupSpec": {"template": {"spec": {"containers": [{"name": "h", "image": "x"}]}}}, "workerGroupSpecs": [
    {"groupName": "w", "replicas": 2, "template": {"spec": SPEC}}
]}  # fmt: skip


def is_served(control_plane: ControlPlane, path: str) -> bool:
    return control_plane.api.get(path).is_success


@pytest.fixture(scope="module")
def operators(control_plane: ControlPlane) -> Iterator[None]:
    """The definitions, and two users: one with the rights of the chart's audit, one that may not list RayClusters."""
    api = control_plane.api
    for group, version, kind, plural in KINDS:
        served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}
        names = {"kind": kind, "plural": plural, "singular": kind.lower()}
        spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [served]}
        document = {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}
        answer = api.post(
            DEFINITIONS, json={"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **document}
        )
        answer.raise_for_status()
    without_ray = [row for row in AUDITED if row.kind != "RayCluster"]
    for user, rows in (("auditor", AUDITED), ("half-auditor", without_ray)):
        granted = [
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]},
            {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["list"]},
            *yaml.safe_load(rights((*BUILT_IN, *rows))),
        ]
        api.post(f"{RBAC}/clusterroles", json={"metadata": {"name": user}, "rules": granted}).raise_for_status()
        bound = {
            "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
        api.post(f"{RBAC}/clusterrolebindings", json=bound).raise_for_status()
    for group, version, _, plural in KINDS:
        wait_for(f"{plural} to be served", partial(is_served, control_plane, f"/apis/{group}/{version}/{plural}"))
    yield
    for user in ("auditor", "half-auditor"):
        api.delete(f"{RBAC}/clusterrolebindings/{user}").raise_for_status()
        api.delete(f"{RBAC}/clusterroles/{user}").raise_for_status()
    for group, _, _, plural in KINDS:
        api.delete(f"{DEFINITIONS}/{plural}.{group}").raise_for_status()


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane, module_namespaces: Namespaces, operators: None) -> str:
    """A namespace that shares, with a RayJob and what it has made, and objects of two more kinds."""
    del operators
    name = module_namespaces.make_bare({"gpuwarden.io/enforce": "shared"})

    def made(path: str, kind: str, called: str, spec: Any, owner: Any = None) -> Any:
        version = path.removeprefix("/apis/").removeprefix("/api/")
        plural = next(
            (plural for group, _, one, plural in KINDS if one == kind and version.startswith(group)), f"{kind.lower()}s"
        )
        metadata: dict[str, Any] = {"name": called}
        if owner:
            reference = {key: owner[key] for key in ("apiVersion", "kind")}
            metadata["ownerReferences"] = [
                {**reference, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}
            ]
        document = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
        answer = control_plane.api.post(f"{path}/namespaces/{name}/{plural}", json=document)
        assert answer.is_success, answer.text
        return answer.json()

    job = made("/apis/ray.io/v1", "RayJob", "train", {"suspend": True, "rayClusterSpec": RAY})
    cluster = made("/apis/ray.io/v1", "RayCluster", "train-1", RAY, job)
    template = {"spec": {**SPEC, "restartPolicy": "Never"}}
    made("/apis/batch/v1", "Job", "train", {"suspend": True, "template": template}, job)
    for number in range(2):
        made("/api/v1", "Pod", f"w{number}", {**SPEC, "automountServiceAccountToken": False}, cluster)
    made("/apis/batch.volcano.sh/v1alpha1", "Job", "train", {"tasks": [{"replicas": 2, "template": {"spec": SPEC}}]})
    made("/apis/apps.nvidia.com/v1alpha1", "NIMService", "llm", {"resources": {"limits": {"nvidia.com/gpu": 1}}})
    return name


def audited(control_plane: ControlPlane, namespace: str, user: str) -> tuple[int, Any]:
    """The exit code and the report of a strict audit of one namespace by a user."""
    command = [str(PROGRAM), "audit", "--strict", "-o", "json", "-n", namespace]
    command.append(f"--kubeconfig={control_plane.kubeconfig(user)}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, json.loads(done.stdout)


def test_objects_are_listed_with_what_they_made_and_kinds_of_one_name_apart(
    control_plane: ControlPlane, namespace: str
) -> None:
    code, report = audited(control_plane, namespace, "auditor")
    lines = {(line["apiVersion"], line["kind"], line["name"]): line for line in report["objects"]}
    assert {key: line["decision"] for key, line in lines.items()} == {
        ("ray.io/v1", "RayJob", "train"): "rewritten",
        ("batch.volcano.sh/v1alpha1", "Job", "train"): "rewritten",
        ("apps.nvidia.com/v1alpha1", "NIMService", "llm"): "not-evaluated",
    }
    ray = lines["ray.io/v1", "RayJob", "train"]
    assert (ray["pods"]["rewritten"], ray["suspended"]) == (2, False), "it has pods"
    (trap,) = lines["batch.volcano.sh/v1alpha1", "Job", "train"]["findings"]
    assert (trap["rule"], trap["path"]) == ("operator-trap", "spec.tasks[0].template")
    assert (code, report["kinds"], report["problems"]) == (1, [], [])


def test_a_kind_that_may_not_be_listed_ends_nothing(control_plane: ControlPlane, namespace: str) -> None:
    _, report = audited(control_plane, namespace, "half-auditor")
    (kind,) = report["kinds"]
    assert kind["notEvaluated"].startswith(
        "RayCluster.ray.io: its objects were not checked, and their number is unknown"
    )
    assert 'cannot list resource "rayclusters" in API group "ray.io"' in kind["notEvaluated"]
    assert {(line["kind"], line["name"]) for line in report["objects"]} == {
        ("RayJob", "train"),
        ("RayCluster", "train-1"),
        ("Job", "train"),
        ("NIMService", "llm"),
    }

"""Scenario 5: a pod that was there before its namespace got its label can live on and end as any other."""

import json
from collections.abc import Callable

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import MERGE_PATCH, Fleet
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, create, limits_of, node_of_the_only_pod, pod, pod_spec

pytestmark = pytest.mark.e2e

FINALIZER = "gpuwarden.test/hold"


@pytest.fixture
def old(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, make_namespace: Callable[..., str]
) -> str:
    """The path of a running pod with two GPUs, in a namespace that has been labelled ``shared`` since."""
    namespace = make_namespace()
    create(control_plane, namespace, pod(pod_spec(GPU, count=2)))
    node_of_the_only_pod(control_plane, namespace)
    labelled = control_plane.kubectl("label", "namespace", namespace, f"{ENFORCE}=shared")
    assert labelled.returncode == 0, labelled.stderr
    path = f"/api/v1/namespaces/{namespace}/pods"
    # The control of all that follows: the same pod, made now, is refused.
    new = pod(pod_spec(GPU, count=2), "new")

    def refused() -> bool:
        return control_plane.api.post(path, params={"dryRun": "All"}, json=new).status_code == httpx.codes.FORBIDDEN

    wait_for("the label to act", refused)
    return f"{path}/train"


def test_it_is_updated_finalized_and_deleted(control_plane: ControlPlane, old: str) -> None:
    api = control_plane.api
    before = control_plane.get(old)

    def patch(path: str, change: object) -> None:
        answer = api.patch(path, json=change, headers=MERGE_PATCH)
        assert answer.status_code == httpx.codes.OK, answer.text

    patch(old, {"metadata": {"labels": {"team": "vision"}, "annotations": {"note": "kept"}}})
    patch(old, {"metadata": {"finalizers": [FINALIZER]}})
    patch(f"{old}/status", {"status": {"phase": "Running", "podIP": "10.1.2.3"}})
    changed = {**control_plane.get(old)}
    changed["spec"]["containers"][0]["image"] = "example.test/train:2"  # one of the few fields that may change
    replaced = api.put(old, json=changed)
    assert replaced.status_code == httpx.codes.OK, replaced.text

    deleted = api.delete(old)
    assert deleted.status_code in (httpx.codes.OK, httpx.codes.ACCEPTED), deleted.text
    held = control_plane.get(old)
    assert "deletionTimestamp" in held["metadata"]
    assert limits_of(held) == limits_of(before) == [{GPU: "2"}]

    patch(old, {"metadata": {"finalizers": None}})
    wait_for("the pod to be gone", lambda: api.get(old).status_code == httpx.codes.NOT_FOUND)


def test_it_is_debugged_with_an_ephemeral_container(control_plane: ControlPlane, old: str) -> None:
    debugger = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "example.test/debug"}]}}
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    answer = control_plane.api.patch(f"{old}/ephemeralcontainers", content=json.dumps(debugger), headers=headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    assert [one["name"] for one in control_plane.get(old)["spec"]["ephemeralContainers"]] == ["debugger"]


def test_it_is_evicted(control_plane: ControlPlane, old: str) -> None:
    namespace, name = old.split("/")[4], old.split("/")[6]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    answer = control_plane.api.post(f"{old}/eviction", json=eviction)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    wait_for("the pod to be gone", lambda: control_plane.api.get(old).status_code == httpx.codes.NOT_FOUND)

"""Scenario: the claims of a pod that waits are replaced by others, each within the limits of the policy, and all together not.

The limits hold when the claims are given to the pod. Bypasses are counted: pods with more GPUs than their policy permits.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.dra_driver import GPUS, NICS, NODE, create_before, devices
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, container, event_messages, node_of, pod, pod_spec, pods_in
from tests.e2e.telling import tell
from tests.e2e.test_claim_swaps import (
    CLAIM,
    FIELDS,
    NAMED_GPUS,
    OF_VERSION_1_36,
    TEMPLATE,
    a_waiting_pod,
    an_object,
    claims_in,
    exactly,
    patch,
    path,
    post,
    ungate,
)

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
POLICIES: Json = {
    "two": {"forms": ["any"], "maxPerPod": 2},
    "one-each": {"forms": ["any"], "maxPerContainer": 1},
    "whole": {"forms": ["exclusive"], "maxPerPod": 2},
}
WEBHOOK = "validate-reservation.gpuwarden.io"
NIC = exactly(NICS)


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    values = {"config": {"policies": POLICIES}}
    with Installation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), values=values) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A cluster whose devices a driver hands out, and gpuwarden with policies that have limits."""
    assert installation.replicas
    if control_plane.version < OF_VERSION_1_36:
        pytest.skip("DeviceClasses with an extendedResourceName are on by default from Kubernetes 1.36 on")
    with devices(control_plane, {NAMED_GPUS: {"extendedResourceName": GPU}}) as ready:
        yield ready


@pytest.fixture
def in_policy(cluster: ControlPlane, make_namespace: Callable[..., str]) -> Callable[[str], str]:
    """Make a namespace with a policy."""
    assert cluster.version
    return lambda policy: make_namespace({ENFORCE: policy})


def using(*claims: str, name: str = "train", **fields: Any) -> Json:
    """A container that uses claims of its pod, or requests of them: ``claim/request``."""
    listed = [dict(zip(("name", "request"), one.split("/"), strict=False)) for one in claims]
    return {"name": name, "image": "example.test/train", "resources": {"claims": listed}, **fields}


def of(kind: str, **objects: str) -> list[Json]:
    """``spec.resourceClaims`` by the pod's names for them."""
    return [{"name": name, FIELDS[kind]: named} for name, named in objects.items()]


def replace(cluster: ControlPlane, namespace: str, name: str, *requests: Json, kind: str = CLAIM) -> httpx.Response:
    """Delete a claim or template, and create another one under its name."""
    at = path(kind, namespace, name)
    cluster.api.delete(at).raise_for_status()
    wait_for("it to be gone", lambda: cluster.api.get(at).status_code == httpx.codes.NOT_FOUND)
    return post(cluster, namespace, an_object(kind, *requests, name=name))


def gpus(cluster: ControlPlane, namespace: str, name: str = "train") -> int:
    """The GPUs that are reserved for a pod."""
    found = 0
    for one in claims_in(cluster, namespace):
        status = one.get("status", {})
        if name in {consumer["name"] for consumer in status.get("reservedFor", ())}:
            results = status.get("allocation", {}).get("devices", {}).get("results", ())
            found += sum(result["driver"] == GPUS for result in results)
    return found


def stays_without_a_node(cluster: ControlPlane, namespace: str, name: str = "train") -> str:
    """Let a pod be scheduled, wait for the denial, and be sure that the pod has no node; the denial."""
    at = f"/api/v1/namespaces/{namespace}/pods/{name}"
    patch(cluster, at, {"spec": {"schedulingGates": None}}).raise_for_status()

    def denial() -> str:
        said = [one for one in event_messages(cluster, namespace, "FailedScheduling") if WEBHOOK in one]
        [found] = [one for one in pods_in(cluster, namespace) if one["metadata"]["name"] == name]
        assert not node_of(found), f"the pod has a node, and {gpus(cluster, namespace, name)} GPUs"
        return said[0] if said else ""

    said: str = wait_for("the denial", denial)
    return said.partition("denied the request: ")[2]


def test_claims_that_exceed_the_limit_together_are_not_given_to_their_pod(
    cluster: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("two")
    for name in ("a", "b"):
        post(cluster, namespace, an_object(CLAIM, NIC, name=name)).raise_for_status()
    a_waiting_pod(cluster, namespace, containers=[using("a", "b")], resourceClaims=of(CLAIM, a="a", b="b"))
    replace(cluster, namespace, "a", exactly(count=2)).raise_for_status()
    replace(cluster, namespace, "b", exactly()).raise_for_status()
    told = stays_without_a_node(cluster, namespace)
    tell(told)
    assert told.startswith('pod "train": its claims and containers are for 3 GPUs at once')
    assert gpus(cluster, namespace) <= POLICIES["two"]["maxPerPod"]

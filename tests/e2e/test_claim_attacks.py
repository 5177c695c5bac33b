"""Scenario: users of a namespace without GPUs try to get one by claims (DRA), in ways that the API has beside plain creation.

Bypasses are counted: claims for GPUs in the namespace, and pods that were allocated one.
"""

from collections.abc import Callable, Iterator

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.claims import (
    APPLY,
    CLAIM,
    NAMED_GPUS,
    STRATEGIC,
    TEMPLATE,
    Json,
    a_waiting_pod,
    an_object,
    claiming,
    claims_in,
    denied,
    drivers,
    exactly,
    patch,
    path,
    post,
    ungate,
)
from tests.e2e.dra_driver import GPUS, NICS, NODE, create_before, devices
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, container, node_of, pod, pod_spec, pods_in, stateful_set

pytestmark = pytest.mark.e2e

IMPLICIT = f"deviceclass.resource.kubernetes.io/{GPUS}"


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A cluster whose devices a driver hands out, some of them by resource names, and gpuwarden."""
    with devices(control_plane, installation, {NAMED_GPUS: GPU}) as ready:
        yield ready


@pytest.fixture
def namespace(cluster: ControlPlane, make_namespace: Callable[..., str]) -> str:
    """A namespace without GPUs."""
    assert cluster.version
    return make_namespace({ENFORCE: "none"})


def create_pod(cluster: ControlPlane, namespace: str, spec: Json, name: str = "train") -> httpx.Response:
    return cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(spec, name))


def claims_gpus(one: Json) -> bool:
    return any(
        request.get("exactly", {}).get("deviceClassName") == GPUS for request in one["spec"]["devices"]["requests"]
    )


def is_safe(cluster: ControlPlane, namespace: str) -> bool:
    """Whether no claim for a GPU exists, and no pod was allocated one."""
    return GPUS not in drivers(cluster, namespace) and not any(map(claims_gpus, claims_in(cluster, namespace)))


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_server_side_apply_creates_nothing_for_gpus(cluster: ControlPlane, namespace: str, kind: str) -> None:
    at, params = path(kind, namespace, "one"), {"fieldManager": "attacker", "force": "true"}
    denied(cluster.api.patch(at, params=params, headers=APPLY, json=an_object(kind)))
    network = an_object(kind, exactly(NICS))
    cluster.api.patch(at, params=params, headers=APPLY, json=network).raise_for_status()
    assert cluster.api.patch(at, params=params, headers=APPLY, json=an_object(kind)).is_client_error
    assert is_safe(cluster, namespace)


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_a_spec_does_not_change_by_any_kind_of_write(cluster: ControlPlane, namespace: str, kind: str) -> None:
    post(cluster, namespace, an_object(kind, exactly(NICS))).raise_for_status()
    at = path(kind, namespace, "one")
    spec = an_object(kind)["spec"]
    put = {**cluster.get(at), "spec": spec}
    json_patch = [{"op": "replace", "path": "/spec", "value": spec}]
    for answer in (
        cluster.api.put(at, json=put),
        patch(cluster, at, {"spec": spec}),
        cluster.api.patch(at, headers={"content-type": "application/json-patch+json"}, json=json_patch),
    ):
        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text
    if kind == CLAIM:  # nor beside its status
        cluster.api.put(f"{at}/status", json=put).raise_for_status()
        assert is_safe(cluster, namespace)


def test_a_status_that_comes_with_a_new_claim_is_dropped(cluster: ControlPlane, namespace: str) -> None:
    results = [{"request": "device", "driver": GPUS, "pool": GPUS, "device": "device-0"}]
    made = an_object(CLAIM, exactly(NICS))
    made["status"] = {"allocation": {"devices": {"results": results}}}
    answer = post(cluster, namespace, made)
    answer.raise_for_status()
    assert "allocation" not in answer.json().get("status", {})


def test_annotations_and_labels_of_a_template_make_no_other_claims(cluster: ControlPlane, namespace: str) -> None:
    made = an_object(TEMPLATE, exactly(NICS))
    marks = {"resource.kubernetes.io/extended-resource-claim": "true", "gpuwarden.io/enforce": "any"}
    made["spec"]["metadata"] = {"annotations": marks, "labels": {"gpuwarden.io/enforce": "any"}}
    post(cluster, namespace, made).raise_for_status()
    a_waiting_pod(cluster, namespace, **claiming(TEMPLATE))
    ungate(cluster, namespace)
    assert drivers(cluster, namespace) == {NICS}
    denied(post(cluster, namespace, an_object(TEMPLATE, name="two", annotations=marks, labels={ENFORCE: "any"})))


def test_a_claim_of_another_namespace_is_not_used(
    cluster: ControlPlane, namespace: str, make_namespace: Callable[..., str]
) -> None:
    other = make_namespace({ENFORCE: "any"})
    post(cluster, other, an_object(CLAIM)).raise_for_status()
    for name in (f"{other}/one", f"../{other}/one", "one"):
        spec = claiming(CLAIM, name)
        assert create_pod(cluster, namespace, spec).is_client_error
    assert pods_in(cluster, namespace) == []


def test_a_claim_from_before_that_is_being_deleted(cluster: ControlPlane, namespace: str) -> None:
    create_before(cluster, namespace, an_object(CLAIM, name="one", finalizers=["example.com/hold"]))
    cluster.api.delete(path(CLAIM, namespace, "one")).raise_for_status()
    assert (
        create_pod(cluster, namespace, claiming(CLAIM)).json()["details"]["causes"][0]["reason"] == "gpu-not-permitted"
    )
    patch(cluster, path(CLAIM, namespace, "one"), {"metadata": {"finalizers": None}}).raise_for_status()


@pytest.mark.parametrize("section", ["containers", "initContainers"])
@pytest.mark.parametrize("resource", [IMPLICIT, GPU])
def test_extended_resources_of_any_container(
    cluster: ControlPlane, namespace: str, section: str, resource: str
) -> None:
    plain = {"name": "plain", "image": "example.test/plain"}
    asking = container(resource, name="asking")
    lists = {"containers": [plain], "initContainers": []} | {
        section: [asking, plain] if section == "containers" else [asking]
    }
    for restart in (None, "Always"):
        if restart and section == "initContainers":
            asking["restartPolicy"] = restart
        answer = create_pod(cluster, namespace, {**pod_spec(GPU), **lists})
        assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    assert claims_in(cluster, namespace) == []


def test_pod_level_resources_and_resizes_hand_out_nothing(cluster: ControlPlane, namespace: str) -> None:
    plain = {"name": "train", "image": "example.test/train", "resources": {"limits": {"cpu": "1"}}}
    level = {"limits": {"cpu": "1", IMPLICIT: "1"}}
    assert create_pod(cluster, namespace, {"containers": [plain], "resources": level}).is_client_error
    create_pod(cluster, namespace, {"containers": [plain]}).raise_for_status()
    at = f"/api/v1/namespaces/{namespace}/pods/train"
    for resources in ({"limits": {"cpu": "1", IMPLICIT: "1"}}, {"claims": [{"name": "device"}]}):
        changed = {"spec": {"containers": [{"name": "train", "resources": resources}]}}
        for where in (at, f"{at}/resize"):
            assert cluster.api.patch(where, headers=STRATEGIC, json=changed).is_client_error
    assert claims_in(cluster, namespace) == []


def test_a_waiting_pod_gets_no_claims_by_updates(cluster: ControlPlane, namespace: str) -> None:
    post(cluster, namespace, an_object(CLAIM, exactly(NICS))).raise_for_status()
    create_before(cluster, namespace, an_object(CLAIM, name="old"))
    a_waiting_pod(cluster, namespace, **claiming(CLAIM))
    at = f"/api/v1/namespaces/{namespace}/pods/train"
    for claims in ([{"name": "device", "resourceClaimName": "old"}], [{"name": "more", "resourceClaimName": "old"}]):
        changed = {"spec": {"resourceClaims": claims}}
        assert cluster.api.patch(at, headers=STRATEGIC, json=changed).is_client_error
    # A user may not write its status, where the claims that are made for it stand.
    name = {"status": {"resourceClaimStatuses": [{"name": "device", "resourceClaimName": "old"}]}}
    with cluster.client("alice", "team") as alice:
        answer = alice.patch(f"{at}/status", headers={"content-type": "application/merge-patch+json"}, json=name)
        assert answer.status_code == httpx.codes.FORBIDDEN
    ungate(cluster, namespace)
    assert drivers(cluster, namespace) == {NICS}


def test_ephemeral_containers_use_no_claims(cluster: ControlPlane, namespace: str) -> None:
    create_before(cluster, namespace, an_object(CLAIM, name="old"))
    create_pod(
        cluster, namespace, {"containers": [{"name": "train", "image": "example.test/train"}]}
    ).raise_for_status()
    at = f"/api/v1/namespaces/{namespace}/pods/train/ephemeralcontainers"
    for resources in ({"claims": [{"name": "device"}]}, {"limits": {IMPLICIT: "1"}}):
        debugger = {"name": "debug", "image": "example.test/debug", "resources": resources}
        changed = {"spec": {"ephemeralContainers": [debugger]}}
        assert cluster.api.patch(at, headers=STRATEGIC, json=changed).is_client_error
    assert is_safe(cluster, namespace) is False  # the old one is there, and nobody uses it
    assert drivers(cluster, namespace) == set()


def test_an_alternative_is_evaluated_however_far_down_it_is(cluster: ControlPlane, namespace: str) -> None:
    first = [{"name": f"nic-{number}", "deviceClassName": NICS} for number in range(7)]
    for last in ({"deviceClassName": GPUS, "count": 4}, {"deviceClassName": GPUS, "allocationMode": "All"}):
        listed = {"name": "device", "firstAvailable": [*first, {"name": "gpu", **last}]}
        for kind in (CLAIM, TEMPLATE):
            denied(post(cluster, namespace, an_object(kind, listed)))
    assert claims_in(cluster, namespace) == []


def test_a_gpu_among_many_requests(cluster: ControlPlane, namespace: str) -> None:
    nics = [exactly(NICS) | {"name": f"nic-{number}"} for number in range(31)]
    for kind in (CLAIM, TEMPLATE):
        denied(post(cluster, namespace, an_object(kind, *nics, exactly())))
    assert claims_in(cluster, namespace) == []


def test_the_pods_of_a_stateful_set_whose_template_becomes_one_for_gpus(cluster: ControlPlane, namespace: str) -> None:
    post(cluster, namespace, an_object(TEMPLATE, exactly(NICS))).raise_for_status()
    spec = {**claiming(TEMPLATE), "tolerations": pod_spec(GPU, tolerated=True)["tolerations"]}
    made = stateful_set({**spec, "nodeSelector": {"kubernetes.io/hostname": NODE}})
    cluster.api.post(f"/apis/apps/v1/namespaces/{namespace}/statefulsets", json=made).raise_for_status()
    wait_for("its pod", lambda: [node_of(one) for one in pods_in(cluster, namespace)] == [NODE])
    cluster.api.delete(path(TEMPLATE, namespace, "one")).raise_for_status()
    denied(post(cluster, namespace, an_object(TEMPLATE)))
    create_before(cluster, namespace, an_object(TEMPLATE))  # as if the policy were newer than the template
    [before] = pods_in(cluster, namespace)
    at = f"/api/v1/namespaces/{namespace}/pods/{before['metadata']['name']}"
    cluster.api.delete(at, params={"gracePeriodSeconds": "0"}).raise_for_status()

    def told() -> bool:
        events = cluster.get(f"/api/v1/namespaces/{namespace}/events")["items"]
        return any("DeviceClass gpu.nvidia.com is not permitted" in one["message"] for one in events)

    wait_for("the event of the StatefulSet", told)
    wait_for("no pod", lambda: pods_in(cluster, namespace) == [])


def test_a_template_that_a_pod_names_before_it_exists(cluster: ControlPlane, namespace: str) -> None:
    """The pod is denied; one that was created before its namespace had the policy gets no claim for a GPU later."""
    assert create_pod(cluster, namespace, claiming(TEMPLATE, "late")).is_client_error
    with cluster.client("admin", "system:masters") as admin:
        at = f"/api/v1/namespaces/{namespace}"
        merge = {"content-type": "application/merge-patch+json"}
        admin.patch(at, headers=merge, json={"metadata": {"labels": {ENFORCE: "any"}}}).raise_for_status()
        wait_for("the label to hold", lambda: create_pod(cluster, namespace, claiming(TEMPLATE, "late")).is_success)
        admin.patch(at, headers=merge, json={"metadata": {"labels": {ENFORCE: "none"}}}).raise_for_status()

    def is_denied() -> bool:
        return post(cluster, namespace, an_object(TEMPLATE, name="late"), dryRun="All").is_client_error

    wait_for("the label to hold", is_denied)
    denied(post(cluster, namespace, an_object(TEMPLATE, name="late")))
    assert is_safe(cluster, namespace)

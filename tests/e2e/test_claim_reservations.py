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
from tests.e2e.claims import (
    CLAIM,
    FIELDS,
    NAMED_GPUS,
    TEMPLATE,
    Json,
    a_waiting_pod,
    an_object,
    claims_in,
    exactly,
    patch,
    path,
    post,
)
from tests.e2e.dra_driver import GPUS, NICS, NODE, devices
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, container, event_messages, node_of, pod, pod_spec, pods_in
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

POLICIES: Json = {
    "two": {"forms": ["any"], "maxPerPod": 2},
    "one-each": {"forms": ["any"], "maxPerContainer": 1},
}
WEBHOOK = "validate-reservation.gpuwarden.io"
NIC = exactly(NICS)


@pytest.fixture(scope="module")
def values() -> Json:
    return {"config": {"policies": POLICIES}}


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A cluster whose devices a driver hands out, and gpuwarden with policies that have limits."""
    with devices(control_plane, installation, {NAMED_GPUS: GPU}) as ready:
        yield ready


def using(*claims: str, name: str = "train", **fields: Any) -> Json:
    """A container that uses claims of its pod."""
    listed = [{"name": one} for one in claims]
    return {"name": name, "image": "example.test/train", "resources": {"claims": listed}, **fields}


def of(kind: str, **objects: str) -> list[Json]:
    """``spec.resourceClaims`` by the pod's names for them."""
    return [{"name": name, FIELDS[kind]: named} for name, named in objects.items()]


def make(cluster: ControlPlane, namespace: str, kind: str, **objects: Json) -> None:
    """Create claims or templates, each of one request."""
    for name, request in objects.items():
        post(cluster, namespace, an_object(kind, request, name=name)).raise_for_status()


def remove(cluster: ControlPlane, namespace: str, kind: str, name: str) -> None:
    at = path(kind, namespace, name)
    cluster.api.delete(at).raise_for_status()
    wait_for("it to be gone", lambda: cluster.api.get(at).status_code == httpx.codes.NOT_FOUND)


def replace(cluster: ControlPlane, namespace: str, kind: str, **objects: Json) -> None:
    """Delete claims or templates, and create others under their names."""
    for name in objects:
        remove(cluster, namespace, kind, name)
    make(cluster, namespace, kind, **objects)


def waiting_for_cards(cluster: ControlPlane, namespace: str, *containers: Json) -> Json:
    """A pod that waits, with the claims ``a`` and ``b`` for network cards."""
    make(cluster, namespace, CLAIM, a=NIC, b=NIC)
    listed = [*containers] or [using("a", "b")]
    return a_waiting_pod(cluster, namespace, containers=listed, resourceClaims=of(CLAIM, a="a", b="b"))


def gpus(cluster: ControlPlane, namespace: str, name: str = "train") -> int:
    """The GPUs that are reserved for a pod."""
    found = 0
    for one in claims_in(cluster, namespace):
        status = one.get("status", {})
        if name in {consumer["name"] for consumer in status.get("reservedFor", ())}:
            results = status.get("allocation", {}).get("devices", {}).get("results", ())
            found += sum(result["driver"] == GPUS for result in results)
    return found


def the_pod(cluster: ControlPlane, namespace: str, name: str = "train") -> Json:
    return cluster.get(f"/api/v1/namespaces/{namespace}/pods/{name}")


def scheduled(cluster: ControlPlane, namespace: str, name: str = "train") -> str:
    """Let a pod be scheduled, and wait for its node (then nothing is returned) or for a denial of the webhook."""
    at = f"/api/v1/namespaces/{namespace}/pods/{name}"
    patch(cluster, at, {"spec": {"schedulingGates": None}}).raise_for_status()

    def outcome() -> tuple[bool, str]:
        said = [one for one in event_messages(cluster, namespace, "FailedScheduling") if WEBHOOK in one]
        return bool(node_of(the_pod(cluster, namespace, name))), said[0] if said else ""

    wait_for("a node or a denial", lambda: any(outcome()))
    has_node, said = outcome()
    assert bool(has_node) != bool(said), (said, gpus(cluster, namespace, name))
    return said.partition("denied the request: ")[2] or said


def denied(cluster: ControlPlane, namespace: str, limit: int = 2) -> str:
    """Let the pod be scheduled; it must be denied what exceeds the limit, and have no node. What was said."""
    said = scheduled(cluster, namespace)
    assert said, f"a bypass: the pod has {gpus(cluster, namespace)} GPUs"
    assert gpus(cluster, namespace) <= limit
    tell(said)
    return said


def given(cluster: ControlPlane, namespace: str, claim: str, *pods: Json) -> httpx.Response:
    """Give an allocated claim to pods, as a scheduler or controller does."""
    entries = [{"resource": "pods", "name": one["metadata"]["name"], "uid": one["metadata"]["uid"]} for one in pods]
    return reserve(cluster, namespace, claim, entries)


def reserve(cluster: ControlPlane, namespace: str, claim: str, entries: list[Json]) -> httpx.Response:
    """Add entries to a claim's status; once more where a controller has changed it in between."""
    at = path(CLAIM, namespace, claim)

    def answered() -> httpx.Response | None:
        found = cluster.get(at)
        found["status"].setdefault("reservedFor", []).extend(entries)
        answer = cluster.api.put(f"{at}/status", json=found)
        return None if answer.status_code == httpx.codes.CONFLICT else answer

    answer = wait_for(f"{claim} to be written", answered)
    assert answer is not None
    return answer


def allocate(cluster: ControlPlane, namespace: str, claim: str) -> None:
    """Have the scheduler allocate a claim, for another pod that uses it alone."""
    spec = {**pod_spec(GPU, tolerated=True), "containers": [using("c")], "resourceClaims": of(CLAIM, c=claim)}
    cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(spec, f"user-of-{claim}")).raise_for_status()
    wait_for("its node", lambda: node_of(the_pod(cluster, namespace, f"user-of-{claim}")))


@pytest.mark.parametrize(
    ("a", "b", "limit_of"),
    [
        (exactly(count=2), exactly(), "two"),
        (exactly(), exactly(count=2), "two"),
        (exactly(count=2), exactly("made-later.example.com"), "two"),
        (
            {
                "name": "device",
                "firstAvailable": [
                    {"name": "nic", "deviceClassName": NICS},
                    {"name": "gpus", "deviceClassName": GPUS, "count": 2},
                ],
            },
            exactly(),
            "two",
        ),
        (exactly(), exactly(), "one-each"),
    ],
)
def test_claims_that_exceed_a_limit_together_are_not_given_to_their_pod(
    cluster: ControlPlane, in_policy: Callable[[str], str], a: Json, b: Json, limit_of: str
) -> None:
    namespace = in_policy(limit_of)
    waiting_for_cards(cluster, namespace)
    if b == exactly("made-later.example.com"):
        name = "made-later.example.com"
        selectors = [{"cel": {"expression": f"device.driver == '{GPUS}'"}}]
        made = {"metadata": {"name": name}, "spec": {"selectors": selectors}}
        cluster.api.post("/apis/resource.k8s.io/v1/deviceclasses", json=made).raise_for_status()
    replace(cluster, namespace, CLAIM, a=a, b=b)
    said = denied(cluster, namespace, limit=1 if limit_of == "one-each" else 2)
    expected = (
        'pod "train": container "train": its claims are for 2 GPUs'
        if limit_of == "one-each"
        else 'pod "train": its claims and containers are for 3 GPUs at once'
    )
    assert said.startswith(expected)


def test_what_is_within_the_limit_is_given(cluster: ControlPlane, in_policy: Callable[[str], str]) -> None:
    namespace = in_policy("two")
    waiting_for_cards(cluster, namespace)
    replace(cluster, namespace, CLAIM, a=exactly(), b=exactly())
    assert scheduled(cluster, namespace) == ""
    assert gpus(cluster, namespace) == POLICIES["two"]["maxPerPod"]


def test_an_init_container_with_both(cluster: ControlPlane, in_policy: Callable[[str], str]) -> None:
    namespace = in_policy("one-each")
    make(cluster, namespace, CLAIM, a=NIC, b=NIC)
    init = [using("a", "b", name="init")]
    a_waiting_pod(cluster, namespace, containers=[using()], initContainers=init, resourceClaims=of(CLAIM, a="a", b="b"))
    replace(cluster, namespace, CLAIM, a=exactly(), b=exactly())
    assert 'container "init"' in denied(cluster, namespace)


def test_two_requests_of_one_claim_in_one_container(cluster: ControlPlane, in_policy: Callable[[str], str]) -> None:
    """With one claim alone: a container may use one request of it, so its creation is not denied."""
    namespace = in_policy("one-each")
    make(cluster, namespace, CLAIM, a=NIC)
    a_waiting_pod(cluster, namespace, containers=[using("a")], resourceClaims=of(CLAIM, a="a"))
    remove(cluster, namespace, CLAIM, "a")
    both = an_object(CLAIM, exactly() | {"name": "first"}, exactly() | {"name": "second"}, name="a")
    post(cluster, namespace, both).raise_for_status()
    assert 'container "train": its claims are for 2 GPUs' in denied(cluster, namespace, limit=1)


def test_claims_that_are_made_from_templates_count_by_what_they_are(
    cluster: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    """The template that a pod names is another one by then, and the claim that was made from it stays."""
    namespace = in_policy("two")
    make(cluster, namespace, TEMPLATE, one=exactly(count=2))
    make(cluster, namespace, CLAIM, b=NIC)
    listed = [*of(TEMPLATE, a="one"), *of(CLAIM, b="b")]
    a_waiting_pod(cluster, namespace, containers=[using("a", "b")], resourceClaims=listed)
    wait_for("its claim", lambda: len(claims_in(cluster, namespace)) == len(listed))
    replace(cluster, namespace, TEMPLATE, one=NIC)
    replace(cluster, namespace, CLAIM, b=exactly())
    assert "for 3 GPUs at once" in denied(cluster, namespace)


def test_gpus_by_resource_name_count_too(cluster: ControlPlane, in_policy: Callable[[str], str]) -> None:
    namespace = in_policy("two")
    make(cluster, namespace, CLAIM, a=NIC)
    containers = [container(GPU, 2, name="named"), using("a")]
    a_waiting_pod(cluster, namespace, containers=containers, resourceClaims=of(CLAIM, a="a"))
    replace(cluster, namespace, CLAIM, a=exactly())
    assert "for 3 GPUs at once" in denied(cluster, namespace)


def test_a_container_does_not_get_a_gpu_beside_the_one_that_it_requests_by_name(
    cluster: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("two")
    make(cluster, namespace, CLAIM, a=NIC)
    both = container(GPU)
    both["resources"]["claims"] = [{"name": "a"}]
    a_waiting_pod(cluster, namespace, containers=[both], resourceClaims=of(CLAIM, a="a"))
    replace(cluster, namespace, CLAIM, a=exactly())
    assert "requests nvidia.com/gpu and claims GPUs too" in denied(cluster, namespace)


def test_pods_that_no_scheduler_sees(cluster: ControlPlane, in_policy: Callable[[str], str]) -> None:
    """kube-controller-manager gives claims that are allocated to pods that name their node."""
    namespace = in_policy("two")
    make(cluster, namespace, CLAIM, a=NIC, b=NIC)
    spec = {**pod_spec(GPU), "containers": [using("a", "b")], "resourceClaims": of(CLAIM, a="a", b="b")}
    made = cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod({**spec, "nodeName": NODE}))
    made.raise_for_status()
    within = {**pod_spec(GPU), "containers": [using("b")], "resourceClaims": of(CLAIM, b="b"), "nodeName": NODE}
    cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(within, "within")).raise_for_status()
    replace(cluster, namespace, CLAIM, a=exactly(count=2), b=exactly())
    for claim in ("a", "b"):
        allocate(cluster, namespace, claim)
    wait_for("what is within the limit to be given", lambda: gpus(cluster, namespace, "within"))
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        assert gpus(cluster, namespace) == 0
        time.sleep(0.2)


def test_a_claim_is_replaced_after_the_other_was_given(cluster: ControlPlane, in_policy: Callable[[str], str]) -> None:
    namespace = in_policy("two")
    waiting = waiting_for_cards(cluster, namespace)
    replace(cluster, namespace, CLAIM, a=exactly(count=2))
    allocate(cluster, namespace, "a")
    given(cluster, namespace, "a", waiting).raise_for_status()
    replace(cluster, namespace, CLAIM, b=exactly())
    allocate(cluster, namespace, "b")
    answer = given(cluster, namespace, "b", waiting)
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    # Removing the finalizer of a claim that is in use does not get around the limit either.
    at = path(CLAIM, namespace, "a")
    patch(cluster, at, {"metadata": {"finalizers": None}}).raise_for_status()
    replace(cluster, namespace, CLAIM, a=NIC)
    given(cluster, namespace, "b", waiting).raise_for_status()
    replace(cluster, namespace, CLAIM, a=exactly(count=2))
    cluster.api.delete(f"/api/v1/namespaces/{namespace}/pods/user-of-a").raise_for_status()
    wait_for("it to be gone", lambda: cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/user-of-a").is_client_error)
    allocate(cluster, namespace, "a")
    assert given(cluster, namespace, "a", waiting).status_code == httpx.codes.FORBIDDEN
    assert gpus(cluster, namespace) == 1


def test_several_pods_at_once_and_a_pod_that_does_not_exist(
    cluster: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("two")
    waiting = waiting_for_cards(cluster, namespace)
    replace(cluster, namespace, CLAIM, a=exactly(count=2), b=exactly())
    allocate(cluster, namespace, "a")
    other = the_pod(cluster, namespace, "user-of-a")
    make(cluster, namespace, CLAIM, c=exactly())
    allocate(cluster, namespace, "c")
    alone = cluster.api.post(
        f"/api/v1/namespaces/{namespace}/pods",
        json=pod(
            {"containers": [using("c")], "resourceClaims": of(CLAIM, c="c"), "schedulingGates": [{"name": "a/b"}]},
            "alone",
        ),
    ).json()
    assert given(cluster, namespace, "a", alone, waiting).status_code == httpx.codes.FORBIDDEN
    gone = {"metadata": {"name": "train", "uid": "00000000-0000-0000-0000-000000000000"}}
    answer = given(cluster, namespace, "c", alone, gone)
    assert answer.is_server_error
    assert 'names pod \\"train\\" with uid' in answer.text
    given(cluster, namespace, "c", alone).raise_for_status()
    assert gpus(cluster, namespace) == 0
    assert other["metadata"]["name"] == "user-of-a"


def test_pods_that_share_a_claim_each_have_it_within_their_limit(
    cluster: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("two")
    make(cluster, namespace, CLAIM, a=exactly(count=2))
    spec = {**pod_spec(GPU, tolerated=True), "containers": [using("a")], "resourceClaims": of(CLAIM, a="a")}
    for name in ("first", "second"):
        cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(spec, name)).raise_for_status()
    wait_for("both pods", lambda: all(map(node_of, pods_in(cluster, namespace))))
    [shared] = claims_in(cluster, namespace)
    assert {one["name"] for one in shared["status"]["reservedFor"]} == {"first", "second"}


def test_a_limit_that_is_set_later_holds_for_pods_that_wait(
    cluster: ControlPlane, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "any"})
    make(cluster, namespace, CLAIM, a=exactly(count=2), b=exactly())
    a_waiting_pod(cluster, namespace, containers=[using("a", "b")], resourceClaims=of(CLAIM, a="a", b="b"))
    patch(cluster, f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {ENFORCE: "two"}}}).raise_for_status()
    wait_for(
        "the label to hold",
        lambda: post(cluster, namespace, an_object(CLAIM, exactly(count=3), name="c"), dryRun="All").is_client_error,
    )
    assert "for 3 GPUs at once" in denied(cluster, namespace)


def test_such_a_limit_holds_for_resources_beside_claims_too(
    cluster: ControlPlane, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "any"})
    make(cluster, namespace, CLAIM, a=exactly())
    containers = [container(GPU, 3, name="named"), using("a")]
    a_waiting_pod(cluster, namespace, containers=containers, resourceClaims=of(CLAIM, a="a"))
    patch(cluster, f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {ENFORCE: "two"}}}).raise_for_status()
    wait_for(
        "the label to hold",
        lambda: post(cluster, namespace, an_object(CLAIM, exactly(count=3), name="c"), dryRun="All").is_client_error,
    )
    assert "for 4 GPUs at once" in denied(cluster, namespace)


def test_an_entry_with_the_uid_of_a_pod_gives_it_no_claim(
    cluster: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    """The scheduler and the kubelet look for the uid of a pod, whatever else the entry says."""
    namespace = in_policy("two")
    waiting = waiting_for_cards(cluster, namespace)
    replace(cluster, namespace, CLAIM, a=exactly(count=2), b=exactly())
    for claim in ("a", "b"):
        allocate(cluster, namespace, claim)
        thing = {"apiGroup": "example.com", "resource": "things", "name": "x", "uid": waiting["metadata"]["uid"]}
        answer = reserve(cluster, namespace, claim, [thing])
        assert answer.is_server_error
        assert 'names things.example.com \\"x\\"' in answer.text
    assert "for 3 GPUs at once" in denied(cluster, namespace)


def test_a_class_in_no_form_is_limited_by_its_resource_name(
    cluster: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace, resource = in_policy("two"), "deviceclass.resource.kubernetes.io/in-no-form.example.com"
    for count, rule in ((3, "per-pod-limit"), (2, "")):
        made = cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(pod_spec(resource, count=count)))
        assert [one["reason"] for one in made.json().get("details", {}).get("causes", ())] == ([rule] if rule else [])


def test_only_where_policies_have_limits_does_a_pod_wait_for_gpuwarden(
    cluster: ControlPlane, installation: Installation, in_policy: Callable[[str], str]
) -> None:
    limited, free = in_policy("two"), in_policy("shared")
    for namespace in (limited, free):
        make(cluster, namespace, CLAIM, a=exactly())
        a_waiting_pod(cluster, namespace, containers=[using("a")], resourceClaims=of(CLAIM, a="a"))
    with installation.down("/validate-claim"):
        assert scheduled(cluster, free) == ""
        assert "failed calling webhook" in scheduled(cluster, limited)
        assert gpus(cluster, limited) == 0
    wait_for("the pod to have a node", lambda: node_of(the_pod(cluster, limited)))


def test_without_the_right_to_read_pods_the_pod_waits_and_says_which_is_lacking(
    cluster: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("two")
    make(cluster, namespace, CLAIM, a=exactly())
    a_waiting_pod(cluster, namespace, containers=[using("a")], resourceClaims=of(CLAIM, a="a"))
    at = "/apis/rbac.authorization.k8s.io/v1/clusterroles/gpuwarden"
    rules = cluster.get(at)["rules"]
    left = [rule for rule in rules if not (rule["resources"] == ["pods"] and rule["verbs"] == ["get"])]
    assert len(left) == len(rules) - 1
    patch(cluster, at, {"rules": left}).raise_for_status()
    try:
        said = scheduled(cluster, namespace)
        assert 'pod "train" and its claims could not be read' in said.replace("\\", "")
        assert 'cannot get resource "pods"' in said.replace("\\", "")
    finally:
        patch(cluster, at, {"rules": rules}).raise_for_status()
    wait_for("the pod to have a node", lambda: node_of(the_pod(cluster, namespace)))

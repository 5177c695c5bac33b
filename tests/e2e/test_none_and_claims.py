"""Scenario: under ``none``, users try to get a GPU by claims (DRA) in more ways than ``test_claim_attacks`` has.

Every test makes its namespace with ``safe``, which counts bypasses at its end: devices of the GPUs' driver that were allocated
there. There are none.
"""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.claims import (
    APPLY,
    CLAIM,
    FIELDS,
    OF_TEMPLATE,
    PLAIN,
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
    of_pod,
    patch,
    path,
    post,
    ungate,
    without_gpus,
)
from tests.e2e.dra_driver import GPUS, NICS, NODE, create_before, devices
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.installation import Installation
from tests.e2e.objects import (
    ENFORCE,
    container,
    cron_job,
    daemon_set,
    deployment,
    job,
    make_due,
    node_of,
    pod,
    pod_spec,
    pods_in,
)

pytestmark = pytest.mark.e2e

ACCEL, NAMED = "example.com/accel", "named.gpu.example.com"
CARDS, CARD_CLASS = "example.com/cards", "sriov.example.com"


@pytest.fixture(scope="module")
def values() -> Json:
    return {"config": {"claims": {"deviceClasses": {NAMED: "exclusive"}}}}


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A cluster whose devices a driver hands out, GPUs also by a name of their own, and gpuwarden."""
    with devices(control_plane, installation, {NAMED: ACCEL, CARD_CLASS: CARDS}) as ready:
        yield ready


@pytest.fixture
def safe(cluster: ControlPlane, make_namespace: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """Make namespaces without GPUs; at the end, no GPU has been allocated there."""
    with without_gpus(cluster) as made:

        def make(policy: str = "none", **labels: str) -> str:
            made.append(make_namespace({ENFORCE: policy, **labels}))
            return made[-1]

        yield make


def create(cluster: ControlPlane, namespace: str, spec: Json, name: str = "train", **metadata: Any) -> httpx.Response:
    made = pod({**spec, "tolerations": pod_spec(ACCEL, tolerated=True)["tolerations"]}, name)
    made["metadata"] |= metadata
    return cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=made)


def spec_of(*names: str, kind: str = CLAIM, uses: Json | None = None) -> Json:
    """A pod with claims for these objects, of which its container uses the last."""
    claims = [{"name": f"d{number}", FIELDS[kind]: name} for number, name in enumerate(names)]
    using = {**PLAIN, "resources": {"claims": [uses or {"name": claims[-1]["name"]}]}}
    return {"containers": [using], "resourceClaims": claims}


BOTH = [exactly(NICS) | {"name": "nic"}, exactly()]


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec,
        lambda spec: {**spec, "containers": [PLAIN]},  # nothing uses it, and it is allocated all the same
        lambda spec: {**spec, "nodeName": NODE},
        lambda spec: {**spec, "initContainers": [{**spec["containers"][0], "name": "init"}], "containers": [PLAIN]},
        lambda spec: {**spec, "schedulerName": "another-scheduler"},
        lambda spec: {**spec, "schedulerName": "kai-scheduler", "nodeName": NODE},
        lambda spec: {**spec, "schedulingGates": [{"name": "example.com/wait"}]},
        lambda spec: {
            **spec,
            "resourceClaims": [*spec["resourceClaims"], {**spec["resourceClaims"][-1], "name": "more"}],
        },
        lambda spec: {**spec, "priorityClassName": "system-cluster-critical"},
        lambda spec: {**spec, "ephemeralContainers": None, "overhead": None},
    ],
)
def test_a_claim_from_before_is_not_used_by_a_new_pod(
    cluster: ControlPlane, safe: Callable[..., str], kind: str, change: Callable[[Json], Json]
) -> None:
    """Neither the second claim of two, nor one request of a claim for several devices."""
    namespace = safe()
    old = an_object(kind, name="old"), an_object(kind, exactly(NICS), name="nic"), an_object(kind, *BOTH, name="both")
    create_before(cluster, namespace, *old)
    for spec in (
        spec_of("old", kind=kind),
        spec_of("nic", "old", kind=kind),
        spec_of("old", "nic", kind=kind),
        spec_of("both", kind=kind, uses={"name": "d0", "request": "nic"}),
    ):
        answer = create(cluster, namespace, change(spec))
        assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
        assert "gpuwarden" in answer.text
    assert pods_in(cluster, namespace) == []


def test_a_pod_that_looks_like_a_mirror_of_a_static_pod(cluster: ControlPlane, safe: Callable[..., str]) -> None:
    """No scheduler sees one, because it needs a node; and a kubelet runs none that is not its own."""
    namespace = safe()
    create_before(cluster, namespace, an_object(CLAIM, name="old"))
    mirror = {
        "kubernetes.io/config.mirror": "a",
        "kubernetes.io/config.hash": "a",
        "kubernetes.io/config.source": "file",
    }
    named = {"containers": [container(ACCEL)]}
    for spec in (spec_of("old"), {**spec_of("old"), "nodeName": NODE}, named):
        assert create(cluster, namespace, spec, annotations=mirror).is_client_error
    create(cluster, namespace, {**named, "nodeName": NODE}, annotations=mirror).raise_for_status()
    [old] = claims_in(cluster, namespace)
    assert "allocation" not in old.get("status", {})


def test_a_pod_of_a_scheduler_that_does_not_run_waits_forever(cluster: ControlPlane, safe: Callable[..., str]) -> None:
    """It is exempt, and nothing binds it; a user may neither bind it nor change its scheduler."""
    namespace = safe()
    create_before(cluster, namespace, an_object(CLAIM, name="old"))
    create(cluster, namespace, {**spec_of("old"), "schedulerName": "kai-scheduler"}).raise_for_status()
    at = f"/api/v1/namespaces/{namespace}/pods/train"
    for name in ("default-scheduler", ""):
        assert patch(cluster, at, {"spec": {"schedulerName": name}}).is_client_error or (
            cluster.get(at)["spec"]["schedulerName"] == "kai-scheduler"
        )


@pytest.mark.parametrize("make", [deployment, job, cron_job, daemon_set])
def test_a_workload_whose_template_names_a_template_from_before(
    cluster: ControlPlane, safe: Callable[..., str], make: Callable[[Json], Json]
) -> None:
    namespace = safe()
    create_before(cluster, namespace, an_object(TEMPLATE, name="old"))
    spec = {**spec_of("old", kind=TEMPLATE), "tolerations": pod_spec(ACCEL, tolerated=True)["tolerations"]}
    made = make({**spec, "nodeSelector": {"kubernetes.io/hostname": NODE}})
    root = f"/apis/{made['apiVersion']}/namespaces/{namespace}"
    cluster.api.post(f"{root}/{made['kind'].lower()}s", json=made).raise_for_status()
    if make is cron_job:
        make_due(cluster, namespace)

    def told() -> bool:
        events = cluster.get(f"/api/v1/namespaces/{namespace}/events")["items"]
        return any("DeviceClass gpu.nvidia.com is not permitted" in one["message"] for one in events)

    wait_for("an event that says why there is no pod", told)
    assert (pods_in(cluster, namespace), claims_in(cluster, namespace)) == ([], [])


@pytest.mark.parametrize("plural", ["replicationcontrollers", "replicasets"])
def test_workloads_of_old_kinds(cluster: ControlPlane, safe: Callable[..., str], plural: str) -> None:
    namespace = safe()
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container(ACCEL)]}}
    is_set = plural == "replicasets"
    selector = {"matchLabels": {"app": "a"}} if is_set else {"app": "a"}
    made = {"metadata": {"name": "train"}, "spec": {"replicas": 1, "selector": selector, "template": template}}
    root = "/apis/apps/v1" if is_set else "/api/v1"
    cluster.api.post(f"{root}/namespaces/{namespace}/{plural}", json=made).raise_for_status()

    def told() -> bool:
        events = cluster.get(f"/api/v1/namespaces/{namespace}/events")["items"]
        return any("is not permitted" in one["message"] for one in events)

    wait_for("an event that says why there is no pod", told)
    assert pods_in(cluster, namespace) == []


def test_replacing_a_template_again_and_again_while_pods_are_made(
    cluster: ControlPlane, safe: Callable[..., str]
) -> None:
    namespace, ends = safe(), threading.Event()

    def replace() -> None:
        with cluster.client() as client:
            while not ends.is_set():
                for device_class in (NICS, GPUS):
                    client.post(path(TEMPLATE, namespace), json=an_object(TEMPLATE, exactly(device_class)))
                    client.delete(path(TEMPLATE, namespace, "one"))

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        made = [create(cluster, namespace, claiming(TEMPLATE), f"p{number}").status_code for number in range(60)]
    finally:
        ends.set()
        thread.join()
    assert httpx.codes.CREATED in made, "some find the template for a network card"
    cluster.api.delete(path(TEMPLATE, namespace, "one"))
    post(cluster, namespace, an_object(TEMPLATE, exactly(NICS))).raise_for_status()
    wait_for(
        "claims of those that have none yet",
        lambda: len(claims_in(cluster, namespace)) == len(pods_in(cluster, namespace)),
    )
    assert {
        one["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"] for one in claims_in(cluster, namespace)
    } == {NICS}


def raw(
    cluster: ControlPlane, kind: str, namespace: str, body: str, version: str = "v1", **headers: str
) -> httpx.Response:
    return cluster.api.post(
        path(kind, namespace, version=version),
        params={"fieldValidation": "Ignore"},
        headers={"content-type": "application/json", **headers},
        content=body,
    )


TWICE = '{"deviceClassName": "%s", "deviceClassName": "%s", "DeviceClassName": "%s"}'


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
@pytest.mark.parametrize("names", [(NICS, GPUS, NICS), (GPUS, NICS, GPUS), (GPUS, NICS, NICS), (NICS, NICS, GPUS)])
def test_fields_that_are_written_twice(
    cluster: ControlPlane, safe: Callable[..., str], kind: str, names: tuple[str, str, str]
) -> None:
    """What the API server stores is what it has sent: the last one counts, and case matters."""
    namespace = safe()
    body = json.dumps(an_object(kind, {"name": "device", "exactly": "EXACTLY"})).replace('"EXACTLY"', TWICE % names)
    answer = raw(cluster, kind, namespace, body)
    if names[1] == GPUS:
        denied(answer)
    else:
        answer.raise_for_status()
        assert GPUS not in json.dumps(cluster.get(path(kind, namespace, "one"))["spec"])


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
@pytest.mark.parametrize(
    ("version", "request_"),
    [
        ("v1", {**exactly(NICS), "firstAvailable": [{"name": "a", "deviceClassName": GPUS}]}),
        ("v1", {**exactly(), "firstAvailable": [{"name": "a", "deviceClassName": NICS}]}),
        ("v1", {"name": "device", "deviceClassName": GPUS}),
        ("v1", {"name": "device", "exactly": {"deviceClassName": ""}, "deviceClassName": GPUS}),
        (
            "v1beta1",
            {"name": "device", "deviceClassName": NICS, "firstAvailable": [{"name": "a", "deviceClassName": GPUS}]},
        ),
        (
            "v1beta1",
            {"name": "device", "deviceClassName": GPUS, "firstAvailable": [{"name": "a", "deviceClassName": NICS}]},
        ),
        ("v1beta1", {"name": "device", "exactly": {"deviceClassName": GPUS}, "deviceClassName": NICS}),
        ("v1beta2", {"name": "device", "firstAvailable": [], "exactly": {"deviceClassName": GPUS}}),
    ],
)
def test_requests_of_two_structures_at_once(
    cluster: ControlPlane, safe: Callable[..., str], kind: str, version: str, request_: Json
) -> None:
    """What is stored, if anything is, requests no GPU."""
    namespace = safe()
    made = {**an_object(kind, request_), "apiVersion": f"resource.k8s.io/{version}"}
    answer = raw(cluster, kind, namespace, json.dumps(made), version)
    if answer.is_success:
        assert GPUS not in json.dumps(cluster.get(path(kind, namespace, "one"))["spec"])
    else:
        assert answer.status_code in {httpx.codes.FORBIDDEN, httpx.codes.UNPROCESSABLE_ENTITY}, answer.text


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_the_last_alternative_of_the_last_request_of_the_largest_claim(
    cluster: ControlPlane, safe: Callable[..., str], kind: str
) -> None:
    """The condition of the webhook costs less than the API server permits."""
    namespace = safe()
    ways = [{"name": f"w{number}", "deviceClassName": NICS} for number in range(8)]
    largest = [{"name": f"r{number}", "firstAvailable": ways} for number in range(32)]
    post(cluster, namespace, an_object(kind, *largest, name="nics")).raise_for_status()
    largest[-1] = {"name": "r31", "firstAvailable": [*ways[:-1], {"name": "gpu", "deviceClassName": GPUS}]}
    denied(post(cluster, namespace, an_object(kind, *largest)))


@pytest.mark.parametrize("depth", [10, 900, 4000])
def test_parameters_of_a_driver_are_no_way_to_be_unreadable(
    cluster: ControlPlane, safe: Callable[..., str], depth: int
) -> None:
    namespace = safe()
    made = an_object(CLAIM)
    made["spec"]["devices"]["config"] = [{"opaque": {"driver": GPUS, "parameters": "DEEP"}}]
    deep = '{"a":' * depth + '{"sharing": [{"strategy": "MPS"}], "kind": 1, "apiVersion": null}' + "}" * depth
    assert raw(cluster, CLAIM, namespace, json.dumps(made).replace('"DEEP"', deep)).is_client_error
    assert claims_in(cluster, namespace) == []


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
@pytest.mark.parametrize(
    "command", ["create", "apply", "apply --server-side", "replace --force", "create --validate=false"]
)
def test_whatever_kubectl_does(cluster: ControlPlane, safe: Callable[..., str], kind: str, command: str) -> None:
    namespace = safe()
    network, gpu = (json.dumps(an_object(kind, exactly(each))) for each in (NICS, GPUS))
    if command.startswith("replace"):
        cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=network).check_returncode()
    done = cluster.kubectl(*command.split(), "-n", namespace, "-f", "-", stdin=gpu)
    assert "validate-claim.gpuwarden.io" in done.stderr, done
    assert GPUS not in json.dumps(cluster.get(path(kind, namespace))["items"])


def test_a_name_that_network_cards_and_gpus_share(cluster: ControlPlane, safe: Callable[..., str]) -> None:
    """The scheduler uses the newest class of a name, which may be either."""
    namespace = safe()
    spec = {"extendedResourceName": CARDS, "selectors": [{"cel": {"expression": f"device.driver == '{GPUS}'"}}]}
    create(cluster, namespace, {"containers": [container(CARDS)]}, "before").raise_for_status()
    wait_for("its node", lambda: node_of(pods_in(cluster, namespace)[0]) == NODE)
    at = "/apis/resource.k8s.io/v1/deviceclasses"
    cluster.api.post(at, json={"metadata": {"name": "cards.gpu.example.com"}, "spec": spec}).raise_for_status()
    try:
        wait_for(
            "the name",
            lambda: create(cluster, namespace, {"containers": [container(CARDS)]}, "late").is_client_error,
            5.0,
        )
    finally:
        cluster.api.delete(f"{at}/cards.gpu.example.com").raise_for_status()


@pytest.mark.parametrize("policy", ["nonee", "NONE", ""])
def test_a_label_that_names_no_policy_is_as_strict(
    cluster: ControlPlane, safe: Callable[..., str], policy: str
) -> None:
    namespace = safe("none")
    labels = {"metadata": {"labels": {ENFORCE: policy}}}
    cluster.api.patch(f"/api/v1/namespaces/{namespace}", headers=MERGE_PATCH, json=labels)  # denied or not
    create_before(cluster, namespace, an_object(CLAIM, name="old"))
    for answer in (
        post(cluster, namespace, an_object(CLAIM)),
        post(cluster, namespace, an_object(TEMPLATE)),
        create(cluster, namespace, spec_of("old")),
        create(cluster, namespace, {"containers": [container(ACCEL)]}),
    ):
        assert answer.status_code == httpx.codes.FORBIDDEN, answer.text


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_admin_access_is_no_way_around_it(cluster: ControlPlane, safe: Callable[..., str], kind: str) -> None:
    namespace = safe(**{"resource.kubernetes.io/admin-access": "true"})
    denied(post(cluster, namespace, an_object(kind, exactly(adminAccess=True))), "claim-not-permitted")
    create_before(cluster, namespace, an_object(kind, exactly(adminAccess=True), name="old"))
    assert create(cluster, namespace, spec_of("old", kind=kind)).status_code == httpx.codes.FORBIDDEN


def test_a_claim_is_not_given_to_a_pod_step_by_step(cluster: ControlPlane, safe: Callable[..., str]) -> None:
    """The owner that is no controller yet, then the annotation, then the controller; by whatever kind of write."""
    namespace = safe()
    create_before(cluster, namespace, an_object(CLAIM, name="old"), an_object(TEMPLATE, exactly(NICS)))
    waiting = a_waiting_pod(cluster, namespace, **claiming(TEMPLATE))
    metadata = of_pod(waiting, OF_TEMPLATE)
    [owner], at = metadata["ownerReferences"], path(CLAIM, namespace, "old")
    for step in ({"ownerReferences": [{**owner, "controller": False}]}, {"annotations": metadata["annotations"]}):
        patch(cluster, at, {"metadata": step}).raise_for_status()
    now = cluster.get(at)
    whole = {**now, "metadata": {**now["metadata"], "ownerReferences": [owner]}}
    denied(cluster.api.put(at, json=whole))
    replaced = [{"op": "replace", "path": "/metadata/ownerReferences/0/controller", "value": True}]
    denied(cluster.api.patch(at, headers={"content-type": "application/json-patch+json"}, json=replaced))
    applied = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": CLAIM,
        "metadata": {"name": "old", "ownerReferences": [owner]},
    }
    params = {"fieldManager": "attacker", "force": "true"}
    denied(cluster.api.patch(at, params=params, headers=APPLY, json=applied))
    for version in ("v1beta1", "v1beta2"):
        there = path(CLAIM, namespace, "old", version)
        denied(patch(cluster, there, {"metadata": {"ownerReferences": [owner]}}))
    by_status = patch(cluster, f"{at}/status", {"metadata": {"ownerReferences": [owner]}})
    assert "controller" not in json.dumps(by_status.json()["metadata"]["ownerReferences"]).replace(
        '"controller": false', ""
    )
    ungate(cluster, namespace)
    assert drivers(cluster, namespace) == {NICS}


def test_resizes_and_debuggers_get_no_name_of_a_class(cluster: ControlPlane, safe: Callable[..., str]) -> None:
    namespace = safe()
    running = {**PLAIN, "resources": {"limits": {"cpu": "1", CARDS: "1"}, "requests": {"cpu": "1"}}}
    create(cluster, namespace, {"containers": [running]}).raise_for_status()
    at = f"/api/v1/namespaces/{namespace}/pods/train"
    resized: list[Json] = [{"limits": {ACCEL: "1"}, "requests": {ACCEL: "1"}}, {"limits": {ACCEL: "1", CARDS: None}}]
    for resources in resized:
        changed: Json = {"spec": {"containers": [{"name": "train", "resources": resources}]}}
        for where in (at, f"{at}/resize"):
            assert cluster.api.patch(where, headers=STRATEGIC, json=changed).is_client_error
    debugger = {"name": "debug", "image": "example.test/debug", "resources": {"limits": {ACCEL: "1"}}}
    changed = {"spec": {"ephemeralContainers": [debugger]}}
    assert cluster.api.patch(f"{at}/ephemeralcontainers", headers=STRATEGIC, json=changed).is_client_error
    for level in ({"limits": {ACCEL: "1"}}, {"claims": [{"name": "d0"}]}):
        assert create(cluster, namespace, {"containers": [PLAIN], "resources": level}, "level").is_client_error
    assert create(cluster, namespace, {"containers": [PLAIN], "overhead": {ACCEL: "1"}}, "overhead").is_client_error


def test_the_administrator_of_a_namespace_has_no_right_that_gives_gpus(
    cluster: ControlPlane, safe: Callable[..., str], make_namespace: Callable[..., str]
) -> None:
    """What Kubernetes' role ``admin`` permits; a scheduler's rights would be enough, as docs/reference/claims.md says."""
    namespace, other = safe(), make_namespace({ENFORCE: "any"})
    create_before(cluster, namespace, an_object(CLAIM, name="old"))
    post(cluster, other, an_object(CLAIM)).raise_for_status()
    subject = {"kind": "User", "name": "carol", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": "admin", "apiGroup": "rbac.authorization.k8s.io"}
    bound = {"metadata": {"name": "carol"}, "subjects": [subject], "roleRef": role}
    at = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    cluster.api.post(at, json=bound).raise_for_status()
    pods, claims = f"/api/v1/namespaces/{namespace}/pods", path(CLAIM, namespace)
    create(cluster, namespace, {"containers": [PLAIN], "schedulerName": "none"}).raise_for_status()
    device = {"request": "device", "driver": GPUS, "pool": GPUS, "device": "device-0"}
    allocation = {"allocation": {"devices": {"results": [device]}}}
    binding = {"metadata": {"name": "train"}, "target": {"kind": "Node", "name": NODE}}
    device_class = {"metadata": {"name": "cpu-mine"}, "spec": {}}
    with cluster.client("carol") as carol:
        wait_for("her rights", lambda: carol.get(pods).is_success)
        for answer in (
            carol.patch(f"{claims}/old/status", headers=MERGE_PATCH, json={"status": allocation}),
            carol.patch(
                f"{claims}/old/status",
                headers=MERGE_PATCH,
                json={"status": {"reservedFor": [{"name": "a", "uid": "b"}]}},
            ),
            carol.patch(f"{claims}/old/binding", headers=MERGE_PATCH, json={"status": allocation}),
            carol.patch(f"{pods}/train/status", headers=MERGE_PATCH, json={"status": {"resourceClaimStatuses": []}}),
            carol.post(f"{pods}/train/binding", json=binding),
            carol.patch(
                f"/api/v1/namespaces/{namespace}", headers=MERGE_PATCH, json={"metadata": {"labels": {ENFORCE: "any"}}}
            ),
            carol.post("/apis/resource.k8s.io/v1/deviceclasses", json=device_class),
            carol.post(path(TEMPLATE, other), json=an_object(TEMPLATE)),
            carol.get(pods, headers={"impersonate-user": "system:kube-scheduler"}),
            carol.get(pods, headers={"impersonate-user": "system:kube-controller-manager"}),
        ):
            assert answer.status_code in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}, answer.text
        mine = carol.post(claims, json=an_object(CLAIM))
        assert mine.status_code == httpx.codes.FORBIDDEN

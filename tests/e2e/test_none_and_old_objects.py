"""Scenario: under ``none``, users try to get a GPU by claims, templates, pods and workloads that their namespace had before.

Every test makes its namespace with ``safe``: at its end, no device of the GPUs' driver is allocated there.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.claims import (
    APPLY,
    CLAIM,
    FIELDS,
    NAMED_NICS,
    NIC,
    OF_RESOURCES,
    OF_TEMPLATE,
    PLAIN,
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
from tests.e2e.installation import Installation
from tests.e2e.objects import (
    ENFORCE,
    container,
    cron_job,
    deployment,
    event_messages,
    job,
    node_of,
    pod,
    pod_spec,
    pods_in,
    stateful_set,
)

pytestmark = pytest.mark.e2e

GPUMEM = "nvidia.com/gpumem"
IMPLICIT = "deviceclass.resource.kubernetes.io/"
PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A cluster whose devices a driver hands out, network cards also by a name, and gpuwarden."""
    with devices(control_plane, installation, {NAMED_NICS: NIC}) as ready:
        yield ready


@pytest.fixture
def safe(cluster: ControlPlane, make_namespace: Callable[..., str]) -> Iterator[Callable[[], str]]:
    """Make namespaces without GPUs; at the end, no GPU is allocated there."""
    with without_gpus(cluster) as made:

        def make() -> str:
            made.append(make_namespace({ENFORCE: "none"}))
            create_before(cluster, made[-1], an_object(CLAIM, name="old"), an_object(TEMPLATE, name="old"))
            return made[-1]

        yield make


def relabel(cluster: ControlPlane, namespace: str, policy: str) -> None:
    """Set the policy, and wait until claims are evaluated by it."""
    patch(cluster, f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {ENFORCE: policy}}}).raise_for_status()
    wait_for(
        "the label to hold",
        lambda: post(cluster, namespace, an_object(CLAIM, name="x"), dryRun="All").is_success is (policy == "any"),
    )


def on_the_node(spec: Json) -> Json:
    return {**pod_spec(NIC, tolerated=True, selector={"kubernetes.io/hostname": NODE}), **spec}


def create(cluster: ControlPlane, namespace: str, spec: Json, **metadata: Any) -> httpx.Response:
    made = pod(on_the_node(spec))
    made["metadata"] |= metadata
    return cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=made)


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    assert "validate.gpuwarden.io" in answer.text


def is_tried(cluster: ControlPlane, namespace: str) -> bool:
    """Whether the scheduler has tried to schedule the namespace's pod, and could not."""
    [only] = pods_in(cluster, namespace)
    conditions = only["status"].get("conditions", [])
    return any((one["type"], one["status"]) == ("PodScheduled", "False") for one in conditions)


@pytest.mark.parametrize("name", [None, "default-scheduler"])
@pytest.mark.parametrize("section", ["containers", "initContainers"])
@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_what_is_exempt_as_hamis_is_never_scheduled_by_another(
    cluster: ControlPlane, safe: Callable[[], str], kind: str, section: str, name: str | None
) -> None:
    """No node offers HAMi's resources to a scheduler other than HAMi's, so claims beside them are not allocated."""
    namespace, spec = safe(), claiming(kind, "old")
    hami = container(GPUMEM, name="hami")
    if section == "initContainers":
        hami["restartPolicy"] = "Always"
    spec[section] = [*spec.get(section, ()), hami]
    refused(create(cluster, namespace, {**spec, "schedulerName": name, "nodeName": NODE}))
    none = {**hami, "resources": {"limits": {GPUMEM: "0"}}}
    refused(create(cluster, namespace, {**spec, section: [*spec[section][:-1], none], "schedulerName": name}))
    create(cluster, namespace, {**spec, "schedulerName": name}).raise_for_status()
    wait_for("the scheduler to have tried", lambda: is_tried(cluster, namespace))
    assert all("allocation" not in one.get("status", {}) for one in claims_in(cluster, namespace))


@pytest.mark.parametrize("more", [{}, {"nodeName": NODE}, {"schedulerName": "kai-scheduler", "nodeName": NODE}])
def test_a_claim_that_is_allocated_is_not_used_by_another_pod(
    cluster: ControlPlane, safe: Callable[[], str], more: Json
) -> None:
    """A pod that names its node needs no scheduler: the controller would reserve an allocated claim for it."""
    namespace = safe()
    relabel(cluster, namespace, "any")
    create(cluster, namespace, claiming(CLAIM, "old")).raise_for_status()
    wait_for("its node", lambda: node_of(pods_in(cluster, namespace)[0]) == NODE)
    relabel(cluster, namespace, "none")
    made = pod(on_the_node({**claiming(CLAIM, "old"), **more}), "second")
    at = f"/api/v1/namespaces/{namespace}/pods"
    refused(cluster.api.post(at, json=made))
    reserved = cluster.get(path(CLAIM, namespace, "old"))["status"]["reservedFor"]
    assert [one["name"] for one in reserved] == ["train"]
    cluster.api.delete(f"{at}/train", params={"gracePeriodSeconds": "0"}).raise_for_status()
    refused(cluster.api.post(at, json=made))
    wait_for("the device to be free", lambda: drivers(cluster, namespace) == set())


def _replicas(kind: str, count: int) -> Json:
    return {"suspend": not count} if kind == "jobs" else {"replicas": count}


@pytest.mark.parametrize(("kind", "make"), [("deployments", deployment), ("statefulsets", stateful_set), ("jobs", job)])
def test_a_workload_from_before_is_started(
    cluster: ControlPlane, safe: Callable[[], str], kind: str, make: Callable[[Json], Json]
) -> None:
    namespace = safe()
    relabel(cluster, namespace, "any")
    made = make(on_the_node(claiming(TEMPLATE, "old")))
    made["spec"] |= _replicas(kind, 0)
    at = f"/apis/{made['apiVersion']}/namespaces/{namespace}/{kind}"
    cluster.api.post(at, json=made).raise_for_status()
    relabel(cluster, namespace, "none")
    patch(cluster, f"{at}/train", {"spec": _replicas(kind, 2)}).raise_for_status()
    if kind != "jobs":
        patch(cluster, f"{at}/train/scale", {"spec": {"replicas": 3}}).raise_for_status()
    wait_for(
        "an event that says why there is no pod",
        lambda: any("is not permitted" in one for one in event_messages(cluster, namespace, "FailedCreate")),
    )
    assert pods_in(cluster, namespace) == []


def test_a_job_is_made_by_hand_from_a_cron_job_from_before(cluster: ControlPlane, safe: Callable[[], str]) -> None:
    namespace = safe()
    relabel(cluster, namespace, "any")
    made = cron_job(on_the_node(claiming(TEMPLATE, "old")))
    made["spec"] |= {"suspend": True}
    cluster.api.post(f"/apis/batch/v1/namespaces/{namespace}/cronjobs", json=made).raise_for_status()
    relabel(cluster, namespace, "none")
    cluster.kubectl("create", "job", "-n", namespace, "mine", "--from=cronjob/train").check_returncode()
    wait_for(
        "an event that says why there is no pod",
        lambda: any("is not permitted" in one for one in event_messages(cluster, namespace, "FailedCreate")),
    )
    assert pods_in(cluster, namespace) == []


@pytest.mark.parametrize(
    "command",
    [
        ("debug", "train", "--copy-to=copy", "--image=example.test/debug", "--set-image=train=example.test/other"),
        ("debug", "train", "--copy-to=copy", "--same-node", "--image=example.test/debug"),
        ("replace", "--force", "--grace-period=0"),
        ("apply", "--server-side", "--field-manager=mine"),
    ],
)
def test_a_running_pod_from_before_is_copied_or_made_again(
    cluster: ControlPlane, safe: Callable[[], str], command: tuple[str, ...]
) -> None:
    namespace = safe()
    relabel(cluster, namespace, "any")
    create(cluster, namespace, claiming(CLAIM, "old")).raise_for_status()
    wait_for("its node", lambda: node_of(pods_in(cluster, namespace)[0]) == NODE)
    relabel(cluster, namespace, "none")
    name = "copy" if command[0] == "apply" else "train"
    stdin = json.dumps(pod(on_the_node(claiming(CLAIM, "old")), name))
    from_file = () if command[0] == "debug" else ("-f", "-")
    done = cluster.kubectl(*command, "-n", namespace, *from_file, stdin=stdin)
    assert "validate.gpuwarden.io" in done.stderr, done
    at = f"/api/v1/namespaces/{namespace}/pods/train"
    cluster.api.delete(at, params={"gracePeriodSeconds": "0"})
    wait_for("no pod", lambda: pods_in(cluster, namespace) == [])
    wait_for("the device to be free", lambda: drivers(cluster, namespace) == set())


@pytest.mark.parametrize("mark", [OF_TEMPLATE, OF_RESOURCES])
def test_a_claim_that_is_being_deleted_is_given_to_a_pod(
    cluster: ControlPlane, safe: Callable[[], str], mark: str
) -> None:
    """No webhook is called for it, so that nothing keeps it from being deleted; and the scheduler does not allocate it."""
    namespace = safe()
    post(cluster, namespace, an_object(TEMPLATE, exactly(NICS))).raise_for_status()
    held = an_object(CLAIM, name="held", finalizers=["example.com/hold"])
    create_before(cluster, namespace, held)
    at = path(CLAIM, namespace, "held")
    spec = claiming(TEMPLATE, "later") if mark == OF_TEMPLATE else {"containers": [container(NIC)]}
    create_before(cluster, namespace, an_object(TEMPLATE, exactly(NICS), name="later"))
    waiting = a_waiting_pod(cluster, namespace, **spec)
    cluster.api.delete(path(TEMPLATE, namespace, "later")).raise_for_status()
    cluster.api.delete(at).raise_for_status()
    patch(cluster, at, {"metadata": of_pod(waiting, mark)}).raise_for_status()
    for own in claims_in(cluster, namespace):
        if own["metadata"]["name"] not in {"held", "old"}:
            cluster.api.delete(path(CLAIM, namespace, own["metadata"]["name"]))
    ungate(cluster, namespace, starts=False)
    # The one by name may get a claim for a network card instead.
    by_name = mark == OF_RESOURCES
    wait_for(
        "the scheduler to have tried",
        lambda: is_tried(cluster, namespace) or (by_name and node_of(pods_in(cluster, namespace)[0])),
    )
    assert GPUS not in drivers(cluster, namespace)
    patch(cluster, at, {"metadata": {"finalizers": None}})


def test_a_claim_says_itself_that_it_is_being_deleted(cluster: ControlPlane, safe: Callable[[], str]) -> None:
    """Only the API server sets the time of a deletion, at creation as later."""
    namespace, now = safe(), "2026-01-01T00:00:00Z"
    create_before(cluster, namespace, an_object(TEMPLATE, exactly(NICS), name="one"))
    waiting = a_waiting_pod(cluster, namespace, **claiming(TEMPLATE))
    for mark in (OF_TEMPLATE, OF_RESOURCES):
        metadata = {**of_pod(waiting, mark), "deletionTimestamp": now, "deletionGracePeriodSeconds": 0}
        at = path(CLAIM, namespace, "old")
        assert patch(cluster, at, {"metadata": metadata}).is_client_error
        whole = cluster.get(at)
        assert cluster.api.put(at, json={**whole, "metadata": {**whole["metadata"], **metadata}}).is_client_error
        assert "ownerReferences" not in cluster.get(at)["metadata"]
        denied(post(cluster, namespace, an_object(CLAIM, name="new", finalizers=["example.com/hold"], **metadata)))
    refused(create(cluster, namespace, claiming(CLAIM, "old"), deletionTimestamp=now, generateName="late-", name=None))
    ungate(cluster, namespace)
    assert drivers(cluster, namespace) == {NICS}


def test_a_pod_takes_the_uid_of_one_that_had_a_claim(cluster: ControlPlane, safe: Callable[[], str]) -> None:
    """A claim belongs to its pod by the uid, which only the API server chooses."""
    namespace = safe()
    create_before(cluster, namespace, an_object(TEMPLATE, exactly(NICS), name="one"))
    first = a_waiting_pod(cluster, namespace, **claiming(TEMPLATE))
    create_before(cluster, namespace, an_object(CLAIM, name="kept", **of_pod(first, OF_TEMPLATE)))
    patch(cluster, path(CLAIM, namespace, "kept"), {"metadata": {"finalizers": ["example.com/hold"]}})
    at = f"/api/v1/namespaces/{namespace}/pods"
    cluster.api.delete(f"{at}/train", params={"gracePeriodSeconds": "0"}).raise_for_status()
    wait_for("no pod", lambda: pods_in(cluster, namespace) == [])
    uid = first["metadata"]["uid"]
    second = create(cluster, namespace, claiming(TEMPLATE), uid=uid, creationTimestamp="2020-01-01T00:00:00Z")
    second.raise_for_status()
    assert second.json()["metadata"]["uid"] != uid
    wait_for("its node", lambda: node_of(pods_in(cluster, namespace)[0]) == NODE)
    assert drivers(cluster, namespace) == {NICS}
    patch(cluster, path(CLAIM, namespace, "kept"), {"metadata": {"finalizers": None}})


def test_a_status_that_comes_with_a_new_pod_is_dropped(cluster: ControlPlane, safe: Callable[[], str]) -> None:
    """It would name the claims that were made for the pod."""
    namespace = safe()
    create_before(cluster, namespace, an_object(TEMPLATE, exactly(NICS), name="one"))
    given = [{"containerName": "train", "resourceName": NIC, "requestName": "device"}]
    status = {
        "resourceClaimStatuses": [{"name": "device", "resourceClaimName": "old"}],
        "extendedResourceClaimStatus": {"resourceClaimName": "old", "requestMappings": given},
    }
    for number, spec in enumerate((claiming(TEMPLATE), {"containers": [container(NIC)]})):
        made = {**pod(on_the_node(spec), f"p{number}"), "status": status}
        at = f"/api/v1/namespaces/{namespace}/pods"
        answer = cluster.api.post(at, json=made)
        answer.raise_for_status()
        assert "old" not in json.dumps(answer.json()["status"])
        again = {**answer.json(), "status": status}
        cluster.api.put(f"{at}/p{number}", json=again)
    wait_for("their nodes", lambda: all(node_of(one) == NODE for one in pods_in(cluster, namespace)))
    assert drivers(cluster, namespace) == {NICS}


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_no_write_other_than_a_creation_creates(cluster: ControlPlane, safe: Callable[[], str], kind: str) -> None:
    namespace = safe()
    at, merge = path(kind, namespace, "new"), {"content-type": "application/merge-patch+json"}
    assert cluster.api.put(at, json=an_object(kind, name="new")).is_client_error
    assert cluster.api.patch(at, headers=merge, json=an_object(kind, name="new")).is_client_error
    whole = pod(on_the_node(claiming(kind, "old")))
    at = f"/api/v1/namespaces/{namespace}/pods/train"
    assert cluster.api.put(at, json=whole).is_client_error
    refused(cluster.api.patch(at, params={"fieldManager": "mine"}, headers=APPLY, json=whole))
    assert (pods_in(cluster, namespace), len(claims_in(cluster, namespace))) == ([], 1)


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_in_yaml_and_in_protobuf(cluster: ControlPlane, safe: Callable[[], str], kind: str) -> None:
    namespace = safe()
    at = path(kind, namespace)
    text = json.dumps(an_object(kind))  # JSON is YAML
    anchored = text.replace(f'"{GPUS}"', f'&a "{GPUS}"')
    for content in (text, anchored):
        denied(cluster.api.post(at, headers={"content-type": "application/yaml"}, content=content))
    with cluster.client("system:kube-controller-manager", "system:masters") as exempt:
        headers = {"accept": PROTOBUF}
        made = exempt.post(at, params={"dryRun": "All"}, headers=headers, json=an_object(kind))
        made.raise_for_status()
    assert made.content.startswith(b"k8s\0")
    denied(cluster.api.post(at, headers={"content-type": PROTOBUF}, content=made.content))


@pytest.mark.parametrize("fields", [("nic", "old"), ("old", "nic", "old")])
def test_a_pod_whose_fields_are_written_twice(
    cluster: ControlPlane, safe: Callable[[], str], fields: tuple[str, ...]
) -> None:
    namespace = safe()
    post(cluster, namespace, an_object(CLAIM, exactly(NICS), name="nic")).raise_for_status()
    whole = json.dumps(pod(on_the_node(claiming(CLAIM, "TWICE"))))
    twice = ", ".join(f'"resourceClaimName": "{name}"' for name in fields)
    body = whole.replace('"resourceClaimName": "TWICE"', twice)
    assert body != whole
    answer = cluster.api.post(
        f"/api/v1/namespaces/{namespace}/pods",
        params={"fieldValidation": "Ignore"},
        headers={"content-type": "application/json"},
        content=body,
    )
    refused(answer)


def test_both_sources_at_once_or_none(cluster: ControlPlane, safe: Callable[[], str]) -> None:
    namespace = safe()
    create_before(cluster, namespace, an_object(CLAIM, exactly(NICS), name="nic"))
    spec = claiming(CLAIM, "nic")
    for more in ({FIELDS[TEMPLATE]: "old"}, {FIELDS[CLAIM]: None}, {FIELDS[CLAIM]: ""}):
        [entry] = spec["resourceClaims"]
        answer = create(cluster, namespace, {**spec, "resourceClaims": [{**entry, **more}]})
        assert answer.is_client_error, answer.text
    assert pods_in(cluster, namespace) == []


@pytest.mark.parametrize("count", [127, 128, 300])
def test_the_last_of_very_many_claims(cluster: ControlPlane, safe: Callable[[], str], count: int) -> None:
    namespace = safe()
    create_before(cluster, namespace, *(an_object(CLAIM, exactly(NICS), name=f"n{number}") for number in range(count)))
    names = [*(f"n{number}" for number in range(count)), "old"]
    claims = [{"name": f"d{number}", FIELDS[CLAIM]: name} for number, name in enumerate(names)]
    spec = {"containers": [PLAIN], "resourceClaims": claims}
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: create(cluster, namespace, spec), range(8))]
    assert {answer.is_success for answer in answers} == {False}, [answer.text for answer in answers]


def test_a_pod_of_the_largest_size(cluster: ControlPlane, safe: Callable[[], str]) -> None:
    namespace = safe()
    spec = claiming(CLAIM, "old")
    for size in (900_000, 1_300_000, 2_500_000):
        env = [{"name": f"E{number}", "value": "\u00fc<" * 1000} for number in range(size // 3_100)]
        spec["containers"][0]["env"] = env
        assert create(cluster, namespace, spec).is_error
    for kind in (CLAIM, TEMPLATE):
        large = an_object(kind, name="large", annotations={"note": "\u00fc<" * 85_000})
        denied(post(cluster, namespace, large))
    assert pods_in(cluster, namespace) == []


@pytest.mark.parametrize("name", ["made-later", "gpu.nvidia.com", "mig.nvidia.com", "old", "vfio.gpu.nvidia.com"])
def test_the_implicit_name_of_a_class_that_may_not_exist_yet(
    cluster: ControlPlane, safe: Callable[[], str], name: str
) -> None:
    namespace = safe()
    refused(create(cluster, namespace, {"containers": [container(IMPLICIT + name)]}))


def test_a_service_account_of_the_namespace_has_no_more_rights(cluster: ControlPlane, safe: Callable[[], str]) -> None:
    """Names that resemble those of Kubernetes' own controllers are of other users."""
    namespace = safe()
    for user in (
        f"system:serviceaccount:{namespace}:resource-claim-controller",
        "resource-claim-controller",
        "system:kube-scheduler2",
        "System:kube-scheduler",
        "system:node:dra",
    ):
        with cluster.client(user, "system:masters") as client:
            for kind in (CLAIM, TEMPLATE):
                denied(client.post(path(kind, namespace), json=an_object(kind)))

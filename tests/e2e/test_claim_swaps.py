"""Scenario: a pod that waits was evaluated by claims and templates for network cards, which are then replaced by ones for GPUs.

Bypasses are counted: claims for GPUs in the namespace that did not exist before its policy, or that belong to its pod.
"""

from collections.abc import Callable, Iterator

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.claims import (
    CLAIM,
    NAMED_GPUS,
    NAMED_NICS,
    NIC,
    OF_RESOURCES,
    OF_TEMPLATE,
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
)
from tests.e2e.dra_driver import GPUS, NICS, create_before, devices
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, container
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

PROFILE = "device.attributes['gpu.nvidia.com'].profile == '1g.5gb'"


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A cluster whose devices a driver hands out, some of them by resource names, and gpuwarden."""
    with devices(control_plane, installation, {NAMED_GPUS: GPU, NAMED_NICS: NIC}) as ready:
        yield ready


@pytest.fixture
def namespace(cluster: ControlPlane, make_namespace: Callable[..., str]) -> str:
    """A namespace without GPUs."""
    assert cluster.version
    return make_namespace({ENFORCE: "none"})


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_what_a_waiting_pod_names_is_not_replaced_by_a_gpu(cluster: ControlPlane, namespace: str, kind: str) -> None:
    network = an_object(kind, exactly(NICS))
    post(cluster, namespace, network).raise_for_status()
    a_waiting_pod(cluster, namespace, **claiming(kind))
    wait_for("its claim", lambda: claims_in(cluster, namespace))
    cluster.api.delete(path(kind, namespace, "one")).raise_for_status()
    tell(denied(post(cluster, namespace, an_object(kind))))
    if kind == TEMPLATE:  # the claim that was made is looked up by its name, and belongs to the pod by its owner
        [made] = claims_in(cluster, namespace)
        metadata = {key: made["metadata"][key] for key in ("name", "annotations", "ownerReferences")}
        denied(post(cluster, namespace, an_object(CLAIM, **metadata)))
    post(cluster, namespace, network).raise_for_status()
    ungate(cluster, namespace)
    assert drivers(cluster, namespace) == {NICS}


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
@pytest.mark.parametrize(
    "request_",
    [
        exactly(allocationMode="All"),
        exactly("mig.nvidia.com", selectors=[{"cel": {"expression": PROFILE}}]),
        exactly("made-later.example.com"),
        exactly(NAMED_GPUS),
        {
            "name": "device",
            "firstAvailable": [{"name": f"{n}", "deviceClassName": one} for n, one in ((1, NICS), (2, GPUS))],
        },
    ],
)
def test_in_whatever_way_it_claims_gpus(cluster: ControlPlane, namespace: str, kind: str, request_: Json) -> None:
    nic = exactly(NICS) | {"name": "nic"}
    for metadata in ({"name": "one"}, {"generateName": "one-"}):
        denied(post(cluster, namespace, an_object(kind, nic, request_, **metadata)))
        denied(post(cluster, namespace, an_object(kind, request_, **metadata), dryRun="All"))
    assert claims_in(cluster, namespace) == []


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_in_every_version_of_the_api(cluster: ControlPlane, namespace: str, kind: str, version: str) -> None:
    request = {"name": "device", "deviceClassName": GPUS} if version == "v1beta1" else exactly()
    made = {**an_object(kind, request), "apiVersion": f"resource.k8s.io/{version}"}
    denied(cluster.api.post(path(kind, namespace, version=version), json=made))


def test_admin_access_needs_the_permission_of_the_policy(
    cluster: ControlPlane, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "exclusive", "resource.kubernetes.io/admin-access": "true"})
    for kind in (CLAIM, TEMPLATE):
        denied(post(cluster, namespace, an_object(kind, exactly(adminAccess=True))), "claim-not-permitted")


def test_a_new_claim_is_not_the_claim_of_a_pod(cluster: ControlPlane, namespace: str) -> None:
    post(cluster, namespace, an_object(TEMPLATE, exactly(NICS))).raise_for_status()
    waiting = a_waiting_pod(cluster, namespace, **claiming(TEMPLATE))
    for mark in (OF_TEMPLATE, OF_RESOURCES):
        denied(post(cluster, namespace, an_object(CLAIM, name="mine", **of_pod(waiting, mark))))
    ungate(cluster, namespace)
    assert drivers(cluster, namespace) == {NICS}


@pytest.mark.parametrize("mark", [OF_TEMPLATE, OF_RESOURCES])
def test_an_old_claim_is_not_given_to_a_pod(cluster: ControlPlane, namespace: str, mark: str) -> None:
    """By its owner and an annotation a claim is taken as the one that was made for the pod."""
    create_before(cluster, namespace, an_object(CLAIM, name="old"), an_object(TEMPLATE, exactly(NICS)))
    by_name = {"containers": [container(NIC)]}
    waiting = a_waiting_pod(cluster, namespace, **(claiming(TEMPLATE) if mark == OF_TEMPLATE else by_name))
    at, metadata = path(CLAIM, namespace, "old"), of_pod(waiting, mark)
    patch(cluster, at, {"metadata": {"ownerReferences": metadata["ownerReferences"]}}).raise_for_status()
    tell(denied(patch(cluster, at, {"metadata": metadata})))
    patch(cluster, at, {"metadata": {"ownerReferences": None}}).raise_for_status()
    patch(cluster, at, {"metadata": {"annotations": metadata["annotations"]}}).raise_for_status()
    denied(patch(cluster, at, {"metadata": metadata}))
    patch(cluster, at, {"metadata": {"annotations": {"note": "whatever"}}}).raise_for_status()
    ungate(cluster, namespace)
    assert drivers(cluster, namespace) == {NICS}


def test_what_was_permitted_before_goes_on_and_can_be_deleted(
    cluster: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    """Claims that Kubernetes makes for pods that were admitted are not evaluated, nor are status updates and deletion."""
    namespaces = [make_namespace({ENFORCE: "any"}) for _ in range(3)]
    of_template, shared, by_name = namespaces
    post(cluster, shared, an_object(CLAIM)).raise_for_status()
    a_waiting_pod(cluster, of_template, **claiming(TEMPLATE))  # which it still lacks
    a_waiting_pod(cluster, shared, **claiming(CLAIM))
    a_waiting_pod(cluster, by_name)
    for each in namespaces:
        at = f"/api/v1/namespaces/{each}"
        patch(cluster, at, {"metadata": {"labels": {ENFORCE: "none"}}}).raise_for_status()
    wait_for("the label to hold", lambda: post(cluster, by_name, an_object(CLAIM), dryRun="All").is_client_error)
    with installation.down("/validate-claim"):
        create_before(cluster, of_template, an_object(TEMPLATE))
        for each in namespaces:
            ungate(cluster, each)
            assert drivers(cluster, each) == {GPUS}, each
        assert post(cluster, shared, an_object(CLAIM, name="new")).status_code >= httpx.codes.FORBIDDEN
        for kind in (CLAIM, TEMPLATE):
            post(cluster, shared, an_object(kind, exactly(NICS), name="nic")).raise_for_status()
        for each in namespaces:
            cluster.api.delete(
                f"/api/v1/namespaces/{each}/pods/train", params={"gracePeriodSeconds": "0"}
            ).raise_for_status()
        cluster.api.delete(path(CLAIM, shared, "one")).raise_for_status()
        cluster.api.delete(path(TEMPLATE, of_template, "one")).raise_for_status()
        wait_for("all claims for GPUs to be gone", lambda: all(_are_nics(cluster, each) for each in namespaces))


def _are_nics(cluster: ControlPlane, namespace: str) -> bool:
    return all(one["metadata"]["name"] == "nic" for one in claims_in(cluster, namespace))


@pytest.mark.parametrize(
    ("policy", "kind", "request_", "rules"),
    [
        ("any", CLAIM, exactly(), []),
        ("exclusive", TEMPLATE, exactly(), []),
        ("exclusive", CLAIM, exactly(), ["form-not-permitted"]),  # pods can share it
        ("shared", TEMPLATE, exactly(), []),  # the containers of a pod can share it
        ("shared", CLAIM, exactly(), []),
        ("mig-1g.5gb", TEMPLATE, exactly(), ["form-not-permitted"]),
        ("none", CLAIM, exactly(NICS), []),
        ("none", TEMPLATE, exactly(NICS), []),
    ],
)
def test_what_a_pod_of_the_namespace_may_use_is_created(  # noqa: PLR0913, PLR0917 - the columns of a table
    cluster: ControlPlane,
    make_namespace: Callable[..., str],
    policy: str,
    kind: str,
    request_: Json,
    rules: list[str],
) -> None:
    answer = post(cluster, make_namespace({ENFORCE: policy}), an_object(kind, request_))
    if rules:
        denied(answer, *rules)
    else:
        answer.raise_for_status()

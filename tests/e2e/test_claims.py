"""Scenario: a pod claims GPUs by Dynamic Resource Allocation, in namespaces of several policies."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.dra_driver import create_before
from tests.e2e.installation import Installation
from tests.e2e.objects import GPU, container, deployment, pod, pod_spec
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
Namespace = Callable[[str], str]
ROOT = "/apis/resource.k8s.io/v1"
NVIDIA, SLICES, NETWORK = "gpu.nvidia.com", "mig.nvidia.com", "dranet.example.com"
IMPLICIT = "deviceclass.resource.kubernetes.io/"
PROFILE = "device.attributes['gpu.nvidia.com'].profile == '1g.5gb'"
BY_TEMPLATE, BY_NAME = "resourceClaimTemplateName", "resourceClaimName"
OF_VERSION_1_34 = (1, 34)


@pytest.fixture(scope="module")
def claims(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A control plane that serves claims, with NVIDIA's classes, and gpuwarden."""
    assert installation.replicas
    if control_plane.version < OF_VERSION_1_34:
        pytest.skip("resource.k8s.io/v1 is of Kubernetes 1.34")
    classes = (NVIDIA, SLICES, NETWORK)
    for name in classes:
        made = {"metadata": {"name": name}, "spec": {"selectors": [{"cel": {"expression": "true"}}]}}
        control_plane.api.post(f"{ROOT}/deviceclasses", json=made).raise_for_status()
    yield control_plane
    for name in classes:
        control_plane.api.delete(f"{ROOT}/deviceclasses/{name}").raise_for_status()


def wants(device_class: str = NVIDIA, *selectors: str, **fields: Any) -> Json:
    exactly: Json = {"deviceClassName": device_class, **fields}
    if selectors:
        exactly["selectors"] = [{"cel": {"expression": selector}} for selector in selectors]
    return {"name": "gpu", "exactly": exactly}


def make(cluster: ControlPlane, namespace: str, field: str, request: Json, name: str = "one") -> None:
    """Make a ResourceClaimTemplate or a ResourceClaim as the namespace had it before its policy: pods are evaluated here."""
    devices = {"devices": {"requests": [request]}}
    kind, spec = ("ResourceClaimTemplate", {"spec": devices}) if field == BY_TEMPLATE else ("ResourceClaim", devices)
    create_before(cluster, namespace, {"kind": kind, "metadata": {"name": name}, "spec": spec})


def claiming(field: str = BY_TEMPLATE, name: str = "one", *containers: Json) -> Json:
    """The spec of a pod with a claim."""
    using = {"name": "train", "image": "example.test/train", "resources": {"claims": [{"name": "gpu"}]}}
    spec = {**pod_spec(GPU), "containers": list(containers) or [using]}
    return {**spec, "resourceClaims": [{"name": "gpu", field: name}]}


def create(cluster: ControlPlane, namespace: str, spec: Json) -> httpx.Response:
    """What becomes of a pod."""
    return cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(spec))


def rules(answer: httpx.Response) -> list[str]:
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    return [cause["reason"] for cause in answer.json()["details"]["causes"]]


@pytest.mark.parametrize("field", [BY_TEMPLATE, BY_NAME])
@pytest.mark.parametrize(
    "request_",
    [
        wants(),
        wants(SLICES, PROFILE),
        wants(allocationMode="All"),
        {
            "name": "gpu",
            "firstAvailable": [
                {"name": "a", "deviceClassName": NETWORK},
                {"name": "b", "deviceClassName": NVIDIA},
            ],
        },
    ],
)
def test_under_none_a_pod_with_a_claim_for_a_gpu_is_denied(
    claims: ControlPlane, in_policy: Namespace, field: str, request_: Json
) -> None:
    namespace = in_policy("none")
    make(claims, namespace, field, request_)
    answer = create(claims, namespace, claiming(field))
    assert rules(answer) == ["gpu-not-permitted"]
    tell(answer.json()["message"])
    assert 'is not permitted under namespace policy "none"' in answer.json()["message"]


def test_under_none_the_implicit_name_is_denied(claims: ControlPlane, in_policy: Namespace) -> None:
    answer = create(claims, in_policy("none"), {**pod_spec(GPU), "containers": [container(f"{IMPLICIT}{NVIDIA}")]})
    assert rules(answer) == ["gpu-not-permitted"]


@pytest.mark.parametrize("field", [BY_TEMPLATE, BY_NAME])
@pytest.mark.parametrize("policy", ["none", "exclusive", "any"])
def test_a_claim_for_another_device_is_created(
    claims: ControlPlane, in_policy: Namespace, field: str, policy: str
) -> None:
    namespace = in_policy(policy)
    make(claims, namespace, field, wants(NETWORK))
    assert create(claims, namespace, claiming(field)).status_code == httpx.codes.CREATED


@pytest.mark.parametrize("field", [BY_TEMPLATE, BY_NAME])
def test_what_does_not_exist_yet_is_no_way_around(claims: ControlPlane, in_policy: Namespace, field: str) -> None:
    namespace, other = in_policy("none"), in_policy("none")
    make(claims, other, field, wants(NETWORK))  # in another namespace
    assert rules(create(claims, namespace, claiming(field))) == ["claim-not-found"]
    make(claims, namespace, field, wants())  # late
    assert rules(create(claims, namespace, claiming(field))) == ["gpu-not-permitted"]


def test_a_template_that_was_replaced_is_evaluated_as_it_is_now(claims: ControlPlane, in_policy: Namespace) -> None:
    namespace = in_policy("none")
    path = f"{ROOT}/namespaces/{namespace}/resourceclaimtemplates/one"
    for device_class, code in ((NETWORK, httpx.codes.CREATED), (NVIDIA, httpx.codes.FORBIDDEN)) * 3:
        make(claims, namespace, BY_TEMPLATE, wants(device_class))
        answer = claims.api.post(f"/api/v1/namespaces/{namespace}/pods", params={"dryRun": "All"}, json=pod(claiming()))
        assert answer.status_code == code, (device_class, answer.text)
        claims.api.delete(path).raise_for_status()


@pytest.mark.parametrize(
    ("policy", "field", "request_", "denied"),
    [
        ("exclusive", BY_TEMPLATE, wants(), []),
        ("exclusive", BY_NAME, wants(), ["form-not-permitted"]),  # pods can share it
        ("shared", BY_TEMPLATE, wants(), ["form-not-permitted"]),
        ("shared", BY_NAME, wants(), []),
        ("mig-1g.5gb", BY_TEMPLATE, wants(SLICES, PROFILE), []),
        ("mig-1g.5gb", BY_TEMPLATE, wants(SLICES), ["claim-not-permitted"]),
        ("mig-2g.10gb", BY_TEMPLATE, wants(SLICES, PROFILE), ["form-not-permitted"]),
        ("any", BY_TEMPLATE, wants(), []),
    ],
)
def test_forms_hold_for_claims_as_for_resources(  # noqa: PLR0913, PLR0917 - the columns of a table
    claims: ControlPlane, in_policy: Namespace, policy: str, field: str, request_: Json, denied: list[str]
) -> None:
    namespace = in_policy(policy)
    make(claims, namespace, field, request_)
    answer = create(claims, namespace, claiming(field))
    if denied:
        assert rules(answer) == denied
    else:
        assert answer.status_code == httpx.codes.CREATED, answer.text


def test_a_container_with_a_claim_and_a_resource_is_denied_under_any(
    claims: ControlPlane, in_policy: Namespace
) -> None:
    namespace = in_policy("any")
    make(claims, namespace, BY_TEMPLATE, wants())
    both = {**container(GPU), "resources": {"limits": {GPU: "1"}, "claims": [{"name": "gpu"}]}}
    assert rules(create(claims, namespace, claiming(BY_TEMPLATE, "one", both))) == ["mixed-gpu-resources"]


def test_the_pods_of_a_deployment_are_denied_and_it_says_why(claims: ControlPlane, in_policy: Namespace) -> None:
    namespace = in_policy("none")
    make(claims, namespace, BY_TEMPLATE, wants())
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    claims.api.post(path, json=deployment(claiming())).raise_for_status()

    def failure() -> str:
        conditions = claims.api.get(f"{path}/train").json().get("status", {}).get("conditions", [])
        return next((one["message"] for one in conditions if one["type"] == "ReplicaFailure"), "")

    wait_for("the Deployment to say why", failure)
    assert "DeviceClass gpu.nvidia.com is not permitted" in failure()
    made = claims.api.get(f"{ROOT}/namespaces/{namespace}/resourceclaims").json()["items"]
    assert made == [], "no claim was made for a pod that is none"

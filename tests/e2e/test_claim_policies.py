"""Scenario: GPUs are handed out by a DRA driver, by claims that policies list and by the names of DeviceClasses.

The suite writes the ResourceSlices that NVIDIA's driver would; the scheduler allocates.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.dra_driver import GPUS, ROOT, create_before, devices
from tests.e2e.installation import Installation
from tests.e2e.objects import (
    GPU,
    container,
    create,
    deployment,
    job,
    node_of,
    node_of_the_only_pod,
    pod,
    pod_spec,
    pods_in,
)
from tests.e2e.test_doctor import doctor, seen

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
BY_CLAIM, BY_NAME = GPUS, "named.gpu.example.com"
POLICIES: Json = {"claims": {"forms": [{"claimTemplate": "one-gpu", "deviceClass": BY_CLAIM}], "maxPerPod": 2}}


@pytest.fixture(scope="module")
def values() -> Json:
    return {"config": {"policies": POLICIES}}


@pytest.fixture(scope="module")
def driver(control_plane: ControlPlane, installation: Installation) -> Iterator[ControlPlane]:
    """A node whose GPUs a DRA driver hands out, and its DeviceClasses: one for claims, one that has a resource name."""
    with devices(control_plane, installation, {BY_NAME: GPU}) as ready:
        yield ready


def a_template(count: int = 1, device_class: str = BY_CLAIM) -> Json:
    requests = [{"name": "gpu", "exactly": {"deviceClassName": device_class, "count": count}}]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "one-gpu"},
        "spec": {"spec": {"devices": {"requests": requests}}},
    }


# The node has the taint of GPU nodes, which a claim does not tolerate by itself.
SPEC = pod_spec(GPU, tolerated=True, selector={"kubernetes.io/hostname": "dra"})


def post(cluster: ControlPlane, namespace: str, spec: Json, **params: str) -> httpx.Response:
    return cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", params=params, json=pod(spec))


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    return str(answer.json()["details"]["causes"][0]["reason"])


def claims_in(cluster: ControlPlane, namespace: str) -> list[Json]:
    items: list[Json] = cluster.get(f"{ROOT}/namespaces/{namespace}/resourceclaims")["items"]
    return items


def test_a_plain_request_becomes_a_claim_and_is_allocated(
    driver: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("claims")
    create(driver, namespace, a_template())
    create(driver, namespace, deployment(SPEC))
    assert wait_for("a pod", lambda: pods_in(driver, namespace))
    assert node_of_the_only_pod(driver, namespace) == "dra"
    [made] = pods_in(driver, namespace)
    assert made["spec"]["resourceClaims"] == [{"name": "gpuwarden-0", "resourceClaimTemplateName": "one-gpu"}]
    assert made["spec"]["containers"][0]["resources"] == {"claims": [{"name": "gpuwarden-0"}]}
    [claim] = claims_in(driver, namespace)
    assert claim["status"]["allocation"]["devices"]["results"][0]["driver"] == GPUS
    assert claim["metadata"]["ownerReferences"][0]["name"] == made["metadata"]["name"]

    driver.api.delete(f"/apis/apps/v1/namespaces/{namespace}/deployments/train").raise_for_status()
    wait_for("the claim to go with its pod", lambda: not claims_in(driver, namespace))


def test_a_manifest_is_applied_again_without_a_word(driver: ControlPlane, in_policy: Callable[[str], str]) -> None:
    namespace = in_policy("claims")
    create(driver, namespace, a_template())
    manifest = json.dumps(pod(SPEC))
    for arguments in ([], [], ["--server-side", "--force-conflicts"]):
        done = driver.kubectl("apply", "-n", namespace, "-f", "-", *arguments, stdin=manifest)
        assert done.returncode == 0, done.stderr
    [made] = pods_in(driver, namespace)
    assert made["spec"]["containers"][0]["resources"] == {"claims": [{"name": "gpuwarden-0"}]}


def test_a_dry_run_makes_nothing(driver: ControlPlane, in_policy: Callable[[str], str]) -> None:
    namespace = in_policy("claims")
    create(driver, namespace, a_template())
    answer = post(driver, namespace, SPEC, dryRun="All")
    assert answer.json()["spec"]["resourceClaims"]
    assert (claims_in(driver, namespace), pods_in(driver, namespace)) == ([], [])


def test_a_template_that_is_late_of_another_class_or_of_another_count_is_told(
    driver: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace, elsewhere = in_policy("claims"), in_policy("claims")
    path = f"{ROOT}/namespaces/{namespace}/resourceclaimtemplates/one-gpu"
    create(driver, elsewhere, a_template())
    assert refused(post(driver, namespace, SPEC)) == "claim-not-found"
    for template, rule in (
        (a_template(device_class=BY_NAME), "claim-not-permitted"),
        (a_template(2), "claim-not-possible"),
    ):
        create_before(driver, namespace, template)
        assert refused(post(driver, namespace, SPEC)) == rule
        driver.api.delete(path).raise_for_status()
    assert refused(post(driver, namespace, SPEC)) == "claim-not-found"
    create(driver, namespace, a_template())
    assert post(driver, namespace, SPEC).status_code == httpx.codes.CREATED


def by_hand(name: str, *containers: str, **source: str) -> Json:
    """A pod whose containers use a claim that the user has written."""
    using = [container(GPU, name=one) | {"resources": {"claims": [{"name": name}]}} for one in containers]
    return {**SPEC, "containers": using, "resourceClaims": [{"name": name, **source}]}


def test_claims_that_users_write_get_no_more_than_the_policy_lists(
    driver: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("claims")
    listed, other, either = a_template(), a_template(), a_template()
    other["metadata"] = {"name": "other"}
    either["metadata"] = {"name": "either"}
    ways = [{"name": "a", "deviceClassName": "network.example.com"}, {"name": "b", "deviceClassName": BY_CLAIM}]
    either["spec"]["spec"]["devices"]["requests"] = [{"name": "gpu", "firstAvailable": ways}]
    shared = {**a_template(), "kind": "ResourceClaim", "spec": listed["spec"]["spec"]}
    create_before(driver, namespace, listed, other, either, shared)
    name = "gpuwarden-0"
    for spec, rule in (
        (by_hand(name, "train", resourceClaimTemplateName="other"), "form-not-permitted"),
        (by_hand(name, "train", resourceClaimTemplateName="either"), "claim-not-permitted"),
        (by_hand(name, "train", resourceClaimName="one-gpu"), "form-not-permitted"),
        (by_hand(name, "train", resourceClaimTemplateName="late"), "claim-not-found"),
        (by_hand(name, *"abc", resourceClaimTemplateName="other"), "form-not-permitted"),
    ):
        assert refused(post(driver, namespace, spec)) == rule
    none = in_policy("none")
    create_before(driver, none, listed, either)
    for template in ("one-gpu", "either"):
        assert (
            refused(post(driver, none, by_hand("x", "train", resourceClaimTemplateName=template)))
            == "gpu-not-permitted"
        )
    unlisted = {**SPEC, "containers": [container(GPU), by_hand(name, "peer")["containers"][0]]}
    answer = post(driver, namespace, unlisted)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text
    assert ([one["metadata"]["name"] for one in claims_in(driver, namespace)], claims_in(driver, none)) == (
        ["one-gpu"],
        [],
    )
    answer = post(driver, namespace, by_hand(name, "train", resourceClaimTemplateName="one-gpu"))
    assert answer.status_code == httpx.codes.CREATED, answer.text


def test_the_pods_of_jobs_get_claims_by_the_policy_or_by_their_own_hand(
    driver: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("claims")
    other = a_template()
    other["metadata"] = {"name": "other"}
    create(driver, namespace, a_template())
    create_before(driver, namespace, other)
    own = by_hand("own", "train", resourceClaimTemplateName="one-gpu")
    create(driver, namespace, job(SPEC, "plain"), job(own, "own"))
    create(driver, namespace, job(by_hand("other", "train", resourceClaimTemplateName="other"), "other"))

    def placed() -> dict[str, str]:
        return {one["metadata"]["labels"]["job-name"]: node_of(one) for one in pods_in(driver, namespace)}

    wait_for("the pods of two Jobs", lambda: placed() == {"plain": "dra", "own": "dra"})
    claims = {
        one["metadata"]["annotations"]["resource.kubernetes.io/pod-claim-name"] for one in claims_in(driver, namespace)
    }
    assert claims == {"gpuwarden-0", "own"}

    def told() -> str:
        return " ".join(one["message"] for one in driver.get(f"/api/v1/namespaces/{namespace}/events")["items"])

    wait_for("the event of the Job that is denied", lambda: 'which namespace policy "claims" does not permit' in told())
    for name in ("plain", "own", "other"):
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        driver.api.delete(path, params={"propagationPolicy": "Background"}).raise_for_status()
    wait_for("the claims to go with their pods", lambda: not claims_in(driver, namespace))


def test_pods_share_one_claim_only_where_the_policy_shares(
    driver: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    claim = {**a_template(), "kind": "ResourceClaim", "spec": a_template()["spec"]["spec"]}
    spec = by_hand("gpu", "train", resourceClaimName="one-gpu")
    shared, whole = in_policy("shared"), in_policy("exclusive")
    create(driver, shared, claim, pod(spec, "first"), pod(spec, "second"))
    create_before(driver, whole, claim)
    for name in ("first", "second"):
        answer = driver.api.post(f"/api/v1/namespaces/{whole}/pods", json=pod(spec, name))
        assert refused(answer) == "form-not-permitted"
    wait_for("both pods", lambda: [node_of(one) for one in pods_in(driver, shared)] == ["dra", "dra"])
    [made] = claims_in(driver, shared)
    assert {one["name"] for one in made["status"]["reservedFor"]} == {"first", "second"}
    assert len(made["status"]["allocation"]["devices"]["results"]) == 1
    assert not claims_in(driver, whole)[0].get("status")


def test_doctor_names_missing_templates_and_quotas_that_are_used_up(
    driver: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace, without, wrong = in_policy("claims"), in_policy("claims"), in_policy("claims")
    create(driver, namespace, a_template())
    create_before(driver, wrong, a_template(device_class=BY_NAME))
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {f"{BY_CLAIM}.deviceclass.resource.k8s.io/devices": "0"}}}
    driver.api.post(f"/api/v1/namespaces/{namespace}/resourcequotas", json=quota).raise_for_status()
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/gpus"
    wait_for("the quota to be counted", lambda: driver.get(path).get("status", {}).get("used"))
    _, found = doctor(driver)
    templates = seen(found, "claim-templates")
    assert f"there is no ResourceClaimTemplate one-gpu in namespace {without} with" in templates
    assert f"ResourceClaimTemplate {wrong}/one-gpu claims DeviceClass {BY_NAME}" in templates
    assert namespace not in templates
    assert f"ResourceQuota gpus in namespace {namespace} is used up" in seen(found, "claim-quotas")
    assert [one["status"] for one in found["device-classes"]] == ["ok"]


def test_each_container_gets_a_claim_of_its_own_up_to_the_limit(
    driver: ControlPlane, in_policy: Callable[[str], str]
) -> None:
    namespace = in_policy("claims")
    create(driver, namespace, a_template())
    two = {**SPEC, "containers": [container(GPU, name="a"), container(GPU, name="b")]}
    create(driver, namespace, pod(two))
    assert node_of_the_only_pod(driver, namespace) == "dra"
    assert len(claims_in(driver, namespace)) == len(two["containers"])
    three = {**SPEC, "containers": [container(GPU, name=name) for name in "abc"]}
    assert refused(post(driver, namespace, three)) == "per-pod-limit"


def test_over_a_quota_of_devices_the_pod_stays_pending(driver: ControlPlane, in_policy: Callable[[str], str]) -> None:
    namespace = in_policy("claims")
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {f"{BY_CLAIM}.deviceclass.resource.k8s.io/devices": "1"}}}
    driver.api.post(f"/api/v1/namespaces/{namespace}/resourcequotas", json=quota).raise_for_status()
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/gpus"
    wait_for("the quota to be counted", lambda: driver.get(path).get("status", {}).get("used"))
    create(driver, namespace, a_template(), pod(SPEC, "first"))
    wait_for("the first pod", lambda: all(map(node_of, pods_in(driver, namespace))))
    create(driver, namespace, pod(SPEC, "second"))

    def told() -> str:
        events = driver.get(f"/api/v1/namespaces/{namespace}/events")["items"]
        return " ".join(one["message"] for one in events if one["involvedObject"]["name"] == "second")

    wait_for("the event", lambda: "exceeded quota" in told())
    assert [node_of(one) for one in pods_in(driver, namespace) if one["metadata"]["name"] == "second"] == [""]


@pytest.mark.parametrize(
    ("policy", "rule"), [("none", "gpu-not-permitted"), ("shared", ""), ("exclusive", ""), ("mig-1g.5gb", "")]
)
def test_by_the_name_of_a_class_every_policy_holds_as_without_dra(
    driver: ControlPlane, in_policy: Callable[[str], str], policy: str, rule: str
) -> None:
    """Only ``exclusive`` keeps the name that the class has, and runs; the others ask for names that no node offers."""
    namespace = in_policy(policy)
    answer = post(driver, namespace, SPEC)
    if rule:
        assert refused(answer) == rule
    elif policy == "exclusive":
        assert node_of_the_only_pod(driver, namespace) == "dra"
        [claim] = claims_in(driver, namespace)
        assert claim["metadata"]["annotations"]["resource.kubernetes.io/extended-resource-claim"] == "true"
    else:
        assert GPU not in answer.json()["spec"]["containers"][0]["resources"]["limits"]

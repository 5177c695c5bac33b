"""Reservations: which claims a pod has when it is given one, and what the rules find in all of them together."""

import pytest

from webhook.engine import requests
from webhook.engine.claim_objects import Claim, DeviceRequest, RequestedDevice
from webhook.engine.claims import CLAIM, Reference, read
from webhook.engine.pods import Container, ContainerClaim, PodResourceClaim, PodSpec, Resources
from webhook.engine.policy import NONE_POLICY, Policy, PolicyBook
from webhook.engine.quantity import Quantity
from webhook.engine.reservations import GeneratedClaim, Holder, HolderStatus, not_made_yet, with_its_claims
from webhook.engine.rules.claims import of_holder

ENTRIES = [
    PodResourceClaim("own", "one"),
    PodResourceClaim("made", None, "template"),
    PodResourceClaim("also-made", None, "template"),
    PodResourceClaim("not-needed", None, "template"),
    PodResourceClaim("to-be-made", None, "template"),
    PodResourceClaim("of-another-source"),
]
GPU = Claim((DeviceRequest("gpu", (RequestedDevice("gpu.nvidia.com"),)),))


def test_each_entry_is_the_claim_that_the_pod_has_for_it() -> None:
    made = [
        GeneratedClaim("made", "x"),
        GeneratedClaim("also-made", "y"),
        GeneratedClaim("not-needed"),
        GeneratedClaim("gone", "z"),
    ]
    containers = [Container("train")]
    holder = Holder(spec=PodSpec(containers=containers, resource_claims=ENTRIES), status=HolderStatus(made))
    spec = with_its_claims(holder)
    assert [(one.name, one.resource_claim_name) for one in spec.resource_claims or ()] == [
        ("own", "one"),
        ("made", "x"),
        ("also-made", "y"),
    ]
    assert spec.containers == containers
    assert not_made_yet(holder) == ["to-be-made", "of-another-source"]


@pytest.mark.parametrize("holder", [Holder(), Holder(spec=PodSpec()), Holder(status=HolderStatus())])
def test_a_pod_without_any_has_none(holder: Holder) -> None:
    assert with_its_claims(holder).resource_claims == []
    assert not_made_yet(holder) == []


def found(policy: Policy, *used: str, amount: str = "") -> list[str]:
    limits: dict[str, Quantity] | None = {"nvidia.com/gpu": amount} if amount else None
    container = Container("train", resources=Resources(limits, claims=[ContainerClaim(name) for name in used]))
    spec = PodSpec(containers=[container], resource_claims=[PodResourceClaim(name, name) for name in ("a", "b")])
    gpu_containers = requests.read(spec)
    claims = read(spec, gpu_containers, dict.fromkeys((Reference(CLAIM, "a"), Reference(CLAIM, "b")), GPU))
    return [one.rule.id for one in of_holder(spec, claims, gpu_containers, policy)]


def test_the_limits_hold_for_all_claims_together() -> None:
    assert found(Policy("p", max_per_container=1, max_per_pod=1), "a", "b") == ["per-container-limit", "per-pod-limit"]
    assert found(Policy("p", max_per_container=1, max_per_pod=2), "a") == []
    assert found(Policy("p", max_per_pod=1)) == ["per-pod-limit"]
    assert found(Policy("p", max_per_container=2, max_per_pod=2), "a", "b") == []


def test_so_does_that_a_container_has_one_kind_of_request() -> None:
    assert found(Policy("p", max_per_pod=9), "a", amount="1") == ["mixed-gpu-resources"]


def test_forms_were_evaluated_before() -> None:
    assert found(NONE_POLICY, "a", "b") == []


def test_which_policies_have_limits() -> None:
    policies = {
        "one": Policy("one", max_per_pod=1),
        "each": Policy("each", max_per_container=1),
        "free": Policy("free"),
    }
    assert {name: policy.has_limits for name, policy in policies.items()} == {"one": True, "each": True, "free": False}
    assert not PolicyBook({"free": policies["free"]}).has_limits
    assert PolicyBook(policies).has_limits
    assert not PolicyBook().has_limits

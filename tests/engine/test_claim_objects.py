"""ResourceClaims and ResourceClaimTemplates themselves: denied where no pod of their namespace may use them."""

import pytest

from tests.builders import Json, a_policy, policy_of
from tests.engine.test_claims import NETWORK, NVIDIA, PROFILE, SLICES, UNREADABLE, a_claim, exact, first_of, wants
from webhook.engine.claims import CLAIM, TEMPLATE, Reference
from webhook.engine.device_classes import DeviceClasses
from webhook.engine.findings import Finding
from webhook.engine.other_gpus import GpuNames
from webhook.engine.policy import ClaimForm, Policy
from webhook.engine.rules.claim_objects import findings

CLASSES = DeviceClasses({"pair.example.com": "exclusive"}, GpuNames())
LISTED = Policy("claims", claim_forms=(ClaimForm("one", NVIDIA),))


def found(kind: str, policy: Policy, *requests: Json, of_one_pod: bool = False) -> list[Finding]:
    name = Reference(kind, "one")
    return [*findings(name, a_claim(*requests), policy, CLASSES, of_one_pod=of_one_pod)]


def rules(kind: str, policy: Policy, *requests: Json, of_one_pod: bool = False) -> list[str]:
    return [one.rule.id for one in found(kind, policy, *requests, of_one_pod=of_one_pod)]


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
@pytest.mark.parametrize(
    "policy", [policy_of("none"), policy_of("exclusive"), LISTED, UNREADABLE, a_policy(max_per_pod=1)]
)
def test_one_for_other_devices_is_none_of_its_business(kind: str, policy: Policy) -> None:
    assert found(kind, policy) == []
    assert found(kind, policy, wants(NETWORK, allocationMode="All", adminAccess=True)) == []


@pytest.mark.parametrize("kind", [CLAIM, TEMPLATE])
def test_any_permits_every_one(kind: str) -> None:
    assert (
        found(kind, policy_of("any"), wants(adminAccess=True), wants("unknown.example.com", allocationMode="All")) == []
    )


@pytest.mark.parametrize(
    ("kind", "policy", "request_", "denied"),
    [
        (TEMPLATE, policy_of("exclusive"), wants(), []),
        (TEMPLATE, policy_of("shared"), wants(), []),  # by the containers of a pod
        (TEMPLATE, policy_of("mig-1g.5gb"), wants(SLICES, PROFILE), []),
        (TEMPLATE, LISTED, wants(), []),
        (CLAIM, policy_of("shared"), wants(), []),
        (CLAIM, policy_of("time-slicing"), wants(), []),
        (CLAIM, policy_of("exclusive"), wants(), ["form-not-permitted"]),  # any pod can use it
        (CLAIM, LISTED, wants(), ["form-not-permitted"]),
        (TEMPLATE, policy_of("mps"), wants(), ["form-not-permitted"]),
        (TEMPLATE, policy_of("mig-2g.10gb"), wants(SLICES, PROFILE), ["form-not-permitted"]),
        (TEMPLATE, LISTED, wants("pair.example.com"), ["form-not-permitted"]),
        (TEMPLATE, policy_of("mig-1g.5gb"), wants(SLICES), ["claim-not-permitted"]),
        (TEMPLATE, policy_of("exclusive"), wants(adminAccess=True), ["claim-not-permitted"]),
        (TEMPLATE, a_policy(admin_access=True), wants(adminAccess=True), []),
        (
            TEMPLATE,
            policy_of("exclusive"),
            first_of(exact(NETWORK), exact("unknown.example.com")),
            ["claim-not-permitted"],
        ),
        *((kind, policy_of("none"), wants(), ["gpu-not-permitted"]) for kind in (CLAIM, TEMPLATE)),
        *((kind, UNREADABLE, wants(), ["gpu-not-permitted"]) for kind in (CLAIM, TEMPLATE)),
    ],
)
def test_it_is_denied_unless_a_pod_may_use_it(kind: str, policy: Policy, request_: Json, denied: list[str]) -> None:
    assert rules(kind, policy, request_) == denied


@pytest.mark.parametrize("policy", [policy_of("exclusive"), policy_of("shared"), LISTED])
def test_a_claim_of_one_pod_is_evaluated_as_a_template(policy: Policy) -> None:
    assert rules(CLAIM, policy, wants(), of_one_pod=True) == []
    assert rules(CLAIM, policy_of("none"), wants(), of_one_pod=True) == ["gpu-not-permitted"]
    assert rules(CLAIM, policy, wants("unknown.example.com"), of_one_pod=True) == ["claim-not-permitted"]


@pytest.mark.parametrize("any_form", [True, False])
def test_limits_that_every_pod_exceeds_that_uses_it(any_form: bool) -> None:  # noqa: FBT001 - a column of a table
    limited = a_policy(*(() if any_form else ("exclusive",)), permits_any=any_form, max_per_container=2, max_per_pod=3)
    assert rules(TEMPLATE, limited, wants(count=2), wants(name="other")) == []
    assert rules(TEMPLATE, limited, wants(count=3)) == ["per-container-limit"]
    assert rules(TEMPLATE, limited, wants(count=2), wants(name="other", count=2)) == ["per-pod-limit"]
    assert rules(TEMPLATE, limited, wants(allocationMode="All")) == ["per-container-limit", "per-pod-limit"]


def test_the_messages_name_the_object_its_field_and_the_fix() -> None:
    [denied] = found(TEMPLATE, policy_of("none"), wants(NETWORK), wants())
    assert (denied.path, denied.message) == (
        "spec.spec.devices.requests[1]",
        (
            'ResourceClaimTemplate "one": request gpu: DeviceClass gpu.nvidia.com is not permitted under namespace policy '
            '"none"; remove the claim, or use a namespace whose policy permits GPUs'
        ),
    )
    [shared] = found(CLAIM, policy_of("exclusive"), wants())
    assert shared.path == "spec.devices.requests[0]"
    assert "pods can share a ResourceClaim, and a ResourceClaimTemplate gives each its own" in shared.message
    container, pod = found(TEMPLATE, a_policy("exclusive", max_per_container=1, max_per_pod=2), wants(count=3))
    assert (container.path, container.message) == (
        "spec.spec.devices.requests[0]",
        'ResourceClaimTemplate "one": request gpu is for 3 GPUs; namespace policy "team" permits 1 per container; claim 1',
    )
    assert (pod.path, pod.message) == (
        "spec.spec.devices.requests",
        'ResourceClaimTemplate "one": its requests are for 3 GPUs; namespace policy "team" permits 2 per pod; claim at most 2',
    )

"""What policies make of workloads' next pods."""

import msgspec
import pytest

from tests.application.recommendation.cases import form
from webhook.application.recommendation.policy_effects import EvaluatedWorkload, PolicyEffect
from webhook.application.recommendation.verdicts import VerdictKind, WorkloadVerdict
from webhook.engine.device_classes import DeviceClasses
from webhook.engine.policy import ANY_POLICY, NONE_POLICY, ClaimForm, Mismatch, Policy, Prefer

ONE, TWO, LARGE = form("mig-1g.10gb"), form("mig-2g.20gb"), form("mig-3g.40gb")
CLAIM = ClaimForm("one-slice", "slices.example.com")
CLASSES = DeviceClasses({"slices.example.com": "mig-1g.10gb"})


def evaluated(stated: str = "", *, now: str = "exclusive", memory: int = 0, claimed: bool = False) -> EvaluatedWorkload:
    return EvaluatedWorkload("w", stated, WorkloadVerdict(VerdictKind.UNKNOWN), now, memory, claimed)


@pytest.mark.parametrize(
    ("policy", "workload", "given", "denied"),
    [
        (ANY_POLICY, evaluated("mig-2g.20gb", now="mig-2g.20gb"), "mig-2g.20gb", False),
        (NONE_POLICY, evaluated(), "", True),
        (Policy("p", unreadable="why"), evaluated(), "", True),
        (Policy("p", (ONE, TWO)), evaluated(now="mig-2g.20gb"), "mig-1g.10gb", False),
        (Policy("p", (ONE, TWO)), evaluated("mig-2g.20gb"), "mig-2g.20gb", False),
        (Policy("p", (ONE, TWO)), evaluated("exclusive"), "mig-1g.10gb", True),
        (Policy("p", (ONE, TWO)), evaluated("not a form"), "mig-1g.10gb", True),
        (Policy("p", (ONE,), mismatch=Mismatch.REWRITE), evaluated("mig-2g.20gb"), "mig-1g.10gb", False),
        (Policy("p", (ONE,), mismatch=Mismatch.REWRITE), evaluated("mig-2g.20gb", claimed=True), "mig-1g.10gb", True),
        (Policy("p", (form("mps"),)), evaluated("shared"), "mps", False),
        (Policy("p", (form("mps"), form("shared"))), evaluated("shared"), "shared", False),
        (Policy("p", (form("mig-1g.5gb"),)), evaluated("gke-mig-1g.5gb"), "gke-mig-1g.5gb", False),
        (Policy("p", (ONE, TWO), prefer=Prefer.MEMORY), evaluated(), "mig-1g.10gb", False),
        (Policy("p", (ONE, TWO), prefer=Prefer.MEMORY), evaluated(memory=16_384), "mig-2g.20gb", False),
        (Policy("p", (ONE, TWO), prefer=Prefer.MEMORY), evaluated("mig-1g.10gb", memory=16_384), "mig-1g.10gb", True),
        (Policy("p", (ONE, TWO), prefer=Prefer.MEMORY), evaluated(memory=60_000), "mig-1g.10gb", True),
        (Policy("p", (ONE, TWO)), evaluated(memory=16_384), "mig-1g.10gb", False),
        (Policy("p", (LARGE,), claim_forms=(CLAIM,), plain_claim=CLAIM), evaluated(), "mig-1g.10gb", False),
        (Policy("p", (LARGE,), claim_forms=(CLAIM,)), evaluated("mig-1g.10gb", claimed=True), "mig-1g.10gb", False),
    ],
)
def test_the_form_of_the_next_pods(policy: Policy, workload: EvaluatedWorkload, given: str, denied: bool) -> None:  # noqa: FBT001
    effect = PolicyEffect(policy, classes=CLASSES)
    assert (effect.given(workload), effect.denies(workload)) == (given, denied)


@pytest.mark.parametrize(
    ("gpus", "in_container", "exceeded"),
    [
        (4, 2, ""),
        (5, 2, "requests 5 GPUs, and maxPerPod is 4"),
        (3, 3, "requests 3 GPUs in a container, and maxPerContainer is 2"),
    ],
)
def test_the_limits_that_a_pod_exceeds(gpus: int, in_container: int, exceeded: str) -> None:
    workload = msgspec.structs.replace(evaluated(), gpus=gpus, in_container=in_container)
    limited = Policy("p", (form("exclusive"),), max_per_pod=4, max_per_container=2)
    assert PolicyEffect(limited).exceeded(workload) == exceeded
    assert PolicyEffect(Policy("p", (form("exclusive"),))).exceeded(workload) == ""


def test_the_form_of_plain_requests() -> None:
    assert PolicyEffect(Policy("p", (ONE, TWO))).first == "mig-1g.10gb"
    assert PolicyEffect(ANY_POLICY).first == PolicyEffect(NONE_POLICY).first == ""
    by_claim = Policy("p", (TWO,), claim_forms=(CLAIM,), plain_claim=CLAIM)
    assert PolicyEffect(by_claim).first == ""  # the form of the class is not known
    assert PolicyEffect(by_claim, classes=CLASSES).first == "mig-1g.10gb"

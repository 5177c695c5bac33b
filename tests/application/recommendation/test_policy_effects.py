"""What policies make of workloads' next pods."""

import pytest

from tests.application.recommendation.cases import form
from webhook.application.recommendation.policy_effects import JudgedWorkload, PolicyEffect
from webhook.application.recommendation.workload_verdicts import VerdictKind, WorkloadVerdict
from webhook.engine.device_classes import DeviceClasses
from webhook.engine.policy import ANY_POLICY, NONE_POLICY, ClaimForm, Mismatch, Policy, Prefer

ONE, TWO, LARGE = form("mig-1g.10gb"), form("mig-2g.20gb"), form("mig-3g.40gb")
CLAIM = ClaimForm("one-slice", "slices.example.com")
CLASSES = DeviceClasses({"slices.example.com": "mig-1g.10gb"})


def judged(stated: str = "", *, now: str = "exclusive", memory: int = 0, claimed: bool = False) -> JudgedWorkload:
    return JudgedWorkload("w", stated, WorkloadVerdict(VerdictKind.UNKNOWN), now, memory, claimed)


@pytest.mark.parametrize(
    ("policy", "workload", "given", "denied"),
    [
        (ANY_POLICY, judged("mig-2g.20gb", now="mig-2g.20gb"), "mig-2g.20gb", False),
        (NONE_POLICY, judged(), "", True),
        (Policy("p", unreadable="why"), judged(), "", True),
        (Policy("p", (ONE, TWO)), judged(now="mig-2g.20gb"), "mig-1g.10gb", False),
        (Policy("p", (ONE, TWO)), judged("mig-2g.20gb"), "mig-2g.20gb", False),
        (Policy("p", (ONE, TWO)), judged("exclusive"), "mig-1g.10gb", True),
        (Policy("p", (ONE, TWO)), judged("not a form"), "mig-1g.10gb", True),
        (Policy("p", (ONE,), mismatch=Mismatch.REWRITE), judged("mig-2g.20gb"), "mig-1g.10gb", False),
        (Policy("p", (ONE,), mismatch=Mismatch.REWRITE), judged("mig-2g.20gb", claimed=True), "mig-1g.10gb", True),
        (Policy("p", (form("mps"),)), judged("shared"), "mps", False),
        (Policy("p", (form("mps"), form("shared"))), judged("shared"), "shared", False),
        (Policy("p", (form("mig-1g.5gb"),)), judged("gke-mig-1g.5gb"), "gke-mig-1g.5gb", False),
        (Policy("p", (ONE, TWO), prefer=Prefer.MEMORY), judged(), "mig-1g.10gb", False),
        (Policy("p", (ONE, TWO), prefer=Prefer.MEMORY), judged(memory=16_384), "mig-2g.20gb", False),
        (Policy("p", (ONE, TWO), prefer=Prefer.MEMORY), judged("mig-1g.10gb", memory=16_384), "mig-1g.10gb", True),
        (Policy("p", (ONE, TWO), prefer=Prefer.MEMORY), judged(memory=60_000), "mig-1g.10gb", True),
        (Policy("p", (ONE, TWO)), judged(memory=16_384), "mig-1g.10gb", False),
        (Policy("p", (LARGE,), claim_forms=(CLAIM,), plain_claim=CLAIM), judged(), "mig-1g.10gb", False),
        (Policy("p", (LARGE,), claim_forms=(CLAIM,)), judged("mig-1g.10gb", claimed=True), "mig-1g.10gb", False),
    ],
)
def test_the_form_of_the_next_pods(policy: Policy, workload: JudgedWorkload, given: str, denied: bool) -> None:  # noqa: FBT001
    effect = PolicyEffect(policy, classes=CLASSES)
    assert (effect.given(workload), effect.denies(workload)) == (given, denied)


def test_the_form_of_plain_requests() -> None:
    assert PolicyEffect(Policy("p", (ONE, TWO))).first == "mig-1g.10gb"
    assert PolicyEffect(ANY_POLICY).first == PolicyEffect(NONE_POLICY).first == ""
    by_claim = Policy("p", (TWO,), claim_forms=(CLAIM,), plain_claim=CLAIM)
    assert PolicyEffect(by_claim).first == ""  # the form of the class is not known
    assert PolicyEffect(by_claim, classes=CLASSES).first == "mig-1g.10gb"

"""Which form a request gets where the pod leaves it to the policy, or only excludes nodes."""

import pytest

from tests.builders import (
    EVERY_SETTING,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    PRODUCT,
    STRATEGY,
    Json,
    a_pod,
    affinity,
    applied,
    evaluate,
    gpu,
    messages,
    rules,
)
from webhook.engine.forms import parse
from webhook.engine.policy import Policy
from webhook.engine.spelling import DevicePlugin

MPS_CAPABLE = "nvidia.com/mps.capable"
NOT_SHARED = {"affinity": affinity([(GKE_SHARING, "DoesNotExist")])}
NOT_CUT = {"affinity": affinity([(GKE_PARTITION, "DoesNotExist")])}
T4 = {"nodeSelector": {PRODUCT: "Tesla-T4"}}


def listing(*forms: str) -> Policy:
    return Policy("team", tuple(form for form in map(parse, forms) if form))


@pytest.mark.parametrize("plugin", EVERY_SETTING.values(), ids=EVERY_SETTING)
@pytest.mark.parametrize(
    ("forms", "more", "count", "form"),
    [
        # The first form, where it fits.
        (("exclusive", "mig-1g.5gb"), T4, 1, "exclusive"),
        (("mig-1g.5gb", "exclusive"), {}, 1, "mig-1g.5gb"),
        (("gke-mig-1g.5gb", "gke-exclusive"), NOT_SHARED, 1, "gke-mig-1g.5gb"),
        (("gke-time-sharing-4", "gke-exclusive"), NOT_CUT, 1, "gke-time-sharing-4"),
        # The first that fits.
        (("mig-1g.5gb", "exclusive"), T4, 1, "exclusive"),
        (("mps", "exclusive"), {"nodeSelector": {MPS_CAPABLE: "false"}}, 2, "exclusive"),
        (("gke-time-sharing-4", "gke-mig-1g.5gb"), NOT_SHARED, 1, "gke-mig-1g.5gb"),
        (("gke-mig-1g.5gb", "gke-mps-4"), NOT_CUT, 1, "gke-mps-4"),
        (("gke-mig-1g.5gb",), NOT_SHARED, 2, "gke-mig-1g.5gb"),
    ],
)
def test_the_first_form_that_fits(
    forms: tuple[str, ...], more: Json, count: int, form: str, plugin: DevicePlugin
) -> None:
    pod, policy = a_pod(gpu(count), **more), listing(*forms)
    decision = evaluate(pod, policy, plugin)

    assert decision.denials == ()
    assert str(decision.choices[GPU].form) == form
    assert evaluate(applied(pod, decision), policy, plugin).edits == ()


@pytest.mark.parametrize(
    ("forms", "more", "rule"),
    [
        (("mig-1g.5gb", "mig-2g.10gb"), T4, "selector-conflict"),
        (("gke-time-sharing-4",), NOT_SHARED, "form-not-permitted"),
        (("gke-mig-1g.5gb",), NOT_CUT, "form-not-permitted"),
        (("shared",), NOT_SHARED, "form-not-permitted"),
    ],
)
def test_where_no_form_fits_the_pod_is_denied(forms: tuple[str, ...], more: Json, rule: str) -> None:
    assert rules(evaluate(a_pod(gpu(1), **more), listing(*forms))) == [rule]


@pytest.mark.parametrize(
    ("value", "count", "policy", "rule"),
    [
        ("false", 2, "any", []),
        ("true", 1, "any", []),
        ("true", 1, "mps", []),
        ("true", 2, "any", ["shared-request-above-one"]),
        ("true", 1, "exclusive", ["form-not-permitted"]),
        ("true", 1, "time-slicing", ["form-not-permitted"]),
    ],
)
def test_nodes_that_are_mps_capable_share_by_mps(value: str, count: int, policy: str, rule: list[str]) -> None:
    assert rules(evaluate(a_pod(gpu(count), nodeSelector={MPS_CAPABLE: value}), policy)) == rule


def test_terms_that_contradict_themselves_are_not_said_to_exclude_what_only_one_does() -> None:
    terms = affinity([(STRATEGY, "In", "mps"), (STRATEGY, "In", "none")], [(PRODUCT, "In", "A"), (PRODUCT, "In", "B")])
    [message] = messages(evaluate(a_pod(gpu(1), affinity=terms), "exclusive"))

    assert message == (
        'container "train": the pod has no term of its node affinity that a node can match, and the requirements on '
        f"{STRATEGY} exclude each other in one; the pod would stay Pending; remove one of the requirements on {STRATEGY}"
    )

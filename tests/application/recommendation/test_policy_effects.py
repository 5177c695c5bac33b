"""The effect of policies on workloads' next pods: what the engine decides, and which form that is."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given

from tests.application.recommendation.cases import SHARED, form, template
from tests.builders import (
    EVERY_SETTING,
    GPU,
    MIG_SHARED,
    MIG_STRATEGY,
    Json,
    a_pod,
    a_policy,
    affinity,
    applied,
    evaluate,
    gpu,
    view,
)
from tests.builders import SHARED as SLOT
from tests.engine.cluster import chosen, nodes
from tests.engine.strategies import plugins, pods, policies
from tests.engine.test_decision_properties import PROPERTY, cases, resources_of
from webhook.application.recommendation.offers import Offers
from webhook.application.recommendation.policy_effects import PodOutcome, PolicyEffect
from webhook.application.recommendation.templates import PodTemplate, reduced
from webhook.engine.claims import NO_CLAIMS
from webhook.engine.claims import read as claims_of
from webhook.engine.decision import decide
from webhook.engine.device_classes import DeviceClasses
from webhook.engine.forms import Platform
from webhook.engine.other_gpus import BUILT_IN, GpuNames
from webhook.engine.policy import ANY_POLICY, NONE_POLICY, ClaimForm, Mismatch, Policy, Prefer
from webhook.engine.requests import read
from webhook.engine.spelling import DevicePlugin

ONE, TWO, LARGE = form("mig-1g.10gb"), form("mig-2g.20gb"), form("mig-3g.40gb")
CLAIM = ClaimForm("one-slice", "slices.example.com")
CLASSES = DeviceClasses({"slices.example.com": "mig-1g.10gb"})
EITHER = Policy("p", (ONE, TWO))
BY_MEMORY = Policy("p", (ONE, TWO), prefer=Prefer.MEMORY)
BY_CLAIM = Policy("p", (TWO,), claim_forms=(CLAIM,), plain_claim=CLAIM)


def kept(pod: Json) -> PodTemplate:
    """What is kept of a pod."""
    return reduced(view(pod), NO_CLAIMS, BUILT_IN)


CLAIMS_TOO = kept(a_pod({"name": "c", "resources": {"limits": {GPU: "1"}, "claims": [{"name": "nic"}]}}))


@pytest.mark.parametrize(
    ("policy", "requests", "given", "rule"),
    [
        (ANY_POLICY, template("mig-2g.20gb"), "now", ""),
        (NONE_POLICY, template(), "", "gpu-not-permitted"),
        (Policy("p", unreadable="why"), template(), "", "gpu-not-permitted"),
        (EITHER, template(), "mig-1g.10gb", ""),
        (EITHER, template("mig-2g.20gb"), "mig-2g.20gb", ""),
        (EITHER, template("mig-3g.40gb"), "mig-1g.10gb", "form-not-permitted"),
        (Policy("p", (ONE,), mismatch=Mismatch.REWRITE), template("mig-2g.20gb"), "mig-1g.10gb", ""),
        (Policy("p", (form("mps"),)), template("shared"), "mps", ""),
        (Policy("p", (form("mps"), form("shared"))), template("shared"), "shared", ""),
        (Policy("p", (form("mps"),)), template(gpus=2), "mps", "shared-request-above-one"),
        (Policy("p", (form("mig-1g.5gb"),)), template("gke-mig-1g.5gb"), "mig-1g.5gb", ""),
        (BY_MEMORY, template(), "mig-1g.10gb", ""),
        (BY_MEMORY, template(memory=16_384), "mig-2g.20gb", ""),
        (BY_MEMORY, template("mig-1g.10gb", memory=16_384), "mig-1g.10gb", "form-not-permitted"),
        (BY_MEMORY, template(memory=60_000), "mig-1g.10gb", "gpu-memory-too-large"),
        (EITHER, template(memory=16_384), "mig-1g.10gb", ""),
        (Policy("p", (form("exclusive"), ONE), max_per_pod=2), template(gpus=3), "exclusive", "per-pod-limit"),
        (Policy("p", (ONE, TWO), max_per_container=1), template("mig-2g.20gb"), "mig-2g.20gb", ""),
        (BY_CLAIM, template(), "mig-1g.10gb", ""),
        (BY_CLAIM, template("mig-2g.20gb"), "mig-2g.20gb", ""),
        (BY_CLAIM, CLAIMS_TOO, "mig-1g.10gb", "claim-not-possible"),
        # Claims are not rewritten.
        (EITHER, template("mig-2g.20gb", claimed=True), "mig-2g.20gb", ""),
        (EITHER, template("exclusive", claimed=True), "mig-1g.10gb", "form-not-permitted"),
        (
            Policy("p", (ONE,), mismatch=Mismatch.REWRITE),
            template("mig-2g.20gb", claimed=True),
            "mig-1g.10gb",
            "form-not-permitted",
        ),
    ],
)
def test_the_outcome_for_the_next_pods(policy: Policy, requests: PodTemplate, given: str, rule: str) -> None:
    found = PolicyEffect(policy, classes=CLASSES).on((requests,), "now")
    assert (found.form, found.denial.rule.id if found.denial else "") == (given, rule)


def test_the_form_of_several_templates_is_that_of_the_first_and_each_can_be_denied() -> None:
    assert PolicyEffect(EITHER).on((template("mig-2g.20gb"), template()), "").form == "mig-2g.20gb"
    found = PolicyEffect(EITHER).on((template(), template("mps"), template("shared")), "")
    assert found.form == "mig-1g.10gb"
    assert found.denial
    assert '"mps"' in found.denial.reason


def test_the_form_of_plain_requests() -> None:
    assert PolicyEffect(EITHER).first == PolicyEffect(ANY_POLICY).of("mig-1g.10gb").first == "mig-1g.10gb"
    assert PolicyEffect(ANY_POLICY).first == PolicyEffect(NONE_POLICY).first == ""
    assert PolicyEffect(BY_CLAIM).first == ""  # the form of the class is not known
    assert PolicyEffect(BY_CLAIM, classes=CLASSES).first == "mig-1g.10gb"


def test_shared_is_the_only_kind_of_sharing_that_nodes_offer() -> None:
    mps = Offers(shared=SHARED[:1])
    shares = PolicyEffect(Policy("shared", (form("shared"),)), offered=mps)
    assert (shares.first, shares.on((template("time-slicing"),), "").form) == ("mps", "time-slicing")
    slots = a_pod(gpu(resource=MIG_SHARED), nodeSelector={MIG_STRATEGY: "time-slicing"})
    # Policies do not name the kind of sharing of slices.
    slices = Policy("mig-1g.5gb-shared", (form("mig-1g.5gb-shared"),))
    assert PolicyEffect(slices).on((kept(slots),), "") == PodOutcome("mig-1g.5gb-shared")
    assert PolicyEffect(shares.policy, offered=Offers(shared=SHARED)).first == shares.of("shared").first == "shared"


def test_other_names_of_gpus_are_those_of_the_configuration() -> None:
    def under(policy: Policy, pod: Json, **more: Any) -> tuple[str, str]:
        classes = DeviceClasses(**more)
        seen = view(pod)
        assert seen.spec
        claims = claims_of(seen.spec, read(seen.spec, classes.names), {}, classes)
        found = PolicyEffect(policy, classes=classes).on((reduced(seen, claims, classes.names),), "")
        return found.form, found.denial.rule.id if found.denial else ""

    beside = a_pod(gpu(), gpu(resource="example.com/vgpu", name="other"))
    assert under(EITHER, beside) == ("mig-1g.10gb", "")
    counted = GpuNames(gpus=("example.com/vgpu",))
    assert under(EITHER, beside, names=counted) == ("mig-1g.10gb", "other-gpu-resource")
    # A device of a class with a form is evaluated as a claim.
    by_name = a_pod(gpu(resource=f"deviceclass.resource.kubernetes.io/{CLAIM.device_class}"))
    assert under(Policy("p", (TWO, ONE)), by_name, forms=CLASSES.forms) == ("mig-1g.10gb", "")
    assert under(Policy("p", (TWO,)), by_name, forms=CLASSES.forms) == ("mig-2g.20gb", "form-not-permitted")
    assert under(EITHER, by_name) == ("mig-1g.10gb", "other-gpu-resource")


@pytest.mark.parametrize("plugin", EVERY_SETTING.values(), ids=EVERY_SETTING)
def test_a_plain_request_and_one_that_a_policy_rewrote_differ_by_node_selectors_only(plugin: DevicePlugin) -> None:
    """Without renameByDefault, shared GPUs have the same name as others; under MIG strategy single, slices have."""
    plain = a_pod(gpu())
    for written, policy in product(("exclusive", "time-slicing", "mig-1g.5gb"), ("exclusive", "time-slicing", "mps")):
        rewritten = kept(applied(plain, evaluate(plain, a_policy(written), plugin)))
        effect = PolicyEffect(a_policy(policy), plugin)
        assert effect.on((kept(plain),), "") == PodOutcome(policy)
        # Whole GPUs are written down only where other forms have the same name.
        says = written != "exclusive" or not plugin.rename_by_default or plugin.single
        denial = effect.on((rewritten,), "").denial
        assert (denial is not None) == (written != policy and says), (written, policy)


def test_what_is_kept_of_a_template_says_nothing_else() -> None:
    pod = a_pod(
        gpu(image="secret-image", env=[{"name": "TOKEN", "value": "secret"}], command=["secret"], args=["secret"]),
        {
            "name": "side",
            "image": "secret-image",
            "resources": {"limits": {"cpu": "1", GPU: 0}},
            "restartPolicy": "Always",
        },
        annotations={"note": "secret", "gpuwarden.io/gpu-memory": "4Gi"},
        initContainers=[gpu(name="warm", resource=SLOT, volumeMounts=[{"mountPath": "/secret"}])],
        volumes=[{"name": "v", "hostPath": {"path": "/secret"}}],
        nodeSelector={"zone": "a"},
        affinity=affinity([("zone", "In", "a")]),
        serviceAccountName="secret",
    )
    seen = view(pod)
    written = kept(pod).pod
    assert "secret" not in str(written)
    assert written.spec
    assert seen.spec
    assert (written.spec.node_selector, written.spec.terms) == (seen.spec.node_selector, seen.spec.terms)
    assert read(written.spec)[0].amounts == read(seen.spec)[0].amounts
    assert [one.name for one in written.spec.containers or ()] == ["train", "side"]
    assert written.metadata
    assert written.metadata.annotations == {"gpuwarden.io/gpu-memory": "4Gi"}


@PROPERTY
@given(pods, policies, plugins)
def test_the_outcome_is_that_of_the_whole_pod(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    """Pods of every kind: what is left out of a template makes no difference to its requests."""
    found = PolicyEffect(policy, plugin).on((kept(pod),), "now")
    decision = decide(view(pod), policy, plugin, guarded=False)
    assert found.denial == next(iter(decision.denials), None)
    if decision.gpu_containers and not decision.denials and not policy.permits_any:
        again = evaluate(applied(pod, decision), policy, plugin)
        forms = [one.form for one in again.choices.values() if one.form]
        # The node selectors of a policy of any kind of sharing can select one kind.
        assert any(one.meet(form(found.form)) == one for one in forms)


@PROPERTY
@given(cases)
def test_the_form_is_that_of_the_nodes_on_which_a_rewritten_pod_runs(
    case: tuple[Json, Policy, DevicePlugin, Platform],
) -> None:
    """By a scheduler and nodes that know nothing of the engine."""
    pod, policy, plugin, platform = case
    found = PolicyEffect(policy, plugin).on((kept(pod),), "")
    assume(not found.denial)
    spec = applied(pod, evaluate(pod, policy, plugin))["spec"]
    assume(len(resources_of(spec)) == 1)
    assume(platform is Platform.DEVICE_PLUGIN or ".sharing-strategy" not in json.dumps(spec))
    (resource,) = resources_of(spec)
    there = {
        one.offers[resource] for one in nodes(platform, plugin) if resource in one.offers and chosen(spec, one.labels)
    }
    for one in there:
        assert one.meet(form(found.form)) == one

"""The CEL of the chart's ValidatingAdmissionPolicy against the engine, on the engine's own tables and on generated pods."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import (
    GKE_CLIENTS,
    GKE_SHARING,
    GPU,
    MIG,
    MIG_SHARED,
    PRODUCT,
    RENAMED,
    SHARED,
    STRATEGY,
    Json,
    a_container,
    a_pod,
    affinity,
    evaluate,
    gpu,
    messages,
    policy_of,
    rules,
    view,
)
from tests.deploy.backstop.conftest import CONFIGURED, configured
from tests.deploy.backstop.evaluator import Backstop
from tests.deploy.backstop.stored import stored
from tests.deploy.chart import Chart
from tests.engine.strategies import plugins, pods, sound_pods
from tests.engine.test_rules_of_sharing import SLOTS
from webhook.application.configuration import DEFAULT_EXEMPTIONS
from webhook.engine.namespace_labels import ENFORCE
from webhook.engine.policy import Policy
from webhook.engine.rules.container import MIXED_GPU_RESOURCES
from webhook.engine.rules.sharing import SHARED_REQUEST_ABOVE_ONE
from webhook.engine.spelling import GKE_KEYS, MPS_CAPABLE, DevicePlugin, replicas_label

REPLICAS = replicas_label(None)
HARD = {MIXED_GPU_RESOURCES.id, SHARED_REQUEST_ABOVE_ONE.id}
BUILT_IN = (
    "any", "exclusive", "shared", "time-slicing", "mps", "mig-1g.5gb", "mig-1g.5gb-shared", "gke-exclusive",
    "gke-time-sharing-4", "gke-mps-4", "gke-mig-1g.5gb", "gke-mig-1g.5gb-mps-4", "none",
)  # fmt: skip


def hard_rules(pod: Json, policy: str | Policy, plugin: DevicePlugin = RENAMED) -> list[str]:
    return list(dict.fromkeys(rule for rule in rules(evaluate(pod, policy, plugin)) if rule in HARD))


def as_stored(pod: Json) -> Json:
    taken = stored(pod)
    assert taken is not None
    return taken


def a_policy_named(name: str) -> Policy:
    return configured(name) if name in CONFIGURED else policy_of(name)


def test_a_plain_request_that_becomes_a_claim_is_left_alone(chart: Chart) -> None:
    forms = [{"claimTemplate": "one", "deviceClass": "gpu.nvidia.com"}, "shared"]
    claims = {"claims": {"forms": forms, "maxPerContainer": 4}, "only": {"forms": forms[:1]}}
    backstop = Backstop(chart.render({"backstop": {"enabled": True}, "config": {"policies": claims}}))
    for policy in claims:
        assert backstop.evaluate(as_stored(a_pod(gpu(2))), {ENFORCE: policy}).messages == ()
        assert backstop.evaluate(as_stored(a_pod(gpu(2, SHARED))), {ENFORCE: policy}).messages


# --- tables: first what must stay untouched ----------------------------------------------------------------------------

UNTOUCHED = [
    a_pod(gpu(1, SHARED)),
    a_pod(gpu(1, MIG_SHARED)),
    a_pod(gpu(1, SHARED, name="a"), gpu(1, SHARED, name="b")),
    a_pod(gpu(8)),
    a_pod(gpu(8, MIG)),
    a_pod(gpu("2k")),
    a_pod(gpu(2), affinity=affinity([(PRODUCT, "In", "A100-SHARED", "A100")])),
    a_pod(gpu(2), affinity=affinity([(STRATEGY, "In", "none", "mps")])),
    a_pod(gpu(2), affinity=affinity([(STRATEGY, "NotIn", "mps")])),
    a_pod(gpu(2), affinity=affinity([(STRATEGY, "In", "mps")], [("zone", "In", "a")])),
    a_pod(gpu(2), affinity=affinity([(GKE_SHARING, "DoesNotExist")])),
    a_pod(gpu(2), nodeSelector={GKE_SHARING: "other"}),
    a_pod(a_container(limits={GPU: 1, SHARED: 0})),
    a_pod(gpu(1), gpu(1, SHARED, name="b")),
    a_pod(a_container(limits={SHARED: 1, "nvidia.com/gpumem": 5000})),
    a_pod(a_container(limits={"nvidia.com/gpu-shared": 2})),
    a_pod(a_container(limits={"nvidia.com/mig-1g.5gb.me.shared.shared": 2})),
    a_pod(a_container(limits={"amd.com/gpu": 2, GPU: 1})),
]
MIXED = [
    a_pod(a_container(limits={GPU: 1, SHARED: 1})),
    a_pod(a_container(limits={MIG: 1, SHARED: 2})),
    a_pod(a_container(limits={MIG: 1, MIG_SHARED: 1, GPU: 2})),
    a_pod(gpu(1), initContainers=[a_container("load", {MIG: 1, GPU: 1})]),
    a_pod(gpu(1), initContainers=[a_container("load", {MIG: 1, GPU: 1}, restartPolicy="Always")]),
]
ABOVE_ONE = [
    *(a_pod(slot.values[0], nodeSelector=slot.values[1]) for slot in SLOTS),  # type: ignore[arg-type] # a param's values are objects
    a_pod(gpu(1, SHARED), initContainers=[gpu(2, SHARED, name="load")]),
    a_pod(gpu(1, SHARED), initContainers=[gpu(2, SHARED, name="load", restartPolicy="Always")]),
    a_pod(gpu(2), affinity=affinity([(PRODUCT, "In", "A100-MIG-1g.5gb", "A100-SHARED")])),
    a_pod(gpu(2), affinity=affinity([(PRODUCT, "In", "A100", "A100-SHARED"), (PRODUCT, "NotIn", "A100")])),
    a_pod(gpu(2), affinity=affinity([(STRATEGY, "In", "mps", "time-slicing")])),
    a_pod(gpu(2), affinity=affinity([(STRATEGY, "In", "mps")], [(STRATEGY, "In", "time-slicing"), ("zone", "In", "a")])),
    a_pod(gpu(2), affinity=affinity([(STRATEGY, "Exists"), (STRATEGY, "NotIn", "none")])),
    a_pod(gpu(2, MIG), nodeSelector={"nvidia.com/mig-1g.5gb.sharing-strategy": "time-slicing"}),
    a_pod(gpu(2), affinity=affinity([(GKE_SHARING, "Exists")])),
    a_pod(gpu(2), affinity=affinity([(GKE_CLIENTS, "Gt", "1")])),
    a_pod(gpu(10**15, SHARED)),
    a_pod(gpu("1Ki", SHARED)),
]  # fmt: skip


@pytest.mark.parametrize("pod", UNTOUCHED)
def test_what_no_hard_rule_speaks_of_is_left_alone(backstop: Backstop, pod: Json) -> None:
    pod = as_stored(pod)
    assert hard_rules(pod, "any") == []
    assert backstop.evaluate(pod).messages == ()


@pytest.mark.parametrize("pod", [*MIXED, *ABOVE_ONE])
def test_what_a_hard_rule_refuses_is_refused_by_the_same_rule_in_the_same_words(backstop: Backstop, pod: Json) -> None:
    pod = as_stored(pod)
    verdict = backstop.evaluate(pod)
    assert list(verdict.rules) == hard_rules(pod, "any") != []
    if len(pod["spec"]["containers"][0]["resources"]["limits"]) < 3:  # of three names, it says the first and the last
        assert verdict.messages[0] == messages(evaluate(pod, "any"))[0]


@pytest.mark.parametrize(
    "policy", ["shared", "time-slicing", "mps", "mig-1g.5gb-shared", "gke-mps-4", "gke-time-sharing-4"]
)
def test_two_plain_gpus_are_refused_where_only_shared_ones_are_had(backstop: Backstop, policy: str) -> None:
    """The design's own example, in the words of the engine."""
    labels = {ENFORCE: policy}
    assert backstop.evaluate(as_stored(a_pod(gpu(1))), labels).messages == ()
    pod = as_stored(a_pod(gpu("2")))
    assert backstop.evaluate(pod, labels).messages == tuple(
        finding.message for finding in evaluate(pod, policy).denials
    )


@pytest.mark.parametrize(
    ("policy", "pod", "refused"),
    [
        ("slots", a_pod(gpu(4, SHARED)), False),
        ("slots", a_pod(gpu(4)), False),
        ("slots", a_pod(gpu(2), nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "4"}), False),
        ("slots", a_pod(gpu(2), nodeSelector={GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}), True),
        ("time-shared", a_pod(gpu(2)), True),
        ("only-shared", a_pod(gpu(2)), True),
        ("only-shared", a_pod(gpu(2, SHARED)), True),
        ("shared-first", a_pod(gpu(2)), True),
        ("shared-first", a_pod(gpu(2), nodeSelector={STRATEGY: "none"}), False),
        ("shared-first", a_pod(gpu(2, MIG)), False),
        ("shared-first", a_pod(gpu(2, SHARED)), True),
        ("whole-first", a_pod(gpu(2)), False),
        ("whole-first", a_pod(gpu(2, SHARED)), True),
        ("slices", a_pod(gpu(2, MIG)), False),
        ("nowhere-configured", a_pod(gpu(2)), False),
        ("nowhere-configured", a_pod(gpu(2, SHARED)), True),
    ],
)
def test_a_policy_of_the_configuration_lifts_the_rule_or_narrows_it(
    backstop: Backstop, policy: str, pod: Json, *, refused: bool
) -> None:
    assert bool(backstop.evaluate(as_stored(pod), {ENFORCE: policy}).messages) is refused


# --- generated pods ---------------------------------------------------------------------------------------------------


def alternatives(pod: Json) -> list[Json]:
    node = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    terms = node.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
    return [term for term in terms if term.get("matchExpressions") or term.get("matchFields")]


def mentioned(pod: Json) -> set[str]:
    keys = {e["key"] for term in alternatives(pod) for e in term.get("matchExpressions", [])}
    return keys | set(pod["spec"].get("nodeSelector", {}))


def is_read_exactly(pod: Json) -> bool:
    """Whether the CEL promises the engine's own verdict: one alternative at most, and labels of one platform."""
    keys = mentioned(pod)
    return len(alternatives(pod)) < 2 and not (
        keys & set(GKE_KEYS) and keys & {STRATEGY, PRODUCT, MPS_CAPABLE, REPLICAS}
    )


@settings(max_examples=300, deadline=None)
@given(pod=pods | sound_pods, plugin=plugins)
def test_where_every_form_is_permitted_the_verdict_is_the_engines(
    backstop: Backstop, pod: Json, plugin: DevicePlugin
) -> None:
    taken = stored(pod)
    if taken is None or DEFAULT_EXEMPTIONS.of_pod(view(taken)):
        return
    decision = evaluate(taken, "any", plugin)
    hard = hard_rules(taken, "any", plugin)
    verdict = backstop.evaluate(taken)
    if is_read_exactly(taken):
        assert list(verdict.rules) == hard
        assert bool(verdict.messages) is bool(decision.denials)
    else:
        assert set(verdict.rules) <= set(hard)
    assert (MIXED_GPU_RESOURCES.id in verdict.rules) is (MIXED_GPU_RESOURCES.id in hard)


@settings(max_examples=300, deadline=None)
@given(pod=pods | sound_pods, plugin=plugins, name=st.sampled_from([*BUILT_IN, *CONFIGURED]))
def test_nothing_is_ever_refused_that_the_engine_lets_through(
    backstop: Backstop, pod: Json, plugin: DevicePlugin, name: str
) -> None:
    taken = stored(pod)
    if taken is None:
        return
    decision = evaluate(taken, a_policy_named(name), plugin)
    if backstop.evaluate(taken, {ENFORCE: name}).messages:
        assert decision.denials or decision.edits  # an edit that is outstanding refuses too: not-rewritten


def test_the_strategies_reach_what_is_compared(backstop: Backstop) -> None:
    """The properties would hold of nothing too: this counts pods that are refused and pods that pass, exactly read or not."""
    seen: dict[tuple[bool, bool], int] = {}

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(pod=pods | sound_pods)
    def count(pod: Json) -> None:
        if taken := stored(pod):
            key = bool(backstop.evaluate(taken).messages), is_read_exactly(taken)
            seen[key] = seen.get(key, 0) + 1

    count()
    assert {key: number >= 3 for key, number in seen.items()} == dict.fromkeys(
        [(False, False), (False, True), (True, False), (True, True)], True
    )

"""The decision as a whole: what is told in which order, and what nulls and odd pods come to."""

from typing import Any

import pytest

from tests.builders import (
    GKE_PARTITION,
    GPU,
    MIG,
    SHARED,
    Json,
    a_container,
    a_pod,
    a_policy,
    evaluate,
    gpu,
    messages,
    rules,
)
from webhook.engine.decision import Outcome
from webhook.engine.findings import Finding, Severity
from webhook.engine.rules.catalog import RULES
from webhook.engine.rules.permission import PER_POD_LIMIT
from webhook.engine.rules.sharing import MIG_COUNT_ABOVE_ONE


def test_rules_are_told_in_the_order_in_which_they_are_evaluated() -> None:
    """Whatever the order of the containers: here it is the other way round."""
    pod = a_pod(
        gpu(1, "NVIDIA.com/gpu", name="h"),
        gpu(1, "nvidia.com/vgpu", name="g"),
        gpu(2, MIG, name="f"),
        gpu(5, name="e"),
        gpu(1, "nvidia.com/mig-2g.10gb", name="d"),
        a_container("c", limits={GPU: 1, SHARED: 1}),
        a_container("b", requests={GPU: 1}),
        gpu("0.5", name="a"),
    )
    policy = a_policy("exclusive", "mig-1g.5gb", max_per_container=4, max_per_pod=3)
    told = rules(evaluate(pod, policy))

    assert told == [
        "not-a-whole-number",
        "limits-requests-differ",
        "mixed-gpu-resources",
        "form-not-permitted",
        "other-gpu-resource",
        "per-container-limit",
        "per-pod-limit",
        "mig-count-above-one",
        "unknown-gpu-resource",
    ]
    assert told == [rule.id for rule in RULES if rule.id in told]


def test_a_count_is_told_before_a_conflict() -> None:
    pod = a_pod(gpu(2, SHARED), nodeSelector={GKE_PARTITION: "1g.5gb"})

    assert rules(evaluate(pod, "shared")) == ["shared-request-above-one", "selector-conflict"]


def test_the_ids_of_the_rules_are_stable_and_in_the_order_in_which_they_are_told() -> None:
    assert [rule.id for rule in RULES] == [
        "not-a-whole-number",
        "limits-requests-differ",
        "mixed-gpu-resources",
        "gpu-outside-containers",
        "gpu-not-permitted",
        "form-not-permitted",
        "other-gpu-resource",
        "gpu-memory-invalid",
        "gpu-memory-too-large",
        "claim-not-permitted",
        "claim-not-found",
        "claim-not-possible",
        "shared-request-above-one",
        "selector-conflict",
        "per-container-limit",
        "per-pod-limit",
        "not-rewritten",
        "visible-devices-env",
        "visible-devices-mount",
        "cdi-annotation",
        "nvidia-runtime-class",
        "gpu-host-path",
        "privileged-container",
        "node-name-set",
        "mig-count-above-one",
        "gke-selectors-incomplete",
        "gke-mps-needs-host-ipc",
        "limit-range-default",
        "mps-shm-mount",
        "gpu-memory-ignored",
        "unknown-gpu-resource",
        "count-above-any-node",
        "form-not-offered",
    ]


def test_a_finding_is_a_sentence_that_denies_or_warns() -> None:
    refusal, advice = (
        PER_POD_LIMIT.found("spec", "too many", "ask for less"),
        PER_POD_LIMIT.found_as(Severity.WARN, "spec", "a", "b"),
    )

    assert refusal == Finding(PER_POD_LIMIT, Severity.DENY, "spec", "too many", "ask for less")
    assert (refusal.denies, refusal.message) == (True, "too many; ask for less")
    assert (advice.denies, advice.message) == (False, "a; b")


@pytest.mark.parametrize(
    ("pod", "policy", "outcome"),
    [
        (a_pod(a_container()), "shared", Outcome.UNCHANGED),
        (a_pod(gpu(1, SHARED)), "shared", Outcome.UNCHANGED),
        (a_pod(gpu(2, MIG)), "mig-1g.5gb", Outcome.UNCHANGED),
        (a_pod(), "shared", Outcome.REWRITTEN),
        (a_pod(gpu(2)), "mig-1g.5gb", Outcome.REWRITTEN),
        (a_pod(gpu(2)), "shared", Outcome.DENIED),
    ],
)
def test_the_outcome_is_denied_or_rewritten_or_unchanged(pod: Json, policy: str, outcome: Outcome) -> None:
    assert evaluate(pod, policy).outcome is outcome


def test_outcomes_and_severities_have_the_names_that_reports_and_metrics_use() -> None:
    assert list(Outcome) == ["unchanged", "rewritten", "denied"]
    assert list(Severity) == ["deny", "warn"]


def test_denials_and_warnings_are_told_apart() -> None:
    decision = evaluate(a_pod(gpu(2, name="a"), gpu(2, MIG, name="b")), a_policy("mig-1g.5gb", max_per_pod=3))

    assert [finding.rule for finding in decision.denials] == [PER_POD_LIMIT]
    assert [finding.rule for finding in decision.warnings] == [MIG_COUNT_ABOVE_ONE] * 2
    assert decision.findings == (*decision.denials, *decision.warnings)


def test_a_decision_names_the_containers_that_ask() -> None:
    pod = a_pod(a_container("web"), gpu(name="a"), gpu(0, name="idle"), initContainers=[gpu("x", name="b")])

    for policy in ("any", "shared", "none"):
        assert [gpu_container.container.name for gpu_container in evaluate(pod, policy).gpu_containers] == ["b", "a"]


NULLS: list[tuple[str, Any]] = [
    ("initContainers", None),
    ("nodeSelector", None),
    ("affinity", None),
    ("tolerations", None),
    ("runtimeClassName", None),
    ("schedulerName", None),
    ("hostIPC", None),
]


@pytest.mark.parametrize(("field", "value"), NULLS)
def test_a_field_that_is_null_means_what_a_missing_one_means(field: str, value: Any) -> None:
    policy = a_policy("gke-mps-4", runtime_class_name="nvidia", node_selector={"a": "b"}, env={"A": "1"})

    assert evaluate(a_pod(**{field: value}), policy) == evaluate(a_pod(), policy)


def test_a_pod_whose_every_field_is_null_is_nobodys_business() -> None:
    spec = {**dict(NULLS), "containers": None}

    assert evaluate({"metadata": None, "spec": spec}, "shared").findings == ()


@pytest.mark.parametrize("field", ["name", "env", "restartPolicy"])
def test_a_container_whose_fields_are_null_is_read_all_the_same(field: str) -> None:
    container = gpu(1)
    if field == "name":
        del container["name"]
    else:
        container[field] = None

    assert evaluate(a_pod(container), "shared").outcome is Outcome.REWRITTEN


@pytest.mark.parametrize(
    "term", [{"key": "zone", "operator": "In", "values": None}, {"key": "zone"}, {"operator": "Exists"}, {}]
)
def test_a_requirement_that_is_incomplete_is_left_to_kubernetes(term: Json) -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [term], "matchFields": None}]}
    pod = a_pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})

    assert evaluate(pod, "shared").outcome is Outcome.REWRITTEN


def test_fields_that_a_newer_kubernetes_adds_are_not_looked_at() -> None:
    pod = a_pod(gpu(1, futureField={"nvidia.com/gpu": "x"}), futureField=[1, 2, {"a": None}])

    assert (
        evaluate(pod, "shared") == evaluate(a_pod(), "shared") or evaluate(pod, "shared").outcome is Outcome.REWRITTEN
    )


def test_annotations_inform_and_decide_nothing() -> None:
    told = {"gpuwarden.io/policy": "any", "gpuwarden.io/original-request": '{"train":{"nvidia.com/gpu":"8"}}'}

    assert messages(evaluate(a_pod(gpu(2), annotations=told), "shared")) == messages(evaluate(a_pod(gpu(2)), "shared"))


def test_ephemeral_containers_can_not_ask() -> None:
    decision = evaluate(a_pod(a_container(), ephemeralContainers=[gpu(2)]), "shared")

    assert rules(decision) == ["gpu-outside-containers"]
    assert decision.gpu_containers == ()

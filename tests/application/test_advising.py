"""``/advise``: what will become of a workload's pods, said when its template is applied; never a change, never a denial."""

import json
from typing import Any

import pytest

from testing.reviews import (
    TEAM,
    UID,
    Answered,
    KnownNamespaces,
    Notes,
    a_gpu_container,
    a_pod,
    a_review,
    finish,
    read_answer,
)
from webhook.application.advising import Advising
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.fleet import FleetSource, NoFleet
from webhook.application.namespaces import NamespaceUnavailable
from webhook.application.review import ReviewError
from webhook.engine.forms import Form
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import Policy, PolicyBook, Prefer

KINDS = {
    "Deployment": ("apps", "v1", ("spec", "template")),
    "StatefulSet": ("apps", "v1", ("spec", "template")),
    "DaemonSet": ("apps", "v1", ("spec", "template")),
    "ReplicaSet": ("apps", "v1", ("spec", "template")),
    "ReplicationController": ("", "v1", ("spec", "template")),
    "Job": ("batch", "v1", ("spec", "template")),
    "CronJob": ("batch", "v1", ("spec", "jobTemplate", "spec", "template")),
    "PodTemplate": ("", "v1", ("template",)),
}


def workload(kind: str, pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"metadata": {}, "spec": pod["spec"]}
    for step in reversed(KINDS[kind][2]):
        found = {step: found}
    return {"kind": kind, "metadata": {"name": "web"}, **found}


def advise(  # noqa: PLR0913 - each is one thing that decides
    labels: NamespaceLabels,
    *,
    of: str = "Deployment",
    pod: dict[str, Any] | None = None,
    configuration: Configuration | None = None,
    notes: Notes | None = None,
    namespaces: Any = None,
    nodes: FleetSource = NoFleet(),  # noqa: B008 - it has no state
    **request: Any,
) -> Answered:
    group, version, _ = KINDS[of]
    body = a_review(
        workload(of, pod or a_pod(a_gpu_container("2"))),
        **{"kind": {"group": group, "version": version, "kind": of}, **request},
    )
    advising = Advising(
        lambda: configuration or Configuration(),
        namespaces or KnownNamespaces({TEAM: labels}),
        Notes() if notes is None else notes,
        nodes,
    )
    answered = read_answer(finish(advising.advise(json.dumps(body).encode())), UID)
    assert answered.allowed
    assert answered.patch is None
    return answered


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_whose_pods_will_be_refused_says_so(kind: str) -> None:
    (warning,) = advise(NamespaceLabels(enforce="shared"), of=kind).warnings
    assert warning.startswith("would be denied: ")
    assert "nvidia.com/gpu: 2 cannot be shared" in warning


def test_a_template_whose_pods_will_be_rewritten_is_no_news_under_enforce() -> None:
    assert advise(NamespaceLabels(enforce="shared"), pod=a_pod()).warnings == []


def test_but_is_told_under_warn() -> None:
    (warning,) = advise(NamespaceLabels(warn="shared"), pod=a_pod()).warnings
    assert "would become nvidia.com/gpu.shared: 1" in warning


def test_memory_that_a_changed_template_asks_for_counts_for_its_pods() -> None:
    policy = Policy("by-memory", (Form("1g.10gb"), Form("2g.20gb")), prefer=Prefer.MEMORY)
    template = {"metadata": {"annotations": {"gpuwarden.io/gpu-memory": "300Gi"}}, "spec": a_pod()["spec"]}
    body = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": template}}
    (warning,) = advise(
        NamespaceLabels(enforce="by-memory"),
        configuration=Configuration(policies=PolicyBook({policy.name: policy})),
        operation="UPDATE",
        object=body,
        oldObject=body,
    ).warnings
    assert "gpuwarden.io/gpu-memory: 300Gi is more than any slice of" in warning


@pytest.mark.parametrize(("prefer", "count"), [(Prefer.MEMORY, 1), (Prefer.FIRST, 0)])
def test_memory_that_a_workload_asks_for_beside_its_template_has_no_effect_and_is_warned_of(
    prefer: Prefer, count: int
) -> None:
    policy = Policy("by-memory", (Form("1g.10gb"), Form("2g.20gb")), prefer=prefer)
    metadata = {"name": "web", "annotations": {"gpuwarden.io/gpu-memory": "12Gi"}}
    found = advise(
        NamespaceLabels(enforce="by-memory"),
        configuration=Configuration(policies=PolicyBook({policy.name: policy})),
        object={"kind": "Deployment", "metadata": metadata, "spec": {"template": {"spec": a_pod()["spec"]}}},
    ).warnings
    assert len(found) == count
    assert all(one.startswith("metadata.annotations[gpuwarden.io/gpu-memory]: it has no effect here;") for one in found)


def test_warn_is_what_warns_where_both_are_set() -> None:
    assert advise(NamespaceLabels(enforce="shared", warn="exclusive")).warnings == []


def test_nothing_is_said_where_no_label_is() -> None:
    assert advise(NamespaceLabels()).response == {"uid": UID, "allowed": True}


def test_mode_audit_tells_what_enforce_would_do() -> None:
    configuration = Configuration(mode=Mode.AUDIT)
    (warning,) = advise(NamespaceLabels(enforce="shared"), pod=a_pod(), configuration=configuration).warnings
    assert "would become" in warning


def test_audit_records_policy_outcome_and_patch_of_the_workload() -> None:
    annotations = advise(NamespaceLabels(audit="mps"), pod=a_pod()).annotations
    assert (annotations["audit-policy"], annotations["audit-outcome"]) == ("mps", "rewritten")
    assert json.loads(annotations["audit-patch"])[0]["path"].startswith("/spec/template/spec/containers/0")


def test_audit_records_that_claims_were_not_evaluated() -> None:
    claiming = a_pod(a_gpu_container("1"), resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}])
    annotations = advise(NamespaceLabels(audit="exclusive"), pod=claiming).annotations
    assert (annotations["audit-outcome"], annotations["not-evaluated"]) == ("unchanged", "spec.resourceClaims")


def test_each_decision_is_recorded_as_one_that_did_not_act() -> None:
    notes = Notes()
    advise(NamespaceLabels(enforce="shared", audit="none"), notes=notes)
    assert [(note.evaluated.path, note.evaluated.mode, note.evaluated.acted) for note in notes] == [
        ("advise", "warn", False),
        ("advise", "audit", False),
    ]


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "DELETE"},
        {"subResource": "scale"},
        {"kind": {"group": "", "version": "v1", "kind": "Service"}},
        {"kind": {"group": "example.com", "version": "v1", "kind": "Deployment"}},
        {"object": None},
    ],
)
def test_what_is_no_template_passes_without_a_word(request_: dict[str, Any]) -> None:
    assert advise(NamespaceLabels(enforce="none"), **request_).warnings == []


def test_the_exempt_pass_without_a_word() -> None:
    configuration = Configuration(exemptions=Exemptions(namespaces=frozenset({TEAM})))
    answered = advise(NamespaceLabels(enforce="none"), configuration=configuration)
    assert (answered.warnings, answered.annotations) == ([], {"exempt": "namespace"})


def test_a_namespace_that_nobody_knows_lets_the_workload_through_and_says_why() -> None:
    silent = KnownNamespaces(unknown={TEAM: NamespaceUnavailable(TEAM, "the API server did not answer")})
    answered = advise(NamespaceLabels(), namespaces=silent)
    assert "the API server did not answer" in answered.annotations["error"]


def test_a_template_that_cannot_be_read_names_the_field() -> None:
    with pytest.raises(ReviewError, match=r"request\.object\.spec\.template\.spec\.containers"):
        advise(NamespaceLabels(enforce="none"), pod={"spec": {"containers": 3}})


def test_a_workload_without_a_name_is_recorded_by_how_its_name_begins() -> None:
    notes = Notes()
    named: dict[str, Any] = {"metadata": {"generateName": "train-"}}
    advise(NamespaceLabels("shared"), of="Job", notes=notes, name="", object={**workload("Job", a_pod()), **named})
    assert [note.request.name for note in notes] == ["train-"]
    advise(
        NamespaceLabels("shared"), of="Job", notes=notes, name="", object={**workload("Job", a_pod()), "metadata": {}}
    )
    assert notes[-1].request.name == ""

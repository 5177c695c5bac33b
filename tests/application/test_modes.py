"""The three labels and the dry run: who is told what, what is recorded, and that nothing else happens."""

import json

import pytest

from testing.reviews import Webhook, a_container, a_gpu_container, a_pod
from webhook.application.configuration import Configuration, Mode
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import PolicyBook

DRY_RUN = Configuration(mode=Mode.AUDIT)
REFUSED = a_pod(a_gpu_container("2"))
MIG = "nvidia.com/mig-1g.5gb"


def test_a_warn_label_changes_and_refuses_nothing_and_tells_the_user() -> None:
    webhook = Webhook(warn="mig-1g.5gb")

    rewritten, refused = webhook.mutate(a_pod()), Webhook(warn="none").mutate(REFUSED)

    assert (rewritten.patch, refused.patch) == (None, None)
    told = 'container "train": nvidia.com/gpu: 1 would become nvidia.com/mig-1g.5gb: 1 by policy "mig-1g.5gb"'
    assert rewritten.warnings == [told]
    assert refused.warnings == [
        'would be denied: container "train": nvidia.com/gpu: 2 is not permitted under namespace policy "none"'
    ]
    assert (rewritten.annotations, refused.annotations) == ({}, {})
    assert Webhook(warn="none").validate(REFUSED).response.keys() == {"uid", "allowed"}


@pytest.mark.parametrize("warn", ["any", "shared"])
def test_a_warn_policy_that_permits_all_or_is_enforced_anyway_says_nothing(warn: str) -> None:
    webhook = Webhook("shared", warn=warn)

    assert webhook.mutate(a_pod()).warnings == []
    assert [note.evaluated.mode for note in webhook.notes] == ["enforce"]


def test_a_warn_policy_satisfied_says_nothing_and_is_counted() -> None:
    webhook = Webhook(warn="mig-1g.5gb")

    assert webhook.mutate(a_pod(a_container("train", {MIG: "1"}))).response.keys() == {"uid", "allowed"}
    assert [(note.evaluated.mode, note.evaluated.outcome.value) for note in webhook.notes][1] == ("warn", "unchanged")


def test_an_audit_label_records_policy_outcome_rules_and_patch_and_tells_nobody() -> None:
    rewritten = Webhook(audit="mig-1g.5gb").mutate(a_pod())
    refused = Webhook(audit="none").mutate(REFUSED)
    unchanged = Webhook(audit="exclusive").mutate(a_pod())

    for answered in (rewritten, refused, unchanged):
        assert (answered.patch, answered.warnings) == (None, [])
    enforced = Webhook("mig-1g.5gb").mutate(a_pod())
    assert json.loads(rewritten.annotations["audit-patch"]) == enforced.patch
    assert set(rewritten.annotations) == {"audit-policy", "audit-outcome", "audit-patch"}
    assert refused.annotations == {
        "audit-policy": "none",
        "audit-outcome": "denied",
        "audit-rules": "gpu-not-permitted",
    }
    assert unchanged.annotations == {"audit-policy": "exclusive", "audit-outcome": "unchanged"}


def test_an_enforced_rewrite_is_recorded_without_its_patch_which_the_api_server_records() -> None:
    assert Webhook("mps").mutate(a_pod()).annotations == {"enforce-policy": "mps", "enforce-outcome": "rewritten"}


def test_an_enforced_refusal_is_recorded_by_both_sides() -> None:
    webhook = Webhook("mps")
    recorded = {"enforce-policy": "mps", "enforce-outcome": "denied", "enforce-rules": "shared-request-above-one"}

    assert webhook.mutate(REFUSED).annotations == recorded
    assert webhook.validate(REFUSED).annotations == recorded


def test_the_dry_run_changes_nothing_and_records_and_warns_what_would_become() -> None:
    webhook = Webhook("mig-1g.5gb", configuration=DRY_RUN)

    answered = webhook.mutate(a_pod())

    assert answered.patch is None
    assert answered.warnings == [
        'container "train": nvidia.com/gpu: 1 would become nvidia.com/mig-1g.5gb: 1 by policy "mig-1g.5gb"'
    ]
    patch = json.loads(answered.annotations["enforce-patch"])
    assert patch == Webhook("mig-1g.5gb").mutate(a_pod()).patch
    assert answered.annotations["mode"] == "audit"
    assert answered.annotations["enforce-outcome"] == "rewritten"
    assert webhook.validate(a_pod()).response.keys() == {"uid", "allowed"}
    assert [note.evaluated.acted for note in webhook.notes] == [False, False]


@pytest.mark.parametrize(
    ("enforce", "count", "rule"),
    [("none", "1", "gpu-not-permitted"), ("any", "0.5", "not-a-whole-number"), ("no-such", "1", "gpu-not-permitted")],
)
def test_the_dry_run_refuses_nothing_and_records_and_warns_what_would_be_refused(
    enforce: str, count: str, rule: str
) -> None:
    pod = a_pod(a_gpu_container(count))
    webhook = Webhook(enforce, configuration=DRY_RUN)

    answered = webhook.mutate(pod)

    assert answered.warnings[0].startswith('would be denied: container "train": nvidia.com/gpu: ')
    assert answered.annotations["enforce-outcome"] == "denied"
    assert answered.annotations["enforce-rules"] == rule
    assert webhook.validate(pod).response.keys() == {"uid", "allowed"}
    assert not Webhook(enforce).validate(pod).allowed


def test_the_dry_run_records_every_decision_also_that_nothing_would_change() -> None:
    answered = Webhook("mig-1g.5gb", configuration=DRY_RUN).mutate(a_pod(a_container("train", {MIG: "1"})))

    assert answered.warnings == []
    assert answered.annotations == {"mode": "audit", "enforce-policy": "mig-1g.5gb", "enforce-outcome": "unchanged"}


def test_the_dry_run_does_not_record_as_refused_what_it_has_itself_not_rewritten() -> None:
    webhook = Webhook("mig-1g.5gb", configuration=DRY_RUN)

    webhook.validate(a_pod())

    assert [(note.evaluated.outcome.value, note.evaluated.findings) for note in webhook.notes] == [("rewritten", ())]


def test_the_dry_run_keeps_to_the_exemptions() -> None:
    answered = Webhook("none", configuration=DRY_RUN).mutate(a_pod(schedulerName="kai-scheduler"))

    assert answered.annotations == {"exempt": "scheduler"}


def test_an_unreadable_enforce_label_refuses_gpus_and_the_user_learns_which_label() -> None:
    webhook = Webhook("time-slice")

    refused, arriving = webhook.validate(a_pod()), webhook.mutate(a_pod())

    assert refused.rules == ["gpu-not-permitted"]
    assert 'label gpuwarden.io/enforce can\'t be read ("time-slice" is not a policy; ' in refused.message
    assert arriving.patch is None
    assert arriving.warnings == [
        'namespace metadata.labels[gpuwarden.io/enforce]: "time-slice" is not a policy; did you mean "time-slicing"?'
    ]
    assert webhook.validate(a_pod(a_container("web", {"cpu": "1"}))).allowed


@pytest.mark.parametrize("label", ["", " any", "Any", "any ", "nonsense", "gke-mps-49", "mig-1g.5gb+me", "ANY\n"])
def test_no_unreadable_enforce_label_permits_what_the_default_refuses(label: str) -> None:
    lenient = Configuration(PolicyBook(defaults=NamespaceLabels("any")))

    assert not Webhook(label, configuration=lenient).validate(a_pod()).allowed


@pytest.mark.parametrize("mode", ["warn", "audit"])
def test_an_unreadable_warn_or_audit_label_counts_as_any_and_is_told(mode: str) -> None:
    webhook = Webhook("shared", **{mode: "shred"})  # type: ignore[arg-type]  # the keyword is one of the two

    answered = webhook.mutate(a_pod())

    assert answered.patch == Webhook("shared").mutate(a_pod()).patch
    assert answered.annotations == {"enforce-policy": "shared", "enforce-outcome": "rewritten"}
    assert answered.warnings == [
        f'namespace metadata.labels[gpuwarden.io/{mode}]: "shred" is not a policy; did you mean "shared"?'
    ]


def test_a_missing_label_takes_the_default_and_a_label_is_stronger() -> None:
    configuration = Configuration(PolicyBook(defaults=NamespaceLabels("none", "mps", "shared")))

    by_default = Webhook(configuration=configuration)
    assert by_default.validate(a_pod()).rules == ["gpu-not-permitted"]
    assert by_default.mutate(a_pod()).annotations["audit-policy"] == "shared"
    assert "mps" in by_default.mutate(a_pod()).warnings[0]
    labelled = Webhook("any", warn="any", audit="any", configuration=configuration)
    assert labelled.validate(a_pod()).allowed
    assert labelled.mutate(a_pod()).response.keys() == {"uid", "allowed"}

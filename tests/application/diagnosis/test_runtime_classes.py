"""Runtime classes that policies add to pods: Kubernetes denies a pod whose class does not exist."""

import msgspec
import pytest

from tests.application.diagnosis.world import complete, configured, healthy, namespaces, results
from webhook.application.configuration import Mode
from webhook.application.diagnosis.facts import Facts, Maybe, Neighbours, Unread
from webhook.application.diagnosis.results import CheckOutcome, CheckStatus
from webhook.engine.forms import Form
from webhook.engine.policy import Policy, PolicyAdditions

POLICIES = {
    "inference": Policy("inference", (Form("1g.5gb"),), additions=PolicyAdditions(runtime_class_name="nvidia")),
    "unused": Policy("unused", (Form("1g.10gb"),), additions=PolicyAdditions(runtime_class_name="other")),
}


def found(value: str, classes: Maybe[frozenset[str]], mode: Mode = Mode.ENFORCE) -> list[CheckOutcome]:
    facts: Facts = healthy(
        configuration=msgspec.structs.replace(configured(policies=POLICIES), mode=mode),
        namespaces=namespaces(team_a=value),
        neighbours=Neighbours(runtime_classes=classes),
    )
    listed = results(facts, "runtime-classes")
    assert complete(listed)
    return listed


@pytest.mark.parametrize(
    ("value", "classes", "seen"),
    [
        ("inference", frozenset({"nvidia"}), "runtime classes that policies add exist: nvidia"),
        ("exclusive", frozenset(), "no policy in use adds a runtime class"),
        ("exclusive", Unread("list x", "no", forbidden=True), "no policy in use adds a runtime class"),
    ],
)
def test_all_is_well_where_they_exist_or_are_not_added(value: str, classes: Maybe[frozenset[str]], seen: str) -> None:
    (one,) = found(value, classes)
    assert (one.status, one.observed) == (CheckStatus.OK, seen)


def test_one_that_does_not_exist_fails() -> None:
    (one,) = found("inference", frozenset({"kata"}))
    assert one.status == CheckStatus.FAIL
    assert one.observed == 'policy "inference" adds runtime class nvidia, which does not exist'
    assert 'RuntimeClass "nvidia" not found' in one.impact
    assert "runtimeClassName" in one.fix


def test_in_a_dry_run_nothing_is_denied_yet() -> None:
    (one,) = found("inference", frozenset(), Mode.AUDIT)
    assert (one.status, "will be denied in mode enforce" in one.impact) == (CheckStatus.WARN, True)


def test_it_is_unknown_where_they_can_not_be_read() -> None:
    (one,) = found("inference", Unread("list runtimeclasses.node.k8s.io", "is forbidden", forbidden=True))
    assert one.status == CheckStatus.UNKNOWN
    assert "list runtimeclasses.node.k8s.io" in one.fix

"""The decision log: a line for each rewrite and denial, never the object, and never in a request's way."""

import asyncio
from typing import Any

import msgspec
import pytest

from testing.reviews import TEAM, UID, Webhook, a_container, a_gpu_container, a_pod
from tests.logged import Logged
from webhook.adapters import decision_log
from webhook.adapters.decision_log import DecisionLog
from webhook.application.configuration import Configuration, Mode
from webhook.application.review import GroupVersionKind
from webhook.engine.policy import FindingAction, PolicyBook

# What every line of the log has.
LOGS_OWN = {"level", "logger", "timestamp"}


def lines(logged: Logged, webhook: Webhook) -> list[dict[str, Any]]:
    """The lines that a webhook's decisions make."""
    log = DecisionLog(lambda *_: None)
    for note in webhook.notes:
        log.decided(note)
    log.write()
    return logged()


def test_a_rewrite_is_one_line_with_who_what_and_why(logged: Logged) -> None:
    webhook = Webhook("shared")
    webhook.mutate(a_pod())
    (line,) = lines(logged, webhook)
    wanted = {
        "event": "rewritten",
        "uid": UID,
        "operation": "CREATE",
        "namespace": TEAM,
        "kind": "Pod",
        "name": "train-0",
        "user": "alice@example.com",
        "mode": "enforce",
        "policy": "shared",
        "path": "mutate",
        "rules": [],
        "dry_run": False,
    }
    assert {key: line[key] for key in line if key not in LOGS_OWN} == wanted


def test_a_pod_without_a_name_is_told_by_how_its_name_begins(logged: Logged) -> None:
    webhook = Webhook("shared")
    pod = a_pod()
    pod["metadata"] = {"generateName": "train-"}
    webhook.mutate(pod, name="")
    (line,) = lines(logged, webhook)
    assert (line["name"], line["namespace"]) == ("train-", TEAM)


def test_an_update_is_told_as_one(logged: Logged) -> None:
    """Pods are evaluated when they are created; workloads also when they change."""
    webhook = Webhook("shared")
    webhook.mutate(a_pod())
    (recorded,) = webhook.notes
    kind = GroupVersionKind("apps", "v1", "Deployment")
    request = msgspec.structs.replace(recorded.request, operation="UPDATE", kind=kind, name="web")
    evaluated = msgspec.structs.replace(recorded.evaluated, operation="UPDATE", path="advise", mode="warn", acted=False)
    webhook.notes[:] = [msgspec.structs.replace(recorded, request=request, evaluated=evaluated)]
    (line,) = lines(logged, webhook)
    assert [line[key] for key in ("event", "operation", "kind", "name", "path")] == [
        "would be rewritten", "UPDATE", "Deployment", "web", "advise",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (Mode.ENFORCE, [("rewritten", "mutate"), ("denied", "validate")]),
        (Mode.AUDIT, [("would be rewritten", "mutate"), ("would be denied", "mutate")]),
    ],
)
def test_an_outcome_that_both_paths_come_to_is_one_line(
    logged: Logged, mode: Mode, told: list[tuple[str, str]]
) -> None:
    """As many lines as pods, in a dry run too: they are counted by people."""
    webhook = Webhook("shared", configuration=Configuration(mode=mode))
    for pod in (a_pod(), a_pod(a_gpu_container("2"))):
        answered = webhook.mutate(pod)
        webhook.validate(answered.applied_to(pod))
    assert len(webhook.notes) == 4
    assert [(line["event"], line["path"]) for line in lines(logged, webhook)] == told


def test_a_refusal_names_its_rules(logged: Logged) -> None:
    webhook = Webhook("shared")
    webhook.validate(a_pod(a_gpu_container("2")))
    (line,) = lines(logged, webhook)
    assert (line["event"], line["rules"]) == ("denied", ["shared-request-above-one"])


def test_what_did_not_act_is_said_to_be_a_would_be(logged: Logged) -> None:
    webhook = Webhook("shared", warn="none", configuration=Configuration(mode=Mode.AUDIT))
    webhook.mutate(a_pod())
    assert [line["event"] for line in lines(logged, webhook)] == ["would be rewritten", "would be denied"]


def test_what_changes_nothing_makes_no_line(logged: Logged) -> None:
    webhook = Webhook("exclusive")
    webhook.mutate(a_pod())
    assert webhook.notes
    assert lines(logged, webhook) == []


def test_the_object_is_never_in_it(logged: Logged) -> None:
    webhook = Webhook("shared")
    pod = a_pod(a_gpu_container("2"))
    pod["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "hunter2"}]
    webhook.validate(pod)
    (line,) = lines(logged, webhook)
    assert "hunter2" not in str(line)


async def test_lines_gather_and_are_written_a_moment_later(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_log, "_GATHERING", 0.01)
    webhook = Webhook("shared")
    webhook.mutate(a_pod())
    log = DecisionLog()
    for _ in range(2):
        before = len(logged())
        log.decided(webhook.notes[0])
        log.decided(webhook.notes[0])
        assert len(logged()) == before
        await asyncio.sleep(0.1)
        assert len(logged()) == before + 2


def test_a_batch_of_lines_is_due_once(logged: Logged) -> None:
    webhook = Webhook("shared")
    webhook.mutate(a_pod())
    due: list[float] = []
    log = DecisionLog(lambda seconds, _: due.append(seconds))
    log.write()
    for _ in range(2):
        for _ in range(3):
            log.decided(webhook.notes[0])
        log.write()
    assert due == [0.1, 0.1]
    assert len(logged()) == 6


def test_what_only_validate_sees_is_told_there_in_a_dry_run_too(logged: Logged) -> None:
    """A pod that reaches GPUs without asking for one: the mutating side says nothing of it."""
    policies = PolicyBook(visible_devices=FindingAction.DENY)
    webhook = Webhook("mps", configuration=Configuration(policies=policies, mode=Mode.AUDIT))
    pod = a_pod(a_container(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]))
    webhook.mutate(pod)
    webhook.validate(pod)
    assert [(line["event"], line["path"], line["rules"]) for line in lines(logged, webhook)] == [
        ("would be denied", "validate", ["visible-devices-env"])
    ]


def test_lines_that_are_written_together_all_come_and_in_order(logged: Logged) -> None:
    webhook = Webhook("shared")
    webhook.mutate(a_pod())
    (recorded,) = webhook.notes
    names = [f"train-{number}" for number in range(100)]
    webhook.notes[:] = [
        msgspec.structs.replace(recorded, request=msgspec.structs.replace(recorded.request, name=name))
        for name in names
    ]
    written = lines(logged, webhook)
    assert [line["name"] for line in written] == names
    assert all(line["timestamp"].endswith("Z") and line["level"] == "info" for line in written)


def test_a_line_holds_the_beginning_of_a_long_name(logged: Logged) -> None:
    webhook = Webhook("shared")
    webhook.mutate(a_pod(), userInfo={"username": "u" * 1_000_000})

    [line] = lines(logged, webhook)

    assert line["user"] == "u" * 256 + "…"


def test_many_lines_do_not_wait_for_more(logged: Logged) -> None:
    webhook = Webhook("shared")
    webhook.mutate(a_pod())
    log = DecisionLog(lambda *_: None)
    written = []
    for _ in range(600):
        log.decided(webhook.notes[0])
        written.append(len(logged()))
    assert sorted(set(written)) == [0, 250, 500]
    log.write()
    assert len(logged()) == 600

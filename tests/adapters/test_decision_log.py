"""The decision log: a line for each rewrite and refusal, never the object, and never in a request's way."""

from typing import Any

import pytest

from tests.logged import Logged
from tests.reviews import TEAM, Webhook, a_gpu_container, a_pod
from webhook.adapters.decision_log import DecisionLog
from webhook.application.configuration import Configuration, Mode


def lines(logged: Logged, webhook: Webhook) -> list[dict[str, Any]]:
    """The lines that a webhook's decisions make."""
    log = DecisionLog(lambda: pytest.fail("there was room"))
    for note in webhook.notes:
        log.decided(note)
    log.close()
    return logged()


def test_a_rewrite_is_one_line_with_who_what_and_why(logged: Logged) -> None:
    webhook = Webhook("shared")
    webhook.mutate(a_pod())
    (line,) = lines(logged, webhook)
    wanted = {
        "event": "rewritten",
        "namespace": TEAM,
        "kind": "Pod",
        "user": "alice@example.com",
        "mode": "enforce",
        "policy": "shared",
        "path": "mutate",
        "rules": [],
        "dry_run": False,
    }
    assert {key: line[key] for key in wanted} == wanted
    assert line["uid"]
    assert line["name"]


def test_a_refusal_names_its_rules(logged: Logged) -> None:
    webhook = Webhook("shared")
    webhook.validate(a_pod(a_gpu_container("2")))
    (line,) = lines(logged, webhook)
    assert (line["event"], line["rules"]) == ("refused", ["shared-request-above-one"])


def test_what_did_not_act_is_said_to_be_a_would_be(logged: Logged) -> None:
    webhook = Webhook("shared", warn="none", configuration=Configuration(mode=Mode.AUDIT))
    webhook.mutate(a_pod())
    assert [line["event"] for line in lines(logged, webhook)] == ["would be rewritten", "would be refused"]


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


def test_a_log_that_cannot_keep_up_drops_and_counts_and_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhook.adapters.decision_log._MOST_WAITING", 0)
    dropped: list[None] = []
    webhook = Webhook("shared")
    webhook.mutate(a_pod())
    log = DecisionLog(lambda: dropped.append(None))
    log.decided(webhook.notes[0])
    log.close()
    assert len(dropped) == 1

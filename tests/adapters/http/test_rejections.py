"""Rejections: each is counted, few are logged."""

import pytest

from tests.logged import Logged
from webhook.adapters.http.connection_limiter import Rejections


class Hand:
    """A clock that a test turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_a_flood_is_one_line_now_and_one_later_with_what_came_between(hand: Hand, logged: Logged) -> None:
    counted: list[tuple[str, str]] = []
    rejections = Rejections("admission", lambda *args: counted.append(args), hand)

    for number in range(1000):
        rejections.note("malformed", (f"10.0.0.{number}", 1), "no HTTP")
    hand.now += 60
    rejections.note("malformed", ("10.0.0.7", 1))

    assert counted == [("admission", "malformed")] * 1001
    lines = [line for line in logged() if line["event"] == "rejected"]
    assert [(line["count"], line["client"]) for line in lines] == [(1, "10.0.0.0"), (1000, "10.0.0.7")]
    assert lines[0]["level"] == "warning"
    assert lines[0]["detail"] == "no HTTP"


def test_each_reason_has_lines_of_its_own(hand: Hand, logged: Logged) -> None:
    rejections = Rejections("admission", lambda _port, _reason: None, hand)

    for reason in ("malformed", "certificate", "malformed"):
        rejections.note(reason)

    assert [line["reason"] for line in logged() if line["event"] == "rejected"] == ["malformed", "certificate"]

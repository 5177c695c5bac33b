"""What time it is when this machine's clock and the API server's disagree."""

from datetime import UTC, datetime, timedelta

import pytest

from webhook.application.clock import WitnessedClock

NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
TOLERANCE = timedelta(minutes=10)


class Machine:
    """A machine with two clocks; the wall clock may be wrong."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.wrong = timedelta()
        self.clock = WitnessedClock(lambda: self.right + self.wrong, lambda: 1000.0 + self.passed, TOLERANCE)

    @property
    def right(self) -> datetime:
        return NOON + timedelta(seconds=self.passed)

    def ask(self, *, took: float = 0.0) -> None:
        """An API server whose clock is right answers, dated when it had the question."""
        said = self.right
        self.passed += took
        self.clock.witnessed(said, took)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_without_a_witness_it_is_this_machines_clock_without_doubt(machine: Machine) -> None:
    machine.wrong = timedelta(days=400)
    assert machine.clock() == machine.right + machine.wrong
    assert machine.clock.doubt() == ""
    assert machine.clock.offset() == timedelta()


@pytest.mark.parametrize("wrong", [timedelta(), TOLERANCE, -TOLERANCE, TOLERANCE + timedelta(seconds=1)])
def test_within_the_tolerance_it_is_this_machines_clock(machine: Machine, wrong: timedelta) -> None:
    """A date is cut to whole seconds: that second is nobody's fault either."""
    machine.ask()
    machine.wrong = wrong
    assert machine.clock() == machine.right + wrong
    assert machine.clock.doubt() == ""


@pytest.mark.parametrize(
    "wrong", [timedelta(minutes=12), -timedelta(minutes=12), timedelta(days=800), -timedelta(hours=5)]
)
def test_beyond_it_it_is_the_api_servers_and_the_doubt_says_by_how_much(machine: Machine, wrong: timedelta) -> None:
    machine.ask()
    machine.wrong = wrong
    machine.passed += 3600.0  # the witness is an hour old: the monotonic clock has not jumped
    assert abs(machine.clock() - machine.right) <= timedelta(seconds=1)
    assert abs(machine.clock.offset() - wrong) <= timedelta(seconds=1)
    assert ("ahead of" in machine.clock.doubt()) is (wrong > timedelta())
    assert "correct the clocks (NTP)" in machine.clock.doubt()
    machine.wrong = timedelta()
    assert machine.clock.doubt() == ""


def test_an_answer_that_took_long_is_no_sign_of_a_wrong_clock(machine: Machine) -> None:
    machine.wrong = TOLERANCE
    machine.ask(took=30.0)
    assert machine.clock.doubt() == ""
    machine.wrong = TOLERANCE + timedelta(seconds=40)
    assert machine.clock.doubt() != "", "the control"


def test_the_doubt_is_rounded_to_seconds(machine: Machine) -> None:
    machine.ask()
    machine.wrong = timedelta(hours=5, seconds=1)
    assert machine.clock.doubt() == (
        "this machine's clock is 5:00:00 ahead of the API server's, more than the 0:10:00 that clocks may differ by; "
        "correct the clocks (NTP)"
    )

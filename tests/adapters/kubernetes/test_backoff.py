"""Pauses grow, are capped, differ between replicas, and respect what the server asked for."""

import pytest

from webhook.adapters.kubernetes.backoff import Backoff


def test_pauses_double_up_to_the_cap() -> None:
    backoff = Backoff(lambda: 0.0, first=1, cap=5)
    assert [backoff.delay() for _ in range(5)] == [1, 2, 4, 5, 5]


def test_jitter_takes_up_to_half_away_and_never_all() -> None:
    assert Backoff(lambda: 0.5, first=1).delay() == 0.75
    assert Backoff(lambda: 0.999, first=1).delay() == pytest.approx(0.5, abs=0.001)


def test_after_a_success_pauses_are_short_again() -> None:
    backoff = Backoff(lambda: 0.0, first=1)
    backoff.delay()
    backoff.delay()
    backoff.reset()
    assert backoff.delay() == 1


@pytest.mark.parametrize(("asked", "pause"), [(None, 1), (0.0, 1), (7.0, 8), (86400.0, 61), (-5.0, 1)])
def test_what_the_server_asked_for_comes_on_top_and_within_reason(asked: float | None, pause: float) -> None:
    assert Backoff(lambda: 0.0, first=1).delay(asked) == pause


def test_the_default_pauses_are_of_seconds() -> None:
    backoff = Backoff(lambda: 0.0)
    assert [backoff.delay() for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]

"""Thresholds: what is taken, and what is explained."""

import pytest

from webhook.application.recommendation.thresholds import TABLE, ThresholdError, Thresholds, parse


def test_the_defaults_of_table_and_values_are_the_same() -> None:
    assert parse([]) == Thresholds()
    assert all(one.decides and one.source for one in TABLE)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("minimum-day=1", 'there is no threshold "minimum-day"; did you mean "minimum-days"?'),
        ("x=1", "the names are minimum-days, "),
        ("clients=1", "write a number from 2 to 48"),
        ("burst", "write a number from 0 to 1"),
        ("burst=nan", "write a number from 0 to 1"),
    ],
)
def test_what_can_not_be_read_is_explained(text: str, why: str) -> None:
    with pytest.raises(ThresholdError) as caught:
        parse([text, "burst=2"])
    assert why in caught.value.problems[0]
    assert caught.value.problems[1] == '"burst=2": write a number from 0 to 1'

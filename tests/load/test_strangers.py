"""Strangers attack: memory stays within the limit, honest callers are answered in time, and afterwards nothing is left of it.

``pytest -s`` prints a row for each attack, ``make attack`` the whole table.
"""

import pytest

from tests.load.attackers import ATTACKS, TOGETHER
from tests.load.under_attack import HEADINGS, SECONDS, Measured, withstand


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_withstood(attack: str) -> None:
    judge(withstand(attack, [attack]))


def test_all_attacks_together_are_withstood() -> None:
    judge(withstand("together", TOGETHER, 2 * SECONDS))


def judge(measured: Measured) -> None:
    print(f"\n{HEADINGS}\n{measured.row()}")  # noqa: T201 - the numbers, for whoever compares
    assert measured.shortcomings() == []

"""Outcomes of checks: a status, what was observed, its impact, and how to fix it."""

from collections.abc import Generator, Iterable
from enum import StrEnum
from typing import TypeAlias

import msgspec

from ...engine.text import first_of


class CheckStatus(StrEnum):
    """The result of a check, the worst first.

    ``unknown`` and ``skipped`` are neither good nor bad. An unknown check could not be made, because something could not be
    read. A skipped one does not apply, because the API server does not have its kind (Kueue is not installed), or decides alone.
    """

    FAIL = "fail"
    WARN = "warn"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    OK = "ok"


class CheckOutcome(msgspec.Struct, frozen=True):
    """One outcome of a check, whose id `diagnose` sets.

    ``impact`` and ``fix`` are empty if all is well; `diagnose` then sets the impact to what the check is about.
    """

    status: CheckStatus
    observed: str
    impact: str = ""
    fix: str = ""
    check: str = ""


Findings: TypeAlias = Generator[CheckOutcome, None, str]
"""The result of a check: it yields problems, and returns its observation, which is reported only if there is no problem.

A check that returns an empty string has nothing to report.
"""


def ok(observed: str) -> CheckOutcome:
    """Return that one of the things that a check covers is fine."""
    return CheckOutcome(CheckStatus.OK, observed)


def warn(observed: str, impact: str, fix: str) -> CheckOutcome:
    """Return a problem that will cause harm later, or that already harms some workloads."""
    return CheckOutcome(CheckStatus.WARN, observed, impact, fix)


def fail(observed: str, impact: str, fix: str) -> CheckOutcome:
    """Return a problem that stops gpuwarden from working, or endangers the cluster."""
    return CheckOutcome(CheckStatus.FAIL, observed, impact, fix)


def unknown(observed: str, impact: str, fix: str) -> CheckOutcome:
    """Return that the check could not be made."""
    return CheckOutcome(CheckStatus.UNKNOWN, observed, impact, fix)


def skipped(observed: str, impact: str) -> CheckOutcome:
    """Return that nothing exists that the check could be about."""
    return CheckOutcome(CheckStatus.SKIPPED, observed, impact)


_SHOWN = 10


def listed(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Names for a sentence: in order, the first few and how many more there are."""
    return first_of(sorted(names), shown)


def totals(outcomes: Iterable[CheckOutcome]) -> dict[CheckStatus, int]:
    """Count the outcomes by status, the worst status first."""
    counts = dict.fromkeys(CheckStatus, 0)
    for outcome in outcomes:
        counts[outcome.status] += 1
    return counts

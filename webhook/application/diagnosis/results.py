"""Results of checks: a status, what was observed, what that means and how to fix it."""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from ...engine.text import first_of


class CheckStatus(StrEnum):
    """The result of a check.

    ``unknown`` and ``skipped`` are neither good nor bad. An unknown check could not be made, because something could not be
    read. A skipped one does not apply, because the API server does not have its kind (Kueue is not installed), or decides alone.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class CheckOutcome(msgspec.Struct, frozen=True):
    """One thing that a check found; ``means`` and ``fix`` are empty if all is well."""

    status: CheckStatus
    seen: str
    means: str = ""
    fix: str = ""


class Result(msgspec.Struct, frozen=True):
    """An outcome with the id of its check. ``means`` is never empty: for a check that is ok, it says what was checked."""

    check: str
    status: CheckStatus
    seen: str
    means: str
    fix: str


def ok(seen: str) -> CheckOutcome:
    """All is well; ``seen`` says what was checked."""
    return CheckOutcome(CheckStatus.OK, seen)


def warn(seen: str, means: str, fix: str) -> CheckOutcome:
    """A problem that will cause harm later, or that already harms some workloads."""
    return CheckOutcome(CheckStatus.WARN, seen, means, fix)


def fail(seen: str, means: str, fix: str) -> CheckOutcome:
    """Gpuwarden does not work, or endangers the cluster."""
    return CheckOutcome(CheckStatus.FAIL, seen, means, fix)


def unknown(seen: str, means: str, fix: str) -> CheckOutcome:
    """The check could not be made."""
    return CheckOutcome(CheckStatus.UNKNOWN, seen, means, fix)


def skipped(seen: str, means: str) -> CheckOutcome:
    """Nothing of the kind that the check is about exists."""
    return CheckOutcome(CheckStatus.SKIPPED, seen, means)


def verdicts(problems: Iterable[CheckOutcome], otherwise: Callable[[], str]) -> list[CheckOutcome]:
    """The problems, or that there are none; ``otherwise`` then returns what was observed."""
    return list(problems) or [ok(otherwise())]


_SHOWN = 10


def listed(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Names for a sentence: in order, the first few and how many more there are."""
    return first_of(sorted(names), shown)


def worst(results: Iterable[Result]) -> dict[CheckStatus, int]:
    """Count the results by status, the worst status first."""
    counts = dict.fromkeys(
        (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.UNKNOWN, CheckStatus.SKIPPED, CheckStatus.OK), 0
    )
    for result in results:
        counts[result.status] += 1
    return counts

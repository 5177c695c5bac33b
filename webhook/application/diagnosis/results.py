"""Results of checks: a status, what was observed, what that means and how to fix it."""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec


class Status(StrEnum):
    """The result of a check.

    ``unknown`` and ``skipped`` are neither good nor bad. The one was not made, because something could not be read; the other
    because the API server does not have the kind that it is about, as where Kueue is not installed, or because it is of webhooks
    and replicas, and the API server decides alone.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class Verdict(msgspec.Struct, frozen=True):
    """One thing that a check found; ``means`` and ``fix`` are empty where all is well."""

    status: Status
    seen: str
    means: str = ""
    fix: str = ""


class Result(msgspec.Struct, frozen=True):
    """A verdict with the id of its check. ``means`` always says something: of a check that is well, what it is about."""

    check: str
    status: Status
    seen: str
    means: str
    fix: str


def ok(seen: str) -> Verdict:
    """All is well; ``seen`` says what was checked."""
    return Verdict(Status.OK, seen)


def warn(seen: str, means: str, fix: str) -> Verdict:
    """A problem that will cause harm later, or that already harms some workloads."""
    return Verdict(Status.WARN, seen, means, fix)


def fail(seen: str, means: str, fix: str) -> Verdict:
    """Gpuwarden does not work, or endangers the cluster."""
    return Verdict(Status.FAIL, seen, means, fix)


def unknown(seen: str, means: str, fix: str) -> Verdict:
    """The check could not be made."""
    return Verdict(Status.UNKNOWN, seen, means, fix)


def skipped(seen: str, means: str) -> Verdict:
    """Nothing of the kind that the check is about exists."""
    return Verdict(Status.SKIPPED, seen, means)


def verdicts(problems: Iterable[Verdict], otherwise: Callable[[], str]) -> list[Verdict]:
    """The problems, or that there are none; ``otherwise`` says what was seen then."""
    return list(problems) or [ok(otherwise())]


_SHOWN = 10


def listed(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Names for a sentence: in order, the first few and how many more there are."""
    ordered = sorted(names)
    more = len(ordered) - shown
    return ", ".join(ordered[:shown]) + (f" and {more} more" if more > 0 else "")


def worst(results: Iterable[Result]) -> dict[Status, int]:
    """Count the results by status, the worst status first."""
    counts = dict.fromkeys((Status.FAIL, Status.WARN, Status.UNKNOWN, Status.SKIPPED, Status.OK), 0)
    for result in results:
        counts[result.status] += 1
    return counts

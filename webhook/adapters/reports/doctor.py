"""The output of ``gpuwarden doctor``: JSON for programs, and a table for people."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from ...application.diagnosis.results import CheckOutcome, CheckStatus, totals
from .check_report import Part
from .grid import Grid
from .text import printable

_STYLES = {
    CheckStatus.OK: "green",
    CheckStatus.WARN: "yellow",
    CheckStatus.FAIL: "bold red",
    CheckStatus.UNKNOWN: "cyan",
    CheckStatus.SKIPPED: "dim",
}
_WORDS = {CheckStatus.UNKNOWN: "not checked"}  # for people; programs read "unknown"


class CheckLine(Part):
    """One outcome. If the check is ok, ``means`` is what it is about, and ``fix`` is empty."""

    id: str
    status: CheckStatus
    seen: str
    means: str
    fix: str


class DoctorReport(Part):
    """Every outcome, and how many there are of each status."""

    api_version: str = "gpuwarden.io/v1"
    kind: str = "DoctorReport"
    cluster: str
    namespace: str
    name: str
    checks: list[CheckLine]
    totals: dict[CheckStatus, int]


def doctor_report(outcomes: Iterable[CheckOutcome], *, cluster: str, namespace: str, name: str) -> DoctorReport:
    """Outcomes as a report."""
    found = list(outcomes)
    lines = [
        CheckLine(id=one.check, status=one.status, seen=one.observed, means=one.impact, fix=one.fix) for one in found
    ]
    return DoctorReport(cluster=cluster, namespace=namespace, name=name, checks=lines, totals=totals(found))


def show(target: Console, report: DoctorReport) -> None:
    """Print a report as a table: what was observed and, if there is a problem, its impact and the fix."""
    rows = []
    for line in report.checks:
        style = _STYLES[line.status]
        told = Text(printable(line.seen))
        if line.status is not CheckStatus.OK:
            told.append(f"\n{printable(line.means)}", style=style)
            if line.fix:
                told.append(f"\n→ {printable(line.fix)}", style="bold")
        rows.append((Text(line.id), Text(_WORDS.get(line.status, line.status), style=style), told))
    target.print(Grid(("check", "status", "what and why"), rows, (0, 0, 1)), crop=False)
    counted = ", ".join(f"{number} {_WORDS.get(status, status)}" for status, number in report.totals.items() if number)
    where = f"gpuwarden {report.name} in {report.namespace}, at {report.cluster}"
    target.print(Text(printable(f"{where}: {counted}")))

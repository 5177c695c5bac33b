"""The table that ``gpuwarden check`` prints for people: what each object requests, what becomes of it and why."""

from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from ...application.rule_texts import EXEMPT, NOT_EVALUATED, NOT_READ, left_alone
from ...engine.text import plural
from ..manifests.items import ManifestProblem
from .check_report import FormTotal, ObjectLine, Report, counts_note
from .grid import Grid
from .terminal import STYLES
from .text import printable


class CheckedRow(msgspec.Struct, frozen=True):
    """An object with its outcome in sentences."""

    line: ObjectLine
    becomes: Sequence[str]


def show(target: Console, rows: Sequence[CheckedRow], report: Report) -> None:
    """Print the objects that request GPUs, have findings or are not evaluated, the problems, and the totals."""
    shown = [row for row in rows if row.line.requests or row.line.findings or row.line.not_evaluated or row.line.claims]
    if shown:
        target.print(_grid(shown), crop=False)
    show_problems(target, report.problems)
    target.print(_summary(report))
    if report.totals.forms:
        target.print(_gpus(report.totals.forms))
    if note := counts_note(report.objects):
        target.print(Text(printable(f"note: {note}"), style="yellow"))


def show_problems(target: Console, problems: Iterable[ManifestProblem]) -> None:
    """Print what is wrong with the input."""
    for problem in problems:
        label = (f"{problem.label}: ", "red" if problem.fatal else "yellow")
        target.print(Text.assemble((f"{printable(problem.where)}: ", "bold"), label, printable(problem.message)))


def _grid(rows: Sequence[CheckedRow]) -> Grid:
    head = ("object", "policy", "requests", "decision", "what and why")
    return Grid(head, [_cells(row) for row in rows], (3, 0, 2, 0, 6))


def _cells(row: CheckedRow) -> tuple[Text, ...]:
    line = row.line
    what = Text.assemble(
        (printable(f"{line.kind} {line.name}"), "bold"),
        "\n" if line.kind == "Namespace" else f"\nin {printable(line.namespace)}\n",
        (printable(f"{line.source}:{line.line}"), "dim"),
    )
    requests = Text("\n".join(map(printable, line.requests)))
    shown = Text(line.decision.replace("-", " "), style=STYLES[line.decision])
    return what, Text(printable(line.policy)), requests, shown, Text("\n").join(reasons(line, row.becomes))


def reasons(line: ObjectLine, becomes: Sequence[str]) -> list[Text]:
    """Return the outcome for an object and its reasons, a text for each; at least one."""
    if line.exempt:
        return [Text(left_alone(line.exempt), style="dim")]
    sentences = (*([line.not_evaluated] if line.not_evaluated else ()), *becomes)
    told = [Text(printable(sentence)) for sentence in sentences]
    told += [
        Text.assemble(
            (f"{finding.rule}: ", "red" if finding.severity == "deny" else "yellow"),
            printable(finding.message),
            (f" (line {finding.line})" if finding.line else "", "dim"),
        )
        for finding in line.findings
    ]
    return told or [Text("compliant", style="dim")]


def _summary(report: Report) -> Text:
    totals = report.totals
    among = []
    if totals.without_request:
        among.append(f"{totals.without_request} without a GPU request")
    if totals.unknown_kind:
        among.append(f"{totals.unknown_kind} of other kinds in which no pods were found")
    parts = [
        (f"{totals.denied} denied", STYLES["denied"] if totals.denied else "dim"),
        (f"{totals.rewritten} rewritten", STYLES["rewritten"] if totals.rewritten else "dim"),
        (f"{totals.unchanged} unchanged" + (f" ({', '.join(among)})" if among else ""), "green"),
        (f"{totals.exempt} exempt", "dim"),
        (f"{totals.not_evaluated} not evaluated", STYLES[NOT_EVALUATED] if totals.not_evaluated else "dim"),
        (f"{totals.not_read} not read", STYLES[NOT_READ] if totals.not_read else "dim"),
    ]
    summary = Text(f"{plural(totals.objects, 'object')}: ")
    for number, (words, style) in enumerate(parts):
        summary.append(", " if number else "").append(words, style=style)
    if totals.unread_parts:
        parts_of = plural(totals.unread_parts, "file or document", "files or documents")
        summary.append(f"; also, {parts_of} not read", style="red")
    return summary


def _gpus(forms: Sequence[FormTotal]) -> Text:
    """The GPUs of all pods by form, before and after."""
    line = Text("GPUs of all their pods, before → after: ")
    for number, form in enumerate(sorted(forms, key=lambda form: -form.gpus)):
        # A workload with ignored findings is reported as exempt, although admission denies it.
        stays = form.before == form.after or form.decision == EXEMPT
        result = form.decision if stays else f"→ {form.after}"
        line.append(", " if number else "").append(f"{form.gpus} {form.before} {result}", style=STYLES[form.decision])
    return line

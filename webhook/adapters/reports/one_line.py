"""One line for each thing that was found: ``file:line:column: rule: message``, and GitHub's annotations."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ...application.rule_texts import NOT_JUDGED, NOT_READ, REWRITTEN
from ...engine.findings import Severity
from .check_report import ObjectLine, ProblemLine
from .text import printable

_COMMANDS = {Severity.DENY.value: "error", Severity.WARN.value: "warning"}


class _Found(msgspec.Struct):
    """Something at a place. ``severity`` is that of a finding, or empty for what is not one."""

    source: str
    line: int | None
    column: int | None
    rule: str
    severity: str
    message: str


def concise(objects: Iterable[ObjectLine], problems: Sequence[ProblemLine]) -> str:
    """Return ``file:line:column: rule: message`` for each finding, rewrite, part that is not judged, and problem.

    Nothing is wrapped or coloured. Of what stays as it is there is no line.
    """
    return "".join(
        f"{printable(':'.join(str(part) for part in (one.source, one.line, one.column) if part is not None))}: "
        f"{one.rule}: {printable(one.message)}\n"
        for one in _everything(objects, problems)
    )


def github(objects: Iterable[ObjectLine], problems: Sequence[ProblemLine]) -> str:
    """Return the same as workflow commands, which GitHub Actions shows beside the lines of a pull request.

    Denied is an error, a warning a warning, and a rewrite or a part that is not judged a notice. The escapes are those of
    GitHub's toolkit (packages/core/src/command.ts).
    """
    return "".join(
        f"::{_COMMANDS.get(one.severity, 'notice')} {_properties(one)}::{_data(printable(one.message))}\n"
        for one in _everything(objects, problems)
    )


def _everything(objects: Iterable[ObjectLine], problems: Sequence[ProblemLine]) -> Iterator[_Found]:
    for line in objects:
        yield from _of_object(line)
    for problem in problems:
        severity = Severity.DENY if problem.fatal else Severity.WARN
        rule = NOT_READ if problem.fatal else "warning"
        yield _Found(problem.source, problem.line, problem.column, rule, severity.value, problem.message)


def _of_object(line: ObjectLine) -> Iterator[_Found]:
    source = line.source or "-"
    what = f"{line.kind} {line.namespace}/{line.name}" if line.namespace else f"{line.kind} {line.name}"
    for finding in line.findings:
        place = (finding.line or line.line, finding.column)
        yield _Found(source, *place, finding.rule, finding.severity, f"{what}: {finding.message}")
    if line.decision == REWRITTEN:
        message = f'{what}: {"; ".join(line.requests)}: would be rewritten by policy "{line.policy}"'
        yield _Found(source, line.patch_line or line.line, line.patch_column, REWRITTEN, "", message)
    if line.not_judged:
        place = (line.not_judged_line or line.line, line.not_judged_column)
        yield _Found(source, *place, NOT_JUDGED, "", f"{what}: {line.not_judged}")


def _properties(one: _Found) -> str:
    given = {"file": one.source, "line": one.line, "col": one.column, "title": f"gpuwarden {one.rule}"}
    return ",".join(f"{key}={_property(printable(str(value)))}" for key, value in given.items() if value is not None)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

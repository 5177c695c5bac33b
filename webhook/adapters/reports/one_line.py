"""One line for each finding: ``file:line:column: rule: message``, and GitHub's annotations."""

from collections.abc import Iterable, Iterator, Sequence

from ...application.rule_texts import NOT_READ
from ...engine.findings import Severity
from ..manifests.items import ManifestProblem
from .check_report import FindingLine, ObjectLine
from .text import printable

_COMMANDS = {Severity.DENY.value: "error", Severity.WARN.value: "warning"}


def concise(objects: Iterable[ObjectLine], problems: Sequence[ManifestProblem]) -> str:
    """Return ``file:line:column: rule: message`` for each finding, rewrite, part that is not evaluated, and problem.

    Nothing is wrapped or coloured. Unchanged objects have no line.
    """
    return "".join(
        f"{printable(':'.join(str(part) for part in (source, one.line, one.column) if part is not None))}: "
        f"{one.rule}: {printable(one.message)}\n"
        for source, one in _everything(objects, problems)
    )


def github(objects: Iterable[ObjectLine], problems: Sequence[ManifestProblem]) -> str:
    """Return the same as workflow commands, which GitHub Actions shows beside the lines of a pull request.

    A denial is an error, a warning a warning, and everything else a notice. The escapes are those of GitHub's toolkit
    (packages/core/src/command.ts).
    """
    return "".join(
        f"::{_COMMANDS.get(one.severity, 'notice')} {_properties(source, one)}::{_data(printable(one.message))}\n"
        for source, one in _everything(objects, problems)
    )


def _everything(
    objects: Iterable[ObjectLine], problems: Sequence[ManifestProblem]
) -> Iterator[tuple[str, FindingLine]]:
    """Yield the findings and problems, each with its source."""
    for line in objects:
        for one in line.reported():
            yield line.source or "-", one.model_copy(update={"message": f"{line.named}: {one.message}"})
    for problem in problems:
        rule, severity = (NOT_READ, Severity.DENY) if problem.fatal else ("warning", Severity.WARN)
        yield (
            problem.source,
            FindingLine(
                rule=rule,
                severity=severity.value,
                path="",
                message=problem.message,
                line=problem.line,
                column=problem.column,
            ),
        )


def _properties(source: str, one: FindingLine) -> str:
    given = {"file": source, "line": one.line, "col": one.column, "title": f"gpuwarden {one.rule}"}
    return ",".join(f"{key}={_property(printable(str(value)))}" for key, value in given.items() if value is not None)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

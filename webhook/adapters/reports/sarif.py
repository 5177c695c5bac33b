"""SARIF 2.1.0: findings for code scanning and editors (OASIS, "Static Analysis Results Interchange Format", errata 01)."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import msgspec

from ... import __version__
from ...application.rule_texts import NOT_JUDGED, REWRITTEN, RULE_TEXTS, RuleText
from ...engine.findings import Severity
from .check_report import ObjectLine, ProblemLine
from .text import printable

Json = dict[str, Any]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT = "gpuwardenObject/v2"  # v1 left the file out, so that one object in several files was one alert
_LEVELS = {Severity.DENY: "error", Severity.WARN: "warning", None: "note"}
_RULES = list(RULE_TEXTS.values())
_INDEX = {text.id: number for number, text in enumerate(_RULES)}


def sarif(objects: Iterable[ObjectLine], problems: Sequence[ProblemLine], *, files: bool = True) -> str:
    """A log of one run: a result for each finding, and a note for each object that would be rewritten or is not judged.

    The run's properties say how many objects there are, and how many have which decision.

    Args:
        objects: what was judged; an object of a cluster has a logical location (``team-a/Deployment/trainer``), one in a
            file its line too.
        problems: what is wrong with the input: notifications of the run.
        files: whether problems are with files, and so have a place.
    """
    every = list(objects)
    run = {
        "tool": {
            "driver": {
                "name": "gpuwarden",
                "semanticVersion": __version__,
                "rules": [_rule(text) for text in _RULES],
            }
        },
        "columnKind": "unicodeCodePoints",
        "properties": {"objects": len(every), "decisions": dict(Counter(line.decision for line in every))},
        "invocations": [
            {
                "executionSuccessful": not any(problem.fatal for problem in problems),
                "toolExecutionNotifications": [_notification(problem, files=files) for problem in problems],
            }
        ],
        "results": _told_apart(result for line in every for result in _results(line)),
    }
    return msgspec.json.format(msgspec.json.encode({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})).decode()


def _rule(text: RuleText) -> Json:
    return {
        "id": text.id,
        "name": "".join(word.capitalize() for word in text.id.split("-")),
        "shortDescription": {"text": f"{text.title}."},
        "fullDescription": {"text": f"{text.title}. {text.help}"},
        "help": {"text": text.help, "markdown": f"**{text.title}.** {text.help}"},
        "defaultConfiguration": {"level": _LEVELS[text.severity]},
        "properties": {"tags": ["kubernetes", "gpu"]},
    }


def _told_apart(results: Iterable[Json]) -> list[Json]:
    """The results, with numbers after fingerprints that are alike: those of an object that one file holds twice."""
    counts = Counter[str]()
    numbered = []
    for result in results:
        fingerprint = result["partialFingerprints"][_FINGERPRINT]
        counts[fingerprint] += 1
        if counts[fingerprint] > 1:
            result["partialFingerprints"][_FINGERPRINT] = f"{fingerprint}:{counts[fingerprint]}"
        numbered.append(result)
    return numbered


def _results(line: ObjectLine) -> Iterator[Json]:
    what = f"{line.kind} {line.namespace}/{line.name}"
    for finding in line.findings:
        yield _result(
            line,
            (finding.rule, finding.path, finding.line, finding.column),
            _LEVELS[Severity(finding.severity)],
            f"{what}: {finding.message}",
        )
    if line.not_judged:
        place = (line.not_judged_line, line.not_judged_column)
        yield _result(line, (NOT_JUDGED, "", *place), _LEVELS[None], f"{what} is not judged: {line.not_judged}")
    if line.decision == REWRITTEN:
        requests = "; ".join(line.requests)
        message = f'{what}: {requests}: would be rewritten by policy "{line.policy}"'
        yield _result(line, (REWRITTEN, "", line.patch_line, line.patch_column), _LEVELS[None], message) | {
            "properties": {"policy": line.policy, "patch": line.patch}
        }


def _result(line: ObjectLine, what: tuple[str, str, int | None, int | None], level: str, message: str) -> Json:
    """The result of a rule at a field, and the line and column of that field."""
    rule, field, number, column = what
    return {
        "ruleId": rule,
        "ruleIndex": _INDEX[rule],
        "level": level,
        "message": {"text": printable(message)},
        "locations": [_location(line, number or line.line, column)],
        "partialFingerprints": {_FINGERPRINT: _fingerprint(line, rule, field)},
        "properties": {"policy": line.policy, "field": printable(field)},
    }


def _location(line: ObjectLine, number: int | None, column: int | None) -> Json:
    logical = {
        "name": printable(line.name),
        "fullyQualifiedName": printable(f"{line.namespace}/{line.kind}/{line.name}"),
        "kind": "resource",
    }
    location: Json = {"logicalLocations": [logical]}
    if line.source is not None:
        location["physicalLocation"] = _physical(line.source, number, column)
    return location


def _physical(source: str, line: int | None, column: int | None = None) -> Json:
    physical: Json = {"artifactLocation": {"uri": _uri(source)}}
    if line:
        physical["region"] = {"startLine": line, "startColumn": column} if column else {"startLine": line}
    return physical


def _uri(source: str) -> str:
    """A file's name as a URI: absolute for an absolute path, otherwise relative to where the command ran."""
    if source == "-":
        return "stdin"
    path = PurePath(source)
    # A colon is quoted too: in a first part it would end a scheme.
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), safe="/")


def _fingerprint(line: ObjectLine, rule: str, field: str) -> str:
    """Return a digest that does not change when lines move: of the file, the object, the rule and the field."""
    parts = [line.source or "", line.kind, line.namespace, line.name, rule, field]
    return hashlib.sha256("\0".join(map(printable, parts)).encode()).hexdigest()[:32]


def _notification(problem: ProblemLine, *, files: bool) -> Json:
    level = "error" if problem.fatal else "warning"
    if not files:
        return {"level": level, "message": {"text": printable(f"{problem.source}: {problem.message}")}}
    return {
        "level": level,
        "message": {"text": printable(problem.message)},
        "locations": [{"physicalLocation": _physical(problem.source, problem.line, problem.column)}],
    }

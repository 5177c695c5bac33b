"""SARIF 2.1.0: findings for code scanning and editors (OASIS, "Static Analysis Results Interchange Format", errata 01)."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import msgspec

from ... import __version__
from ...application.rule_texts import NOT_EVALUATED, REWRITTEN, RULE_TEXTS, RuleText
from ...engine.findings import Severity
from ..manifests.items import ManifestProblem
from .check_report import FindingLine, ObjectLine
from .text import printable

Json = dict[str, Any]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT = "gpuwardenObject/v2"  # v1 had no file, so that one object in several files was one alert
_LEVELS = {Severity.DENY.value: "error", Severity.WARN.value: "warning"}  # everything else is a note
_RULES = list(RULE_TEXTS.values())
_INDEX = {text.id: number for number, text in enumerate(_RULES)}


def sarif(objects: Iterable[ObjectLine], problems: Sequence[ManifestProblem], *, files: bool = True) -> str:
    """A log of one run: a result for each finding, and a note for each object that would be rewritten or is not evaluated.

    The run's properties count the objects and their decisions.

    Args:
        objects: what was evaluated; an object of a cluster has a logical location (``team-a/Deployment/trainer``), one in a
            file its line too.
        problems: what is wrong with the input: notifications of the run.
        files: whether problems concern files, and so have a place.
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
        "results": _distinguished(result for line in every for result in _results(line)),
    }
    return msgspec.json.format(msgspec.json.encode({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})).decode()


def _rule(text: RuleText) -> Json:
    return {
        "id": text.id,
        "name": "".join(word.capitalize() for word in text.id.split("-")),
        "shortDescription": {"text": f"{text.title}."},
        "fullDescription": {"text": f"{text.title}. {text.help}"},
        "help": {"text": text.help, "markdown": f"**{text.title}.** {text.help}"},
        "defaultConfiguration": {"level": _LEVELS.get(text.severity or "", "note")},
        "properties": {"tags": ["kubernetes", "gpu"]},
    }


def _distinguished(results: Iterable[Json]) -> list[Json]:
    """The results, with numbers after equal fingerprints, which occur if a file has an object twice."""
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
    for one in line.reported():
        about = f"{line.kind} {line.namespace}/{line.name}" + (" is not evaluated" if one.rule == NOT_EVALUATED else "")
        details = {"patch": line.patch} if one.rule == REWRITTEN else {"field": printable(one.path)}
        yield {
            "ruleId": one.rule,
            "ruleIndex": _INDEX[one.rule],
            "level": _LEVELS.get(one.severity, "note"),
            "message": {"text": printable(f"{about}: {one.message}")},
            "locations": [_location(line, one)],
            "partialFingerprints": {_FINGERPRINT: _fingerprint(line, one)},
            "properties": {"policy": line.policy, **details},
        }


def _location(line: ObjectLine, one: FindingLine) -> Json:
    logical = {
        "name": printable(line.name),
        "fullyQualifiedName": printable(f"{line.namespace}/{line.kind}/{line.name}"),
        "kind": "resource",
    }
    physical = {} if line.source is None else {"physicalLocation": _physical(line.source, one.line, one.column)}
    return {"logicalLocations": [logical], **physical}


def _physical(source: str, line: int | None, column: int | None) -> Json:
    physical: Json = {"artifactLocation": {"uri": _uri(source)}}
    if line:
        physical["region"] = {"startLine": line, "startColumn": column} if column else {"startLine": line}
    return physical


def _uri(source: str) -> str:
    """A file's name as a URI: absolute for an absolute path, otherwise relative to where the command ran."""
    if source == "-":
        return "stdin"
    path = PurePath(source)
    # A colon is quoted too, because in the first part it would end a scheme.
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), safe="/")


def _fingerprint(line: ObjectLine, one: FindingLine) -> str:
    """Return a digest that does not change when lines move: of the file, the object, the rule and the field."""
    parts = [line.source or "", line.kind, line.namespace, line.name, one.rule, one.path]
    return hashlib.sha256("\0".join(map(printable, parts)).encode()).hexdigest()[:32]


def _notification(problem: ManifestProblem, *, files: bool) -> Json:
    level = "error" if problem.fatal else "warning"
    if not files:
        return {"level": level, "message": {"text": printable(f"{problem.source}: {problem.message}")}}
    return {
        "level": level,
        "message": {"text": printable(problem.message)},
        "locations": [{"physicalLocation": _physical(problem.source, problem.line, problem.column)}],
    }

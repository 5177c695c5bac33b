"""The changes since an earlier audit: workloads that are new, gone, or have another outcome."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from pydantic import Field

from ...application.rule_texts import NOT_EVALUATED
from .check_report import ObjectLine, Part

_FORMER_DECISIONS = {"not-judged": NOT_EVALUATED}
"""Decisions that earlier versions wrote under another name."""


class EarlierError(Exception):
    """A file that is not the JSON of an audit."""


class ChangeLine(Part):
    """One workload that differs: its outcomes and rules before and now (``None`` if it was or is not there)."""

    change: Literal["new", "gone", "changed"]
    source: str | None
    api_version: str
    kind: str
    namespace: str
    name: str
    before: str | None
    after: str | None
    rules_before: list[str]
    rules_after: list[str]


class Changes(Part):
    """What changed, by namespace, kind and name; ``since`` is when the earlier audit was made."""

    since: datetime
    origin: str = Field(description="What the earlier audit read: an API server, or files.")
    workloads: list[ChangeLine]

    def number(self, change: str) -> int:
        """Return how many workloads differ in this way."""
        return sum(line.change == change for line in self.workloads)


class _Rule(msgspec.Struct):
    rule: str


class _Workload(msgspec.Struct, rename="camel"):
    source: str | None
    api_version: str
    kind: str
    namespace: str
    name: str
    decision: str
    findings: list[_Rule]

    def __post_init__(self) -> None:
        self.decision = _FORMER_DECISIONS.get(self.decision, self.decision)


class EarlierAudit(msgspec.Struct, rename="camel"):
    """The fields of an earlier audit that are needed; others may differ between versions."""

    kind: Literal["AuditReport"]
    generated_at: datetime
    origin: str
    objects: list[_Workload]


def read_earlier(text: bytes) -> EarlierAudit:
    """Read the JSON that ``gpuwarden audit -o json`` printed.

    Raises:
        EarlierError: it is something else; the message names the field.
    """
    try:
        return msgspec.json.decode(text, type=EarlierAudit)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EarlierError(str(error)) from error


_Name = tuple[str, str, str, str]


def _name(line: ObjectLine | _Workload) -> _Name:
    # Without the version: the same object may be read in another one after an upgrade.
    return line.namespace, line.kind, line.name, line.api_version.rpartition("/")[0]


def _in_files(lines: Sequence[ObjectLine | _Workload]) -> set[_Name]:
    """The names that several files have."""
    files = Counter(name for name, _ in {(_name(line), line.source) for line in lines})
    return {name for name, number in files.items() if number > 1}


def changes(earlier: EarlierAudit, now: Sequence[ObjectLine]) -> Changes:
    """Compare workloads by group, kind, namespace and name, and by file if several files have the name, as with overlays.

    A moved file, or a checkout in another folder, is not a change. A workload has changed if its outcome or the rules of its
    findings differ. If a file has several objects with one name, the last one counts.
    """
    several = _in_files(earlier.objects) | _in_files(now)

    def key(line: ObjectLine | _Workload) -> tuple[*_Name, str]:
        name = _name(line)
        return *name, (line.source or "") if name in several else ""

    was = {key(line): line for line in earlier.objects}
    is_now = {key(line): line for line in now}
    found = []
    for one in sorted(was.keys() | is_now.keys()):
        before, after = was.get(one), is_now.get(one)
        rules_before, rules_after = _rules(before), _rules(after)
        if before and after and (before.decision, rules_before) == (after.decision, rules_after):
            continue
        line = after or before
        assert line is not None  # noqa: S101 - its key comes from one of the two
        found.append(
            ChangeLine(
                change="changed" if before and after else "new" if after else "gone",
                source=line.source,
                api_version=line.api_version,
                kind=line.kind,
                namespace=line.namespace,
                name=line.name,
                before=before.decision if before else None,
                after=after.decision if after else None,
                rules_before=rules_before,
                rules_after=rules_after,
            )
        )
    return Changes(since=earlier.generated_at, origin=earlier.origin, workloads=found)


def _rules(line: ObjectLine | _Workload | None) -> list[str]:
    return sorted({finding.rule for finding in line.findings}) if line else []

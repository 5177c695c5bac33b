"""The CSV of an audit: one line per workload."""

from collections.abc import Iterable
from itertools import chain

from ...application.rule_texts import NOT_EVALUATED
from .audit import WorkloadLine
from .check_report import ObjectLine
from .text import csv_table

COLUMNS = (
    *("namespace", "kind", "name", "policy", "outcome", "evaluated"),
    *("pods", "pods_unchanged", "pods_rewritten", "pods_denied", "pods_exempt", "pods_not_evaluated"),
    *("requests", "form_before", "form_after", "becomes", "rules", "messages", "source", "line"),
)


def csv(objects: Iterable[WorkloadLine], others: Iterable[ObjectLine] = ()) -> str:
    """The table; several values in one cell are separated by ``; ``.

    ``others`` are objects that are not evaluated, or whose labels have problems; they have no pods.
    """
    return csv_table(COLUMNS, chain(map(_values, objects), map(_other_values, others)))


def _values(line: WorkloadLine) -> tuple[str | int, ...]:
    pods = line.pods
    return (
        *(line.namespace, line.kind, line.name, line.policy, line.decision, line.evaluated),
        *(pods.sum, pods.unchanged, pods.rewritten, pods.denied, pods.exempt, pods.not_evaluated),
        _joined(line.requests),
        _joined(form.before for form in line.forms),
        _joined(form.after for form in line.forms),
        _joined(line.becomes),
        *_messages(line),
    )


def _other_values(line: ObjectLine) -> tuple[str | int, ...]:
    return (
        *(line.namespace, line.kind, line.name, line.policy, line.decision, ""),
        *(*(0,) * 6, *("",) * 4),
        *_messages(line),
    )


def _messages(line: ObjectLine) -> tuple[str | int, ...]:
    rules = dict.fromkeys(
        [*([NOT_EVALUATED] if line.not_evaluated else []), *(finding.rule for finding in line.findings)]
    )
    messages = [*([line.not_evaluated] if line.not_evaluated else []), *(finding.message for finding in line.findings)]
    return _joined(rules), _joined(messages), line.source or "", line.line or ""


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(texts)

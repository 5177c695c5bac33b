"""CSV (RFC 4180) for spreadsheets: one line per workload; text that a spreadsheet would compute is made plain."""

import csv as standard
import io
from collections.abc import Iterable
from itertools import chain

from ...application.rule_texts import NOT_JUDGED
from .audit import WorkloadLine
from .check_report import ObjectLine
from .text import cell

COLUMNS = (
    *("namespace", "kind", "name", "policy", "outcome", "judged"),
    *("pods", "pods_unchanged", "pods_rewritten", "pods_denied", "pods_exempt", "pods_not_judged"),
    *("requests", "form_before", "form_after", "becomes", "rules", "messages", "source", "line"),
)


def csv(objects: Iterable[WorkloadLine], others: Iterable[ObjectLine] = ()) -> str:
    """The table, with a line of column names first; several things in one cell are set apart by ``; ``.

    ``others`` are not judged, or their labels are not as they should be; they have no pods.
    """
    written = io.StringIO()
    writer = standard.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for values in chain(map(_values, objects), map(_other_values, others)):
        writer.writerow([value if isinstance(value, int) else cell(value) for value in values])
    return written.getvalue()


def _values(line: WorkloadLine) -> tuple[str | int, ...]:
    pods = line.pods
    return (
        *(line.namespace, line.kind, line.name, line.policy, line.decision, line.judged),
        *(pods.sum, pods.unchanged, pods.rewritten, pods.denied, pods.exempt, pods.not_judged),
        _joined(line.requests),
        _joined(form.before for form in line.forms),
        _joined(form.after for form in line.forms),
        _joined(line.becomes),
        *_told(line),
    )


def _other_values(line: ObjectLine) -> tuple[str | int, ...]:
    return (line.namespace, line.kind, line.name, line.policy, line.decision, "", *(0,) * 6, *("",) * 4, *_told(line))


def _told(line: ObjectLine) -> tuple[str | int, ...]:
    rules = dict.fromkeys([*([NOT_JUDGED] if line.not_judged else []), *(finding.rule for finding in line.findings)])
    messages = [*([line.not_judged] if line.not_judged else []), *(finding.message for finding in line.findings)]
    return _joined(rules), _joined(messages), line.source or "", line.line or ""


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(texts)

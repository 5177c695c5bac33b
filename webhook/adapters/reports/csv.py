"""CSV (RFC 4180) for spreadsheets: a line a workload; text that a spreadsheet would compute is made plain."""

import csv as standard
import io
from collections.abc import Iterable

from webhook.adapters.reports.audit import WorkloadLine
from webhook.adapters.reports.text import cell

COLUMNS = (
    *("namespace", "kind", "name", "policy", "outcome", "judged", "running_pods", "pods_unchanged", "pods_rewritten"),
    *(
        "pods_denied",
        "pods_exempt",
        "asks",
        "form_before",
        "form_after",
        "becomes",
        "rules",
        "messages",
        "source",
        "line",
    ),
)


def csv(objects: Iterable[WorkloadLine]) -> str:
    """The table, with a line of column names first; several things in one cell are set apart by ``; ``."""
    written = io.StringIO()
    writer = standard.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in objects:
        writer.writerow([value if isinstance(value, int) else cell(value) for value in _values(line)])
    return written.getvalue()


def _values(line: WorkloadLine) -> tuple[str | int, ...]:
    pods = line.pods
    return (
        line.namespace,
        line.kind,
        line.name,
        line.policy,
        line.outcome,
        line.judged,
        pods.sum,
        pods.unchanged,
        pods.rewritten,
        pods.denied,
        pods.exempt,
        _joined(line.asks),
        _joined(form.before for form in line.forms),
        _joined(form.after for form in line.forms),
        _joined(line.becomes),
        _joined(dict.fromkeys(finding.rule for finding in line.findings)),
        _joined(finding.message for finding in line.findings),
        line.source or "",
        line.line or "",
    )


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(texts)

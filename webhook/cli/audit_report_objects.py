"""The option ``--write-reports`` of ``gpuwarden audit``: the results as report objects in the cluster."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from ..adapters.kubernetes.policyreports import ReportStore
from ..adapters.reports import policyreport
from ..adapters.reports.audit import AuditInput
from ..application.other_kinds import unknown_kinds
from ..application.report_api import ReportApi
from ..engine.policy import LabelProblem
from .messages import say, usage_error
from .report_objects import store_reports

Mislabelled = Mapping[str, Sequence[LabelProblem]]
"""The labels that name no policy or have no effect, by namespace."""


def write_reports(
    store: ReportStore, gathered: AuditInput, mislabelled: Mislabelled, names: Sequence[str], now: datetime
) -> None:
    """Write the results into reports in the cluster, and print a summary on standard error.

    ``names`` are the namespaces that were checked (all, if none is named); the reports of others stay.

    Raises:
        typer.Exit: 2, after printing why. If not everything could be read, nothing is written, because missing objects would
        look fixed.
    """
    if not gathered.complete:
        missing = "; ".join(f"{problem.source}: {problem.message}" for problem in gathered.problems if problem.fatal)
        raise usage_error(f"no report was written, because not everything could be read: {missing}")
    api, written = store_reports(store, lambda api: _documents(api, gathered, {} if names else mislabelled, now), names)
    # Reports are about workloads, so kinds that were not checked can't be in them.
    for kind in gathered.kinds:
        say(f"not evaluated: {kind.message}")
    if gathered.kinds_unknown:
        say(f"not evaluated: {unknown_kinds(gathered.kinds_unknown)}")
    say(f"{api.plural} and {api.cluster_plural} of {api.group}: {written}")


def _documents(
    api: ReportApi, gathered: AuditInput, mislabelled: Mislabelled, now: datetime
) -> Iterator[dict[str, Any]]:
    """Yield the reports of each namespace that still exists, then the cluster's."""
    for namespace, rows in groupby(gathered.rows, key=lambda row: row.namespace):
        if namespace in gathered.labels:
            yield from policyreport.namespace_reports(api, namespace, rows, now)
    yield from policyreport.cluster_reports(api, mislabelled, now)

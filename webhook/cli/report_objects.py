"""Writing report objects into the cluster, for every command that has ``--write-reports``."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..adapters.kubernetes.errors import ApiError
from ..adapters.kubernetes.policyreports import ReportStore, WriteResult
from ..application.report_api import ReportApi
from .messages import say, usage_error


def store_reports(
    store: ReportStore, documents: Callable[[ReportApi], Iterable[dict[str, Any]]], names: Sequence[str]
) -> tuple[ReportApi, WriteResult]:
    """Replace the store's reports in the cluster, and print on standard error which could not be written.

    ``documents`` returns the new reports for an API; ``names`` are the namespaces that they are about (all, if none is named).

    Raises:
        typer.Exit: 2, after printing why: the cluster has no API for reports, or does not answer.
    """
    try:
        api = store.find_api()
        if api is None:
            raise usage_error(
                "no report was written: the cluster has no API for reports; install the definitions of PolicyReport "
                "(wgpolicyk8s.io/v1alpha2, which Kyverno brings) or of OpenReports (openreports.io/v1alpha1)"
            )
        written = store.write(api, documents(api), names)
    except ApiError as error:
        raise usage_error(f"reports could not be written: {error.detail}") from error
    for problem in written.problems:
        say(problem)
    return api, written

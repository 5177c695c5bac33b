"""Recommendations as reports in the cluster (PolicyReport, Report): one per namespace, in addition to those of an audit.

One result for the namespace and one per workload: advice to change something ``warn``, what is as recommended ``pass``, and what
cannot be decided ``skip``.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ...application.recommendation.namespace_advice import NamespaceAdvice
from ...application.recommendation.recommend import Recommendation, WorkloadRecommendation
from ...application.recommendation.verdicts import VerdictKind
from ...application.report_api import OF_RECOMMEND, ReportApi
from .policyreport import reports_of, result_of
from .recommend_words import advice_lines, by_namespace

Json = dict[str, Any]

_NAMESPACE_RULE = "recommended-policy"


def recommendation_reports(api: ReportApi, found: Recommendation, now: datetime) -> Iterator[Json]:
    """Yield the reports of each namespace whose workloads request GPUs."""
    for advice, lines in by_namespace(found):
        results = [_of_namespace(advice), *map(_of_workload, lines)]
        yield from reports_of(api, advice.namespace, results, now, OF_RECOMMEND)


def _of_namespace(advice: NamespaceAdvice) -> Json:
    subject = {"apiVersion": "v1", "kind": "Namespace", "name": advice.namespace}
    message = "; ".join(advice_lines(advice))
    if not advice.policy:
        return result_of("skip", _NAMESPACE_RULE, message, subject, {})
    if not advice.label:  # the policy in force is the one
        return result_of("pass", _NAMESPACE_RULE, message, subject, {"policy": advice.policy})
    about = {"policy": advice.policy, "label": advice.label, "preview": advice.preview}
    return result_of("warn", _NAMESPACE_RULE, message, subject, about)


def _of_workload(line: WorkloadRecommendation) -> Json:
    verdict = line.verdict
    if verdict.kind is VerdictKind.UNKNOWN:
        result = "skip"
    elif verdict.kind is VerdictKind.AS_IT_IS or (verdict.form == line.form and verdict.gpus == line.gpus):
        result = "pass"
    else:
        result = "warn"
    rule = verdict.kind.lower().replace(" ", "-")
    fits = f"{verdict.kind}: {verdict.form}" if verdict.form else str(verdict.kind)
    subject = {"kind": line.kind, "namespace": line.namespace, "name": line.name}
    about = {"requests": "; ".join(line.requests), "form": verdict.form, "gpus": str(verdict.gpus)}
    return result_of(result, rule, "; ".join([fits, *verdict.reasons]), subject, about)

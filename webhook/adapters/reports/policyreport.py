"""Reports for the cluster itself (PolicyReport and its successor Report), as dashboards for Kyverno's read them.

There is one report per namespace, and one result per workload and rule. The result is ``fail`` for a denial; ``warn`` for a
warning, or pods that do not comply with the policy; ``pass`` for workloads that comply, or are rewritten at admission; ``skip``
for those that are exempt or not evaluated.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ...application.audit_rows import Row
from ...application.auditing import PodVerdict
from ...application.report_api import CONTENT, LABEL, NAME, OF_AUDIT, OMITTED, ReportApi, ReportOwner
from ...application.rule_texts import INEFFECTIVE_LABEL, NOT_EVALUATED, REWRITTEN, UNREADABLE_LABEL, left_alone
from ...engine.decision import Outcome
from ...engine.findings import Finding
from ...engine.policy import LabelProblem
from ...engine.rules.not_rewritten import NOT_REWRITTEN
from ...engine.text import cut, plural

Json = dict[str, Any]

LARGEST = 512 << 10  # bytes of a report's results; etcd takes 1.5 MiB, and tools hold many reports at once
MOST_PARTS = 8  # reports of one namespace; beyond them results are left out, those that pass first
LONGEST_RESULT_MESSAGE = 1024  # characters
LARGEST_PATCH = 4096  # bytes
_LONGEST_PROPERTY = 512  # characters

_ORDER = {"fail": 0, "warn": 1, "error": 2, "skip": 3, "pass": 4}
_CATEGORY = "GPU requests"


def namespace_reports(api: ReportApi, namespace: str, rows: Iterable[Row], now: datetime) -> list[Json]:
    """The reports of one namespace: none if its workloads request no GPU, several if one would be too large."""
    return reports_of(api, namespace, [result for row in rows for result in _results(row)], now)


def reports_of(
    api: ReportApi, namespace: str, results: list[Json], now: datetime, owner: ReportOwner = OF_AUDIT
) -> list[Json]:
    """The reports of one namespace with these results."""
    reports = _reports(api, api.kind, results, now, owner)
    for report in reports:
        report["metadata"]["namespace"] = namespace
        report["scope"] = {"apiVersion": "v1", "kind": "Namespace", "name": namespace}
    return reports


def cluster_reports(api: ReportApi, problems: Mapping[str, Sequence[LabelProblem]], now: datetime) -> list[Json]:
    """The report on namespaces with a label that can't be read or has no effect; none without such namespaces."""
    results = [
        result_of(
            "warn" if problem.ignored else "fail",
            INEFFECTIVE_LABEL if problem.ignored else UNREADABLE_LABEL,
            f"{problem.path}: {problem.message}",
            {"apiVersion": "v1", "kind": "Namespace", "name": namespace},
            {"value": problem.value},
        )
        for namespace, found in problems.items()
        for problem in found
    ]
    return _reports(api, api.cluster_kind, results, now, OF_AUDIT)


def _results(row: Row) -> Iterator[Json]:
    verdict = row.verdict
    subject = {"apiVersion": row.api_version, "kind": row.kind, "namespace": row.namespace, "name": row.name}
    subject |= {"uid": row.uid} if row.uid else {}
    running = sum(row.pods.values())
    about = {"policy": verdict.policy, "requests": "; ".join(verdict.requests), "pods": str(running)}
    if verdict.exempt:
        yield result_of("skip", "exempt", left_alone(verdict.exempt), subject, about)
        return
    if verdict.not_evaluated:
        yield result_of("skip", NOT_EVALUATED, verdict.not_evaluated, subject, about)
    for finding in verdict.findings:
        yield _of_finding(finding, subject, about)
    if verdict.decision == Outcome.UNCHANGED and not verdict.findings:
        yield result_of("pass", "unchanged", "compliant with the policy", subject, about)
    elif verdict.outcome is Outcome.REWRITTEN and row.template:
        yield result_of("pass", REWRITTEN, _becomes(verdict), subject, about | _patch(verdict))
    if verdict.outcome is not Outcome.DENIED:
        yield from _of_pods(row, subject, about)


def _of_pods(row: Row, subject: Json, about: Mapping[str, str]) -> Iterator[Json]:
    """Yield results for pods that would change if they were created now."""
    for verdict, number in row.pods.items():
        if verdict.exempt:
            continue
        pods = plural(number, "pod is", "pods are")
        if verdict.outcome is Outcome.REWRITTEN:
            message = f"{pods} not compliant with the policy: {_becomes(verdict)}"
            yield result_of("warn", NOT_REWRITTEN.id, message, subject, {**about, **_patch(verdict)})
        elif verdict.outcome is Outcome.DENIED and row.template:
            for finding in verdict.findings:
                if finding.denies:
                    message = f"{pods} not permitted by the current policy: {finding.message}"
                    yield result_of("warn", finding.rule.id, message, subject, {**about, "field": finding.path})


def _of_finding(finding: Finding, subject: Json, about: Mapping[str, str]) -> Json:
    result = "fail" if finding.denies else "warn"
    return result_of(result, finding.rule.id, finding.message, subject, {**about, "field": finding.path})


def _becomes(verdict: PodVerdict) -> str:
    return "; ".join(verdict.becomes) or "the pod would get the policy's own settings"


def _patch(verdict: PodVerdict) -> dict[str, str]:
    """The patch as a property: as many whole operations as fit, and the number of those that do not."""
    kept: list[bytes] = []
    size = 2
    for operation in verdict.operations:
        encoded = msgspec.json.encode(operation)
        size += len(encoded) + 1
        if size > LARGEST_PATCH:
            return {"patch": _array(kept), "patchOmitted": str(len(verdict.operations) - len(kept))}
        kept.append(encoded)
    return {"patch": _array(kept)}


def _array(encoded: list[bytes]) -> str:
    return f"[{b','.join(encoded).decode()}]"


def result_of(result: str, rule: str, message: str, subject: Json, properties: Mapping[str, str]) -> Json:
    """One result about an object; texts that are too long are cut."""
    severities = {"fail": "high", "warn": "medium"}
    return {
        "source": NAME,
        "policy": NAME,
        "rule": rule,
        "category": _CATEGORY,
        "severity": severities.get(result, "info"),
        "result": result,
        "scored": True,
        "message": cut(message, LONGEST_RESULT_MESSAGE - 1),
        "resources": [subject],
        "properties": {
            key: value if key == "patch" else cut(value, _LONGEST_PROPERTY - 1) for key, value in properties.items()
        },
    }


def _parts(results: list[Json], now: datetime) -> tuple[list[list[Json]], int]:
    """Results in parts that fit, worst first, and the number of the least important ones that do not fit."""
    results.sort(key=lambda result: _ORDER[result["result"]])
    parts: list[list[Json]] = []
    size = 0
    for number, result in enumerate(results):
        result["timestamp"] = {"seconds": int(now.timestamp()), "nanos": 0}
        own = len(msgspec.json.encode(result)) + 1
        size += own
        if not parts or size > LARGEST:
            if len(parts) == MOST_PARTS:
                return parts, len(results) - number
            parts.append([])
            size = own
        parts[-1].append(result)
    return parts, 0


def _reports(api: ReportApi, kind: str, results: list[Json], now: datetime, owner: ReportOwner) -> list[Json]:
    """Results as reports of one place; the first has the number of those that did not fit."""
    parts, left_out = _parts(results, now)
    reports = []
    for number, part in enumerate(parts):
        omitted = 0 if number else left_out
        counted = Counter(result["result"] for result in part)
        reports.append(
            {
                "apiVersion": api.api_version,
                "kind": kind,
                "metadata": {
                    "name": f"{owner.name}-{number + 1}" if number else owner.name,
                    "labels": {"app.kubernetes.io/managed-by": NAME, LABEL: owner.label},
                    "annotations": {CONTENT: _digest(part, omitted)} | ({OMITTED: str(omitted)} if omitted else {}),
                },
                **({"source": NAME} if api.has_source else {}),
                "summary": {name: counted[name] for name in ("pass", "fail", "warn", "error", "skip")},
                "results": part,
            }
        )
    return reports


def _digest(results: list[Json], left_out: int) -> str:
    """Return a digest of everything except the time of the audit."""
    timeless = [{key: value for key, value in result.items() if key != "timestamp"} for result in results]
    return hashlib.sha256(msgspec.json.encode([timeless, left_out], order="deterministic")).hexdigest()

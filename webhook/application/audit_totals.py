"""Totals of an audit: how many workloads become what, by namespace, policy, rule and form."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from .audit_rows import Row

_K = TypeVar("_K")


class Flow(msgspec.Struct):
    """The numbers that request one form and get another (or the same), with one outcome."""

    workloads: int = 0
    pods: int = 0
    gpus: int = 0


class Totals(msgspec.Struct):
    """All totals.

    Attributes:
        workloads: by what becomes of the next pod of each.
        suspended: how many workloads have no pods until they are resumed.
        pods: pods that have not ended, by what would become of each if it were created now.
        namespaces, policies: workloads, by name.
        rules: workloads with a finding of each rule.
        flows: workloads, their pods and the GPUs that these request (without pods, those of future pods, as far as their number
            is known), by requested form, resulting form and outcome. A workload that requests several forms counts for each.
    """

    workloads: Counter[str] = msgspec.field(default_factory=Counter)
    suspended: int = 0
    pods: Counter[str] = msgspec.field(default_factory=Counter)
    namespaces: dict[str, Counter[str]] = msgspec.field(default_factory=dict)
    policies: dict[str, Counter[str]] = msgspec.field(default_factory=dict)
    rules: dict[str, int] = msgspec.field(default_factory=dict)
    flows: dict[tuple[str, str, str], Flow] = msgspec.field(default_factory=dict)


def totals(rows: Iterable[Row]) -> Totals:
    """Count rows; maps are ordered by name."""
    made = Totals()
    rules: Counter[str] = Counter()
    for row in rows:
        verdict = row.verdict
        made.workloads[verdict.outcome_or_exempt] += 1
        made.suspended += row.suspended
        made.pods.update(row.outcomes)
        made.namespaces.setdefault(row.namespace, Counter())[verdict.outcome_or_exempt] += 1
        made.policies.setdefault(verdict.policy, Counter())[verdict.outcome_or_exempt] += 1
        rules.update({finding.rule.id for finding in verdict.findings})
        running = sum(row.pods.values())
        for form in verdict.forms:
            flow = made.flows.setdefault((form.before, form.after, verdict.outcome_or_exempt), Flow())
            flow.workloads += 1
            flow.pods += running
            flow.gpus += form.gpus * running if running else form.planned * row.count.number
    made.rules = _ordered(rules)
    made.namespaces, made.policies = _ordered(made.namespaces), _ordered(made.policies)
    return made


def _ordered(counted: dict[str, _K]) -> dict[str, _K]:
    return dict(sorted(counted.items()))

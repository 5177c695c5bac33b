"""Totals of an audit: how many workloads become what, by namespace, policy, rule and form."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from ..engine.decision import Outcome
from .audit_rows import Row
from .auditing import PodVerdict
from .rule_texts import EXEMPT

_K = TypeVar("_K")


class Tally(msgspec.Struct):
    """Numbers by outcome. Each counts once: an exempt object only as exempt."""

    unchanged: int = 0
    rewritten: int = 0
    denied: int = 0
    exempt: int = 0
    not_evaluated: int = 0

    def add(self, verdict: PodVerdict, number: int = 1) -> None:
        """Count a number of objects with a verdict."""
        if verdict.exempt:
            self.exempt += number
        elif verdict.outcome is Outcome.DENIED:
            self.denied += number
        elif verdict.outcome is Outcome.REWRITTEN:
            self.rewritten += number
        elif verdict.not_evaluated:
            self.not_evaluated += number
        else:
            self.unchanged += number

    @property
    def sum(self) -> int:
        """All of them."""
        return self.unchanged + self.rewritten + self.denied + self.exempt + self.not_evaluated


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

    workloads: Tally = msgspec.field(default_factory=Tally)
    suspended: int = 0
    pods: Tally = msgspec.field(default_factory=Tally)
    namespaces: dict[str, Tally] = msgspec.field(default_factory=dict)
    policies: dict[str, Tally] = msgspec.field(default_factory=dict)
    rules: dict[str, int] = msgspec.field(default_factory=dict)
    flows: dict[tuple[str, str, str], Flow] = msgspec.field(default_factory=dict)


def totals(rows: Iterable[Row]) -> Totals:
    """Count rows; maps are ordered by name."""
    made = Totals()
    rules: Counter[str] = Counter()
    for row in rows:
        verdict = row.verdict
        made.workloads.add(verdict)
        made.suspended += row.suspended
        for of_pods, number in row.pods.items():
            made.pods.add(of_pods, number)
        made.namespaces.setdefault(row.namespace, Tally()).add(verdict)
        made.policies.setdefault(verdict.policy, Tally()).add(verdict)
        rules.update({finding.rule.id for finding in verdict.findings})
        running = sum(row.pods.values())
        for form in verdict.forms:
            outcome = EXEMPT if verdict.exempt else verdict.decision
            flow = made.flows.setdefault((form.before, form.after, outcome), Flow())
            flow.workloads += 1
            flow.pods += running
            flow.gpus += form.gpus * running if running else form.planned * row.count.number
    made.rules = _ordered(rules)
    made.namespaces, made.policies = _ordered(made.namespaces), _ordered(made.policies)
    return made


def _ordered(counted: dict[str, _K]) -> dict[str, _K]:
    return dict(sorted(counted.items()))

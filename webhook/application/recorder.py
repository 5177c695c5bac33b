"""The interface that admission reports decisions to: one value per decision, for metrics and the log."""

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

import msgspec

from ..engine.decision import DENIED, Decision, Outcome
from ..engine.forms import Form
from ..engine.pods import Metadata, PodSpec
from ..engine.policy import Policy
from .review import Envelope

OTHER = "other"
"""The label value for everything beyond the first few."""
_MOST_FORMS = 16


class DecisionSummary(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """What is recorded about a decision, without its request: small, and the same for equal pods.

    Attributes:
        path: the endpoint: ``mutate``, ``validate``, ``advise`` or ``validate-claim``.
        mode: ``enforce``, ``warn`` or ``audit``: which label's policy decided.
        policy, unreadable: the policy's name, and whether it replaces a label that can't be read.
        acted: whether the decision had its effect; a ``warn`` or ``audit`` decision never has.
        rules: the rules that found anything, in their order.
        findings: the number of findings by rule and severity.
        denies_access: whether a finding denies access to GPUs that the pod has besides its requests.
        requested: form and number of the GPUs that the admitted pod requests, ``None`` for the forms beyond the first few; only
            where ``mutate`` enforces.
    """

    path: str
    mode: str
    policy: str
    unreadable: bool
    operation: str
    outcome: Outcome
    acted: bool
    rules: tuple[str, ...] = ()
    findings: tuple[tuple[str, str, int], ...] = ()
    denies_access: bool = False
    requested: tuple[tuple[Form | None, int], ...] = ()

    @classmethod
    def of(  # noqa: PLR0913 - the fields of one value
        cls,
        path: str,
        mode: str,
        policy: Policy,
        decision: Decision,
        *,
        operation: str,
        spec: PodSpec | None,
        acted: bool,
    ) -> "DecisionSummary":
        """Summarize a decision on a pod with this ``spec``, or on an object that is not a pod."""
        outcome = decision.outcome
        admitted = path == "mutate" and mode == "enforce" and outcome is not DENIED and spec is not None
        findings = Counter((one.rule.id, one.severity.value) for one in decision.findings) if decision.findings else {}
        return cls(
            path,
            mode,
            policy.name,
            bool(policy.unreadable),
            operation,
            outcome,
            acted,
            tuple(dict.fromkeys(rule for rule, _ in findings)),
            tuple((rule, severity, number) for (rule, severity), number in findings.items()),
            any(one.denies and one.rule.access for one in decision.findings),
            _by_form(decision.requested(spec)) if admitted and spec else (),
        )


def _by_form(requests: Iterable[tuple[Form, int]]) -> tuple[tuple[Form | None, int], ...]:
    """Return the number of GPUs by form, for a few forms; no real pod has more."""
    found: dict[Form | None, int] = {}
    for form, number in requests:
        listed = form if form in found or len(found) < _MOST_FORMS else None
        found[listed] = found.get(listed, 0) + number
    return tuple(found.items())


class RecordedDecision(msgspec.Struct, frozen=True, gc=False):
    """A decision that was made, the request that it answers, and the object's metadata if it was read."""

    evaluated: DecisionSummary
    request: Envelope
    metadata: Metadata | None = None


class Recorder(Protocol):
    """Records decisions."""

    def decided(self, recorded: RecordedDecision) -> None:
        """Record a decision. Called in the request path: no I/O, nothing slow."""

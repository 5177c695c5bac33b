"""The text of every id in reports: those of rules, and the others."""

import msgspec

from ..engine.findings import Severity
from ..engine.rules.catalog import RULES
from ..engine.schedulers import HAMI, HAMI_RESOURCES
from .operator_traps import OPERATOR_TRAP

REWRITTEN = "rewritten"
"""Id in reports of a pod that would be rewritten, which is not a finding of a rule."""
UNREADABLE_LABEL = "unreadable-label"
"""Id in reports of a namespace whose label names no policy."""
INEFFECTIVE_LABEL = "ineffective-label"
"""Id in reports of a label that looks like one of gpuwarden's and has no effect."""
NOT_EVALUATED = "not-evaluated"
"""Decision and id in reports of objects that may request GPUs and are not evaluated: kinds that lead to pods, and claims."""
EXEMPT = "exempt"
"""Decision in reports on exempt objects."""
NOT_READ = "not-read"
"""Decision in reports on an object with fields of the wrong type: the API server rejects it."""


def left_alone(exempt: str) -> str:
    """A sentence that an object is exempt, and why."""
    if exempt.startswith("ignored: "):
        return exempt
    if exempt == "resources":
        names = ", ".join(sorted(HAMI_RESOURCES))
        return f"skipped: it requests HAMi's resources ({names}), and {HAMI} is exempt"
    return f"skipped: its {exempt} is exempt"


class RuleText(msgspec.Struct, frozen=True):
    """An id in words.

    Attributes:
        severity: what a finding does under enforce; ``None`` for an id that is not a rule's.
    """

    id: str
    severity: Severity | None
    title: str
    help: str


_OF_REPORTS = (
    RuleText(
        REWRITTEN,
        None,
        "The request would be rewritten as the policy requires",
        "A plain request becomes the first form of the policy that the pod's node selectors permit, and an explicit one "
        "gets what its form needs. No action is needed; the patch shows what would change.",
    ),
    RuleText(
        UNREADABLE_LABEL,
        Severity.DENY,
        "The namespace's label names no policy",
        "An invalid enforce label denies every pod that requests a GPU; an invalid one of warn or audit counts as any. Set the "
        "value that the message names.",
    ),
    RuleText(
        INEFFECTIVE_LABEL,
        Severity.WARN,
        "A label that gpuwarden does not read",
        "The key is mistyped, or it is set as an annotation or on something other than a namespace, so it has no effect. "
        "Set the label that the message names, on the namespace. gpuwarden.io/gpu-memory is an annotation of pods.",
    ),
    RuleText(
        NOT_EVALUATED,
        None,
        "Something that may request GPUs and is not evaluated",
        "An object of another kind requests GPUs or holds containers, and its pods are evaluated when they are created: check "
        "those pods, or run gpuwarden audit in their cluster. A resource claim (DRA) names an object that was not found, "
        "and may be for GPUs: check both together. A pod requests another vendor's device, "
        "or sets GPUs where Kubernetes does not read them: the message has the fix.",
    ),
)
RULE_TEXTS = {
    text.id: text
    for text in (
        *(RuleText(rule.id, rule.severity, rule.title, rule.help) for rule in (*RULES, OPERATOR_TRAP)),
        *_OF_REPORTS,
    )
}

"""The rule about the final pod: it must have been rewritten as the policy requires, and no update may require a rewrite."""

from collections.abc import Sequence

from ..edits import Annotate, Edit
from ..findings import Finding, Rule, Severity
from ..policy import Policy
from ..text import first_of

NOT_REWRITTEN = Rule(
    "not-rewritten",
    Severity.DENY,
    "The pod does not have the form of its policy",
    "It was created before the policy, while the mutating webhook did not answer, or another webhook undid the change. "
    "Create the pod again. An update that would need a rewrite is denied too, because resources can't change later.",
)

_SHOWN = 3


def not_rewritten(edits: Sequence[Edit], policy: Policy) -> Finding | None:
    """Edits that the final pod still needs: the mutating webhook was skipped, or another one undid its change."""
    if not (missing := _missing(edits)):
        return None
    return NOT_REWRITTEN.found(
        "spec",
        f'pod: not rewritten as namespace policy "{policy.name}" requires ({missing})',
        "gpuwarden's mutating webhook did not answer or another webhook undid its change; create the pod again, "
        "and if that fails, contact the cluster's operators",
    )


def update_needs_rewrite(edits: Sequence[Edit], policy: Policy) -> Finding | None:
    """Edits that an update would require: its nodeSelector or node affinity names another form than its resources."""
    if not (missing := _missing(edits)):
        return None
    return NOT_REWRITTEN.found(
        "spec",
        f'pod: this update would have to be rewritten under namespace policy "{policy.name}" ({missing})',
        "the resources of a pod can't change once it is created; leave its nodeSelector and node affinity as they are, or "
        "delete the pod and create it with them",
    )


def _missing(edits: Sequence[Edit]) -> str:
    """The first edits as text, except annotations."""
    missing = [str(edit) for edit in edits if not isinstance(edit, Annotate)]
    return first_of(missing, _SHOWN, "; ")

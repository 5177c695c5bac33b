"""The rule of the final pod: whatever the policy rewrites must have been rewritten by then."""

from collections.abc import Sequence

from webhook.engine.edits import Annotate, Edit
from webhook.engine.findings import Finding, Rule, deny
from webhook.engine.policy import Policy

_SHOWN = 3


def not_rewritten(edits: Sequence[Edit], policy: Policy) -> Finding | None:
    """Edits still outstanding on the final pod: the mutating webhook was skipped, or another one undid its work."""
    missing = [str(edit) for edit in edits if not isinstance(edit, Annotate)]
    if not missing:
        return None
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return deny(
        Rule.NOT_REWRITTEN,
        "spec",
        f'pod: not rewritten as namespace policy "{policy.name}" asks ({"; ".join(missing[:_SHOWN])}{more})',
        "gpuwarden's mutating webhook did not answer or another webhook undid its change; create the pod again, "
        "and if that fails tell the cluster's operators",
    )

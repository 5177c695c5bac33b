"""Check of the admission policies in the API server itself: whether they are those of the configuration, and who decides."""

from collections.abc import Iterator, Sequence

from ..in_tree_drift import Drift, InTreeObject, differences, policies_of
from .facts import Facts, Unread, known
from .ours import readable_webhooks
from .results import CheckOutcome, listed, skipped, verdicts, warn

_FIX = "compile the policies again and apply them (docs/how-to/in-tree.md)"
_MEANS = "the API server decides pods otherwise than the configuration says"


def same(facts: Facts) -> list[CheckOutcome]:
    """The admission policies are what the configuration compiles to."""
    ours = known(facts.in_tree)
    by_webhooks = bool(readable_webhooks(facts))
    if not ours:
        return verdicts((), lambda: "the webhooks decide every pod: there are no admission policies of gpuwarden")
    rest = "the webhooks decide all other pods" if by_webhooks else "no webhook decides the other pods"
    return verdicts(
        _different(facts, ours, by_webhooks=by_webhooks),
        lambda: f"the API server decides the common case of {listed(policies_of(ours))}; {rest}",
    )


def _different(facts: Facts, ours: Sequence[InTreeObject], *, by_webhooks: bool) -> Iterator[CheckOutcome]:
    for one in differences(ours, facts.usable_configuration(), beside_webhooks=by_webhooks):
        remove = f"kubectl delete {one.kind.lower()} {one.name}, or " if one.how is Drift.SURPLUS else ""
        yield warn(str(one), _MEANS, f"{remove}{_FIX}")


def decides_alone(facts: Facts) -> bool:
    """Whether admission policies of ours are all that is installed: neither webhooks nor replicas."""
    there = facts.mutating, facts.validating, facts.deployment
    return not isinstance(facts.in_tree, Unread) and bool(facts.in_tree) and there == (None, None, None)


def not_of_webhooks() -> CheckOutcome:
    """The verdict of a check of webhooks or replicas where the API server decides alone."""
    return skipped(
        "not checked: the API server decides alone (see check in-tree)",
        "nothing to check, unless webhooks should be installed too (inTree.only=false)",
    )

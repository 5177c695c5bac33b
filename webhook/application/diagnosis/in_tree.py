"""Check of the admission policies in the API server itself: whether they are those of the configuration, and who decides."""

from collections.abc import Iterator

import msgspec

from ...engine.namespace_labels import ENFORCE
from ..deciders import Decider, Installed, PodWebhook
from ..in_tree_drift import Drift, differences, policies_of
from .facts import Facts, Unread, known
from .our_webhooks import readable_webhooks
from .results import CheckOutcome, Findings, fail, listed, skipped, warn

_FIX = "compile the policies again and apply them (docs/how-to/in-tree.md)"
_DIFFERENT = "the API server decides pods differently from the configuration"
_UNDECIDED = (
    "nobody decides: the webhooks leave the common case to the API server, so pods with GPUs are created unchanged"
)


def installed(facts: Facts) -> Installed:
    """The objects of gpuwarden for new pods in the API server.

    Raises:
        UnreadError: the admission policies could not be read.
    """
    ours = readable_webhooks(facts)
    webhooks = [msgspec.convert(each.webhook, PodWebhook, from_attributes=True) for each in ours]
    return Installed(known(facts.in_tree), webhooks)


def same(facts: Facts) -> Findings:
    """The admission policies are what the configuration compiles to."""
    there = installed(facts)
    if not there.objects and not any(each.leaves_out_the_common_case for each in there.webhooks):
        return "the webhooks decide every pod: there are no admission policies of gpuwarden"
    yield from _different(facts, there)
    return _who_decides(there)


def _who_decides(there: Installed) -> str:
    decided = {policy: there.deciders({ENFORCE: policy}) for policy in policies_of(there.objects)}
    common = [
        policy for policy, deciders in decided.items() if deciders.common_case in {Decider.API_SERVER, Decider.BOTH}
    ]
    also = there.asked_about_all()
    others = sorted({deciders.other_pods for deciders in decided.values()})
    rest = "; ".join(_OTHERS[each] for each in others)
    called = f"; the webhooks are also called for that of {listed(also)}" if also else ""
    return f"the API server decides the common case of {listed(common)}{called}; {rest}"


_OTHERS = {
    Decider.API_SERVER: "it denies all other pods with GPUs",
    Decider.NOBODY: "nobody decides the other pods: they are created as they are",
    Decider.WEBHOOKS: "the webhooks decide all other pods",
    Decider.BOTH: "the webhooks are called for all other pods, and the API server denies them",
}


def _different(facts: Facts, there: Installed) -> Iterator[CheckOutcome]:
    configuration = facts.usable_configuration()
    undecided = there.left_out(configuration)
    beside, warned = bool(there.webhooks), there.asked_about_all()
    for one in differences(there.objects, configuration, beside_webhooks=beside, left_out=undecided, warned=warned):
        remove = f"kubectl delete {one.kind.lower()} {one.name}, or " if one.how is Drift.SURPLUS else ""
        if one.policy in undecided:
            yield fail(str(one), _UNDECIDED, _FIX)
        else:
            yield warn(str(one), _DIFFERENT, f"{remove}{_FIX}")


def decides_alone(facts: Facts) -> bool:
    """Whether only gpuwarden's admission policies are installed, without webhooks and replicas."""
    there = facts.mutating, facts.validating, facts.deployment
    return not isinstance(facts.in_tree, Unread) and bool(facts.in_tree) and there == (None, None, None)


def not_of_webhooks() -> CheckOutcome:
    """The verdict of a check of webhooks or replicas, if the API server decides alone."""
    return skipped(
        "not checked: the API server decides alone (see check in-tree)",
        "nothing to check, unless webhooks should be installed too (inTree.only=false)",
    )

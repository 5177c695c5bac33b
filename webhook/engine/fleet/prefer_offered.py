"""``prefer: offered``: moves the first of a policy's forms that nodes offer to the front."""

from functools import lru_cache

from ..decision import decide
from ..pods import Pod
from ..policy import Policy, Prefer
from ..spelling import DevicePlugin
from .fleet import Fleet
from .fleet_findings import plain_request_unschedulable


def preferring(policy: Policy, plugin: DevicePlugin, fleet: Fleet) -> Policy:
    """The policy as it rewrites pods now: under ``prefer: offered``, the first form that nodes offer is listed first."""
    return policy if policy.prefer is not Prefer.OFFERED else _reordered(policy, plugin, fleet)


@lru_cache(maxsize=32)
def _reordered(policy: Policy, plugin: DevicePlugin, fleet: Fleet) -> Policy:
    return next((order for order in policy.orders if plain_request_unschedulable(order, plugin, fleet) is None), policy)


def settled(pod: Pod, policy: Policy, plugin: DevicePlugin, fleet: Fleet | None = None) -> Policy:
    """The policy as it may have rewritten a pod: with the order of forms that needs no further edits, otherwise as it is now.

    Nodes may have changed since then, so ``prefer: offered`` might give the pod another form now.
    A pod that the present order denies was not rewritten; with another order it would seem that the rewrite was forgotten.
    """
    orders = policy.orders
    if len(orders) == 1:
        return policy

    def needs_nothing(order: Policy) -> bool:
        decision = decide(pod, order, plugin, guarded=False)
        return not decision.edits and not decision.denials

    return next(filter(needs_nothing, orders), preferring(policy, plugin, fleet) if fleet else policy)

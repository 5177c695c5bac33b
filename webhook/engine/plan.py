"""Plans: what becomes of all pods that ask alike. Most pods ask as one before them did, so plans are remembered."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from webhook.engine.choice import Choice, choose
from webhook.engine.judging import judge, refusal
from webhook.engine.nodes import NodeConstraints
from webhook.engine.policy import Policy
from webhook.engine.requests import Ask, Kind, one_of
from webhook.engine.rewriting import Respelling, respell
from webhook.engine.spelling import DevicePlugin

# Pods whose containers ask in more ways than these are not remembered, so that what is remembered stays small.
_MOST_KINDS = 4


class Plan(msgspec.Struct, frozen=True):
    """What becomes of requests, decided once for all that ask alike under one policy.

    Attributes:
        choices: the form that well-formed requests get, by the resource that they name.
        respelling: what spells them.
        quiet: no rule has anything to say of any of them.
    """

    choices: Mapping[str, Choice]
    respelling: Respelling
    quiet: bool


def plan_for(
    asks: Sequence[Ask], policy: Policy, plugin: DevicePlugin, nodes: NodeConstraints, *, host_ipc: bool
) -> Plan:
    """The plan for a pod.

    Args:
        asks: its containers that ask for GPUs, well-formed or not.
        policy: the policy.
        plugin: the device plugin's settings.
        nodes: what it says about the nodes of forms. Plans are remembered for pods that share what they say.
        host_ipc: whether it has the host's IPC namespace.
    """
    kinds = tuple({ask.kind: None for ask in asks})
    if nodes.shared and len(kinds) <= _MOST_KINDS:
        return _remembered(kinds, policy, plugin, nodes, host_ipc)
    return _made(kinds, policy, plugin, nodes, host_ipc)


def _made(
    kinds: Sequence[Kind],
    policy: Policy,
    plugin: DevicePlugin,
    nodes: NodeConstraints,
    host_ipc: bool,  # noqa: FBT001 - the cache's key
) -> Plan:
    """The plan for one container of each kind: rules judge containers by what they ask for."""
    asks = [one_of(kind) for kind in kinds]
    wellformed = [ask for ask in asks if not refusal(ask, policy)]
    resources = dict.fromkeys(ask.amounts[0].resource for ask in wellformed)
    choices = choose(resources, policy, nodes, plugin)
    by_name = {choice.resource.name: choice for choice in choices}
    respelling = Respelling() if policy.permits_any else respell(choices, nodes, plugin)
    found = judge(wellformed, by_name, respelling, policy, nodes, host_ipc=host_ipc)
    return Plan(by_name, respelling, quiet=not found and len(wellformed) == len(asks))


_remembered = lru_cache(maxsize=1024)(_made)

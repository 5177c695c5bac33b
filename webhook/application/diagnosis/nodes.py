"""Checks of policies against the GPUs that nodes offer."""

from collections import Counter

from ...engine.fleet.fleet import Fleet
from ...engine.fleet.fleet_findings import plain_request_unschedulable
from ...engine.fleet.prefer_offered import preferring
from ...engine.rules.fleet import policy_not_offered
from .facts import Facts, known
from .policies import enforced
from .results import Findings, listed, warn


def offered(facts: Facts) -> Findings:
    """Some node offers what plain requests become under each policy in use."""
    configuration = facts.usable_configuration()
    fleet = Fleet(
        Counter(node.shape for node in known(facts.nodes)),
        labels=configuration.policies.node_labels,
        classes=known(facts.classes),
        expected=configuration.expected,
    )
    used = {v: pair for v, pair in enforced(facts).items() if pair[0].forms}
    for policy, namespaces in used.values():
        preferred = preferring(policy, configuration.plugin, fleet)
        if lacking := plain_request_unschedulable(preferred, configuration.plugin, fleet):
            where = f"namespaces {listed(namespaces)}" if namespaces else "every unlabelled namespace"
            yield warn(
                policy_not_offered(policy, *lacking),
                f"pods that request a GPU in {where} stay Pending, unless an autoscaler adds such nodes",
                "configure the device plugin on some nodes accordingly (sharing, MIG), or label the namespaces with another "
                "policy; if an autoscaler adds such nodes, list the form in config.fleet.expected",
            )
    return f"nodes offer what these policies request: {listed(used)}" if used else "no policy in use rewrites requests"

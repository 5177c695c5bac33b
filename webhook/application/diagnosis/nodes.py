"""Checks of policies against the GPUs that nodes offer."""

from collections import Counter

from ...engine.fleet.fleet import Fleet
from ...engine.fleet.fleet_findings import plain_request_unschedulable
from ...engine.fleet.node_shapes import Shape
from ...engine.fleet.prefer_offered import preferring
from ...engine.forms import Platform
from ...engine.rules.fleet import policy_not_offered
from .facts import Facts, known
from .policies import enforced
from .results import Findings, fail, listed, warn


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


def renaming(facts: Facts) -> Findings:
    """The configuration's renameByDefault matches the device plugin's."""
    configured = facts.usable_configuration().plugin.rename_by_default
    setting = f"renameByDefault is {str(configured).lower()}"
    by_node = {node.name: renamed for node in known(facts.nodes) if (renamed := _renames(node.shape)) is not None}
    if not by_node:
        return f"{setting}; no node shares GPUs through the device plugin"
    otherwise = [name for name, renamed in by_node.items() if renamed is not configured]
    if configured:
        how = "under the name nvidia.com/gpu (no ….shared)"
        impact = (
            "requests for shared GPUs become nvidia.com/….shared, which no node offers, so their pods stay Pending; requests "
            "for whole GPUs may get shared ones"
        )
    else:
        how = "under the name nvidia.com/….shared"
        impact = "requests for shared GPUs keep the name nvidia.com/gpu, and never get these GPUs"
    observed = f"{setting}, and node {listed(otherwise)} offers shared GPUs {how}"
    if len(otherwise) == len(by_node):
        value = str(not configured).lower()
        fix = f"set config.devicePlugin.renameByDefault to {value}, as in the device plugin's configuration"
        yield fail(observed, impact, fix)
    elif otherwise:
        fix = "use the same renameByDefault in the device plugin's configuration on every node"
        yield warn(f"{observed}; {len(by_node) - len(otherwise)} others match", impact, fix)
    return f"{setting}, as on the nodes that share GPUs ({len(by_node)})"


def _renames(shape: Shape) -> bool | None:
    """Whether the device plugin renames what a node shares; ``None`` if nothing is shared."""
    shared = [name for name, form in shape.forms.items() if form.shared and form.platform is Platform.DEVICE_PLUGIN]
    return any(name.endswith(".shared") for name in shared) if shared else None

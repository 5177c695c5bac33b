"""Checks of policies against the GPUs that nodes offer."""

from collections import Counter
from collections.abc import Iterator, Sequence

from ...engine.fleet.availability import plain_request_unschedulable, preferring
from ...engine.fleet.fleet import Fleet, NodeRequest, Unschedulable
from ...engine.fleet.shapes import Shape
from ...engine.forms import Platform
from ...engine.policy import Policy
from ...engine.rules.fleet import policy_not_offered
from .facts import Facts, known
from .policies import enforced
from .results import CheckOutcome, fail, listed, ok, verdicts, warn


def offered(facts: Facts) -> list[CheckOutcome]:
    """Some node offers what plain requests become under each policy in use."""
    configuration = facts.usable_configuration()
    fleet = Fleet(
        Counter(node.shape for node in known(facts.nodes)),
        labels=configuration.policies.node_labels,
        classes=known(facts.classes),
        expected=configuration.expected,
    )
    used = {v: pair for v, pair in enforced(configuration, known(facts.namespaces)).items() if pair[0].forms}
    if not used:
        return [ok("no policy in use rewrites requests")]

    def absent() -> Iterator[CheckOutcome]:
        for policy, namespaces in used.values():
            preferred = preferring(policy, configuration.plugin, fleet)
            if lacking := plain_request_unschedulable(preferred, configuration.plugin, fleet):
                yield _absent(policy, namespaces, *lacking)

    return verdicts(absent(), lambda: f"nodes offer what these policies request: {listed(used)}")


def _absent(
    policy: Policy, namespaces: Sequence[str], node_request: NodeRequest, unschedulable: Unschedulable
) -> CheckOutcome:
    where = f"namespaces {listed(namespaces)}" if namespaces else "every unlabelled namespace"
    return warn(
        policy_not_offered(policy, node_request, unschedulable),
        f"pods that request a GPU in {where} stay Pending, unless an autoscaler adds such nodes",
        "configure the device plugin on some nodes accordingly (sharing, MIG), or label the namespaces with another policy; "
        "if an autoscaler adds such nodes, list the form in config.fleet.expected",
    )


def renaming(facts: Facts) -> list[CheckOutcome]:
    """The configuration's renameByDefault is the device plugin's."""
    said = facts.usable_configuration().plugin.rename_by_default
    by_node = {node.name: renamed for node in known(facts.nodes) if (renamed := _renames(node.shape)) is not None}
    if not by_node:
        return [ok(f"renameByDefault is {str(said).lower()}; no node shares GPUs through the device plugin")]
    otherwise = [name for name, renamed in by_node.items() if renamed is not said]
    if not otherwise:
        return [ok(f"renameByDefault is {str(said).lower()}, as on the nodes that share GPUs ({len(by_node)})")]
    how = "under the name nvidia.com/….shared" if not said else "under the name nvidia.com/gpu (no ….shared)"
    seen = f"renameByDefault is {str(said).lower()}, and node {listed(otherwise)} offers shared GPUs {how}"
    means = (
        "requests for shared GPUs become nvidia.com/….shared, which no node offers, so their pods stay Pending; requests for "
        "whole GPUs may get shared ones"
        if said
        else "requests for shared GPUs keep the name nvidia.com/gpu, and never get these GPUs"
    )
    fix = f"set config.devicePlugin.renameByDefault to {str(not said).lower()}, as in the device plugin's configuration"
    if len(otherwise) < len(by_node):
        seen += f"; {len(by_node) - len(otherwise)} others match"
        fix = "use the same renameByDefault in the device plugin's configuration on every node"
    return [(fail if len(otherwise) == len(by_node) else warn)(seen, means, fix)]


def _renames(shape: Shape) -> bool | None:
    """Whether the device plugin renames what a node shares; ``None`` where nothing is shared."""
    shared = [name for name, form in shape.forms.items() if form.shared and form.platform is Platform.DEVICE_PLUGIN]
    return any(name.endswith(".shared") for name in shared) if shared else None

"""Checks of policies against the GPUs that nodes offer."""

from collections.abc import Iterator, Sequence

from webhook.application.diagnosis.documents import Node
from webhook.application.diagnosis.facts import Facts, known
from webhook.application.diagnosis.policies import enforced
from webhook.application.diagnosis.results import Verdict, fail, listed, ok, verdicts, warn
from webhook.engine.policy import Policy
from webhook.engine.products import PRODUCT, read_product
from webhook.engine.quantity import whole
from webhook.engine.resources import PREFIX, GpuResource, classify, resource_name
from webhook.engine.spelling import SHARED_STRATEGIES, Spelling, spell

_STRATEGY = ".sharing-strategy"


def offered(facts: Facts) -> list[Verdict]:
    """Some node offers what plain requests become under each policy in use."""
    configuration = facts.usable_configuration()
    nodes = known(facts.nodes)
    used = {v: pair for v, pair in enforced(configuration, known(facts.namespaces)).items() if pair[0].forms}
    if not used:
        return [ok("no policy in use rewrites requests")]

    def missing() -> Iterator[Verdict]:
        for policy, namespaces in used.values():
            spelling = spell(policy.forms[0], configuration.plugin)
            if not any(_offers(node, policy, spelling) for node in nodes):
                yield _missing(policy, namespaces, spelling)

    return verdicts(missing(), lambda: f"nodes offer what these policies request: {listed(used)}")


def _offers(node: Node, policy: Policy, spelling: Spelling) -> bool:
    """Whether a node has the resource, and the labels that gpuwarden's rewriting asks of it."""
    labels = node.metadata.labels or {}
    needed = {need.key for need in spelling.needs}
    # A product is written anew with the form's own suffix, and what contradicts the form is left out: see engine/settings.
    extra = {k: v for k, v in policy.node_selector.items() if k != PRODUCT and k not in needed}
    return (
        amount(node, spelling.resource) > 0
        and all(need.admits(labels.get(need.key)) for need in spelling.needs)
        and all(labels.get(key) == value for key, value in extra.items())
    )


def _missing(policy: Policy, namespaces: Sequence[str], spelling: Spelling) -> Verdict:
    asks = "; ".join(
        [spelling.resource, *map(str, spelling.needs), *(f"{k}: {v}" for k, v in policy.node_selector.items())]
    )
    where = f"namespaces {listed(namespaces)}" if namespaces else "every unlabelled namespace"
    return warn(
        f'no node offers what policy "{policy.name}" requests: {asks}',
        f"pods that request a GPU in {where} stay Pending, unless an autoscaler adds such nodes",
        "configure the device plugin on some nodes accordingly (sharing, MIG), or label the namespaces with another policy",
    )


def amount(node: Node, resource: str) -> int:
    """How much of a resource a node has to give."""
    return whole((node.status.allocatable or {}).get(resource)) or 0


def renaming(facts: Facts) -> list[Verdict]:
    """The configuration's renameByDefault is the device plugin's."""
    said = facts.usable_configuration().plugin.rename_by_default
    by_node = {node.metadata.name: renamed for node in known(facts.nodes) if (renamed := _renames(node)) is not None}
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


def _renames(node: Node) -> bool | None:
    """Whether the device plugin renames what a node shares; ``None`` where nothing is shared.

    By the resources that end in ``.shared``; otherwise by GPU feature discovery's labels: ``sharing-strategy`` of a
    resource that has kept its name, or ``-SHARED`` at the end of the product (internal/lm/resource.go).
    """
    resources = {name: classify(name) for name in node.status.allocatable or {} if amount(node, name)}
    if any(isinstance(found, GpuResource) and found.shared for found in resources.values()):
        return True
    labels = node.metadata.labels or {}
    shared = {key for key, value in labels.items() if key.endswith(_STRATEGY) and value in SHARED_STRATEGIES}
    product_shared = read_product(labels.get(PRODUCT, "")).shared
    names = {key.removesuffix(_STRATEGY) for key in shared} | (
        {resource_name(None, shared=False)} if product_shared else set()
    )
    return False if any(name.startswith(PREFIX) and name in resources for name in names) else None

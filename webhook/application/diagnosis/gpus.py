"""Checks of policies against what there is: the GPUs that nodes offer, and the quotas on them."""

from collections.abc import Iterator, Sequence

from webhook.application.diagnosis.documents import Node
from webhook.application.diagnosis.facts import Facts, known
from webhook.application.diagnosis.policies import enforced, policy_of
from webhook.application.diagnosis.results import Verdict, fail, listed, ok, verdicts, warn
from webhook.engine.policy import Policy
from webhook.engine.quantity import whole
from webhook.engine.resources import PREFIX, GpuResource, classify, resource_name
from webhook.engine.spelling import (
    GPU_SLICES,
    PRODUCT,
    SHARED_STRATEGIES,
    DevicePlugin,
    MigStrategy,
    Spelling,
    read_product,
    spell,
)

_STRATEGY = ".sharing-strategy"
_MIG_STRATEGY = "nvidia.com/mig.strategy"
_QUOTA = "requests."  # the only prefix that quotas of extended resources have


def offered(facts: Facts) -> list[Verdict]:
    """Some node offers what plain requests become under each policy in use."""
    configuration = facts.usable_configuration()
    nodes = known(facts.nodes)
    used = {v: pair for v, pair in enforced(configuration, known(facts.namespaces)).items() if pair[0].forms}
    if not used:
        return [ok("no policy in use asks for a form of GPU")]

    def missing() -> Iterator[Verdict]:
        for policy, namespaces in used.values():
            spelling = spell(policy.forms[0], configuration.plugin)
            if not any(_offers(node, policy, spelling) for node in nodes):
                yield _missing(policy, namespaces, spelling)

    return verdicts(missing(), lambda: f"some node offers what each of {listed(used)} asks for")


def _offers(node: Node, policy: Policy, spelling: Spelling) -> bool:
    """Whether a node has the resource, and the labels that gpuwarden's rewriting asks of it."""
    labels = node.metadata.labels or {}
    needed = {need.key for need in spelling.needs}
    # A product is written anew with the form's own suffix, and what contradicts the form is left out: see engine/settings.
    extra = {k: v for k, v in policy.node_selector.items() if k != PRODUCT and k not in needed}
    return (
        _amount(node, spelling.resource) > 0
        and all(need.admits(labels.get(need.key)) for need in spelling.needs)
        and all(labels.get(key) == value for key, value in extra.items())
    )


def _missing(policy: Policy, namespaces: Sequence[str], spelling: Spelling) -> Verdict:
    asks = "; ".join(
        [spelling.resource, *map(str, spelling.needs), *(f"{k}: {v}" for k, v in policy.node_selector.items())]
    )
    where = f"namespaces {listed(namespaces)}" if namespaces else "every namespace without a label"
    return warn(
        f'no node offers what policy "{policy.name}" asks for: {asks}',
        f"pods that ask for a GPU in {where} stay Pending, unless an autoscaler adds such nodes",
        "set the device plugin up on nodes so (sharing, MIG), or name another policy",
    )


def _amount(node: Node, resource: str) -> int:
    return whole((node.status.allocatable or {}).get(resource)) or 0


def renaming(facts: Facts) -> list[Verdict]:
    """The configuration's renameByDefault is the device plugin's."""
    said = facts.usable_configuration().plugin.rename_by_default
    by_node = {node.metadata.name: renamed for node in known(facts.nodes) if (renamed := _renames(node)) is not None}
    if not by_node:
        return [ok(f"renameByDefault is {str(said).lower()}; no node shares GPUs by the device plugin")]
    otherwise = [name for name, renamed in by_node.items() if renamed is not said]
    if not otherwise:
        return [ok(f"renameByDefault is {str(said).lower()}, as on the nodes that share GPUs ({len(by_node)})")]
    how = "under the name nvidia.com/….shared" if not said else "under the name nvidia.com/gpu (no ….shared)"
    seen = f"renameByDefault is {str(said).lower()}, and node {listed(otherwise)} offers shared GPUs {how}"
    means = (
        "requests for shared GPUs become nvidia.com/….shared there is none of, and their pods stay Pending; requests for "
        "whole GPUs get shared ones"
        if said
        else "requests for shared GPUs keep the name nvidia.com/gpu, and never get one of those"
    )
    mend = f"set config.devicePlugin.renameByDefault to {str(not said).lower()}, as the device plugin has it"
    if len(otherwise) < len(by_node):
        seen += f"; {len(by_node) - len(otherwise)} others do it as configured"
        mend = "let the device plugin do it alike on every node"
    return [(fail if len(otherwise) == len(by_node) else warn)(seen, means, mend)]


def _renames(node: Node) -> bool | None:
    """Whether the device plugin renames what a node shares; ``None`` where nothing is shared.

    By the resources that end in ``.shared``; otherwise by GPU feature discovery's labels: ``sharing-strategy`` of a
    resource that has kept its name, or ``-SHARED`` at the end of the product (internal/lm/resource.go).
    """
    resources = {name: classify(name) for name in node.status.allocatable or {} if _amount(node, name)}
    if any(isinstance(found, GpuResource) and found.shared for found in resources.values()):
        return True
    labels = node.metadata.labels or {}
    shared = {key for key, value in labels.items() if key.endswith(_STRATEGY) and value in SHARED_STRATEGIES}
    _, _, product_shared = read_product(labels.get(PRODUCT, ""))
    names = {key.removesuffix(_STRATEGY) for key in shared} | (
        {resource_name(None, shared=False)} if product_shared else set()
    )
    return False if any(name.startswith(PREFIX) and name in resources for name in names) else None


def mig_strategy(facts: Facts) -> list[Verdict]:
    """The configuration's migStrategy is the nodes', and its products are their models with MIG."""
    plugin = facts.usable_configuration().plugin
    nodes = known(facts.nodes)
    by_node = {node.metadata.name: strategy for node in nodes if (strategy := _mig_strategy(node))}
    models = sorted({model for node in nodes if (model := _mig_model(node))})
    otherwise = [name for name, strategy in by_node.items() if strategy != plugin.mig_strategy]
    if not by_node:
        return [ok(f"migStrategy is {plugin.mig_strategy}; no node is labelled with a MIG strategy or has MIG slices")]
    if otherwise:
        return [_other_strategy(plugin, otherwise, models)]
    if not plugin.single:
        return [ok(f"migStrategy is mixed, as on the nodes ({len(by_node)})")]
    unlisted = [model for model in models if model not in plugin.products] if plugin.products else []
    if unlisted:
        return [
            warn(
                f"devicePlugin.products lacks {listed(unlisted)}, which nodes have with MIG",
                "pods that are rewritten to MIG forms never run on those nodes",
                f"set config.devicePlugin.products to [{', '.join(sorted({*plugin.products, *models}))}]",
            )
        ]
    exact = f"products are [{', '.join(plugin.products)}]" if plugin.products else _without_products(models)
    return [ok(f"migStrategy is single, as on the nodes ({len(by_node)}); {exact}")]


def _without_products(models: Sequence[str]) -> str:
    """What tells slices where the configuration names no models."""
    if not models:
        return "no node has MIG on at present"
    return f"slices are selected by size; to select them by model set config.devicePlugin.products to [{', '.join(models)}]"


def _other_strategy(plugin: DevicePlugin, nodes: Sequence[str], models: Sequence[str]) -> Verdict:
    """The nodes advertise MIG slices otherwise than the configuration says."""
    if plugin.single:
        means = (
            "requests for MIG slices become nvidia.com/gpu with labels that no node has, and their pods stay Pending"
        )
        fix = "set config.devicePlugin.migStrategy to mixed, as the device plugin has it"
    else:
        means = (
            "requests for MIG slices become nvidia.com/mig-…, which no node offers, and their pods stay Pending; requests for "
            "whole GPUs may get a slice"
        )
        products = f" and config.devicePlugin.products to [{', '.join(models)}]" if models else ""
        fix = f"set config.devicePlugin.migStrategy to single{products}"
    return fail(f"migStrategy is {plugin.mig_strategy}, and node {listed(nodes)} advertises MIG otherwise", means, fix)


def _mig_strategy(node: Node) -> str | None:
    """The MIG strategy of a node: by what it offers, or else by GPU feature discovery's label.

    NVIDIA/k8s-device-plugin internal/lm/mig-strategy.go. Under *single* the label is there whether MIG is on or not.
    """
    labels = node.metadata.labels or {}
    if GPU_SLICES in labels or read_product(labels.get(PRODUCT, ""))[1]:
        return MigStrategy.SINGLE
    resources = (classify(name) for name in node.status.allocatable or {} if _amount(node, name))
    if any(isinstance(found, GpuResource) and found.partition for found in resources):
        return MigStrategy.MIXED
    said = labels.get(_MIG_STRATEGY)
    return said if said in tuple(MigStrategy) else None


def _mig_model(node: Node) -> str | None:
    """The model of a node with MIG on under strategy *single*, as ``devicePlugin.products`` names it."""
    model, partition, _ = read_product((node.metadata.labels or {}).get(PRODUCT, ""))
    return model if partition else None


def quotas(facts: Facts) -> list[Verdict]:
    """Quotas on GPUs name the resources that pods are charged for: those that they have after gpuwarden."""
    return verdicts(_uncounted(facts), lambda: "no quota on GPUs is passed by")


def _uncounted(facts: Facts) -> Iterator[Verdict]:
    configuration = facts.usable_configuration()
    namespaces = known(facts.namespaces)
    limited: dict[str, set[str]] = {}
    for quota in known(facts.quotas):
        keys = {key.removeprefix(_QUOTA) for key in quota.spec.hard or {} if key.startswith(_QUOTA)}
        limited.setdefault(quota.metadata.namespace, set()).update(
            key for key in keys if isinstance(classify(key), GpuResource)
        )
    for name, resources in sorted(limited.items()):
        policy = policy_of(configuration, namespaces, name)
        becomes = {spell(form, configuration.plugin).resource for form in policy.forms}
        lacking = becomes - resources
        if resources and lacking:
            yield warn(
                f"namespace {name} has a quota on {listed(resources)}, and its policy is {policy.name}: "
                f"pods have {listed(becomes)}",
                f"quotas count what a pod has after gpuwarden: nothing limits {listed(lacking)} there",
                f"add {listed(f'{_QUOTA}{resource}' for resource in lacking)} to the ResourceQuota",
            )

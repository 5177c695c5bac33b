"""The check of the MIG strategy: the configuration's must be the nodes'."""

from collections.abc import Sequence

from webhook.application.diagnosis.documents import Node
from webhook.application.diagnosis.facts import Facts, known
from webhook.application.diagnosis.gpus import amount
from webhook.application.diagnosis.results import Verdict, fail, listed, ok, warn
from webhook.engine.resources import GpuResource, classify
from webhook.engine.spelling import GPU_SLICES, PRODUCT, DevicePlugin, MigStrategy, read_product

_LABEL = "nvidia.com/mig.strategy"


def strategy(facts: Facts) -> list[Verdict]:
    """The configuration's migStrategy is the nodes', and its products are their models with MIG."""
    plugin = facts.usable_configuration().plugin
    nodes = known(facts.nodes)
    by_node = {node.metadata.name: found for node in nodes if (found := _mig_strategy(node))}
    models = sorted({model for node in nodes if (model := _mig_model(node))})
    otherwise = [name for name, found in by_node.items() if found != plugin.mig_strategy]
    if not by_node:
        return [ok(f"migStrategy is {plugin.mig_strategy}; no node has a MIG strategy label or MIG slices")]
    if otherwise:
        return [_other_strategy(plugin, otherwise, models)]
    if not plugin.single:
        return [ok(f"migStrategy is mixed, as on the nodes ({len(by_node)})")]
    unlisted = [model for model in models if model not in plugin.products] if plugin.products else []
    if unlisted:
        return [
            warn(
                f"devicePlugin.products does not list {listed(unlisted)}, which nodes offer with MIG",
                "pods that are rewritten to MIG forms never run on those nodes",
                f"set config.devicePlugin.products to [{', '.join(sorted({*plugin.products, *models}))}]",
            )
        ]
    exact = f"products are [{', '.join(plugin.products)}]" if plugin.products else _without_products(models)
    return [ok(f"migStrategy is single, as on the nodes ({len(by_node)}); {exact}")]


def _without_products(models: Sequence[str]) -> str:
    """How slices are selected where the configuration names no models."""
    if not models:
        return "no node has MIG enabled now"
    return f"slices are selected by size; to select them by model set config.devicePlugin.products to [{', '.join(models)}]"


def _other_strategy(plugin: DevicePlugin, nodes: Sequence[str], models: Sequence[str]) -> Verdict:
    """The nodes use the other strategy."""
    if plugin.single:
        means = "requests for MIG slices become nvidia.com/gpu with labels that no node has, so their pods stay Pending"
        fix = "set config.devicePlugin.migStrategy to mixed, as in the device plugin's configuration"
    else:
        means = (
            "requests for MIG slices become nvidia.com/mig-…, which no node offers, so their pods stay Pending; requests for "
            "whole GPUs may get a slice"
        )
        products = f" and config.devicePlugin.products to [{', '.join(models)}]" if models else ""
        fix = f"set config.devicePlugin.migStrategy to single{products}"
    other = MigStrategy.MIXED if plugin.single else MigStrategy.SINGLE
    seen = f"migStrategy is {plugin.mig_strategy} in the configuration, and {other} on node {listed(nodes)}"
    return fail(seen, means, fix)


def _mig_strategy(node: Node) -> str | None:
    """The MIG strategy of a node: by what it offers, or else by GPU feature discovery's label.

    NVIDIA/k8s-device-plugin internal/lm/mig-strategy.go. Under *single* the label is there whether MIG is on or not.
    """
    labels = node.metadata.labels or {}
    if GPU_SLICES in labels or read_product(labels.get(PRODUCT, ""))[1]:
        return MigStrategy.SINGLE
    resources = (classify(name) for name in node.status.allocatable or {} if amount(node, name))
    if any(isinstance(found, GpuResource) and found.partition for found in resources):
        return MigStrategy.MIXED
    said = labels.get(_LABEL)
    return said if said in tuple(MigStrategy) else None


def _mig_model(node: Node) -> str | None:
    """The model of a node with MIG on under strategy *single*, as ``devicePlugin.products`` names it."""
    model, partition, _ = read_product((node.metadata.labels or {}).get(PRODUCT, ""))
    return model if partition else None

"""The check of the MIG strategy: whether the configuration's matches the nodes'."""

from collections.abc import Iterator, Sequence

from ...engine.fleet.node_shapes import GpuNode, Shape
from ...engine.forms import Platform
from ...engine.products import PRODUCT, Product, read_product
from ...engine.spelling import GPU_SLICES, MIG_STRATEGY, DevicePlugin, MigStrategy
from .facts import Facts, known
from .results import CheckOutcome, Findings, fail, listed, warn


def strategy(facts: Facts) -> Findings:
    """The configuration's migStrategy and products match the nodes, and no MIG configuration failed."""
    plugin = facts.usable_configuration().plugin
    nodes = known(facts.nodes)
    if failed := [node.name for node in nodes if node.shape.failed_mig]:
        yield warn(
            f"the MIG manager could not configure node {listed(failed)} (nvidia.com/mig.config.state: failed)",
            "the node may offer other slices than its label nvidia.com/mig.config names, or none",
            "check the log of the MIG manager's pod on that node, and set nvidia.com/mig.config again",
        )
    by_node = {node.name: found for node in nodes if (found := _mig_strategy(node.shape))}
    models = sorted({model for node in nodes if (model := _mig_model(node.shape))})
    otherwise = [name for name, found in by_node.items() if found != plugin.mig_strategy]
    if not by_node:
        return f"migStrategy is {plugin.mig_strategy}; no node has a MIG strategy label or MIG slices"
    if otherwise:
        yield _other_strategy(plugin, otherwise, models)
    elif plugin.single:
        yield from _problems(plugin, models, nodes)
        exact = f"products are [{', '.join(plugin.products)}]" if plugin.products else _without_products(models)
        return f"migStrategy is single, as on the nodes ({len(by_node)}); {exact}"
    return f"migStrategy is mixed, as on the nodes ({len(by_node)})"


def _problems(plugin: DevicePlugin, models: Sequence[str], nodes: Sequence[GpuNode]) -> Iterator[CheckOutcome]:
    """Nodes that offer no GPU, or that no rewritten pod selects."""
    unlisted = [model for model in models if model not in plugin.products] if plugin.products else []
    if unlisted:
        yield warn(
            f"devicePlugin.products does not list {listed(unlisted)}, which nodes offer with MIG",
            "pods that are rewritten to MIG forms never run on those nodes",
            f"set config.devicePlugin.products to [{', '.join(sorted({*plugin.products, *models}))}]",
        )
    if invalid := [node.name for node in nodes if _product(node.shape).invalid]:
        yield warn(
            f"the MIG configuration of node {listed(invalid)} is invalid under single (product …-MIG-INVALID)",
            "the device plugin offers no GPU there",
            "partition all GPUs of such a node into slices of one profile, or disable MIG on all of them",
        )


def _without_products(models: Sequence[str]) -> str:
    """Return how slices are selected if the configuration names no models."""
    if not models:
        return "no node has MIG enabled now"
    return (
        "slices are selected by size, and pods that select a GPU model are denied MIG forms; to select slices by model set "
        f"config.devicePlugin.products to [{', '.join(models)}]"
    )


def _other_strategy(plugin: DevicePlugin, nodes: Sequence[str], models: Sequence[str]) -> CheckOutcome:
    if plugin.single:
        impact = (
            "requests for MIG slices become nvidia.com/gpu with labels that no node has, so their pods stay Pending"
        )
        without = ", and remove config.devicePlugin.products" if plugin.products else ""
        fix = f"set config.devicePlugin.migStrategy to mixed, as in the device plugin's configuration{without}"
    else:
        impact = (
            "requests for MIG slices become nvidia.com/mig-…, which no node offers, so their pods stay Pending; requests for "
            "whole GPUs may get a slice"
        )
        products = f" and config.devicePlugin.products to [{', '.join(models)}]" if models else ""
        fix = f"set config.devicePlugin.migStrategy to single{products}"
    other = MigStrategy.MIXED if plugin.single else MigStrategy.SINGLE
    observed = f"migStrategy is {plugin.mig_strategy} in the configuration, and {other} on node {listed(nodes)}"
    return fail(observed, impact, fix)


def _mig_strategy(shape: Shape) -> str | None:
    """The MIG strategy of a node: by what it offers, or else by GPU feature discovery's label.

    NVIDIA/k8s-device-plugin internal/lm/mig-strategy.go. Under *single* the label is there whether MIG is on or not.
    """
    if GPU_SLICES in shape.labels or _has_mig(_product(shape)):
        return MigStrategy.SINGLE
    if any(form.partition and form.platform is Platform.DEVICE_PLUGIN for form in shape.forms.values()):
        return MigStrategy.MIXED
    label = shape.labels.get(MIG_STRATEGY)
    return label if label in tuple(MigStrategy) else None


def _mig_model(shape: Shape) -> str | None:
    """The model of a node with MIG on under strategy *single*, as ``devicePlugin.products`` names it."""
    product = _product(shape)
    return product.model if _has_mig(product) else None


def _product(shape: Shape) -> Product:
    return read_product(shape.labels.get(PRODUCT, ""))


def _has_mig(product: Product) -> bool:
    """Whether a node with this product label has MIG enabled under strategy *single*."""
    return product.invalid or product.partition is not None

"""The check of node selectors: whether gpuwarden sees every node with GPUs."""

from .facts import Facts, known
from .results import CheckOutcome, listed, ok, skipped, warn


def selected(facts: Facts) -> list[CheckOutcome]:
    """Every node with GPUs is selected by a node selector of ``gpuwarden serve``."""
    deployment = known(facts.deployment)
    if deployment is None or deployment.option("--no-watch-nodes") is not None:
        return [skipped("gpuwarden watches no nodes", "requests that no node can run are not reported")]
    having = [node.name for node in known(facts.nodes) if node.shape.amounts]
    seen = known(facts.selected_nodes)
    missed = [name for name in having if name not in seen]
    if not missed:
        return [ok(f"the node selectors select every node with GPUs ({len(having)})")]
    means = (
        "requests for what only such nodes offer are reported as not offered, and denied under notOffered: deny"
        if len(missed) < len(having)
        else "gpuwarden reads all nodes every 5 minutes instead, and never denies under notOffered: deny"
    )
    fix = (
        "set nodes.selectors to labels that all nodes with GPUs have (kubernetes.io/os=linux selects every Linux node), or "
        "install GPU feature discovery, which sets nvidia.com/gpu.present=true"
    )
    return [warn(f"no node selector selects node {listed(missed)}, which has GPUs", means, fix)]

"""The check of node selectors: whether gpuwarden sees every node with GPUs."""

from .facts import Facts, known
from .results import Findings, listed, skipped, warn


def selected(facts: Facts) -> Findings:
    """Every node with GPUs is selected by a node selector of ``gpuwarden serve``."""
    deployment = known(facts.deployment)
    if deployment is None or deployment.option("--no-watch-nodes") is not None:
        yield skipped("gpuwarden does not watch nodes", "requests that no node can run are not reported")
        return ""
    having = [node.name for node in known(facts.nodes) if node.shape.amounts]
    found = known(facts.selected_nodes)
    missed = [name for name in having if name not in found]
    if missed:
        yield warn(
            f"no node selector selects node {listed(missed)}, which has GPUs",
            "requests for what only such nodes offer are reported as not offered, and denied under notOffered: deny"
            if len(missed) < len(having)
            else "gpuwarden reads all nodes every 5 minutes instead, and never denies under notOffered: deny",
            "set nodes.selectors to labels that all nodes with GPUs have (kubernetes.io/os=linux selects every Linux node), or "
            "install GPU feature discovery, which sets nvidia.com/gpu.present=true",
        )
    return f"the node selectors select every node with GPUs ({len(having)})"

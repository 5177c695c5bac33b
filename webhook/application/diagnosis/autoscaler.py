"""The check of Cluster Autoscaler: whether it treats nodes as unready, because their GPUs have other names."""

from ...engine.fleet.node_shapes import GKE_ACCELERATOR
from ...engine.resources import GPU
from .facts import Facts, known
from .results import Findings, listed, warn

ACCELERATORS = (
    "k8s.amazonaws.com/accelerator",
    "kubernetes.azure.com/accelerator",
    "accelerator",
    "cluster-api/accelerator",
    GKE_ACCELERATOR,
)
"""The labels by which Cluster Autoscaler recognizes nodes with GPUs: its cloud providers' GPULabel()."""


def cluster_autoscaler(facts: Facts) -> Findings:
    """Cluster Autoscaler counts the nodes that offer GPUs by other names as ready (pkg/utils/gpu/gpu.go)."""
    found = known(facts.neighbours.autoscalers)
    if not found:
        return "Cluster Autoscaler was not found in the cluster"
    nodes = known(facts.nodes)
    for label in ACCELERATORS:
        without = [
            node
            for node in nodes
            if label in node.shape.labels and node.shape.offers and not node.shape.offers.get(GPU)
        ]
        if without:
            offers = {name for node in without for name in node.shape.offers}
            yield warn(
                f"Cluster Autoscaler runs ({listed(found)}); node {listed(node.name for node in without)} has label {label} "
                f"and offers {listed(offers)}, but no {GPU}",
                f"it only knows {GPU} and counts such nodes as unready: with many of them it stops adding nodes "
                "(kubernetes/autoscaler#8095)",
                f"remove label {label} from these nodes, or let the device plugin keep the name {GPU} there "
                "(renameByDefault: false, migStrategy: single) and set config.devicePlugin to match",
            )
    return f"Cluster Autoscaler ({listed(found)}) knows the GPUs of every node"

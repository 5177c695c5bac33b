"""GPU models by one name, whether nodes, GKE or exporters name them."""

from ...engine.fleet.node_shapes import GKE_ACCELERATOR, Shape
from ...engine.products import PRODUCT, read_product

# https://cloud.google.com/kubernetes-engine/docs/how-to/gpus: values of the label, with the models as drivers call them.
_GKE_MODELS = {
    "nvidia-tesla-t4": "Tesla-T4",
    "nvidia-l4": "L4",
    "nvidia-tesla-a100": "A100-SXM4-40GB",
    "nvidia-a100-80gb": "A100-SXM4-80GB",
    "nvidia-h100-80gb": "H100-80GB-HBM3",
    "nvidia-h100-mega-80gb": "H100-80GB-HBM3",
    "nvidia-h200-141gb": "H200",
    "nvidia-b200": "B200",
    "nvidia-rtx-pro-6000": "RTX-PRO-6000-Blackwell-Server-Edition",
}


def model_of(name: str) -> str:
    """A GPU model without its maker, whether it comes from a node's label or an exporter: ``A100-SXM4-80GB``."""
    return name.strip().replace(" ", "-").removeprefix("NVIDIA-")


def model_of_shape(shape: Shape) -> str:
    """The model of a node's GPUs; empty if no label names it."""
    if product := shape.labels.get(PRODUCT):
        return model_of(read_product(product).model)
    return _GKE_MODELS.get(shape.labels.get(GKE_ACCELERATOR, ""), "")

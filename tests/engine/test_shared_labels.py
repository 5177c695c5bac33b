"""Node labels that only nodes with shared GPUs have."""

import pytest

from webhook.engine.spelling import shares


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nvidia.com/gpu.sharing-strategy", "none"),
        ("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB"),
        ("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"),
        ("cloud.google.com/gke-gpu-partition-size", "1g.5gb"),
        ("cloud.google.com/gke-accelerator", "nvidia-l4"),
        ("example.com/pool", "mps"),
    ],
)
def test_of_other_nodes(key: str, value: str) -> None:
    assert not shares(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nvidia.com/gpu.sharing-strategy", "mps"),
        ("nvidia.com/gpu.sharing-strategy", "time-slicing"),
        ("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB-SHARED"),
        ("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED"),
        ("cloud.google.com/gke-gpu-sharing-strategy", "time-sharing"),
        ("cloud.google.com/gke-max-shared-clients-per-gpu", "4"),
    ],
)
def test_of_nodes_that_share(key: str, value: str) -> None:
    assert shares(key, value)

"""Packing: how many GPUs pods need."""

import pytest

from tests.application.recommendation.cases import A100, form, node
from webhook.application.recommendation.packing import Demand, gpus_of, pack
from webhook.engine.fleet.node_shapes import Shape, shape_of


def demand(name: str, pods: int, gpus: int = 1, model: str = A100, clients: int = 4) -> Demand:
    return Demand(form(name), gpus, pods, model, clients)


@pytest.mark.parametrize(
    ("demands", "gpus", "free_nodes", "without_room"),
    [
        ([], 0, 2, 0),
        ([demand("exclusive", 3)], 3, 1, 0),
        # Several GPUs of a pod are on one node: 3 + 3 on one of 8, and 3 + 3 on the other.
        ([demand("exclusive", 5, gpus=3)], 12, 0, 1),
        # 7 slices of 1/7 on one GPU; an eighth needs another.
        ([demand("mig-1g.10gb", 7)], 1, 1, 0),
        ([demand("mig-1g.10gb", 8)], 2, 1, 0),
        # By memory: two of 40 GB fill a GPU of 80 though 1/7 of its compute is left.
        ([demand("mig-3g.40gb", 2), demand("mig-1g.10gb", 1)], 2, 1, 0),
        ([demand("mig-4g.40gb", 1), demand("mig-2g.20gb", 1), demand("mig-1g.10gb", 1)], 1, 1, 0),
        ([demand("time-slicing", 5)], 2, 1, 0),
        # A GPU is whole, cut or shared.
        ([demand("exclusive", 1), demand("mig-1g.10gb", 1), demand("time-slicing", 1)], 3, 1, 0),
        ([demand("exclusive", 17)], 16, 0, 1),
        # Workloads whose pods are alike are packed as one.
        ([demand("mig-1g.10gb", 3)] * 2, 1, 1, 0),
        ([demand("exclusive", 1, model="H100-80GB-HBM3")], 0, 2, 1),
        ([demand("exclusive", 1, model="")], 1, 1, 0),
    ],
)
def test_first_fit_decreasing(demands: list[Demand], gpus: int, free_nodes: int, without_room: int) -> None:
    packed = pack({node(): 2}, demands)
    assert (packed.gpus, packed.free, packed.free_nodes, packed.without_room) == (
        gpus,
        16 - gpus,
        free_nodes,
        without_room,
    )


def test_gpus_without_mig_are_not_cut_and_nodes_that_take_no_pods_do_not_count() -> None:
    amounts = {"nvidia.com/gpu": "4"}
    t4 = shape_of({"nvidia.com/gpu.product": "Tesla-T4"}, amounts, amounts)
    cordoned = shape_of({"nvidia.com/gpu.product": f"NVIDIA-{A100}"}, amounts, amounts, cordoned=True)
    assert t4
    assert cordoned
    assert pack({t4: 1, cordoned: 1}, [demand("mig-1g.10gb", 1, model="")]).without_room == 1


def a_shape(labels: dict[str, str], amounts: dict[str, str]) -> Shape:
    shape = shape_of({"nvidia.com/gpu.product": f"NVIDIA-{A100}", **labels}, amounts, amounts)
    assert shape
    return shape


@pytest.mark.parametrize(
    ("labels", "amounts", "gpus"),
    [
        ({"nvidia.com/gpu.count": "2"}, {"nvidia.com/mig-1g.10gb": "7"}, 2),
        ({}, {"nvidia.com/gpu": "8"}, 8),
        # Under MIG strategy single, the label counts slices.
        (
            {"nvidia.com/gpu.product": f"NVIDIA-{A100}-MIG-1g.10gb", "nvidia.com/gpu.count": "14"},
            {"nvidia.com/gpu": "14"},
            2,
        ),
        ({"nvidia.com/gpu.replicas": "4"}, {"nvidia.com/gpu.shared": "8"}, 2),
        ({}, {"nvidia.com/mig-1g.10gb": "7", "nvidia.com/mig-3g.40gb": "4"}, 3),
        ({}, {"nvidia.com/mig-1g.10gb": "3", "nvidia.com/gpu": "1"}, 2),
        # A GPU has seven compute slices, and three of 2g, two of 3g, or (by memory) four of 1g.20gb.
        ({"nvidia.com/gpu.product": f"NVIDIA-{A100}"}, {"nvidia.com/mig-2g.20gb": "24"}, 8),
        ({"nvidia.com/gpu.product": f"NVIDIA-{A100}"}, {"nvidia.com/mig-3g.40gb": "16"}, 8),
        ({"nvidia.com/gpu.product": f"NVIDIA-{A100}"}, {"nvidia.com/mig-1g.20gb": "32"}, 8),
        (
            {"nvidia.com/gpu.product": f"NVIDIA-{A100}"},
            {"nvidia.com/mig-2g.20gb": "24", "nvidia.com/mig-1g.10gb": "8"},
            8,
        ),
        ({"nvidia.com/gpu.product": "NVIDIA-L4"}, {"nvidia.com/mig-1g.10gb": "8"}, 2),
    ],
)
def test_gpus_of_a_node(labels: dict[str, str], amounts: dict[str, str], gpus: int) -> None:
    assert gpus_of(a_shape(labels, amounts)) == gpus

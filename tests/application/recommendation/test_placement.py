"""Placement: which forms are only on nodes that a pod may not run on."""

from typing import Any

import msgspec
import pytest

from tests.application.recommendation.cases import A100
from webhook.application.recommendation.placement import NamedNode, Placement
from webhook.engine.fleet.node_shapes import Taint, shape_of
from webhook.engine.pods import PodSpec

TEAM = Taint("team", "vision", "NoSchedule")
GPU = Taint("nvidia.com/gpu", "present", "NoSchedule")
SLICE, HALF = ("mig-1g.10gb", A100), ("mig-3g.40gb", A100)


def named(name: str, resource: str, *taints: Taint, **labels: str) -> NamedNode:
    every = {"nvidia.com/gpu.product": f"NVIDIA-{A100}", "kubernetes.io/hostname": name, **labels}
    shape = shape_of(every, {resource: 2}, {resource: 2}, taints)
    assert shape
    return NamedNode(name, every, shape)


NODES = [
    named("whole", "nvidia.com/gpu", zone="a"),
    named("cut", "nvidia.com/mig-1g.10gb", GPU, zone="b", pool="mig"),
    named("halves", "nvidia.com/mig-3g.40gb", GPU, TEAM, zone="b", **{"nvidia.com/mig.config": "all-3g.40gb"}),
]
TOLERATES = {"tolerations": [{"key": "team", "operator": "Equal", "value": "vision"}]}


def term(key: str, operator: str, *values: str, field: bool = False) -> dict[str, Any]:
    return {"matchFields" if field else "matchExpressions": [{"key": key, "operator": operator, "values": [*values]}]}


def affinity(*terms: dict[str, Any], when: str = "required") -> dict[str, Any]:
    return {
        "affinity": {"nodeAffinity": {f"{when}DuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [*terms]}}}
    }


@pytest.mark.parametrize(
    ("spec", "unreachable"),
    [
        # A policy adds the toleration of GPUs, and no other.
        ({}, [HALF]),
        (TOLERATES, []),
        ({"tolerations": [{"operator": "Exists"}]}, []),
        ({"nodeSelector": {"zone": "b"}, **TOLERATES}, []),
        ({"nodeSelector": {"zone": "a"}, **TOLERATES}, [SLICE, HALF]),
        ({"nodeSelector": {"pool": "mig"}, **TOLERATES}, [HALF]),
        ({"nodeSelector": {"nvidia.com/mig.config": "all-3g.40gb"}, **TOLERATES}, [SLICE]),
        # What distinguishes forms is what a policy replaces; the model stays.
        ({"nodeSelector": {"nvidia.com/gpu.product": f"NVIDIA-{A100}-SHARED"}, **TOLERATES}, []),
        ({"nodeSelector": {"nvidia.com/gpu.product": f"NVIDIA-{A100}-MIG-2g.20gb"}, **TOLERATES}, []),
        ({"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-PCIe-SHARED"}, **TOLERATES}, [SLICE, HALF]),
        ({**affinity(term("nvidia.com/gpu.product", "NotIn", f"NVIDIA-{A100}")), **TOLERATES}, [SLICE, HALF]),
        ({**affinity(term("nvidia.com/gpu.product", "NotIn", "NVIDIA-H100-PCIe")), **TOLERATES}, []),
        ({"nodeSelector": {"nvidia.com/gpu.sharing-strategy": "mps"}, **TOLERATES}, []),
        ({**affinity(term("zone", "In", "a")), **TOLERATES}, [SLICE, HALF]),
        ({**affinity(term("zone", "In", "a"), term("pool", "Exists")), **TOLERATES}, [HALF]),
        ({**affinity(term("pool", "DoesNotExist")), **TOLERATES}, [SLICE]),
        ({**affinity(term("zone", "In", "a"), when="preferred"), **TOLERATES}, []),
        # A DaemonSet's pods name their nodes.
        ({**affinity(term("metadata.name", "In", "whole", field=True)), **TOLERATES}, [SLICE, HALF]),
        ({**affinity(term("metadata.name", "In", "cut", field=True)), **TOLERATES}, [HALF]),
        ({**affinity(term("metadata.name", "In", "cut", field=True), term("zone", "In", "b")), **TOLERATES}, []),
        ({**affinity({}), **TOLERATES}, [SLICE, HALF]),
    ],
)
def test_forms_that_only_nodes_offer_where_a_pod_may_not_run(
    spec: dict[str, Any], unreachable: list[tuple[str, str]]
) -> None:
    placement = Placement(NODES)
    read = msgspec.convert(spec, PodSpec)
    assert placement.unreachable(read) == placement.unreachable(read) == tuple(unreachable)


def test_nodes_whose_own_product_a_pod_excludes_are_out_of_reach() -> None:
    own = f"NVIDIA-{A100}-SHARED"
    placement = Placement([named("shared", "nvidia.com/gpu.shared", **{"nvidia.com/gpu.product": own})])

    def unreachable(operator: str, value: str) -> bool:
        spec = msgspec.convert(affinity(term("nvidia.com/gpu.product", operator, value)), PodSpec)
        return bool(placement.unreachable(spec))

    assert not unreachable("In", f"NVIDIA-{A100}")  # a policy gives it the suffix
    assert not unreachable("NotIn", f"NVIDIA-{A100}")
    assert unreachable("NotIn", own)


def test_nodes_of_unknown_models_are_out_of_reach_of_pods_that_select_one() -> None:
    unlabelled = shape_of({}, {"nvidia.com/mig-1g.10gb": 2}, {"nvidia.com/mig-1g.10gb": 2})
    assert unlabelled
    placement = Placement([NamedNode("n", {}, unlabelled)])
    assert placement.unreachable(PodSpec(node_selector={"nvidia.com/gpu.product": "x"})) == (("mig-1g.10gb", ""),)
    assert placement.unreachable(PodSpec()) == ()


def test_without_nodes_nothing_is_out_of_reach() -> None:
    assert Placement([]).unreachable(PodSpec(node_selector={"zone": "a"})) == ()

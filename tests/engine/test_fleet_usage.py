"""How full the fleet is: what counts as offered, in use, free and blocked, and which nodes take pods."""

from typing import Any

import msgspec
import pytest

from webhook.engine.fleet.fleet import Fleet, NodeRequest
from webhook.engine.fleet.node_shapes import GpuNode, State, Taint, shape_of
from webhook.engine.fleet.usage import Share, by_form, by_shape, requested, without_devices
from webhook.engine.forms import Form
from webhook.engine.node_constraints import NOTHING_SAID, NodeConstraints
from webhook.engine.pods import PodSpec

GPU, SHARED, MIG = "nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb"
MIG_STATE = "nvidia.com/mig.config.state"


def node(name: str = "n", left: int | None = None, **fields: Any) -> GpuNode:
    """A node with 8 GPUs, ``left`` of them allocatable."""
    resources = fields.pop("resources", {GPU: 8})
    allocatable = dict.fromkeys(resources, left) if left is not None else resources
    labels = fields.pop("labels", {"nvidia.com/gpu.present": "true"})
    shape = shape_of(labels, resources, allocatable, fields.pop("taints", ()), **fields)
    assert shape is not None
    return GpuNode(name, shape)


def share(*nodes: GpuNode, held: dict[str, dict[str, int]] | None = None) -> Share:
    (form,) = by_form(by_shape(nodes, held or {}))
    return form.share


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (node(), State.READY),
        (node(taints=[Taint(GPU, "present", "NoSchedule")]), State.READY),
        (node(taints=[Taint("team", "a", "NoSchedule")]), State.TAINTED),
        (node(taints=[Taint("team", "a", "PreferNoSchedule")]), State.READY),
        (node(cordoned=True), State.CORDONED),
        (node(ready=False, cordoned=True), State.NOT_READY),
        (node(left=0), State.NO_DEVICES),
        (node(resources={GPU: 0}), State.READY),
        (node(labels={MIG_STATE: "pending"}, left=0), State.RECONFIGURING),
        (node(labels={MIG_STATE: "rebooting"}), State.RECONFIGURING),
        (node(labels={MIG_STATE: "failed"}), State.MIG_FAILED),
        (node(labels={MIG_STATE: "success"}), State.READY),
    ],
)
def test_states_are_told_apart(one: GpuNode, expected: State) -> None:
    assert one.shape.state is expected


def test_nothing_is_held_where_no_pod_is() -> None:
    assert share(node("a"), node("b")) == Share(16, 0, 16, 0, 8)


def test_what_pods_hold_is_not_free_and_the_most_is_that_of_one_node() -> None:
    assert share(node("a"), node("b"), held={"a": {GPU: 7}, "b": {GPU: 3}, "elsewhere": {GPU: 9}}) == Share(
        16, 10, 6, 0, 5
    )


@pytest.mark.parametrize(
    "fields", [{"cordoned": True}, {"ready": False}, {"left": 0}, {"labels": {MIG_STATE: "pending"}}]
)
def test_what_is_left_of_nodes_that_take_no_pods_is_blocked(fields: dict[str, Any]) -> None:
    assert share(node("a", **fields), held={"a": {GPU: 3}}) == Share(8, 3, 0, 5, 0)


def test_pods_that_hold_more_than_there_is_leave_nothing() -> None:
    assert share(node("a"), held={"a": {GPU: 9}}) == Share(8, 9, 0, 0, 0)


def test_of_two_resources_the_one_without_devices_is_blocked() -> None:
    shape = shape_of({}, {GPU: 8, MIG: 7}, {GPU: 0, MIG: 7})
    assert shape is not None
    (use,) = by_shape([GpuNode("n", shape)], {})
    assert (use.shares[GPU].blocked, use.shares[MIG].free) == (8, 7)


def test_nodes_alike_are_one_shape_and_forms_come_by_their_nodes() -> None:
    shared: dict[str, Any] = {"resources": {SHARED: 32}, "labels": {"nvidia.com/gpu.sharing-strategy": "mps"}}
    shapes = by_shape([node("a", **shared), node("b"), node("c"), node("d", cordoned=True)], {})
    assert [use.nodes for use in shapes] == [1, 2, 1]
    assert [(str(row.form), row.nodes, row.share.offered) for row in by_form(shapes)] == [
        ("exclusive", 3, 24),
        ("mps", 1, 32),
    ]
    assert by_form(shapes)[0].form == Form()


def test_what_is_held_of_a_resource_that_a_node_lost_is_told_by_node() -> None:
    nodes = [node("a", resources={SHARED: 8}), node("b")]
    held = {"a": {GPU: 2, SHARED: 1, MIG: 0}, "b": {GPU: 1}, "gone": {GPU: 1}}
    assert without_devices(nodes, held) == {GPU: {"a": 2}}


def test_a_pod_holds_what_the_scheduler_reserves_for_it() -> None:
    def container(count: int, **more: str) -> dict[str, Any]:
        return {"name": "c", "resources": {"limits": {GPU: count, "cpu": "1"}}, **more}

    spec = msgspec.convert(
        {
            "initContainers": [container(1, restartPolicy="Always"), container(5)],
            "containers": [container(2), {"name": "d", "resources": {"requests": {MIG: "1"}}}],
        },
        PodSpec,
    )
    assert requested(spec) == {GPU: 6, MIG: 1}
    assert requested(PodSpec()) == {}


def test_a_shape_alone_lacks_what_other_nodes_have_and_keeps_the_labels_of_policies() -> None:
    mine, other = node(labels={"pool": "a"}, others=["pool"]).shape, node(resources={MIG: 7}).shape
    fleet = Fleet({mine: 2, other: 1}, labels=["pool"], classes=[SHARED])
    in_pool = NodeConstraints(PodSpec(node_selector={"pool": "b"}))

    assert fleet.unschedulable(NodeRequest(MIG, 1, NOTHING_SAID)) is None
    assert fleet.alone(mine).unschedulable(NodeRequest(MIG, 1, NOTHING_SAID)) is not None
    assert fleet.alone(mine).unschedulable(NodeRequest(SHARED, 1, NOTHING_SAID)) is not None
    assert fleet.alone(mine).unschedulable(NodeRequest(GPU, 8, NOTHING_SAID)) is None
    assert fleet.alone(mine).unschedulable(NodeRequest(GPU, 8, in_pool)) is not None

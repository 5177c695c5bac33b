"""Stated forms in words: a policy value where exactly one or two are stated, and never an invented one."""

from typing import Any

import pytest

from tests.builders import (
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_SLICES,
    MEMORY,
    MIG,
    RENAMED,
    SHARED,
    SINGLE,
    STRATEGY,
    Json,
    a_pod,
    affinity,
    evaluate,
    gpu,
    messages,
    spec_of,
)
from webhook.engine.form_names import named, written
from webhook.engine.form_selection import Statements
from webhook.engine.forms import Form, parse
from webhook.engine.node_constraints import NodeConstraints
from webhook.engine.resources import GpuResource, classify
from webhook.engine.spelling import DevicePlugin


def read(
    pod: Json, plugin: DevicePlugin, resource: str = GPU, known: tuple[str, ...] = ()
) -> tuple[Any, NodeConstraints]:
    """The forms that a request states, and what its pod says about nodes."""
    nodes = NodeConstraints(spec_of(pod))
    classified = classify(resource)
    assert isinstance(classified, GpuResource)
    return Statements(nodes, plugin, tuple(map(Form, known))).of(classified), nodes


def selected(resource: str = GPU, **selector: str) -> Json:
    return a_pod(gpu(1, resource), nodeSelector=selector)


@pytest.mark.parametrize(
    ("pod", "plugin", "resource", "value"),
    [
        (selected(MIG), RENAMED, MIG, "mig-1g.5gb"),
        (selected(SHARED), RENAMED, SHARED, "shared"),
        (selected(SHARED, **{STRATEGY: "mps"}), RENAMED, SHARED, "mps"),
        (selected(**{GKE_PARTITION: "1g.5gb"}), RENAMED, GPU, "gke-mig-1g.5gb"),
        (
            a_pod(gpu(1), affinity=affinity([(GKE_PARTITION, "In", "1g.5gb", "2g.10gb")])),
            RENAMED,
            GPU,
            "gke-mig-1g.5gb or gke-mig-2g.10gb",
        ),
        # No label says what is shared under MIG strategy single; the first is what the name says.
        (selected(SHARED), SINGLE, SHARED, "shared"),
    ],
)
def test_what_is_stated_exactly_is_named(pod: Json, plugin: DevicePlugin, resource: str, value: str) -> None:
    stated, nodes = read(pod, plugin, resource, ("1g.5gb", "2g.10gb", "3g.20gb"))
    assert named(stated, nodes) == value
    assert all(map(parse, value.split(" or ")))


@pytest.mark.parametrize(
    ("pod", "plugin", "says"),
    [
        (selected(**{GPU_SLICES: "7"}), SINGLE, f"{GPU_SLICES}: 7"),
        (
            a_pod(gpu(1), affinity=affinity([(GPU_SLICES, "Exists"), (MEMORY, "Gt", "20000")])),
            SINGLE,
            f"node affinity on {GPU_SLICES}, node affinity on {MEMORY}",
        ),
        (selected(**{GKE_CLIENTS: "4"}), RENAMED, f"{GKE_CLIENTS}: 4"),
        (selected(**{GKE_PARTITION: "1g5gb"}), RENAMED, f"{GKE_PARTITION}: 1g5gb"),
        (
            selected(**{GKE_SHARING: "timesharing", GKE_CLIENTS: "4"}),
            RENAMED,
            f"{GKE_SHARING}: timesharing, {GKE_CLIENTS}: 4",
        ),
    ],
)
def test_what_is_not_is_told_as_it_is_written(pod: Json, plugin: DevicePlugin, says: str) -> None:
    stated, nodes = read(pod, plugin)
    assert stated
    assert named(stated, nodes) is None
    assert written(stated, nodes) == says
    (denied,) = (text for text in messages(evaluate(pod, "mig-1g.5gb", plugin)) if "requests a form" in text)
    assert denied.startswith(
        f'container "train": {GPU}: 1 with {says} requests a form that namespace policy "mig-1g.5gb" does not permit; '
    )


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (selected(), ""),
        (selected(**{"nvidia.com/gpu.product": "A100"}), ""),
        (a_pod(gpu(1), affinity=affinity([(STRATEGY, "NotIn", "mps")])), ""),
        (selected(**{STRATEGY: "timeslicing"}), f"{STRATEGY}: timeslicing"),
        (selected(**{GKE_SHARING: "timesharing"}), f"{GKE_SHARING}: timesharing"),
        (selected(**{GPU_SLICES: "9"}), f"{GPU_SLICES}: 9"),
    ],
)
def test_a_label_that_names_no_form_is_told_too(pod: Json, says: str) -> None:
    stated, nodes = read(pod, SINGLE)
    assert stated == ()
    assert written(stated, nodes) == says


def test_more_than_two_that_are_named_are_told_as_they_are_written() -> None:
    sizes = ("1g.5gb", "2g.10gb", "3g.20gb")
    stated, nodes = read(a_pod(gpu(1), affinity=affinity([(GKE_PARTITION, "In", *sizes)])), RENAMED)
    assert [form.partition for form in stated if isinstance(form, Form)] == [*sizes]
    assert named(stated, nodes) is None

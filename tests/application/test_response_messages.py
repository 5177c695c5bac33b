"""Telling: warnings that fit into a response and are read, annotations that are bounded and stay JSON."""

import json

import pytest

from testing.reviews import GPU, Json, Webhook, a_container, a_gpu_container, a_pod
from webhook.application import response_messages
from webhook.application.configuration import Configuration
from webhook.engine.policy import Policy, PolicyAdditions, PolicyBook

# k8s.io/apiserver/pkg/endpoints/filters/warning.go: beyond this sum it cuts each warning to 256 and drops the rest.
API_SERVER_BUDGET = 4096
# Clients show warnings on one line.
READABLE = 120


def test_warnings_come_once_each_in_their_order() -> None:
    assert response_messages.within_budget(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]


def test_no_warnings_are_none() -> None:
    assert response_messages.within_budget([]) is None


def test_warnings_beyond_the_budget_are_counted_instead_of_cut() -> None:
    warnings = [f"{number:03} {'x' * 96}" for number in range(100)]

    kept = response_messages.within_budget(warnings)

    assert kept is not None
    assert kept[:-1] == warnings[: len(kept) - 1]
    assert kept[-1] == f"gpuwarden: {100 - (len(kept) - 1)} more, see gpuwarden check"
    assert 2900 < sum(map(len, kept)) < API_SERVER_BUDGET


def test_warnings_at_the_budget_are_all_kept() -> None:
    warnings = ["x" * 1000, "y" * 1000, "z" * 1072]

    assert response_messages.within_budget(warnings) == warnings
    assert response_messages.within_budget([*warnings, "w"]) == [*warnings, "gpuwarden: 1 more, see gpuwarden check"]


def test_a_pod_of_many_containers_is_told_within_the_budget() -> None:
    pod = a_pod(*(a_gpu_container("1", f"train-{number}") for number in range(300)))

    warnings = Webhook(warn="mps").mutate(pod).warnings

    assert sum(map(len, warnings)) < API_SERVER_BUDGET
    assert warnings[0].startswith('container "train-0"')
    assert warnings[-1].endswith("more, see gpuwarden check")


def test_a_recorded_patch_is_whole_where_it_is_small() -> None:
    annotations: dict[str, str] = {}

    response_messages.annotate_patch(annotations, "audit", [{"op": "remove", "path": "/a"}])

    assert annotations == {"audit-patch": '[{"op":"remove","path":"/a"}]'}


def test_without_operations_no_patch_is_recorded() -> None:
    annotations: dict[str, str] = {}

    response_messages.annotate_patch(annotations, "audit", [])

    assert annotations == {}


@pytest.mark.parametrize("size", [1, 100, 5000, 8000, 20_000])
def test_a_recorded_patch_is_bounded_and_always_json_of_whole_operations(size: int) -> None:
    path = '/spec/containers/{}/é"'
    operations: list[Json] = [{"op": "add", "path": path.format(i), "value": "x" * size} for i in range(200)]
    annotations: dict[str, str] = {}

    response_messages.annotate_patch(annotations, "enforce", operations)

    kept = json.loads(annotations["enforce-patch"])
    assert kept == operations[: len(kept)]
    assert bool(kept) == (size < 8192)
    assert len(annotations["enforce-patch"]) <= 8192 + len("[]")
    assert int(annotations.get("enforce-patch-omitted", "0")) == len(operations) - len(kept)


def test_a_recorded_patch_has_all_operations_of_a_container_or_none() -> None:
    """The pod's own come before those of containers, wherever they stand in the patch."""

    def container(index: int, field: str, size: int) -> Json:
        return {"op": "add", "path": f"/spec/initContainers/{index}/{field}", "value": "x" * size}

    selector = {"op": "add", "path": "/spec/nodeSelector", "value": {"a": "b"}}
    operations = [
        *(container(index, "resources", 1000) for index in range(5)),
        selector,
        *(container(index, "env", 1500) for index in range(5)),
    ]
    annotations: dict[str, str] = {}

    response_messages.annotate_patch(annotations, "audit", operations)

    whole = range(3)
    assert json.loads(annotations["audit-patch"]) == [
        *(container(index, "resources", 1000) for index in whole),
        selector,
        *(container(index, "env", 1500) for index in whole),
    ]
    assert annotations["audit-patch-omitted"] == "4"


def test_what_there_is_no_room_for_keeps_nothing_else_out() -> None:
    large = {"op": "add", "path": "/metadata/annotations", "value": {"a": "b" * 9000}}
    small = {"op": "remove", "path": "/spec/containers/0/resources/limits/a"}
    annotations: dict[str, str] = {}

    response_messages.annotate_patch(annotations, "audit", [large, small])

    assert annotations == {"audit-patch": json.dumps([small], separators=(",", ":")), "audit-patch-omitted": "1"}


def test_a_pod_of_many_containers_is_recorded_within_bounds() -> None:
    pod = a_pod(*(a_gpu_container("1", f"train-{number}") for number in range(300)))

    annotations = Webhook(audit="mps").mutate(pod).annotations

    kept = json.loads(annotations["audit-patch"])
    assert {operation["op"] for operation in kept[:-2]} == {"move"}
    assert [operation["path"] for operation in kept[-2:]] == ["/spec/nodeSelector", "/spec/tolerations/-"]
    assert len(kept) + int(annotations["audit-patch-omitted"]) == 603
    assert sum(map(len, annotations.values())) < 9000


CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
DRESSED = Configuration(
    PolicyBook({"house": Policy("house", permits_any=True, additions=PolicyAdditions(runtime_class_name="nvidia"))})
)


@pytest.mark.parametrize(
    ("labels", "pod"),
    [
        ({"warn": "mig-1g.5gb"}, a_pod()),
        ({"warn": "none"}, a_pod()),
        ({"warn": "shared"}, a_pod(a_gpu_container("2"))),
        ({"warn": "exclusive"}, a_pod(a_gpu_container("0.5"))),
        ({"warn": "house", "configuration": DRESSED}, a_pod()),
        ({"warn": "mig-1g5gb"}, a_pod()),
        ({"enforce": "mig-1g.5gb"}, a_pod(a_gpu_container("2"))),
        ({"enforce": "gke-mps-4"}, a_pod()),
        ({}, a_pod(a_container("train", {"nvidia.com/gpu-shared": "1"}))),
    ],
)
def test_a_warning_is_short_enough_to_be_read(labels: Json, pod: Json) -> None:
    """Every sentence that a warning can be, with names of a usual length."""
    webhook = Webhook(**labels)
    mutated = webhook.mutate(pod)
    warnings = mutated.warnings + webhook.validate(mutated.applied_to(pod)).warnings

    assert warnings
    assert max(map(len, warnings)) <= READABLE


@pytest.mark.parametrize(
    ("labels", "pod", "most"),
    [
        # The names of the labels that GKE and the device plugin chose fill half of a line by themselves.
        ({"warn": "mps"}, a_pod(), 145),
        ({"warn": "gke-time-sharing-4"}, a_pod(), 220),
        ({}, a_pod(nodeSelector={CLIENTS: "4"}), 130),
        ({"warn": "shared"}, a_pod(a_container("train", {"nvidia.com/mig-1g.5gb": "1"})), 140),
        ({"warn": ""}, a_pod(), 160),
    ],
)
def test_the_sentences_that_are_longer_grow_no_further(labels: Json, pod: Json, most: int) -> None:
    warnings = Webhook(**labels).mutate(pod).warnings

    assert warnings
    assert max(map(len, warnings)) <= most


def test_a_request_of_several_containers_is_told_container_by_container() -> None:
    pod = a_pod(a_gpu_container("1", "train"), a_container("web", {"cpu": "1"}), a_gpu_container("2", "serve"))

    assert [warning.partition(":")[0] for warning in Webhook(warn="mig-1g.5gb").mutate(pod).warnings] == [
        'container "train"',
        'container "serve"',
        'container "serve"',
    ]
    assert GPU in Webhook(warn="mig-1g.5gb").mutate(pod).warnings[0]

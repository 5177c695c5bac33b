"""Requests: which containers request GPUs, where that is written, and how many a pod needs at once."""

from typing import Any

import pytest

from tests.builders import GPU, MIG, SHARED, Json, a_container, a_pod, a_policy, evaluate, gpu, messages, spec_of
from webhook.engine.other_gpus import GpuNames
from webhook.engine.pods import Place
from webhook.engine.requests import OtherAmount, pod_count, read
from webhook.engine.resources import Unknown


def asked(*containers: Json, **spec: Any) -> list[tuple[str, list[str]]]:
    """Where each asking container stands, and what it asks for."""
    gpu_containers = read(spec_of(a_pod(*containers, **spec)))
    return [
        (gpu_container.place.field, [str(amount) for amount in gpu_container.amounts])
        for gpu_container in gpu_containers
    ]


NO_REQUESTS = [
    pytest.param(a_container(), id="no resources"),
    pytest.param(a_container(resources=None), id="null resources"),
    pytest.param(a_container(resources={}), id="empty resources"),
    pytest.param(a_container(resources={"limits": None, "requests": None}), id="null limits and requests"),
    pytest.param(a_container(limits={}, requests={}), id="empty limits and requests"),
    pytest.param(a_container(limits={"cpu": "1", "memory": "1Gi"}), id="other resources"),
    pytest.param(gpu(0), id="a count of 0"),
    pytest.param(gpu("0"), id='a count of "0"'),
    pytest.param(gpu("0m"), id="a count of 0m"),
    pytest.param(gpu(None), id="a count of null"),
    pytest.param(a_container(limits={GPU: 0}, requests={GPU: "0"}), id="0 in both places"),
    pytest.param(a_container(requests={SHARED: 0}), id="0 in requests"),
    pytest.param(gpu(0, "nvidia.com/gpu-shared"), id="none of a misspelt name"),
    pytest.param(gpu(1, "amd.com/gpu"), id="another vendor's GPU"),
]


@pytest.mark.parametrize("container", NO_REQUESTS)
def test_a_container_that_wants_no_gpu_asks_for_none(container: Json) -> None:
    assert asked(container) == []


REQUESTS = [
    pytest.param(gpu(1), ["nvidia.com/gpu: 1"], id="in limits"),
    pytest.param(a_container(requests={GPU: 1}), ["nvidia.com/gpu: 1"], id="in requests"),
    pytest.param(a_container(limits={GPU: 2}, requests={GPU: "2"}), ["nvidia.com/gpu: 2"], id="in both"),
    pytest.param(a_container(limits={GPU: 0}, requests={GPU: 1}), ["nvidia.com/gpu: 0"], id="0 in limits only"),
    pytest.param(a_container(limits={GPU: 1}, requests={GPU: 0}), ["nvidia.com/gpu: 1"], id="0 in requests only"),
    pytest.param(gpu("0.5"), ["nvidia.com/gpu: 0.5"], id="a quantity that is no count"),
    pytest.param(
        a_container(limits={SHARED: 1, GPU: 1}),
        ["nvidia.com/gpu: 1", "nvidia.com/gpu.shared: 1"],
        id="two resources, by name",
    ),
    pytest.param(
        a_container(limits={SHARED: 1}, requests={GPU: 1}),
        ["nvidia.com/gpu: 1", "nvidia.com/gpu.shared: 1"],
        id="one resource in limits and another in requests",
    ),
    pytest.param(a_container(limits={SHARED: 0, GPU: 1, "cpu": 1}), ["nvidia.com/gpu: 1"], id="beside one of 0"),
]


@pytest.mark.parametrize(("container", "amounts"), REQUESTS)
def test_a_container_asks_for_what_stands_in_either_place(container: Json, amounts: list[str]) -> None:
    assert asked(container) == [("spec.containers[0]", amounts)]


def test_every_kind_of_container_can_ask_and_init_containers_come_first() -> None:
    found = asked(
        a_container("web"), gpu(1), initContainers=[gpu(1), a_container("copy"), gpu(2, restartPolicy="Always")]
    )

    assert [place for place, _ in found] == ["spec.initContainers[0]", "spec.initContainers[2]", "spec.containers[1]"]


@pytest.mark.parametrize("listed", [{"containers": None}, {"containers": [], "initContainers": None}, {}], ids=str)
def test_a_pod_without_containers_asks_for_nothing(listed: Json) -> None:
    assert read(spec_of({"spec": listed})) == []


def test_misspelt_names_are_kept_with_the_field_that_they_stand_in() -> None:
    in_limits = a_container(limits={"nvidia.com/gpu-shared": 1}, requests={"nvidia.com/gpu-shared": 1})
    in_requests = a_container(requests={"nvidia.com/mig1g.5gb": 1})
    gpu_containers = read(spec_of(a_pod(in_limits, initContainers=[in_requests])))

    assert [gpu_container.amounts for gpu_container in gpu_containers] == [(), ()]
    assert [gpu_container.unknown for gpu_container in gpu_containers] == [
        ((Unknown("nvidia.com/mig1g.5gb"), "spec.initContainers[0].resources.requests[nvidia.com/mig1g.5gb]"),),
        ((Unknown("nvidia.com/gpu-shared"), "spec.containers[0].resources.limits[nvidia.com/gpu-shared]"),),
    ]


def test_gpus_by_other_names_are_kept_with_quantity_and_field() -> None:
    in_limits = a_container(limits={"nvidia.com/vgpu": "2", "nvidia.com/hostdev": 1, GPU: 1}, requests={GPU: 1})
    in_requests = a_container(requests={"volcano.sh/vgpu-number": 1, "nvidia.com/pgpu": 0})
    half = a_container(limits={"nvidia.com/vgpu": "0.5"})
    gpu_containers = read(spec_of(a_pod(in_limits, half, initContainers=[in_requests])))

    assert [(gpu_container.others, len(gpu_container.amounts)) for gpu_container in gpu_containers] == [
        (
            (
                OtherAmount(
                    "volcano.sh/vgpu-number", 1, "spec.initContainers[0].resources.requests[volcano.sh/vgpu-number]"
                ),
            ),
            0,
        ),
        ((OtherAmount("nvidia.com/vgpu", "2", "spec.containers[0].resources.limits[nvidia.com/vgpu]"),), 1),
        ((OtherAmount("nvidia.com/vgpu", "0.5", "spec.containers[1].resources.limits[nvidia.com/vgpu]"),), 0),
    ]


def test_which_names_are_gpus_can_be_said() -> None:
    spec = spec_of(a_pod(gpu(1, "amd.com/gpu")))

    assert read(spec) == []
    assert len(read(spec, GpuNames(gpus=("amd.com/gpu",)))) == 1


def test_a_place_has_a_pointer_and_a_field() -> None:
    place = Place("initContainers", 3)

    assert (place.pointer, place.field) == ("/spec/initContainers/3", "spec.initContainers[3]")


def pod_needs(init: list[tuple[int, bool]], containers: list[int]) -> int:
    """The GPUs that a pod needs at once, of init containers ``(count, sidecar)`` and containers."""
    listed = [gpu(count, **({"restartPolicy": "Always"} if sidecar else {})) for count, sidecar in init]
    spec = spec_of(a_pod(*(gpu(count) for count in containers), initContainers=listed))
    return pod_count(spec, {gpu_container.place: gpu_container.amounts[0].count for gpu_container in read(spec)})


PODS = [
    pytest.param([], [1], 1, id="one container"),
    pytest.param([], [1, 2, 3], 6, id="containers run together"),
    pytest.param([(5, False)], [1, 2], 5, id="an init container runs before them"),
    pytest.param([(2, False)], [1, 2], 3, id="a smaller init container adds nothing"),
    pytest.param([(2, False), (4, False), (3, False)], [1], 4, id="init containers run one after another"),
    pytest.param([(2, True)], [3], 5, id="a sidecar runs beside the containers"),
    pytest.param([(2, True), (1, True)], [3], 6, id="two sidecars"),
    pytest.param([(2, True), (5, False)], [1], 7, id="an init container after a sidecar runs beside it"),
    pytest.param([(5, False), (2, True)], [1], 5, id="an init container before a sidecar does not"),
    pytest.param([(1, True), (4, False), (2, True)], [1], 5, id="between two sidecars only the first one counts"),
    pytest.param([(1, True), (2, True)], [0], 3, id="sidecars alone"),
    pytest.param([(3, False)], [0], 3, id="an init container alone"),
    pytest.param([], [0], 0, id="nothing"),
]


@pytest.mark.parametrize(("init", "containers", "count"), PODS)
def test_a_pod_needs_what_runs_at_once(init: list[tuple[int, bool]], containers: list[int], count: int) -> None:
    assert pod_needs(init, containers) == count


def test_a_restart_policy_other_than_always_makes_no_sidecar() -> None:
    pod = a_pod(gpu(1), initContainers=[gpu(1, restartPolicy="Never")])

    assert evaluate(pod, a_policy("exclusive", max_per_pod=1)).findings == ()


def test_counts_of_different_forms_add_up() -> None:
    pod = a_pod(gpu(2, MIG), gpu(1, "nvidia.com/mig-2g.10gb"))

    assert messages(evaluate(pod, a_policy("mig-1g.5gb", "mig-2g.10gb", max_per_pod=2)))[0] == (
        'pod: its containers request 3 GPUs at once; namespace policy "team" permits 2 per pod; request at most 2'
    )


@pytest.mark.parametrize(
    ("amounts", "others"),
    [
        ({GPU: "1"}, {GPU: "1"}),
        ({GPU: "1"}, {GPU: "2"}),
        ({GPU: "1"}, {GPU: "1.0"}),
        ({GPU: 1}, {GPU: 1.0}),
        ({GPU: 1}, {GPU: 1}),
        ({GPU: "1", SHARED: "1"}, {GPU: "1", SHARED: "1"}),
        ({GPU: "1", "nvidia.com/gpuu": 1}, {GPU: "1", "nvidia.com/gpuu": 1}),
        ({GPU: "1", "nvidia.com/GA102GL_A10": 1}, {GPU: "1", "nvidia.com/GA102GL_A10": 1}),
        ({"cpu": "1"}, {"cpu": "1"}),
    ],
)
def test_a_container_requests_the_same_whatever_stands_before_it(amounts: Json, others: Json) -> None:
    first = a_container("first", dict(amounts), dict(amounts))
    second = a_container("second", dict(others), dict(others))
    alone = read(spec_of(a_pod(a_container("first"), second)))
    beside = read(spec_of(a_pod(first, second)))

    assert [one for one in beside if one.place.index == 1] == alone
    assert [(type(each.limit), type(each.request)) for one in beside[-1:] for each in one.amounts] == [
        (type(each.limit), type(each.request)) for one in alone for each in one.amounts
    ]

"""Other schedulers: to which of them a pod is left."""

import pytest

from tests.builders import GPU, Json, a_container, a_pod, gpu, spec_of
from webhook.engine.requests import requests_any
from webhook.engine.schedulers import HAMI_RESOURCES, kai_shares, scheduler_of

MEMORY = "nvidia.com/gpumem"

LEFT_OPEN = [
    pytest.param(a_pod(), id="a plain request"),
    pytest.param(a_pod(gpu(1, MEMORY, resources=None)), id="null resources"),
    pytest.param(a_pod(gpu(0, MEMORY)), id="none of HAMi's resource"),
    pytest.param(a_pod(a_container(limits={MEMORY: None}, requests=None)), id="null"),
    pytest.param(a_pod(a_container(limits={"nvidia.com/gpumemory": 1})), id="a name that begins alike"),
    pytest.param(a_pod(annotations={"nvidia.com/use-gputype": "A100", MEMORY: "1"}), id="HAMi's annotations"),
    pytest.param(a_pod(annotations={"gpu-fraction": "0.5", "gpu-memory": "1000"}), id="KAI's annotations"),
    pytest.param(
        a_pod(ephemeralContainers=[a_container("debug", limits={MEMORY: 1})]), id="a container without resources"
    ),
]


@pytest.mark.parametrize("pod", LEFT_OPEN)
@pytest.mark.parametrize("named", [None, "", "default-scheduler"])
def test_a_pod_that_says_nothing_is_left_to_whoever_is_named(pod: Json, named: str | None) -> None:
    pod["spec"]["schedulerName"] = named

    assert scheduler_of(spec_of(pod)) == named


@pytest.mark.parametrize("resource", sorted(HAMI_RESOURCES))
@pytest.mark.parametrize("named", [None, "", "default-scheduler"])
def test_hamis_resources_say_hami(resource: str, named: str | None) -> None:
    beside = a_pod(a_container(limits={GPU: 1, resource: "10"}), schedulerName=named)
    elsewhere = a_pod(gpu(1), initContainers=[a_container("load", requests={resource: 10})], schedulerName=named)

    assert scheduler_of(spec_of(beside)) == "hami-scheduler"
    assert scheduler_of(spec_of(elsewhere)) == "hami-scheduler"


def test_a_scheduler_that_is_named_stays() -> None:
    assert scheduler_of(spec_of(a_pod(gpu(1, MEMORY), schedulerName="volcano"))) == "volcano"
    assert scheduler_of(spec_of(a_pod(schedulerName="kai-scheduler"))) == "kai-scheduler"


@pytest.mark.parametrize("annotations", [None, {}, {"gpu-fractions": "1", "gpu": "1"}])
def test_annotations_of_others_are_no_shares_of_kais(annotations: dict[str, str] | None) -> None:
    assert kai_shares(annotations) == []


def test_kais_annotations_are_its_shares() -> None:
    annotations = {"gpu-memory": "2000", "a": "b", "gpu-fraction": "0.5"}
    assert kai_shares(annotations) == [("gpu-fraction", "0.5"), ("gpu-memory", "2000")]


@pytest.mark.parametrize(
    ("pod", "named"),
    [
        (a_pod(gpu(1)), False),
        (a_pod(gpu(1, resources=None)), False),
        (a_pod(gpu(0, MEMORY)), False),
        (a_pod(gpu(1, MEMORY)), True),
        (a_pod(a_container(limits={GPU: 1}, requests={GPU: 1, MEMORY: 5})), True),
        (a_pod(gpu(1), initContainers=[gpu(1), gpu(1, MEMORY, "load")]), True),
        (a_pod(ephemeralContainers=[a_container("debug", limits={MEMORY: 1})]), False),
        ({"spec": {}}, False),
    ],
)
def test_a_resource_is_named_by_containers_that_can_request_it(pod: Json, *, named: bool) -> None:
    assert requests_any(spec_of(pod), HAMI_RESOURCES) is named

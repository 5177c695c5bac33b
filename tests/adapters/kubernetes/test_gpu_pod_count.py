"""The count of pods with GPUs: what is asked for, how often, and what becomes of a list that fails half-way."""

from typing import Any

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import status
from testing.stand_in.http_side import Handler
from tests.adapters.kubernetes.support import Clock
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import ApiError
from webhook.adapters.kubernetes.gpu_pod_count import INTERVAL, REST, RETRY, PodCounts

PODS, GPU = "/api/v1/pods", "nvidia.com/gpu"


def a_pod(name: str, count: int = 1, node: str = "", resource: str = GPU, phase: str = "Running") -> dict[str, Any]:
    container = {"name": "c", "env": [{"name": "KEY", "value": name}], "resources": {"limits": {resource: str(count)}}}
    spec = {"containers": [container], **({"nodeName": node} if node else {})}
    return {"metadata": {"name": name, "namespace": "team"}, "spec": spec, "status": {"phase": phase}}


def listed(*pods: dict[str, Any], more: str = "") -> dict[str, Any]:
    return {"metadata": {"continue": more} if more else {}, "items": list(pods)}


def test_pods_are_counted_page_by_page(apiserver: StandIn, api: ApiServer) -> None:
    first = listed(a_pod("a", 3, "one"), a_pod("cpu", 2, "one", "cpu"), a_pod("w1"), more="next")
    second = listed(a_pod("b", 1, "one"), a_pod("c", 1, "two"), a_pod("w2"), a_pod("w3", 2))
    apiserver.objects[PODS] = second
    apiserver.script("object", lambda handler: handler.say(200, first))
    found = PodCounts(api).read()
    assert found.held == {"one": {GPU: 4}, "two": {GPU: 1}}
    assert [(pod.name, number) for pod, number in found.waiting] == [("w1", 2), ("w3", 1)]
    asked, then = apiserver.seen("object")
    assert asked.query == {"limit": "100", "fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
    assert then.query == {**asked.query, "continue": "next"}


def test_it_is_due_at_once_and_then_after_a_rest(apiserver: StandIn, api: ApiServer, clock: Clock) -> None:
    apiserver.objects[PODS] = listed()
    counts = PodCounts(api, clock)
    assert counts.due
    counts.read()
    assert not counts.due
    clock.ahead += INTERVAL - 5
    assert not counts.due
    clock.ahead += 10
    assert counts.due

    def slow(handler: Handler) -> None:
        clock.ahead += 60
        handler.say(200, listed())

    apiserver.script("object", slow)
    counts.read()
    clock.ahead += 60 * REST - 5
    assert not counts.due, "a list that takes long is read less often"
    clock.ahead += 10
    assert counts.due


@pytest.mark.parametrize("code", [403, 410, 500])
def test_a_list_that_fails_is_not_begun_again_before_a_minute(
    apiserver: StandIn, api: ApiServer, clock: Clock, code: int
) -> None:
    first = listed(a_pod("a", 3, "one"), more="next")
    apiserver.script(
        "object", lambda handler: handler.say(200, first), lambda handler: handler.say(code, status(code, "no"))
    )
    counts = PodCounts(api, clock)
    with pytest.raises(ApiError):
        counts.read()
    assert apiserver.count("object") == 2
    assert not counts.due
    clock.ahead += RETRY
    assert counts.due

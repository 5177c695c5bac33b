"""Other kinds in a cluster: found by their definitions, counted without being read, and what is refused is said."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.kubernetes.support import reached
from tests.adapters.kubernetes.workload_server import DEFINITIONS, WorkloadServer
from tests.builders import Json
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.other_kinds import UnknownKindsError, other_kinds
from webhook.adapters.kubernetes.retrying import RetryingApi
from webhook.application.other_kinds import OtherKind

NO_PODS: Json = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"size": {"type": "string"}}}},
}


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    with WorkloadServer() as server:
        yield server


@pytest.fixture
def api(cluster: WorkloadServer, tmp_path: Path) -> Iterator[RetryingApi]:
    with reached(cluster.url, tmp_path) as server:
        yield RetryingApi(server, Backoff(lambda: 0.0), wait=lambda _: None)


class _Silent:
    def read(self, what: str, done: int, total: int | None) -> None:
        """Nobody watches."""


def an_object(namespace: str = "team-a") -> Json:
    return {"metadata": {"name": "x", "namespace": namespace}}


def found(api: RetryingApi, *namespaces: str) -> list[OtherKind]:
    return list(other_kinds(api, _Silent(), namespaces))


def test_of_a_cluster_without_any_there_are_none(api: RetryingApi) -> None:
    assert found(api) == []


def test_those_that_may_lead_to_pods_and_have_objects_are_counted(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.define("RayJob", "rayjobs", *([an_object()] * 3), an_object("team-b"))
    cluster.define("RayService", "rayservices")
    cluster.define("RayConfig", "rayconfigs", an_object(), schema=NO_PODS)
    assert found(api) == [OtherKind("ray.io/v1", "RayJob", "rayjobs", 4)]
    assert [seen.query for seen in cluster.requests if "rayjobs" in seen.path] == [{"limit": "1"}]
    assert not [seen for seen in cluster.requests if "rayconfigs" in seen.path]


def test_all_are_read_where_the_server_does_not_say_how_many_follow(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.tells_remaining = False
    cluster.define("RayJob", "rayjobs", *([an_object()] * 3))
    assert [kind.objects for kind in found(api)] == [3]


def test_in_some_namespaces_only_what_is_in_these_counts(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.define("RayJob", "rayjobs", an_object(), an_object("team-b"), an_object("team-c"))
    cluster.define("RayPool", "raypools", {"metadata": {"name": "x"}}, scope="Cluster")
    assert [(kind.kind, kind.objects) for kind in found(api, "team-a", "team-b")] == [("RayJob", 2)]
    assert [(kind.kind, kind.objects) for kind in found(api)] == [("RayJob", 3), ("RayPool", 1)]


def test_objects_that_can_not_be_listed_are_not_taken_for_none(cluster: WorkloadServer, api: RetryingApi) -> None:
    path = cluster.define("RayJob", "rayjobs", an_object())
    cluster.refused[path] = 403
    (kind,) = found(api)
    assert kind.objects is None
    assert f"{path} is refused" in kind.detail


def test_definitions_that_can_not_be_listed_are_not_taken_for_none(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.refused[DEFINITIONS] = 403
    with pytest.raises(UnknownKindsError, match="customresourcedefinitions is refused"):
        found(api)


@pytest.mark.parametrize("path", [DEFINITIONS, "/apis/ray.io/v1/rayjobs"])
def test_another_failure_is_the_cluster_s(cluster: WorkloadServer, api: RetryingApi, path: str) -> None:
    cluster.define("RayJob", "rayjobs", an_object())
    cluster.refused[path] = 401
    with pytest.raises(ApiError) as failed:
        found(api)
    assert failed.value.fault is not Fault.FORBIDDEN

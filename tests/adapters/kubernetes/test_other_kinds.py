"""Other kinds in a cluster: discovered, read up to a bound unless their schemas exclude pods, and what can't be read is said."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.kubernetes.support import reached
from tests.adapters.kubernetes.workload_server import DEFINITIONS, WorkloadServer
from tests.builders import Json
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.discovery import Discovery, UnknownKindsError
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.lists import Bound
from webhook.adapters.kubernetes.other_kinds import OtherReader
from webhook.adapters.kubernetes.retrying import RetryingApi
from webhook.application.other_kinds import OtherKind
from webhook.application.workload_kinds import WorkloadKind

NO_PODS: Json = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"size": {"type": "string"}}}},
}
TASKS = "/apis/ray.io/v1/raytasks"
LARGE = Bound(100, 1_000_000)


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    with WorkloadServer() as server:
        yield server


@pytest.fixture
def api(cluster: WorkloadServer, tmp_path: Path) -> Iterator[RetryingApi]:
    with reached(cluster.url, tmp_path) as server:
        yield RetryingApi(server, Backoff(lambda: 0.0), wait=lambda _: None)


def an_object(namespace: str = "team-a", name: str = "x") -> Json:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"gpus": 2}}


def found(api: RetryingApi, *namespaces: str, bound: Bound = LARGE) -> list[str | OtherKind]:
    """What is read, as kind and namespace, and what is not."""
    reader = OtherReader(api, Discovery(api), bound=bound)
    return list(
        reader.objects(namespaces, lambda one: f"{one['kind']} {one['apiVersion']} {one['metadata'].get('namespace')}")
    )


def test_of_a_cluster_without_any_there_are_none(api: RetryingApi) -> None:
    assert found(api) == []


def test_those_that_may_lead_to_pods_are_read(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.define("RayTask", "raytasks", *([an_object()] * 3), an_object("team-b"))
    cluster.define("RayServer", "rayservers")
    cluster.define("RayConfig", "rayconfigs", an_object(), schema=NO_PODS)
    assert found(api) == [*(["RayTask ray.io/v1 team-a"] * 3), "RayTask ray.io/v1 team-b"]
    assert not [seen for seen in cluster.requests if "rayconfigs" in seen.path]


def test_rows_of_the_table_and_of_the_configuration_and_policies_are_left_out(
    cluster: WorkloadServer, api: RetryingApi
) -> None:
    cluster.define("RayCluster", "rayclusters", an_object())
    cluster.define("RayTask", "raytasks", an_object())
    row = WorkloadKind("ray.io", ("v1",), "RayTask", "raytasks", (), ("spec.resources",))
    for group in ("resource.k8s.io/v1", "kyverno.io/v1"):
        cluster.serve(group, "things", an_object())
        cluster.resources[group][0] |= {"kind": "Thing", "namespaced": True, "verbs": ["list"]}
    reader = OtherReader(api, Discovery(api), configured={("ray.io", "RayTask"): row})
    assert list(reader.objects((), lambda one: one)) == []


def test_kinds_of_aggregated_servers_are_read_too(cluster: WorkloadServer, api: RetryingApi) -> None:
    path = cluster.serve("apps.example.com/v1", "deploymentsets", an_object())
    cluster.resources["apps.example.com/v1"][0] |= {"kind": "DeploymentSet", "namespaced": True, "verbs": ["list"]}
    cluster.resources["apps.example.com/v1"].append(
        {"name": "deploymentsets/scale", "kind": "Scale", "verbs": ["list"]}
    )
    cluster.resources["apps.example.com/v1"].append({"name": "reviews", "kind": "Review", "verbs": ["create"]})
    assert found(api) == ["DeploymentSet apps.example.com/v1 team-a"]
    assert [seen.path for seen in cluster.requests if "deploymentsets" in seen.path] == [path]


def test_a_list_is_cut_after_so_many_objects_or_bytes(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.define("RayTask", "raytasks", *([an_object()] * 130))
    *read, cut = found(api)
    assert (len(read), cut) == (100, OtherKind("ray.io/v1", "RayTask", "raytasks", 30, checked=100))
    *read, cut = found(api, bound=Bound(100, 1))
    assert (len(read), cut) == (20, OtherKind("ray.io/v1", "RayTask", "raytasks", 110, checked=20))


def test_how_many_follow_is_not_known_where_the_server_does_not_say(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.tells_remaining = False
    cluster.define("RayTask", "raytasks", *([an_object()] * 3))
    assert found(api, bound=Bound(2, LARGE.size))[2:] == [
        OtherKind("ray.io/v1", "RayTask", "raytasks", None, checked=2)
    ]


def test_in_some_namespaces_only_what_is_in_these_counts(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.define("RayTask", "raytasks", an_object(), an_object("team-b"), an_object("team-c"))
    cluster.define("RayPool", "raypools", {"metadata": {"name": "x"}}, scope="Cluster")
    assert found(api, "team-a", "team-b") == ["RayTask ray.io/v1 team-a", "RayTask ray.io/v1 team-b"]
    assert len(found(api)) == 4


@pytest.mark.parametrize("code", [403, 404, 410, 500])
def test_objects_that_can_not_be_listed_are_not_taken_for_none(
    cluster: WorkloadServer, api: RetryingApi, code: int
) -> None:
    cluster.define("RayTask", "raytasks", an_object())
    cluster.define("RayUnit", "rayunits", an_object())
    cluster.refused[TASKS] = code
    kind, other = found(api)
    assert isinstance(kind, OtherKind)
    assert (kind.objects, kind.forbidden) == (None, code == 403)
    assert f"{TASKS} is refused" in kind.detail
    assert other == "RayUnit ray.io/v1 team-a"


def test_a_group_whose_server_is_down_is_said_and_ends_nothing(cluster: WorkloadServer, api: RetryingApi) -> None:
    cluster.serve("a.example.com/v1", "things")
    cluster.define("RayTask", "raytasks", an_object())
    cluster.refused["/apis/a.example.com/v1"] = 503
    down, task = found(api)
    assert isinstance(down, OtherKind)
    assert (down.api_version, down.kind, task) == ("a.example.com/v1", "*", "RayTask ray.io/v1 team-a")


def test_without_the_definitions_all_kinds_are_read_and_those_that_may_not_be_are_named(
    cluster: WorkloadServer, api: RetryingApi
) -> None:
    cluster.refused[DEFINITIONS] = 403
    cluster.define("RayConfig", "rayconfigs", an_object(), schema=NO_PODS)
    assert found(api) == ["RayConfig ray.io/v1 team-a"]
    for number in range(7):
        cluster.refused[cluster.define(f"Kind{number}", f"kind{number}s", an_object())] = 403
    read = OtherReader(api, Discovery(api)).objects((), lambda one: str(one["kind"]))
    assert next(read) == "RayConfig"
    with pytest.raises(
        UnknownKindsError, match=r"definitions is refused.*; listing kind0s\.ray\.io, .* and 2 more is forbidden too"
    ):
        next(read)


@pytest.mark.parametrize("path", [DEFINITIONS, TASKS, "/apis/ray.io/v1"])
def test_another_failure_is_the_cluster_s(cluster: WorkloadServer, api: RetryingApi, path: str) -> None:
    cluster.define("RayTask", "raytasks", an_object())
    cluster.refused[path] = 401
    with pytest.raises(ApiError) as failed:
        found(api)
    assert failed.value.fault is Fault.UNAUTHORIZED

"""Reading a cluster for an audit: every page of every kind, gently, and nothing but what counts."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes.big_cluster import BigCluster
from tests.adapters.kubernetes.faults import answer, cut_off, refusal
from tests.adapters.kubernetes.support import reached
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.builders import Json, a_pod
from webhook.adapters.kubernetes import lists
from webhook.adapters.kubernetes.audit_reader import AuditReader, UnreadList
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.connect import connect
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.retrying import ATTEMPTS, RetryingApi
from webhook.application.auditing import Owner, WorkloadObject
from webhook.engine.namespace_labels import NamespaceLabels

TEMPLATE = {"template": a_pod()}
PATHS = [
    "/api/v1/pods",
    "/apis/apps/v1/replicasets",
    "/apis/batch/v1/jobs",
    "/api/v1/replicationcontrollers",
    "/apis/batch/v1/cronjobs",
    "/apis/apps/v1/daemonsets",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/deployments",
    "/api/v1/podtemplates",
]


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    with WorkloadServer() as server:
        yield server


@pytest.fixture
def api(cluster: WorkloadServer, tmp_path: Path) -> Iterator[ApiServer]:
    with reached(cluster.url, tmp_path) as server:
        yield server


class Told:
    """Progress, remembered."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int | None]] = []

    def read(self, what: str, done: int, total: int | None) -> None:
        self.steps.append((what, done, total))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def waits() -> list[float]:
    """The pauses that were made, none of which takes any time."""
    return []


@pytest.fixture
def reader(api: ApiServer, told: Told, waits: list[float]) -> AuditReader:
    return AuditReader(RetryingApi(api, Backoff(lambda: 0.0), wait=waits.append), told)


def found(reader: AuditReader, *namespaces: str) -> list[WorkloadObject]:
    seen = [one for one in reader.workloads(namespaces, lambda one: one) if isinstance(one, WorkloadObject)]
    assert all(isinstance(one, WorkloadObject) for one in seen)
    return seen


def document(kind: str, name: str = "x", namespace: str = "team-a", version: str = "apps/v1", **fields: Any) -> Json:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", **fields.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def a_running_pod(name: str = "p", **fields: Any) -> Json:
    return document("Pod", name, version="v1", spec=a_pod()["spec"], status={"phase": "Running"}, **fields)


def a_job(status: Json) -> Json:
    return document("Job", version="batch/v1", spec=TEMPLATE, status=status)


class TestNamespaces:
    def test_come_with_our_labels(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.set_namespace("team-a", enforce="mps", audit="shared")
        cluster.set_namespace("team-b")
        assert reader.namespaces() == {"team-a": NamespaceLabels("mps", None, "shared"), "team-b": NamespaceLabels()}

    def test_come_page_by_page(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.fill(1_201, enforce="mps")
        assert len(reader.namespaces()) == 1_201
        assert [seen.query["limit"] for seen in cluster.seen("list")] == ["500"] * 3

    def test_that_are_being_deleted_do_not_count(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.set_namespace("team-a")
        cluster.set_namespace("team-b")
        gone = cluster.find("team-b")
        assert gone is not None
        gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        assert list(reader.namespaces()) == ["team-a"]

    def test_that_are_named_are_read_one_by_one_so_that_nobody_needs_to_list_them(
        self, cluster: WorkloadServer, reader: AuditReader
    ) -> None:
        cluster.set_namespace("team-a", enforce="mps")
        cluster.set_namespace("team-b")
        assert reader.namespaces(["team-a"]) == {"team-a": NamespaceLabels("mps")}
        assert cluster.count("list") == 0

    def test_that_is_not_there_is_said(self, reader: AuditReader) -> None:
        with pytest.raises(ApiError, match='namespaces "nowhere" not found') as failed:
            reader.namespaces(["nowhere"])
        assert failed.value.fault is Fault.NOT_FOUND


class TestWorkloads:
    def test_of_every_kind_come_with_their_pod(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.add(
            a_running_pod(),
            *(document(kind, spec=TEMPLATE) for kind in ("ReplicaSet", "Deployment", "StatefulSet", "DaemonSet")),
            document("ReplicationController", version="v1", spec=TEMPLATE),
            document("Job", version="batch/v1", spec=TEMPLATE),
            document("CronJob", version="batch/v1", spec={"jobTemplate": {"spec": TEMPLATE}}),
            document("PodTemplate", version="v1", template=a_pod()),
        )

        seen = found(reader)

        assert [one.kind for one in seen] == [
            *("Pod", "ReplicaSet", "Job", "ReplicationController", "CronJob"),
            *("DaemonSet", "StatefulSet", "Deployment", "PodTemplate"),
        ], "pods first, so that it is known which of the others lead to one"
        for one in seen:
            assert one.pod is not None, one.kind
            assert one.pod.spec is not None, one.kind
            assert [container.name for container in one.pod.spec.containers or ()] == ["train"], one.kind
        assert [one.running for one in seen] == [True, *[False] * 8]
        assert {(one.namespace, one.name, one.uid) for one in seen[1:]} == {("team-a", "x", "uid-of-x")}

    def test_come_with_their_controller_and_no_other_owner(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        references = [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "1"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "2", "controller": True},
        ]
        cluster.add(a_running_pod(metadata={"ownerReferences": references}))
        assert [one.owner for one in found(reader)] == [Owner("apps/v1", "ReplicaSet", "r", "2")]

    @pytest.mark.parametrize(
        ("made", "over"),
        [
            (a_running_pod(), False),
            (a_running_pod() | {"status": {"phase": "Pending"}}, False),
            (a_running_pod() | {"status": {"phase": "Succeeded"}}, True),
            (a_running_pod() | {"status": {"phase": "Failed"}}, True),
            (a_running_pod(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), True),
            (a_job({"active": 1}), False),
            (a_job({"conditions": [{"type": "Complete", "status": "True"}]}), True),
            (a_job({"conditions": [{"type": "Failed", "status": "True"}]}), True),
            (a_job({"conditions": [{"type": "Failed", "status": "False"}]}), False),
            (
                document("Deployment", spec=TEMPLATE, status={"conditions": [{"type": "Available", "status": "True"}]}),
                False,
            ),
        ],
    )
    def test_that_have_ended_are_known(
        self,
        cluster: WorkloadServer,
        reader: AuditReader,
        made: Json,
        over: bool,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        cluster.add(made)
        assert [one.over for one in found(reader)] == [over]

    @pytest.mark.parametrize(("replicas", "idle"), [(0, True), (1, False), (None, False)])
    def test_that_are_scaled_to_nothing_are_known(
        self,
        cluster: WorkloadServer,
        reader: AuditReader,
        replicas: int | None,
        idle: bool,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        cluster.add(document("ReplicaSet", spec={**TEMPLATE, "replicas": replicas}))
        assert [one.idle for one in found(reader)] == [idle]

    def test_with_fields_left_out_or_null_are_read(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.add(
            document("Pod", version="v1"),
            document("Deployment", spec=None, status=None),
            document("CronJob", version="batch/v1", spec={"jobTemplate": None}),
            document("Job", version="batch/v1", metadata={"ownerReferences": None}, spec={}),
        )
        assert len(found(reader)) == 4

    def test_are_only_read(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.set_namespace("team-a")
        reader.namespaces()
        found(reader)
        assert {seen.method for seen in cluster.requests} == {"GET"}

    def test_of_a_namespace_are_asked_for_there_only(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.add(
            a_running_pod("here"), document("Pod", "there", "team-b", "v1"), document("Pod", "c", "team-c", "v1")
        )
        assert [one.name for one in found(reader, "team-a", "team-c")] == ["here", "c"]
        asked = {seen.path for seen in cluster.requests}
        assert len(asked) == 18
        assert all("/namespaces/team-a/" in path or "/namespaces/team-c/" in path for path in asked)

    def test_that_are_not_kept_are_not_given(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.add(*(a_running_pod(f"p{number}") for number in range(5)))
        kept = list(reader.workloads((), lambda one: one.name if one.name == "p3" else None))
        assert kept == ["p3"]
        assert reader.counts["pods"] == 5


class TestPages:
    def test_are_of_500_and_of_no_resource_version(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.add(*(a_running_pod(f"p{number:04}") for number in range(1_201)))
        assert len({one.name for one in found(reader)}) == 1_201
        pages = [seen.query for seen in cluster.requests if seen.path == "/api/v1/pods"]
        assert [query["limit"] for query in pages] == ["500"] * 3
        assert [("continue" in query, "resourceVersion" in query) for query in pages] == [
            (False, False),
            (True, False),
            (True, False),
        ]

    def test_tell_how_far_the_list_is(self, cluster: WorkloadServer, reader: AuditReader, told: Told) -> None:
        cluster.add(*(a_running_pod(f"p{number:04}") for number in range(1_201)))
        found(reader)
        assert told.steps[:3] == [("pods", 500, 1_201), ("pods", 1_000, 1_201), ("pods", 1_201, 1_201)]

    def test_tell_how_far_it_is_where_the_server_does_not_say_of_how_much(
        self, cluster: WorkloadServer, reader: AuditReader, told: Told
    ) -> None:
        cluster.tells_remaining = False
        cluster.add(*(a_running_pod(f"p{number:04}") for number in range(700)))
        found(reader)
        assert told.steps[:2] == [("pods", 500, None), ("pods", 700, 700)]

    def test_begin_again_when_the_token_is_too_old_and_every_object_counts_once(
        self, cluster: WorkloadServer, reader: AuditReader
    ) -> None:
        cluster.add(*(a_running_pod(f"p{number:04}") for number in range(1_201)))
        looked_at = []

        def keep(one: WorkloadObject) -> str:
            looked_at.append(one.name)
            if len(looked_at) == 600:
                cluster.compact()
            return one.name

        kept = list(reader.workloads((), keep))

        assert len(kept) == len(set(kept)) == 1_201
        assert len(looked_at) == 2_201
        assert reader.counts["pods"] == 1_201

    def test_that_are_always_too_late_are_given_up(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.add(*(a_running_pod(f"p{number:04}") for number in range(1_201)))
        with pytest.raises(ApiError) as failed:
            list(reader.workloads((), lambda _: cluster.compact()))
        assert failed.value.fault is Fault.EXPIRED
        assert cluster.count("object") == 2 * lists.STARTS


class TestPatience:
    def test_waits_as_long_as_the_server_says_and_asks_again(
        self, cluster: WorkloadServer, reader: AuditReader, waits: list[float]
    ) -> None:
        cluster.set_namespace("team-a")
        cluster.script("list", refusal(429, retry_after="7"), refusal(503))
        assert list(reader.namespaces()) == ["team-a"]
        assert waits == [7.2, 0.4], "what was asked for and the first pause; then the second, which is longer"

    def test_begins_with_short_pauses_again_once_something_worked(
        self, cluster: WorkloadServer, reader: AuditReader, waits: list[float]
    ) -> None:
        cluster.script("list", refusal(500))
        reader.namespaces()
        cluster.script("list", refusal(500))
        reader.namespaces()
        assert waits == [0.2, 0.2]

    def test_ends(self, cluster: WorkloadServer, reader: AuditReader, waits: list[float]) -> None:
        cluster.always("list", refusal(429))
        with pytest.raises(ApiError) as failed:
            reader.namespaces()
        assert failed.value.fault is Fault.THROTTLED
        assert (cluster.count("list"), len(waits)) == (ATTEMPTS, ATTEMPTS - 1)

    def test_outlasts_a_connection_that_breaks_half_way(
        self, cluster: WorkloadServer, reader: AuditReader, waits: list[float]
    ) -> None:
        cluster.set_namespace("team-a")
        reader.namespaces()
        cluster.script("list", cut_off, cut_off)  # the client itself tries a broken GET once more
        assert list(reader.namespaces()) == ["team-a"]
        assert len(waits) == 1

    def test_is_not_wasted_on_a_server_that_was_never_there(
        self, tmp_path: Path, told: Told, waits: list[float]
    ) -> None:
        nobody = connect(write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1"), None, {})
        with pytest.raises(ApiError) as failed:
            AuditReader(RetryingApi(nobody, Backoff(lambda: 0.0), wait=waits.append), told).namespaces()
        assert failed.value.fault is Fault.UNREACHABLE
        assert waits == []

    @pytest.mark.parametrize(
        ("code", "fault"), [(401, Fault.UNAUTHORIZED), (403, Fault.FORBIDDEN), (400, Fault.REJECTED)]
    )
    def test_is_not_wasted_on_a_no(
        self, cluster: WorkloadServer, reader: AuditReader, waits: list[float], code: int, fault: Fault
    ) -> None:
        cluster.always("list", refusal(code))
        with pytest.raises(ApiError) as failed:
            reader.namespaces()
        assert (failed.value.fault, waits) == (fault, [])


class TestUnread:
    def test_is_told_in_place_of_a_list_that_is_forbidden_and_the_others_are_read(
        self, cluster: WorkloadServer, reader: AuditReader
    ) -> None:
        cluster.add(a_running_pod(), document("DaemonSet", spec=TEMPLATE))
        cluster.script("object", *[_pass] * PATHS.index("/apis/batch/v1/jobs"), refusal(403, "jobs is forbidden"))
        everything = list(reader.workloads((), lambda one: one.kind))
        unread = [one for one in everything if isinstance(one, UnreadList)]
        assert [one for one in everything if isinstance(one, str)] == ["Pod", "DaemonSet"]
        assert [(one.what, one.served) for one in unread] == [("jobs", True)]
        assert "403 jobs is forbidden" in unread[0].detail

    def test_is_told_of_a_kind_that_the_server_does_not_have(
        self, cluster: WorkloadServer, reader: AuditReader
    ) -> None:
        del cluster.lists["/apis/batch/v1/jobs"]
        unread = [one for one in reader.workloads((), lambda one: one) if isinstance(one, UnreadList)]
        assert [(one.what, one.served) for one in unread] == [("jobs", False)]

    def test_names_the_namespace(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.script("object", refusal(403))
        unread = next(iter(reader.workloads(["team-a"], lambda one: one)))
        assert isinstance(unread, UnreadList)
        assert unread.what == "pods in team-a"

    def test_is_nothing_else_a_page_that_is_no_list_ends_it(self, cluster: WorkloadServer, reader: AuditReader) -> None:
        cluster.script("object", answer(b"<html>"))
        with pytest.raises(ApiError, match="the list of pods is not what the API promises"):
            list(reader.workloads((), lambda one: one))


def _pass(handler: Any) -> None:
    """Answer as if nothing had been scripted."""
    handler._object(handler.path.partition("?")[0], handler.server.stand_in.requests[-1])


# In a process of its own, in which nothing else takes memory.
PROGRAM = """
import json, sys, time
from webhook.cli.main import app
began = time.perf_counter()
try:
    app(["audit", "--kubeconfig", sys.argv[1], "--assume", "*=shared", "-o", "json"])
except SystemExit as end:
    code = end.code
measured = {"seconds": time.perf_counter() - began, "cpu": time.process_time(), "code": code}
# Not ru_maxrss, which a process inherits from the one that started it.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
measured["peak"] = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps(measured), file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_large_cluster_costs_little_memory_and_little_time(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """10,000 pods in 200 namespaces; ``GPUWARDEN_SCALE=100000`` for ten times that."""
    pods = int(os.environ.get("GPUWARDEN_SCALE", "10000"))
    with BigCluster(pods, pods // 50) as cluster:
        config = write_kubeconfig(tmp_path / "config", cluster.url)
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, config], capture_output=True, text=True, check=False, timeout=300
        )
    assert ran.returncode == 0, ran.stderr
    measured = json.loads(ran.stderr)
    record_property("measured", measured)
    print(measured)  # noqa: T201 - shown by pytest -s
    report = json.loads(ran.stdout)
    assert report["totals"]["seen"]["pods"] == pods
    assert report["totals"]["workloads"] == {
        "unchanged": 0,
        "rewritten": cluster.deployments,
        "denied": 0,
        "exempt": 0,
        "notEvaluated": 0,
    }
    asking = sum(workload["pods"]["rewritten"] for workload in report["objects"])
    assert asking == sum(1 for number in range(pods) if (number // 10) % 3)
    listing = sum(seen.path == "/api/v1/pods" for seen in cluster.requests)
    assert listing == -(-pods // lists.PAGE)
    assert measured["peak"] < 100 + pods / 100_000 * 150, "MiB"
    assert measured["cpu"] < 15 + pods / 1_000, "seconds, of which it takes a tenth where nothing else runs"

"""Our reports in the cluster: made, changed and removed; others' never touched; the API that is there is found."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.kubernetes.faults import refusal
from tests.adapters.kubernetes.support import reached
from tests.adapters.kubernetes.test_audit_reader import Told
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.builders import Json
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.policyreports import ReportStore, WriteResult
from webhook.adapters.kubernetes.retrying import RetryingApi
from webhook.adapters.kubernetes.transport import LARGEST_BODY
from webhook.adapters.reports.policyreport import LARGEST
from webhook.application.report_api import CONTENT, LABEL, LABEL_VALUE, REPORT_APIS

WGPOLICY, OPENREPORTS = REPORT_APIS
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    with WorkloadServer() as server:
        server.serves = {"wgpolicyk8s.io/v1alpha2"}
        yield server


@pytest.fixture
def api(cluster: WorkloadServer, tmp_path: Path) -> Iterator[ApiServer]:
    with reached(cluster.url, tmp_path) as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def store(api: ApiServer, waits: list[float]) -> ReportStore:
    return ReportStore(RetryingApi(api, Backoff(lambda: 0.0), wait=waits.append), Told())


def report(namespace: str | None = "team-a", name: str = "gpuwarden", content: str = "1", results: Any = ()) -> Json:
    """A report as it is to be."""
    place = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": WGPOLICY.api_version,
        "kind": WGPOLICY.kind if namespace else WGPOLICY.cluster_kind,
        "metadata": {"name": name, **place, "labels": {LABEL: LABEL_VALUE}, "annotations": {CONTENT: content}},
        "results": list(results),
    }


def foreign(name: str = "kyverno", namespace: str = "team-a") -> tuple[str, Json]:
    """Another tool's report, at its place."""
    path = f"/apis/wgpolicyk8s.io/v1alpha2/namespaces/{namespace}/policyreports/{name}"
    labels = {"app.kubernetes.io/managed-by": "kyverno"}
    return path, {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "results": [1]}


def writes(cluster: WorkloadServer) -> list[tuple[str, str]]:
    return [(seen.method, seen.path.rpartition("v1alpha2/")[2]) for seen in cluster.requests if seen.method != "GET"]


class TestFindApi:
    @pytest.mark.parametrize(
        ("serves", "found"),
        [
            ({"wgpolicyk8s.io/v1alpha2"}, WGPOLICY),
            ({"openreports.io/v1alpha1"}, OPENREPORTS),
            ({"wgpolicyk8s.io/v1alpha2", "openreports.io/v1alpha1"}, WGPOLICY),
            (set(), None),
        ],
    )
    def test_gives_the_one_that_is_installed(
        self, cluster: WorkloadServer, store: ReportStore, serves: set[str], found: object
    ) -> None:
        cluster.serves = serves
        assert store.find_api() is found

    def test_wants_both_kinds(
        self, cluster: WorkloadServer, store: ReportStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster.serves = {"wgpolicyk8s.io/v1alpha2", "openreports.io/v1alpha1"}
        only = {"wgpolicyk8s.io/v1alpha2": ("policyreports",), "openreports.io/v1alpha1": ("reports", "clusterreports")}
        monkeypatch.setattr("tests.adapters.kubernetes.workload_server.REPORTS", only)
        assert store.find_api() is OPENREPORTS

    def test_fails_where_the_server_cannot_say(self, cluster: WorkloadServer, store: ReportStore) -> None:
        cluster.script("object", refusal(403))
        with pytest.raises(ApiError):
            store.find_api()


class TestWrite:
    def test_makes_what_is_not_there(self, cluster: WorkloadServer, store: ReportStore) -> None:
        written = store.write(WGPOLICY, [report("team-a"), report("team-b"), report(None)])

        assert written == WriteResult(created=3)
        assert set(cluster.reports()) == {("team-a", "gpuwarden"), ("team-b", "gpuwarden")}
        assert set(cluster.reports("clusterpolicyreports")) == {(None, "gpuwarden")}

    def test_leaves_what_says_the_same_as_it_is(self, cluster: WorkloadServer, store: ReportStore) -> None:
        store.write(WGPOLICY, [report()])
        cluster.requests.clear()
        assert store.write(WGPOLICY, [report()]) == WriteResult(unchanged=1)
        assert writes(cluster) == []

    def test_changes_what_says_something_else(self, cluster: WorkloadServer, store: ReportStore) -> None:
        store.write(WGPOLICY, [report(results=[1, 2])])
        version = cluster.reports()["team-a", "gpuwarden"]["metadata"]["resourceVersion"]

        assert store.write(WGPOLICY, [report(content="2", results=[3])]) == WriteResult(updated=1)

        now = cluster.reports()["team-a", "gpuwarden"]
        assert now["results"] == [3]
        assert now["metadata"]["resourceVersion"] != version

    def test_removes_what_is_no_more(self, cluster: WorkloadServer, store: ReportStore) -> None:
        parts = [report(), report(name="gpuwarden-2"), report("team-b"), report(None)]
        store.write(WGPOLICY, parts)
        assert store.write(WGPOLICY, [report()]) == WriteResult(unchanged=1, removed=3)
        assert set(cluster.reports()) == {("team-a", "gpuwarden")}
        assert cluster.reports("clusterpolicyreports") == {}

    def test_never_touches_what_is_not_ours(self, cluster: WorkloadServer, store: ReportStore) -> None:
        theirs = [foreign(), foreign("other", "team-b"), foreign("gpuwarden-like", "team-c")]
        for path, document in theirs:
            cluster.store(path, document)
        before = {path: dict(cluster.objects[path]) for path, _ in theirs}

        store.write(WGPOLICY, [report("team-a"), report("team-b")])
        store.write(WGPOLICY, [])

        assert cluster.objects == before

    def test_leaves_a_report_that_has_our_name_and_not_our_label_and_says_so(
        self, cluster: WorkloadServer, store: ReportStore
    ) -> None:
        path, document = foreign("gpuwarden")
        cluster.store(path, document)

        written = store.write(WGPOLICY, [report("team-a"), report("team-b")])

        assert (written.created, len(written.problems)) == (1, 1)
        assert "another report with that name exists" in written.problems[0]
        assert cluster.objects[path]["results"] == [1]

    def test_asks_for_what_has_our_label_only(self, cluster: WorkloadServer, store: ReportStore) -> None:
        store.write(WGPOLICY, [])
        assert {seen.query["labelSelector"] for seen in cluster.requests} == {"gpuwarden.io/report=audit"}

    def test_asks_for_no_more_at_once_than_an_answer_may_have(
        self, cluster: WorkloadServer, store: ReportStore
    ) -> None:
        store.write(WGPOLICY, [])
        (limit,) = {int(seen.query["limit"]) for seen in cluster.requests}
        assert limit * (LARGEST + 100_000) < LARGEST_BODY

    def test_of_some_namespaces_leaves_the_others_and_the_clusters_alone(
        self, cluster: WorkloadServer, store: ReportStore
    ) -> None:
        store.write(WGPOLICY, [report("team-a"), report("team-b"), report("team-c"), report(None)])
        cluster.requests.clear()

        written = store.write(WGPOLICY, [report("team-a", content="2")], ["team-a", "team-b"])

        assert written == WriteResult(updated=1, removed=1)
        assert set(cluster.reports()) == {("team-a", "gpuwarden"), ("team-c", "gpuwarden")}
        assert cluster.reports("clusterpolicyreports")

    def test_says_in_managed_fields_who_wrote(self, cluster: WorkloadServer, store: ReportStore) -> None:
        store.write(WGPOLICY, [report()])
        (post,) = [seen for seen in cluster.requests if seen.method == "POST"]
        assert post.query == {"fieldManager": "gpuwarden"}

    def test_writes_the_successors_kinds_at_their_place(self, cluster: WorkloadServer, store: ReportStore) -> None:
        made = report() | {"apiVersion": OPENREPORTS.api_version, "kind": OPENREPORTS.kind}
        assert store.write(OPENREPORTS, [made]) == WriteResult(created=1)
        assert set(cluster.reports("reports")) == {("team-a", "gpuwarden")}


class TestWhenOthersWriteToo:
    def test_a_report_that_someone_changed_meanwhile_is_left_for_the_next_run(
        self, cluster: WorkloadServer, store: ReportStore
    ) -> None:
        store.write(WGPOLICY, [report(), report("team-b")])

        def reports() -> Iterator[Json]:
            cluster.store(
                "/apis/wgpolicyk8s.io/v1alpha2/namespaces/team-a/policyreports/gpuwarden", report(content="9")
            )
            yield report(content="2")
            yield report("team-b", content="2")

        written = store.write(WGPOLICY, reports())

        assert (written.updated, len(written.problems)) == (1, 1)
        assert "changed meanwhile" in written.problems[0]
        assert cluster.reports()["team-a", "gpuwarden"]["metadata"]["annotations"][CONTENT] == "9"

    def test_one_that_has_its_name_by_now_is_not_removed_in_its_place(
        self, cluster: WorkloadServer, store: ReportStore
    ) -> None:
        store.write(WGPOLICY, [report()])
        path = "/apis/wgpolicyk8s.io/v1alpha2/namespaces/team-a/policyreports/gpuwarden"

        def reports() -> Iterator[Json]:
            del cluster.objects[path]
            cluster.store(*foreign("gpuwarden"))
            yield from ()

        written = store.write(WGPOLICY, reports())

        assert (written.removed, len(written.problems)) == (0, 1)
        assert cluster.objects[path]["results"] == [1]

    def test_one_that_is_gone_already_is_no_trouble(self, cluster: WorkloadServer, store: ReportStore) -> None:
        store.write(WGPOLICY, [report()])

        def reports() -> Iterator[Json]:
            cluster.objects.clear()
            yield from ()

        assert store.write(WGPOLICY, reports()) == WriteResult()

    def test_a_namespace_on_its_way_out_is_no_trouble(self, cluster: WorkloadServer, store: ReportStore) -> None:
        cluster.terminating.add("team-a")
        assert store.write(WGPOLICY, [report(), report("team-b")]) == WriteResult(created=1)


class TestWhenItFails:
    def test_a_write_that_is_forbidden_ends_it(self, cluster: WorkloadServer, store: ReportStore) -> None:
        cluster.script("object", _pass, _pass, refusal(403, "policyreports is forbidden"))
        with pytest.raises(ApiError, match="policyreports is forbidden") as failed:
            store.write(WGPOLICY, [report()])
        assert failed.value.fault is Fault.FORBIDDEN

    def test_a_write_that_is_put_off_is_made_again_when_the_server_says(
        self, cluster: WorkloadServer, store: ReportStore, waits: list[float]
    ) -> None:
        cluster.script("object", _pass, _pass, refusal(429, retry_after="3"))
        assert store.write(WGPOLICY, [report()]) == WriteResult(created=1)
        assert waits == [3.2]

    def test_a_write_that_may_have_been_made_is_not_made_again(
        self, cluster: WorkloadServer, store: ReportStore, waits: list[float]
    ) -> None:
        cluster.script("object", _pass, _pass, refusal(500))
        with pytest.raises(ApiError):
            store.write(WGPOLICY, [report()])
        assert waits == []


def _pass(handler: Any) -> None:
    """Answer as if nothing had been scripted."""
    handler._object(handler.path.partition("?")[0], handler.server.stand_in.requests[-1])

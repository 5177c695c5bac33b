"""Looking at a relabelled namespace: templates first, page by page, in time, a few at once, and never an error."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.kubernetes.faults import answer, cut_off, refusal, silence
from tests.adapters.kubernetes.support import reached
from tests.adapters.kubernetes.workload_server import Json, WorkloadServer
from tests.builders import a_pod, gpu, policy_of
from webhook.adapters.kubernetes import preview as module
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.preview import AT_ONCE, MOST, PAGE, WorkloadPreview
from webhook.application.configuration import Configuration
from webhook.application.workload_kinds import PREVIEWED
from webhook.engine.policy import ANY_POLICY, Policy

SHARED = Policy("shared")
SHARED_POLICY = policy_of("shared")
LONG = 30.0  # seconds: no test waits so long
VERSIONS = {"Pod": "v1", "LimitRange": "v1", "ReplicationController": "v1", "Job": "batch/v1"}


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    with WorkloadServer() as server:
        yield server


@pytest.fixture
def api(cluster: WorkloadServer, tmp_path: Path) -> Iterator[ApiServer]:
    with reached(cluster.url, tmp_path) as server:
        yield server


@pytest.fixture
def preview(api: ApiServer) -> Iterator[WorkloadPreview]:
    made = WorkloadPreview(api, Configuration)
    yield made
    made.close()


def document(kind: str, name: str, namespace: str = "team-a", count: int = 1) -> Json:
    pod = a_pod(gpu(count))
    metadata = {"name": name, "namespace": namespace, "uid": name}
    spec = pod["spec"] if kind == "Pod" else {"template": pod}
    return {"apiVersion": VERSIONS.get(kind, "apps/v1"), "kind": kind, "metadata": metadata, "spec": spec}


def paths(cluster: WorkloadServer) -> list[str]:
    return [seen.path.rpartition("/")[2] for seen in cluster.requests]


async def test_every_kind_is_read_in_this_namespace_alone_and_templates_come_first(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.add(
        document("Deployment", "mine", count=2),
        document("Pod", "bare"),
        document("Deployment", "others", "team-b", count=2),
    )
    denied = 'Deployment "mine" (shared-request-above-one)'
    assert await preview.preview("team-a", SHARED, LONG) == [
        f'namespace "team-a": 1 of 2 workloads with GPUs would be denied when their pods are next created: {denied}',
        (
            'namespace "team-a": 1 of 2 workloads with GPUs would be rewritten when their pods are next created: Pod "bare" '
            "(only if it is created again)"
        ),
    ]
    assert paths(cluster) == [
        *("limitranges", "resourcequotas"),
        *("deployments", "statefulsets", "daemonsets", "cronjobs", "replicationcontrollers", "jobs", "replicasets"),
        "pods",
    ]
    assert len(paths(cluster)) == len(PREVIEWED) + 2
    assert all("/namespaces/team-a/" in seen.path for seen in cluster.requests)
    assert {seen.query["limit"] for seen in cluster.requests} == {str(PAGE)}


async def test_as_many_of_a_kind_are_looked_at_as_are_bearable_and_that_is_said(
    cluster: WorkloadServer, preview: WorkloadPreview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 250)
    cluster.add(*(document("Deployment", f"d-{number}") for number in range(301)))
    cluster.add(*(document("Pod", f"p-{number}") for number in range(7)))
    told = await preview.preview("team-a", SHARED, LONG)
    assert "257 of 257 workloads with GPUs would be rewritten" in told[0]
    assert "not every workload was checked (more than 250 deployments)" in told[1]
    assert paths(cluster).count("deployments") == 3, "no page was read in vain"


async def test_exactly_as_many_are_all(
    cluster: WorkloadServer, preview: WorkloadPreview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 250)
    cluster.add(*(document("Pod", f"p-{number}") for number in range(250)))
    (told,) = await preview.preview("team-a", SHARED, LONG)
    assert "250 of 250" in told


async def test_an_api_server_that_says_nothing_costs_no_more_than_the_time_there_is(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.add(document("Deployment", "seen"))
    cluster.script("object", answered, answered, answered, silence)
    began = time.monotonic()
    told = await preview.preview("team-a", SHARED, 3.0)
    assert time.monotonic() - began < 20
    assert len(told) == 2, told
    assert 'Deployment "seen"' in told[0], "what was seen in time is told"
    assert "not every workload was checked (out of time)" in told[1]
    assert "gpuwarden audit -n team-a --assume 'team-a=shared'" in told[1]


def answered(handler: object) -> None:
    """Answer as if nothing had been scripted."""
    handler._object(handler.path.partition("?")[0], handler.server.stand_in.requests[-1])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (refusal(500), "(the API server: server error)"),
        (refusal(429), "(the API server: throttled)"),
        (answer(b"<html>"), "(the API server: garbage)"),
        (cut_off, "(the API server: cut)"),
    ],
)
async def test_whatever_goes_wrong_is_a_warning_and_nothing_is_tried_again(
    cluster: WorkloadServer, preview: WorkloadPreview, fault: Callable[..., None], says: str
) -> None:
    cluster.always("object", fault)
    (told,) = await preview.preview("team-a", SHARED, LONG)
    assert says in told
    assert len(cluster.requests) <= 2, "a GET on a connection that was cut is made once more"


async def test_what_it_may_not_list_is_named_and_the_rest_is_looked_at(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.add(document("StatefulSet", "s"))
    cluster.script("object", answered, answered, refusal(403), answered, refusal(403))
    told = await preview.preview("team-a", SHARED, LONG)
    assert 'StatefulSet "s"' in told[0]
    assert "(gpuwarden may not list deployments, daemonsets)" in told[1]


async def test_a_kind_that_the_server_does_not_have_is_not_missed(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.script("object", answered, answered, refusal(404))
    assert await preview.preview("team-a", SHARED, LONG) == []


def limit_range(name: str = "gpus", resource: str = "nvidia.com/gpu", kind: str = "Container") -> Json:
    item = {"type": kind, "max": {resource: "4"}}
    if kind == "Container":
        item |= {"default": {resource: "4"}, "defaultRequest": {resource: "4"}}
    metadata = {"name": name, "namespace": "team-a"}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": [item]}}


async def test_a_limit_range_that_denies_the_policys_pods_is_told(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.add(limit_range(), limit_range("cpu", "cpu"), limit_range("theirs", "nvidia.com/gpu.shared", "Pod"))
    assert await preview.preview("team-a", SHARED_POLICY, LONG) == [
        (
            'namespace "team-a": LimitRange gpus (type Container) sets max, default, defaultRequest for nvidia.com/gpu, and pods '
            "of policy shared have nvidia.com/gpu.shared: pods with nvidia.com/gpu.shared are denied: "
            '"maximum nvidia.com/gpu usage per Container is 4.  No limit is specified"; remove nvidia.com/gpu from it and limit '
            'GPUs by a ResourceQuota on requests.nvidia.com/gpu.shared, or set its Container default for nvidia.com/gpu to "0"'
        )
    ]


async def test_of_many_limit_ranges_a_few_are_told(cluster: WorkloadServer, preview: WorkloadPreview) -> None:
    cluster.add(*(limit_range(f"gpus-{number}") for number in range(5)))
    told = await preview.preview("team-a", SHARED_POLICY, LONG)
    assert len(told) == 4
    assert told[-1] == 'namespace "team-a": 2 more of its LimitRanges\' limits; gpuwarden doctor reports all'


async def test_limit_ranges_are_not_read_for_a_policy_that_changes_nothing(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.add(limit_range())
    assert await preview.preview("team-a", ANY_POLICY, LONG) == []
    assert not {"limitranges", "resourcequotas"} & {*paths(cluster)}


async def test_limit_ranges_that_may_not_be_listed_are_said_and_the_workloads_looked_at(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.add(document("StatefulSet", "s"))
    cluster.script("object", refusal(403))
    told = await preview.preview("team-a", SHARED, LONG)
    assert 'StatefulSet "s"' in told[0]
    assert told[1:] == [
        'namespace "team-a": its LimitRanges were not checked (gpuwarden may not list limitranges)',
    ]


def quota(*keys: str) -> Json:
    metadata = {"name": "gpus", "namespace": "team-a"}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata,
        "spec": {"hard": dict.fromkeys(keys, "2")},
    }


async def test_a_quota_whose_name_the_policy_takes_away_is_told(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.add(quota("requests.nvidia.com/gpu", "requests.cpu"))
    assert await preview.preview("team-a", SHARED_POLICY, LONG) == [
        (
            'namespace "team-a": its ResourceQuota limits nvidia.com/gpu, and pods of policy shared request '
            "nvidia.com/gpu.shared: nothing limits nvidia.com/gpu.shared; add requests.nvidia.com/gpu.shared to the ResourceQuota"
        )
    ]


@pytest.mark.parametrize(
    "keys",
    [("requests.nvidia.com/gpu", "requests.nvidia.com/gpu.shared"), ("requests.cpu",), ("pods", "nvidia.com/gpu")],
)
async def test_a_quota_that_still_counts_or_counts_no_gpu_is_worth_no_word(
    cluster: WorkloadServer, preview: WorkloadPreview, keys: tuple[str, ...]
) -> None:
    cluster.add(quota(*keys))
    assert await preview.preview("team-a", SHARED_POLICY, LONG) == []


async def test_quotas_that_may_not_be_listed_are_said(cluster: WorkloadServer, preview: WorkloadPreview) -> None:
    cluster.add(document("StatefulSet", "s"), quota("requests.nvidia.com/gpu"))
    cluster.script("object", answered, refusal(403))
    told = await preview.preview("team-a", SHARED, LONG)
    assert 'StatefulSet "s"' in told[0]
    assert told[1:] == [
        'namespace "team-a": its ResourceQuotas were not checked (gpuwarden may not list resourcequotas)',
    ]


async def test_limit_ranges_are_told_also_where_the_time_is_over(
    cluster: WorkloadServer, preview: WorkloadPreview
) -> None:
    cluster.add(limit_range())
    cluster.script("object", answered, answered, silence)
    told = await preview.preview("team-a", SHARED_POLICY, 0.5)
    assert "not every workload was checked (out of time)" in told[0]
    assert "LimitRange gpus" in told[1]


class Slow:
    """An API server that answers when it is told to, and counts who waits."""

    def __init__(self) -> None:
        self.most = self.now = 0
        self.go = threading.Event()
        self.entered = threading.Semaphore(0)
        self._lock = threading.Lock()

    def call(self, request: object, *, timeout: float) -> bytes:
        assert timeout > 0
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.entered.release()
        self.go.wait(timeout)
        with self._lock:
            self.now -= 1
        return b'{"metadata":{},"items":[]}'


async def test_a_few_namespaces_are_looked_at_at_once_and_who_gets_no_turn_is_told() -> None:
    slow = Slow()
    preview = WorkloadPreview(slow, Configuration)  # type: ignore[arg-type]  # it has what is called
    try:
        lucky = [asyncio.create_task(preview.preview(f"lucky-{n}", SHARED, LONG)) for n in range(AT_ONCE)]
        for _ in lucky:
            assert await asyncio.to_thread(slow.entered.acquire, timeout=20)
        late = await asyncio.gather(*(preview.preview(f"late-{n}", SHARED, 0.1) for n in range(20)))
        slow.go.set()
        assert await asyncio.gather(*lucky) == [[]] * AT_ONCE
        assert slow.most == AT_ONCE
        for number, (told,) in enumerate(late):
            assert told.startswith(f'namespace "late-{number}": its workloads were not checked (other label changes')
        assert await preview.preview("next", SHARED, LONG) == [], "those that gave up do not hold their place"
    finally:
        slow.go.set()
        preview.close()


async def test_a_preview_after_the_end_says_that_nobody_looked(api: ApiServer) -> None:
    preview = WorkloadPreview(api, Configuration)
    preview.close()
    (told,) = await preview.preview("team-a", SHARED, LONG)
    assert "were not checked" in told


async def test_a_bug_is_logged_and_told_and_blocks_nothing(
    preview: WorkloadPreview, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "AuditReader", broken)
    (told,) = await preview.preview("team-a", SHARED, LONG)
    assert "an internal error in gpuwarden" in told


@pytest.mark.usefixtures("own_garbage")
async def test_three_thousand_pods_no_two_alike_never_hold_up_the_event_loop_for_long(
    cluster: WorkloadServer, preview: WorkloadPreview, record_property: Callable[[str, object], None]
) -> None:
    cluster.add(
        *(
            {**document("Pod", f"p-{n}"), "spec": {**a_pod(gpu(1, name=f"c-{n}"))["spec"], "nodeName": f"n-{n}"}}
            for n in range(MOST)
        )
    )
    gaps: list[float] = []  # in processor time: other processes may hold up this one for as long as they like

    async def tick() -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0.001)
            gaps.append(time.process_time() - before)

    ticking = asyncio.create_task(tick())
    began = time.process_time()
    (told,) = await preview.preview("team-a", SHARED, LONG)
    seconds = time.process_time() - began
    ticking.cancel()
    gaps.sort()
    measured = {"seconds": seconds, "median": gaps[len(gaps) // 2], "p99": gaps[-len(gaps) // 100], "worst": gaps[-1]}
    record_property("measured", measured)
    print(measured)  # noqa: T201 - shown by pytest -s
    assert f"{MOST} of {MOST} workloads with GPUs would be rewritten" in told
    assert measured["median"] < 0.02, measured
    assert measured["worst"] < seconds / 2, measured

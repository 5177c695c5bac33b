"""Every query of the dashboards, asked of a real Prometheus that holds series for it."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping

import httpx
import pytest

from testing.control_plane.processes import Process, free_port
from testing.control_plane.waiting import wait_for
from tests.deploy import promql
from tests.deploy.test_monitoring import KNOWN, OF_OTHERS, TARGETS
from tests.promtool import find

QUERIES = {name: promql.without_variables(expression) for name, expression in TARGETS.items()}
_MINUTES = 30
_COUNTERS = ("_total", "_count", "_sum", "_bucket")
# Three devices of one node: a GPU that two pods share, a MIG slice, and a GPU without a pod. Values are constant.
_EXPORTER = {"namespace": "gpu-operator", "pod": "exporter", "job": "dcgm"}
_NODE = {"Hostname": "node-a", **_EXPORTER}
_SHARED = {"gpu": "0", "UUID": "GPU-a", **_NODE}
_DEVICES = (
    ({**_SHARED, "exported_namespace": "one", "exported_pod": "a"}, 30000, 10000, 0.5),
    ({**_SHARED, "exported_namespace": "two", "exported_pod": "b"}, 30000, 10000, 0.5),
    (
        {
            **_NODE,
            "gpu": "1",
            "UUID": "GPU-b",
            "GPU_I_ID": "7",
            "GPU_I_PROFILE": "1g.10gb",
            "exported_namespace": "two",
            "exported_pod": "c",
        },
        1000,
        9000,
        0.25,
    ),
    ({"gpu": "2", "UUID": "GPU-c", **_NODE}, 0, 40000, 0.0),
)
_PODS_OF_PROCESSES = {"p": 3000, "q": 1000}


def _example(pattern: str) -> str:
    """A text that the regular expression of a matcher matches."""
    return pattern.replace("..", "00").replace(".*", "gpuwarden").split("|")[0]


def series() -> Iterator[tuple[str, dict[str, str]]]:
    """Series of gpuwarden that the selectors of every query select, each with its labels."""
    made: set[str] = set()
    for query in QUERIES.values():
        for metric in promql.metrics(query) - set(OF_OTHERS):
            wanted: dict[str, list[str]] = {}
            for one in promql.matchers(query):
                if one.metric == metric and one.how != "!=":
                    wanted.setdefault(one.label, []).append(_example(one.value))
            for number in range(max(map(len, wanted.values()), default=1)):
                labels = dict.fromkeys(KNOWN[metric], "x")
                labels |= {label: values[number % len(values)] for label, values in wanted.items()}
                for le in ("0.1", "+Inf") if "le" in labels else ("",):
                    found = {**labels, "instance": "a"} | ({"le": le} if le else {})
                    if (text := str((metric, sorted(found.items())))) not in made:
                        made.add(text)
                        yield metric, found


def samples() -> Iterator[tuple[str, Mapping[str, str], float, float]]:
    """Every series with its first value, and by how much it grows each minute."""
    for name, labels in series():
        value = 0 if name == "gpuwarden_policy_form_offered" else 1
        yield name, labels, value, 60 if name.endswith(_COUNTERS) else 0
    for of_labels, used, free, active in _DEVICES:
        of_device = {
            "DCGM_FI_DEV_FB_USED": used,
            "DCGM_FI_DEV_FB_FREE": free,
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE": active,
            "DCGM_FI_DEV_ENC_UTIL": 10,
            "DCGM_FI_DEV_DEC_UTIL": 20,
        }
        # SM activity is off by default: only the slice has it.
        of_device |= {"DCGM_FI_PROF_SM_ACTIVE": 0.125} if "GPU_I_ID" in of_labels else {}
        for name, measured in of_device.items():
            yield name, of_labels, measured, 0
    yield from _by_process()
    for cluster, replica, offered in (("a", "1", 8), ("a", "2", 8), ("b", "1", 4)):
        of_replica = {
            "form": "mps",
            "cluster": cluster,
            "instance": replica,
            "job": "gpuwarden",
            "namespace": "gpuwarden",
        }
        yield "gpuwarden_offered_gpus", of_replica, offered, 0


def _by_process() -> Iterator[tuple[str, Mapping[str, str], float, float]]:
    """A GPU whose exporter (4.5.1) knows the memory of each pod: FB_USED is also that of the device, and has other labels."""
    device = {"gpu": "0", "UUID": "GPU-d", **_EXPORTER, "hostname": "node-b"}
    yield "DCGM_FI_DEV_FB_USED", device, 5000, 0
    for name, used in _PODS_OF_PROCESSES.items():
        of_pod = {**device, "exported_namespace": "three", "exported_pod": name}
        yield "DCGM_FI_DEV_FB_USED", {**of_pod, "pod_uid": f"uid-{name}"}, used, 0
        yield "DCGM_FI_DEV_FB_FREE", of_pod, 15000, 0
        yield "DCGM_FI_PROF_GR_ENGINE_ACTIVE", of_pod, 0.5, 0


def exposition(now: int) -> str:
    """All series in the OpenMetrics format, with times."""
    lines = []
    for name, labels, value, growth in samples():
        written = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines += [
            f"{name}{{{written}}} {value + growth * minute} {now - 60 * (_MINUTES - minute)}"
            for minute in range(_MINUTES + 1)
        ]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    find()
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("promtool without prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "series").write_text(exposition(int(time.time())))
    (folder / "prometheus.yaml").write_text("{}")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "series", folder / "data"],
        check=True,
        capture_output=True,
        timeout=300,
    )
    port = free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = Process("prometheus", command, folder / "log")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:

        def ready() -> bool:
            try:
                return client.get("/-/ready").status_code == 200
            except httpx.TransportError:
                return False

        try:
            wait_for("Prometheus to be ready", ready)
            yield client
        finally:
            process.kill()


def ask(prometheus: httpx.Client, query: str) -> dict[tuple[str, ...], float]:
    """The answer to a query: each value by those of its labels."""
    answer = prometheus.post("/api/v1/query", data={"query": query}).json()
    assert answer["status"] == "success", answer
    assert not answer.get("warnings")
    assert answer["data"]["resultType"] == "vector"
    return {tuple(one["metric"].values()): float(one["value"][1]) for one in answer["data"]["result"]}


def test_every_query_finds_its_series(prometheus: httpx.Client) -> None:
    assert [name for name, query in QUERIES.items() if not ask(prometheus, query)] == []


@pytest.mark.parametrize(
    ("panel", "values"),
    [
        ("Memory used by GPU or MIG slice", {0.75, 0.1, 0, 0.25}),
        ("Pods on each GPU or MIG slice", {2, 1}),
        ("Memory used by node", {31000, 5000}),
        ("SM activity by GPU or MIG slice", {0.5, 0.125, 0}),
        ("Encoder utilization by namespace", {10}),
    ],
)
def test_devices_are_told_apart_and_a_shared_one_counts_once(
    prometheus: httpx.Client, panel: str, values: set[float]
) -> None:
    assert set(ask(prometheus, QUERIES[f"{panel} A"]).values()) == values


def test_a_device_without_a_pod_has_no_pods(prometheus: httpx.Client) -> None:
    assert sorted(ask(prometheus, QUERIES["Pods on each GPU or MIG slice A"]).values()) == [1, 2, 2]


def test_a_shared_device_counts_in_each_of_its_namespaces(prometheus: httpx.Client) -> None:
    memory = ask(prometheus, QUERIES["Memory used by namespace A"])
    assert memory == {("one",): 30000, ("two",): 31000, ("three",): 5000, ("gpu-operator",): 0}
    activity = ask(prometheus, QUERIES["SM activity by namespace A"])
    assert activity == {("one",): 0.5, ("two",): 0.3125, ("three",): 0.5, ("gpu-operator",): 0}


def test_what_several_clusters_offer_is_added_up_and_replicas_of_one_are_not(prometheus: httpx.Client) -> None:
    assert ask(prometheus, QUERIES["GPUs offered and in use, by form A"])[("mps",)] == 8 + 4

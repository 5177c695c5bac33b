"""``gpuwarden recommend`` where the exporter reports each pod's own processes, or the use of memory bandwidth."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from testing.gpu_usage import FREE, T4, USED, UTIL, Cast, Json, busy, device, first_pod, steady
from testing.prometheus import DAY, Device, served, write_blocks
from tests.cli.test_doctor import Cluster
from tests.cli.test_fleet_option import NODES
from tests.cli.test_recommend import WINDOW, live, stamp, the_nodes
from tests.prometheus_programs import needed_programs
from webhook.adapters.prometheus.dcgm import NO_ENGINES

pytestmark = pytest.mark.programs
BANDWIDTH = "DCGM_FI_PROF_DRAM_ACTIVE"
SHARED: Json = {"resource": "nvidia.com/gpu.shared", "node": "node-t4"}
NO_POD = {"exported_pod": "", "exported_namespace": "", "exported_container": ""}
HONORED = {**NO_POD, "namespace": "lab", "container": "main"}
MIG: Json = {"resource": "nvidia.com/mig-3g.40gb", "node": "node-mig"}
HALF = {"GPU_I_ID": "1", "GPU_I_PROFILE": "3g.40gb"}


def by_process(
    uuid: str, pods: dict[str, tuple[float, float]], total: tuple[float, float], *, honored: bool = False
) -> Iterator[Device]:
    """A GPU with the memory and utilisation of each pod's processes, and its own series.

    dcgm-exporter 4.5.1 and newer with KUBERNETES_VIRTUAL_GPUS: free memory is the device's, with the labels of each pod.
    """
    for name, (used, util) in pods.items():
        labels = {**HONORED, "pod": name} if honored else {}
        one = device("lab", name, uuid=uuid, model=T4, labels={**labels, "pod_uid": f"uid-{name}"})
        yield replace(one, values={USED: steady(used), UTIL: steady(util), FREE: steady(T4[1] - total[0])})
    itself = device("lab", "", uuid=uuid, model=T4, labels=NO_POD)
    yield replace(itself, values={USED: steady(total[0]), UTIL: steady(total[1])})


def the_cast(now: int) -> Cast:
    cast = Cast(stamp(now), stamp(now - 30 * DAY))
    # One with much of the memory, one with little and one without any process share a GPU: its memory is not theirs plus free.
    seen = {first_pod("large"): (11_000.0, 90.0), first_pod("little"): (500.0, 2.0), first_pod("asleep"): (0.0, 0.0)}
    cast.devices += by_process("seen", seen, (11_900, 92))
    honored = {first_pod("plain"): (3_000.0, 10.0), first_pod("beside"): (2_000.0, 5.0)}
    cast.devices += by_process("plain", honored, (5_400, 15), honored=True)
    for name in ("large", "little", "asleep", "plain", "beside"):
        cast.deploy("lab", name, **SHARED)
    # Without hostPID no process is seen, although the GPU works.
    cast.devices += by_process("hidden", {first_pod("hidden", number): (0.0, 0.0) for number in (0, 1)}, (9_000, 60))
    cast.deploy("lab", "hidden", pods=2, **SHARED)
    cast.devices += by_process("nothing", {first_pod("nothing"): (0.0, 0.0)}, (3, 0))
    cast.deploy("lab", "nothing", node="node-t4-whole")
    # Little compute, and more or less of the memory bandwidth.
    for name, share, of in (("streams", 0.8, {}), ("half", 0.35, {}), ("calm", 0.05, {}), ("slice", 0.96, HALF)):
        one = device("prod", first_pod(name), sm=steady(0.1), used=5_000.0, labels=of, capacity=40_192 if of else 0)
        cast.deploy("prod", name, replace(one, values={**one.values, BANDWIDTH: steady(share)}), **(MIG if of else {}))
    nights = device("prod", first_pod("nights"), sm=steady(0.1), used=5_000.0)
    cast.deploy("prod", "nights", replace(nights, values={**nights.values, BANDWIDTH: busy(0.7, 0.04)}))
    wide = device("lab", first_pod("wide"), model=T4, sm=steady(0.1), used=1_500.0)
    cast.deploy("lab", "wide", replace(wide, values={**wide.values, BANDWIDTH: steady(0.9)}), node="node-t4-whole")
    notebook = device("lab", first_pod("notebook"), model=T4, sm=busy(0.9, 0.04), used=2_000.0)
    notebook = replace(notebook, values={**notebook.values, BANDWIDTH: busy(0.6, 0.04)})
    cast.deploy("lab", "notebook", notebook, node="node-t4-whole")
    return cast


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The report on the cast."""
    prometheus, promtool = needed_programs()
    folder = tmp_path_factory.mktemp("prometheus")
    now = int(time.time()) // 60 * 60
    cast = the_cast(now)
    write_blocks(promtool, cast.devices, now - WINDOW, folder)
    with served(prometheus, folder) as url, Cluster() as cluster:
        cluster.lists(NODES, *the_nodes())
        cluster.lists("/api/v1/pods", *cast.pods)
        cluster.lists("/apis/apps/v1/replicasets", *cast.replicasets)
        cluster.lists("/apis/apps/v1/deployments", *cast.deployments)
        for path in ("batch/v1/jobs", "batch/v1/cronjobs", "apps/v1/daemonsets", "apps/v1/statefulsets"):
            cluster.lists(f"/apis/{path}")
        cluster.lists("/api/v1/replicationcontrollers")
        for name in ("lab", "prod"):
            cluster.set_namespace(name)
        ran = live(cluster, url, folder, "--trusted", "lab", "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    report: Json = json.loads(ran.out)
    return report


def verdict(found: Json, name: str) -> tuple[str, str, str]:
    (line,) = (one for one in found["workloads"] if one["name"] == name)
    evaluated = line["verdict"]
    return evaluated["kind"], evaluated.get("form", ""), " / ".join(evaluated["reasons"])


@pytest.mark.parametrize("name", ["large", "little", "asleep", "plain", "beside"])
def test_the_memory_of_a_shared_gpu_is_what_the_device_itself_uses_and_has_free(found: Json, name: str) -> None:
    (used,) = (one["used"] for one in found["workloads"] if one["name"] == name)
    assert used["capacity"] == T4[1]


def test_usage_of_processes_decides(found: Json) -> None:
    assert verdict(found, "large")[:2] == ("exclusive", "exclusive")
    assert verdict(found, "little")[:2] == ("shared", "time-slicing")
    assert verdict(found, "asleep")[:2] == ("not used", "none")
    assert verdict(found, "nothing")[:2] == ("not used", "none")


def test_processes_that_the_exporter_does_not_see_are_not_idle(found: Json) -> None:
    assert verdict(found, "hidden") == (
        "unknown",
        "",
        "no usage data: its series include no usable metric of compute",
    )
    pods = first_pod("hidden")
    note = (
        f"DCGM_FI_DEV_GPU_UTIL and DCGM_FI_DEV_FB_USED of lab/{pods} are 0, although its GPU was or may have been in use: "
        "the exporter does not see the processes of pods; set hostPID: true for it (2 pods)"
    )
    assert found["notes"] == [NO_ENGINES, note]


@pytest.mark.parametrize(
    ("name", "expected", "why"),
    [
        ("streams", ("exclusive", "exclusive"), "no MIG slice that is offered has enough memory bandwidth for it"),
        ("half", ("MIG slice", "mig-3g.40gb"), "while it is active, it uses 35 % of the GPU's memory bandwidth"),
        ("calm", ("MIG slice", "mig-1g.10gb"), "mig-1g.10gb has 9.5 GiB"),
        ("slice", ("MIG slice", "mig-3g.40gb"), "the slice that it has is full at times, so it may need a larger one"),
        ("nights", ("exclusive", "exclusive"), "it uses 70 % of the GPU's memory bandwidth"),
        ("wide", ("exclusive", "exclusive"), "too little memory bandwidth (90 % used 95 % of the time at most) for it"),
        ("notebook", ("shared", "time-slicing"), "bursts: time-slicing suits it"),
    ],
)
def test_memory_bandwidth_counts_beside_compute(found: Json, name: str, expected: Any, why: str) -> None:
    kind, form, reasons = verdict(found, name)
    assert (kind, form) == expected
    assert why in reasons

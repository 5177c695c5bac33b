"""Workloads as a cluster has them, in a real Prometheus; each verdict is what an engineer who looked at the graphs would say."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode
from urllib.request import urlopen

import pytest

from testing.gpu_usage import STEP, T4, Cast, Json, Value, busy, device, first_pod, pod, steady, template
from testing.prometheus import DAY, served, write_blocks
from tests.cli.test_doctor import Cluster
from tests.cli.test_fleet_option import NODES
from tests.cli.test_recommend import WINDOW, live, stamp, the_nodes
from tests.prometheus_programs import needed_programs

pytestmark = pytest.mark.programs
HONORED = {"pod": "", "namespace": "", "container": ""}
SLICE = {"GPU_I_ID": "5", "GPU_I_PROFILE": "1g.10gb"}
PARTIAL = "fetch series for store-2: rpc error: context deadline exceeded"


def wave(low: float, high: float) -> Value:
    """Between two values, within each hour."""
    return lambda at: low + (high - low) * (at % 3600) / 3600


def during(seconds: float, value: float | None, else_: float) -> Value:
    """A value for so many seconds of each day, and another for the rest."""
    return lambda at: value if at % DAY < seconds else else_


def the_cast(now: int) -> Cast:  # noqa: PLR0915 - one workload after another
    cast = Cast(stamp(now), stamp(now - 30 * DAY))

    def one(name: str, *, namespace: str = "prod", fields: Json | None = None, **usage: Any) -> None:
        labels = {"Hostname": f"node-{name}", **usage.pop("labels", {})}
        cast.deploy(namespace, name, device(namespace, first_pod(name), labels=labels, **usage), **(fields or {}))

    # Exclusive: it uses all there is.
    one("train", sm=wave(0.8, 1.0), used=wave(40_000, 70_000))
    # Small and steady: a slice; by memory the next larger one, though compute would fit the smallest; none is large enough.
    one("ocr", sm=wave(0.02, 0.12), used=wave(2_000, 6_000))
    one("asr", sm=wave(0.02, 0.12), used=wave(2_000, 9_200))
    one("maps", sm=wave(0.0, 0.12), used=wave(9_000, 50_000))
    # Idle for 97 % of the day and at full power for the rest: on a seventh of a GPU that would take all night.
    one("nightly", sm=busy(1.0, 0.03), used=wave(1_000, 4_000))
    # Much since yesterday, in a window of little.
    one("promoted", sm=lambda at: 0.9 if at >= WINDOW - DAY / 8 else 0.05, used=wave(1_000, 4_000))
    # Heavy for two days, when samples were sparse; light since they are dense.
    labels = {"Hostname": "node-rescraped"}
    for days, share, step in (((0, 2), 0.9, 480), ((2, 14), 0.02, 30)):
        part = device(
            "prod", first_pod("rescraped"), labels=labels, days=days, sm=steady(share), used=wave(1_000, 4_000)
        )
        cast.devices.append(replace(part, step=step))
    cast.deploy("prod", "rescraped")
    # It selects a node without slices.
    one("pinned", sm=wave(0.02, 0.12), used=wave(2_000, 6_000))
    cast.pods[-1]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "node-a"}
    # More than half of the samples are lost, evenly: those that are left say as much as those of a longer interval. (If they
    # were lost at random, how many the densest hour has would depend on the minute at which the window begins.)
    one("lossy", sm=lambda at: 0.05 if at // STEP * 7 % 20 < 9 else None, used=wave(1_000, 4_000))
    # The exporter stopped a week ago; the driver does not know the memory; one of two pods has no memory.
    one("stopped", sm=steady(0.05), used=wave(1_000, 4_000), days=(0, 7.5))
    one("unified", sm=steady(0.05), used=lambda _: 0.0)
    bare = device("prod", first_pod("half-known", 1), sm=steady(0.05), used=0)
    cast.deploy("prod", "half-known", device("prod", first_pod("half-known"), sm=steady(0.05)), bare, pods=2)
    # Idle, with memory held; and idle with the video encoder in use.
    one("forgotten", sm=steady(0.0), used=20_000.0)
    one("transcoder", sm=steady(0.0), enc=wave(5, 60), used=900.0)
    # Preallocating: said by the program, seen in the numbers, and switched off.
    one("llm", sm=wave(0.05, 0.12), used=73_000.0, fields={"image": "vllm/vllm-openai:v0.10", "args": ["--model", "m"]})
    one("looks-full", sm=wave(0.05, 0.12), used=62_000.0)
    grows = [{"name": "XLA_PYTHON_CLIENT_PREALLOCATE", "value": "false"}]
    one("jax", sm=wave(0.05, 0.12), used=wave(1_000, 3_000), fields={"image": "team/jax:2", "env": grows})
    # One model, to prefill and to decode: no process does both.
    for role in ("prefill", "decode"):
        args = ["--model", "org/m", "--kv-transfer-config", role]
        one(role, sm=wave(0.05, 0.12), used=73_000.0, fields={"image": "vllm/vllm-openai:v0.10", "args": args})
    # A little, always; values that are none; memory of the first days only; not seen by day.
    one("trickle", sm=steady(0.009), used=wave(1_000, 4_000))
    one("nan", sm=lambda at: math.nan if at % 3600 else 0.05, used=wave(1_000, 4_000))
    one("nan-memory", sm=wave(0.02, 0.12), used=lambda at: math.nan if at > 4 * DAY else 4_000.0)
    one("memory-ended", sm=wave(0.02, 0.12), used=lambda at: 4_000.0 if at < 4 * DAY else None)
    one("nights-only", sm=steady(0.0), used=900.0, gaps=0.4)
    # The exporter has its default counters, or less.
    one("defaults", gr=wave(0.02, 0.12), util=wave(10, 100), used=wave(2_000, 6_000))
    one("only-util", util=steady(100), used=wave(2_000, 6_000))
    # Prometheus honours the exporter's labels; a relabelling dropped the model; two exporters see the same GPU.
    one("honored", labels={**{f"exported_{name}": "" for name in HONORED}, "pod": first_pod("honored"),
        "namespace": "prod", "container": "main"}, sm=wave(0.02, 0.12), used=wave(2_000, 6_000))  # fmt: skip
    one("no-model", labels={"modelName": ""}, sm=wave(0.02, 0.12), used=wave(2_000, 6_000))
    one("seen-twice", labels={"job": "a"}, sm=wave(0.02, 0.12), used=wave(2_000, 6_000), gaps=0.7)
    cast.devices.append(device("prod", first_pod("seen-twice"), sm=wave(0.02, 0.12), used=wave(2_000, 6_000), gaps=0.7,
        labels={"exported_pod": "", "exported_namespace": "", "exported_container": "", "pod": first_pod("seen-twice"),
                "namespace": "prod", "container": "main", "job": "b"}))  # fmt: skip
    # Restarted: a StatefulSet's pod, created again twice, on two nodes, busiest before.
    for days, node, most in (((0, 4), "a", 0.3), ((4, 9), "b", 0.1), ((9, 14), "a", 0.1)):
        cast.devices.append(
            device("prod", "db-0", uuid=f"db-{node}", sm=wave(0.0, most), used=wave(1_000, 6_000), days=days)
        )
    cast.pods.append(pod("prod", "db-0", ("StatefulSet", "db"), started=stamp(now - 5 * DAY)))
    # Decommissioned: scaled to 0 five days ago; and one that is gone altogether.
    cast.devices.append(device("prod", "old-7d4b9c6f5d-xvw2z", sm=wave(0.5, 0.7), used=wave(2_000, 6_000), days=(0, 9)))
    cast.deployments.append(template("prod", "Deployment", "old"))
    cast.devices.append(device("prod", "nobody-knows", sm=steady(0.5), days=(0, 9)))
    # No series at all; started yesterday.
    cast.deploy("prod", "unseen")
    one("fresh", sm=wave(0.02, 0.12), days=(13, 14), fields={"started": stamp(now - DAY)})
    # MIG: utilisation is 0 there, always; and a slice that is full.
    mig: Json = {"resource": "nvidia.com/mig-1g.10gb", "node": "node-mig"}
    one("slice-blind", labels={**SLICE, "GPU_I_ID": "6"}, util=steady(0), used=wave(1_000, 5_000), fields=mig)
    one("slice-full", labels=SLICE, util=steady(0), gr=steady(1.0), used=wave(1_000, 5_000), capacity=9_728, fields=mig)
    # Time-slicing in a trusted namespace: device totals; values by process; a notebook that could share; one that is not trusted.
    slots: Json = {"resource": "nvidia.com/gpu.shared", "node": "node-t4"}
    for number in (0, 1):
        cast.devices.append(
            device("lab", first_pod("totals", number), uuid="t", model=T4, util=wave(0, 90), used=9_000.0)
        )
        cast.devices.append(device("lab", first_pod("by-process", number), uuid="p", model=T4, util=steady(3 + number),
            used=wave(500, 1_000 + number)))  # fmt: skip
    cast.deploy("lab", "totals", pods=2, **slots)
    cast.deploy("lab", "by-process", pods=2, **slots)
    one("notebook", namespace="lab", model=T4, util=busy(95, 0.03), used=wave(500, 2_000))
    one("steady", namespace="lab", model=T4, util=wave(2, 9), used=wave(500, 2_000))
    one("guest", namespace="guests", model=T4, util=busy(95, 0.03), used=wave(500, 2_000))
    # One job after another on one GPU, each a pod of its own: nobody shared anything.
    for hour in range(0, 14 * 24, 2):
        name = f"hourly-{28_000_000 + hour}-xvw2z"
        cast.devices.append(device("prod", name, uuid="hourly", sm=wave(0.05, 0.12), used=wave(1_000, 5_000),
            days=(hour / 24, (hour + 1.9) / 24)))  # fmt: skip
    # Several GPUs: one of two is never used; ranks of one job.
    for number in (0, 1):
        cast.devices.append(device("prod", first_pod("half-used"), uuid=f"h{number}", labels={"Hostname": "h"},
            sm=steady(0.6 * number)))  # fmt: skip
        rank = f"dist-worker-{number}"
        cast.devices.append(device("prod", rank, sm=wave(0.0, 0.1), used=wave(1_000, 2_000)))
        cast.pods.append(pod("prod", rank, ("PyTorchJob", "dist"), started=cast.long_ago))
    cast.deploy("prod", "half-used", count=2)
    # A RayJob: its pods are of a RayCluster.
    for number in (0, 1):
        worker = pod("prod", f"tune-abc-worker-{number}", ("RayCluster", "tune-abc"), started=cast.long_ago)
        worker["metadata"]["ownerReferences"][0]["apiVersion"] = "ray.io/v1"
        cast.pods.append(worker)
        cast.devices.append(device("prod", f"tune-abc-worker-{number}", sm=wave(0.0, 0.1), used=wave(1_000, 2_000)))
    # Claims (DRA): a whole GPU of which a seventh would do; and one that may be a GPU or a slice.
    for name in ("claims-gpu", "claims-either"):
        claiming = pod("prod", name, None, started=cast.long_ago)
        container = claiming["spec"]["containers"][0]
        container["resources"] = {"claims": [{"name": "gpu"}]}
        claiming["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": name}]
        cast.pods.append(claiming)
        cast.devices.append(device("prod", name, sm=wave(0.02, 0.12), used=wave(2_000, 6_000)))
    add_failing_metrics(cast)
    return cast


def add_failing_metrics(cast: Cast) -> None:
    """Workloads whose metrics of compute are missing or 0 at times, and some for which 0 is true."""
    usual = wave(1_000, 4_000)

    def one(
        name: str, *, restarted: float = 14, fields: Json | None = None, labels: Json | None = None, **usage: Any
    ) -> None:
        """The exporter's pods were replaced at a time, so there are two series of each metric."""
        of_node = {"Hostname": f"node-{name}", **(labels or {})}
        for days, exporter in (((0, restarted), "a"), ((restarted, 14), "b")):
            named = {**of_node, "pod": f"dcgm-exporter-{exporter}"}
            cast.devices.append(device("prod", first_pod(name), labels=named, days=days, **{"used": usual, **usage}))
        cast.deploy("prod", name, **(fields or {}))

    # A profiler takes the metric away for four hours of each day: it is all that there is, or another is left.
    missing = during(DAY / 6, None, 0.05)
    one("profiled", sm=missing)
    one("profiled-little", sm=missing, gr=missing, util=wave(2, 9))
    # The metric is off for five days, until the exporter is replaced. Later, the exporter is away for a day.
    away = 9 * DAY, 10 * DAY
    one(
        "enabled-late",
        restarted=5,
        sm=lambda at: None if at < 5 * DAY or away[0] <= at < away[1] else 0.05,
        util=steady(100),
        used=lambda at: None if away[0] <= at < away[1] else usual(at),
    )
    # Another exporter sees the GPU in the first week. Then, a profiler takes the metric away for four hours of each day.
    one("profiled-later", sm=lambda at: None if at > 7 * DAY and at % DAY < DAY / 6 else 0.05)
    labels = {"Hostname": "node-profiled-later", "instance": "10.0.0.2:9400"}
    cast.devices.append(device("prod", first_pod("profiled-later"), labels=labels, days=(0, 7), sm=steady(0.05)))
    # A profiler makes metrics 0 for four hours of each day, until the exporter is replaced: of a GPU that is always busy, of one
    # with little work, of a slice, where utilisation says nothing, and of a GPU that pods share.
    zeros = during(DAY / 6, 0.0, 0.05)
    one("zeros", restarted=9, sm=zeros, gr=zeros, util=wave(60, 100))
    one("zeros-little", restarted=9, sm=zeros, gr=zeros, util=wave(2, 9))
    mig: Json = {"resource": "nvidia.com/mig-1g.10gb", "node": "node-mig"}
    on_slice: Json = {"used": 4_000.0, "capacity": 9_728, "fields": mig}
    one("slice-zeros", labels={**SLICE, "GPU_I_ID": "7"}, sm=zeros, gr=steady(0.5), util=steady(0), **on_slice)
    for number in (0, 1):
        shared = device("lab", first_pod("totals-zeros", number), uuid="z", model=T4, sm=zeros, util=wave(20, 90))
        cast.devices.append(shared)
    cast.deploy("lab", "totals-zeros", pods=2, resource="nvidia.com/gpu.shared", node="node-t4")
    # One exporter has profiling metrics only, and another all the others: nothing is missing, and zeros show all the same.
    for name, sm in (("two-exporters", steady(0.05)), ("two-exporters-zeros", zeros)):
        labels = {"Hostname": f"node-{name}", "instance": "10.0.0.2:9400"}
        cast.devices.append(device("prod", first_pod(name), labels=labels, sm=sm, used=0))
        one(name, util=wave(60, 100))
    # The metrics are always 0, and the GPU is used for four minutes of each day.
    one("zeros-always", sm=steady(0.0), gr=steady(0.0), util=during(STEP, 60.0, 0.0), used=900.0)
    # 0 is true: nothing runs at night, or at all. And nearly 0: a kernel that waits for memory; on another GPU, a few seconds.
    one("idle-at-night", sm=busy(0.05, 0.5), gr=busy(0.6, 0.5), util=busy(70, 0.5))
    one(
        "slice-idle-at-night",
        labels={**SLICE, "GPU_I_ID": "8"},
        sm=busy(0.05, 0.5),
        gr=busy(0.1, 0.5),
        util=steady(90),
        **on_slice,
    )
    one("idle", sm=steady(0.0), gr=steady(0.0), util=steady(0), used=900.0)
    one("idle-blank", sm=steady(0.0), util=during(STEP, 9.2e18, 0.0), used=900.0)
    one("memory-bound", sm=during(DAY / 3, 0.00001, 0.05), gr=steady(0.9), util=steady(100))


def claim_template(name: str, request: Json) -> Json:
    devices = {"requests": [{"name": "gpu", **request}]}
    return {"metadata": {"name": name, "namespace": "prod"}, "spec": {"spec": {"devices": devices}}}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cast]]:
    prometheus, promtool = needed_programs()
    folder = tmp_path_factory.mktemp("prometheus")
    now = int(time.time()) // 60 * 60
    cast = the_cast(now)
    write_blocks(promtool, cast.devices, now - WINDOW, folder)
    with served(prometheus, folder) as url:
        yield url, cast


@pytest.fixture
def cluster(scene: tuple[str, Cast]) -> Iterator[Cluster]:
    _, cast = scene
    with Cluster() as there:
        there.lists(NODES, *the_nodes())
        there.lists("/api/v1/pods", *cast.pods)
        there.lists("/apis/apps/v1/replicasets", *cast.replicasets)
        there.lists("/apis/apps/v1/deployments", *cast.deployments)
        there.lists("/apis/apps/v1/statefulsets", template("prod", "StatefulSet", "db"))
        there.lists("/apis/batch/v1/cronjobs", template("prod", "CronJob", "hourly"))
        for path in ("apis/batch/v1/jobs", "apis/apps/v1/daemonsets", "api/v1/replicationcontrollers"):
            there.lists(f"/{path}")
        there.lists("/apis/kubeflow.org/v1/pytorchjobs", {"metadata": {"namespace": "prod", "name": "dist"}})
        job = {"apiVersion": "ray.io/v1", "kind": "RayJob", "name": "tune", "controller": True}
        ray = {"namespace": "prod", "name": "tune-abc", "ownerReferences": [job]}
        there.lists("/apis/ray.io/v1/rayclusters", {"metadata": ray})
        there.lists("/apis/ray.io/v1/rayjobs", {"metadata": {"namespace": "prod", "name": "tune"}})
        there.objects["/apis/resource.k8s.io"] = {"versions": [{"version": "v1"}]}
        there.lists("/apis/resource.k8s.io/v1/resourceclaims")
        gpu, mig = {"deviceClassName": "gpu.nvidia.com"}, {"deviceClassName": "mig.nvidia.com"}
        either = {"firstAvailable": [{"name": "a", **gpu}, {"name": "b", **mig}]}
        there.lists(
            "/apis/resource.k8s.io/v1/resourceclaimtemplates",
            claim_template("claims-gpu", {"exactly": gpu}),
            claim_template("claims-either", either),
        )
        for plural in ("deviceclasses", "resourceslices"):
            there.lists(f"/apis/resource.k8s.io/v1/{plural}")
        for name in ("prod", "lab", "guests"):
            there.set_namespace(name)
        yield there


WHOLE, SMALL, MIDDLE, UNKNOWN = (
    ("exclusive", "exclusive"),
    ("MIG slice", "mig-1g.10gb"),
    ("MIG slice", "mig-3g.40gb"),
    ("unknown", ""),
)
# What is said, and the words that say why.
EVALUATED = {
    "train": (WHOLE, "no MIG slice that is offered has enough compute"),
    "ocr": (SMALL, "mig-1g.10gb has 9.5 GiB"),
    "asr": (MIDDLE, "mig-3g.40gb has 39.2 GiB"),
    "maps": (WHOLE, "no MIG slice that is offered has enough memory"),
    "nightly": (WHOLE, "while it is active, it uses"),
    "promoted": (WHOLE, "in the last day 16 % on average / while it was active in the last day, it used 66 % of a GPU"),
    "rescraped": (UNKNOWN, "its samples are sparser at times of more use"),
    "pinned": (WHOLE, "keep its pods off all nodes that offer mig-1g.10gb, mig-3g.40gb"),
    "lossy": (SMALL, "mig-1g.10gb has 9.5 GiB"),
    "stopped": (UNKNOWN, "running pods without a sample in the last day: 1 of 1"),
    "unified": (UNKNOWN, "memory unknown: of 1 of its pods' GPUs or slices DCGM_FI_DEV_FB_USED is 0"),
    "half-known": (UNKNOWN, "memory unknown: of 1 of its pods' GPUs"),
    "forgotten": (("not used", "none"), "it still holds 19.5 GiB of GPU memory"),
    "transcoder": (WHOLE, "video encoder"),
    "llm": (UNKNOWN, "vLLM reserves a share"),
    "looks-full": (UNKNOWN, "76 % of the GPU's memory is in use all the time"),
    "jax": (SMALL, "mig-1g.10gb has 9.5 GiB"),
    "prefill": (UNKNOWN, "vLLM reserves a share"),
    "decode": (UNKNOWN, "vLLM reserves a share"),
    "trickle": (SMALL, "mig-1g.10gb has 9.5 GiB"),
    "nan": (UNKNOWN, "its series include no usable metric of compute"),
    "nan-memory": (UNKNOWN, "there is no usable series of DCGM_FI_DEV_FB_USED"),
    "memory-ended": (UNKNOWN, "memory unknown: of 1 of its pods' GPUs or slices DCGM_FI_DEV_FB_USED is 0, or"),
    "nights-only": (UNKNOWN, "not used as far as is known; between the first and the last sample"),
    "defaults": (SMALL, "mig-1g.10gb has 9.5 GiB"),
    "only-util": (WHOLE, "the time in which anything ran, however little of the GPU it used"),
    "honored": (SMALL, "mig-1g.10gb has 9.5 GiB"),
    "no-model": (WHOLE, "its GPU model is not known"),
    "seen-twice": (UNKNOWN, "(30 %); 50 % are needed"),
    "db": (MIDDLE, "mig-3g.40gb has"),
    "old": (WHOLE, "no MIG slice that is offered has enough compute"),
    "unseen": (UNKNOWN, "no series names its pods"),
    "fresh": (UNKNOWN, "too little data: 1.0 days"),
    "slice-blind": (UNKNOWN, "DCGM_FI_DEV_GPU_UTIL says nothing about MIG slices"),
    "slice-full": (("as it is", "mig-1g.10gb"), "the slice that it has is full most of the time, so it may need a larger one"),
    "totals": (("as it is", "time-slicing"), "the device total over 2 pods"),
    "by-process": (("shared", "time-slicing"), "4 such pods fit a GPU"),
    "notebook": (("shared", "time-slicing"), "bursts: time-slicing suits it"),
    "steady": (("shared", "time-slicing"), "use stays below 50 %: MPS suits it better, which no node of its model offers"),
    "guest": (WHOLE, "only in namespaces declared trusted"),
    "hourly": (SMALL, "mig-1g.10gb has 9.5 GiB"),
    "half-used": (("fewer GPUs", "exclusive"), "1 of 2 GPUs of a pod was never used; request 1"),
    "dist": (WHOLE, "the 2 pods of a PyTorchJob work together"),
    "tune": (WHOLE, "the 2 pods of a RayCluster work together"),
    "claims-gpu": (SMALL, "requested by a claim, which no policy rewrites"),
    "claims-either": (UNKNOWN, 'requested by a claim: claim "gpu" may be satisfied in 2 ways'),
    "profiled": (UNKNOWN, "DCGM_FI_PROF_SM_ACTIVE is missing for 1"),
    "profiled-little": (SMALL, "% of the GPU (by DCGM_FI_DEV_GPU_UTIL"),
    "enabled-late": (SMALL, "95 % of the time at most 5.0 % of the GPU /"),
    "profiled-later": (UNKNOWN, "DCGM_FI_PROF_SM_ACTIVE is missing for"),
    "zeros": (WHOLE, "% of the GPU (by DCGM_FI_DEV_GPU_UTIL: the time in which anything ran"),
    "zeros-little": (SMALL, "% of the GPU (by DCGM_FI_DEV_GPU_UTIL"),
    "slice-zeros": (SMALL, "95 % of the time at most 50 % of the slice"),
    "totals-zeros": (("as it is", "time-slicing"), "the device total over 2 pods"),
    "two-exporters": (SMALL, "95 % of the time at most 5.0 % of the GPU /"),
    "two-exporters-zeros": (WHOLE, "% of the GPU (by DCGM_FI_DEV_GPU_UTIL"),
    "zeros-always": (WHOLE, "while it is active, it uses 60 % of a GPU"),
    "idle-at-night": (SMALL, "95 % of the time at most 5.0 % of the GPU /"),
    "slice-idle-at-night": (SMALL, "95 % of the time at most 5.0 % of the slice"),
    "idle": (("not used", "none"), "at most 0 % of the GPU in 14 days"),
    "idle-blank": (("not used", "none"), "at most 0 % of the GPU in 14 days"),
    "memory-bound": (SMALL, "95 % of the time at most 5.0 % of the GPU /"),
}  # fmt: skip


def recommended(cluster: Cluster, url: str, folder: Path) -> Json:
    ran = live(cluster, url, folder, "--trusted", "lab", "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    found: Json = json.loads(ran.out)
    return found


def test_verdicts_are_those_of_a_person(scene: tuple[str, Cast], cluster: Cluster, tmp_path: Path) -> None:
    found = recommended(cluster, scene[0], tmp_path)
    said = {
        line["name"]: (
            (line["verdict"]["kind"], line["verdict"].get("form", "")),
            " / ".join(line["verdict"]["reasons"]),
        )
        for line in found["workloads"]
    }
    assert {name: verdict for name, (verdict, _) in said.items()} == {
        name: verdict for name, (verdict, _) in EVALUATED.items()
    }
    for name, (_, why) in EVALUATED.items():
        assert why in said[name][1], name
    assert (
        f"DCGM_FI_PROF_SM_ACTIVE of prod/{first_pod('zeros-always')} is 0 for 100 % of the hours in which its GPU was in use, "
        "so DCGM_FI_DEV_GPU_UTIL counts; does another program use the GPU's profiler then, or does DCGM need a restart? (8 pods)"
    ) in found["notes"]
    by_name = {line["name"]: line for line in found["workloads"]}
    assert (by_name["tune"]["kind"], by_name["claims-gpu"]["requests"]) == ("RayJob", ["claim gpu: gpu.nvidia.com: 1"])
    assert by_name["hourly"]["used"].get("sharedBy", 1) == 1
    assert by_name["db"]["used"]["expected"] == pytest.approx(WINDOW / 240, rel=0.02)


def test_what_a_server_of_several_stores_left_out_is_said_and_makes_no_verdict(
    scene: tuple[str, Cast], cluster: Cluster, tmp_path: Path
) -> None:
    """A querier that reached one store of two: what the other holds (the later days, some pods) is missing, and it says so."""
    with _partial(scene[0]) as url:
        found = recommended(cluster, url, tmp_path)
    assert f"Prometheus: {PARTIAL}" in found["notes"]
    verdicts = {line["name"]: line["verdict"]["kind"] for line in found["workloads"]}
    assert (verdicts["ocr"], verdicts["jax"], verdicts["asr"]) == ("unknown", "unknown", "MIG slice")


class _partial:  # noqa: N801 - used as a function
    """A server that passes queries on, and leaves out the pods of some workloads, as if their store were away."""

    def __init__(self, behind: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())
                with urlopen(f"{behind}{self.path}", urlencode(form).encode()) as answer:  # noqa: S310 - our own
                    body = json.load(answer)
                data = body["data"]
                every = data["result"] if isinstance(data, dict) else data
                every[:] = [one for one in every if not _is_away(one.get("metric", one))]
                content = json.dumps({**body, "warnings": [PARTIAL]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _is_away(labels: Json) -> bool:
    return str(labels.get("exported_pod", "")).startswith(("ocr-", "jax-"))

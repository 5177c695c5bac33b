"""``gpuwarden recommend`` against a real Prometheus with two weeks of series, and a stand-in API server."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from testing.gpu_usage import A100, STEP, T4, Cast, above, busy, device, first_pod, pod, recorded, steady, template
from testing.prometheus import DAY, served, write_blocks
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.cli.commands import run
from tests.cli.test_doctor import Cluster
from tests.cli.test_fleet_option import NODES, a_node
from tests.prometheus_programs import needed_programs
from webhook.adapters.prometheus.dcgm import NO_BANDWIDTH

pytestmark = pytest.mark.programs
Json = dict[str, Any]
WINDOW = 14 * DAY


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def the_cast(now: int) -> Cast:  # noqa: C901, PLR0915 - one scene after another
    cast = Cast(stamp(now), stamp(now - 30 * DAY))
    work, trust = "work", "trusting"
    cast.deploy(work, "train", device(work, first_pod("train"), sm=steady(0.93), used=60_000.0))
    cast.deploy(work, "small", device(work, first_pod("small"), sm=busy(0.12, 0.5), used=6_000.0))
    cast.deploy(work, "idle", device(work, first_pod("idle"), sm=steady(0.0), used=400.0))
    vllm: Json = {"command": ["vllm", "serve", "llama-8b"], "image": "vllm:1"}
    cast.deploy(work, "vllm", device(work, first_pod("vllm"), sm=steady(0.2), used=73_000.0), **vllm)
    cast.deploy(work, "flat", device(work, first_pod("flat"), sm=steady(0.1), used=75_000.0))
    cast.deploy(
        work, "young", device(work, first_pod("young"), sm=steady(0.1), days=(13, 14)), started=stamp(now - DAY)
    )
    cast.deploy(work, "gappy", device(work, first_pod("gappy"), sm=steady(0.1), gaps=0.7))
    cast.deploy(work, "unseen")
    cast.deploy(work, "video", device(work, first_pod("video"), sm=steady(0.0), enc=steady(40.0), used=900.0))
    two = [
        device(work, first_pod("two"), uuid=f"two-{n}", labels={"Hostname": "n"}, sm=steady(n * 0.5)) for n in (0, 1)
    ]
    cast.deploy(work, "two", *two, count=2)
    both = [
        device(work, first_pod("both"), uuid=f"both-{n}", labels={"Hostname": "n"}, sm=steady(0.05)) for n in (0, 1)
    ]
    cast.deploy(work, "both", *both, count=2)
    # One of two GPUs has no series: whether it is used is unknown.
    cast.deploy(work, "half", device(work, first_pod("half"), sm=steady(0.5)), count=2)
    # The exporter was restarted after a week: another series of the same pod and GPU.
    for days, exporter in (((0, 7), "dcgm-exporter-a"), ((7, 14), "dcgm-exporter-b")):
        again = device(work, first_pod("again"), sm=steady(0.1), days=days, labels={"pod": exporter}, used=5_000.0)
        cast.devices.append(again)
    cast.deploy(work, "again")
    # A StatefulSet's pod that moved to another node has two GPUs, one after the other.
    for days, node in (((0, 7), "one"), ((7, 14), "two")):
        cast.devices.append(device(work, "moved-0", uuid=node, sm=steady(0.1), days=days, used=5_000.0))
    cast.pods.append(pod(work, "moved-0", ("StatefulSet", "moved"), started=stamp(now - 7 * DAY)))
    # One of its pods runs on a node without an exporter: it may use its GPU.
    seen = [device(work, first_pod("partly", number), sm=steady(0.0), used=300.0) for number in (0, 1)]
    cast.deploy(work, "partly", *seen, pods=3)
    # The driver's "no value" is no use of a GPU.
    cast.deploy(work, "blank", device(work, first_pod("blank"), sm=lambda at: 9.2e18 if at % DAY < STEP else 0.1))
    # Two scrapes of one exporter, a third of the time.
    for job in ("a", "b"):
        cast.devices.append(device(work, first_pod("twice"), sm=steady(0.1), gaps=0.7, labels={"job": job}))
    cast.deploy(work, "twice")
    # It ran on a T4, then on an A100: what is little of one may be much of the other.
    for days, model in (((0, 7), T4), ((7, 14), A100)):
        cast.devices.append(device(work, "mixed-0", uuid=model[0], model=model, sm=steady(0.1), days=days))
    cast.pods.append(pod(work, "mixed-0", ("StatefulSet", "mixed"), started=stamp(now - 7 * DAY)))
    # A CronJob's pods are gone; their names say whose they were. They shared the GPU with nobody.
    for day in range(14):
        name = f"nightly-{28_000_000 + day}-xvw2z"
        cast.devices.append(device(work, name, uuid="night", sm=steady(0.9), used=50_000.0, days=(day, day + 0.25)))
    # PyTorchJob: its pods work together.
    for worker in range(2):
        name = f"dist-worker-{worker}"
        cast.pods.append(pod(work, name, ("PyTorchJob", "dist"), started=cast.long_ago))
        cast.devices.append(device(work, name, sm=steady(0.1), used=2_000.0))
    # Volcano's Job is another kind than Kubernetes' own, of the same name; its pods have ended.
    for worker in range(2):
        name = f"gang-worker-{worker}"
        ended = pod(work, name, ("Job", "gang"), started=cast.long_ago, phase="Succeeded")
        ended["metadata"]["ownerReferences"][0]["apiVersion"] = "batch.volcano.sh/v1alpha1"
        cast.pods.append(ended)
        cast.devices.append(device(work, name, sm=steady(0.1), used=2_000.0, days=(1, 8)))
    # Pods that are gone, whose names say nothing: kube-state-metrics recorded whose they were.
    cast.devices.append(device(work, "dist-old-name", sm=steady(0.5), days=(0, 2)))
    cast.devices.append(device(work, "small-old-name", sm=steady(0.12), used=6_500.0, days=(0, 2)))
    cast.devices += [
        recorded(work, "dist-old-name", "PyTorchJob", "dist"),
        recorded(work, "small-old-name", "ReplicaSet", "small-older"),
        above(work, "ReplicaSet", "small-older", ("Deployment", "small")),
    ]
    cast.devices.append(device(work, "stranger", sm=steady(0.5), days=(0, 1)))
    # A little all day, and for an hour nearly all: its work is done then.
    cast.deploy(
        work,
        "polled",
        device(work, first_pod("polled"), sm=lambda at: 0.9 if at % DAY < 3600 else 0.02, used=6_000.0),
    )
    # It takes more memory every day.
    grows = device(work, first_pod("grows"), sm=steady(0.1), used=lambda at: 1_500 + 5_500 * at / WINDOW)
    cast.deploy(work, "grows", grows)
    # A whole GPU, then a slice.
    for days, mig_labels in (((0, 7), {}), ((7, 14), {"GPU_I_ID": "9", "GPU_I_PROFILE": "3g.40gb"})):
        halves = device(work, first_pod("resliced"), labels=mig_labels, days=days, sm=steady(0.2))
        cast.devices.append(halves)
    cast.deploy(work, "resliced")
    # MIG: GPU_UTIL is 0 there; the engine's activity counts.
    slice_ = {"GPU_I_ID": "3", "GPU_I_PROFILE": "3g.40gb"}
    mig: Json = {"resource": "nvidia.com/mig-3g.40gb", "node": "node-mig"}
    migs = device(
        "mig", first_pod("sliced"), labels=slice_, util=steady(0.0), gr=steady(0.2), used=4_000.0, capacity=40_320
    )
    cast.deploy("mig", "sliced", migs, **mig)
    blind = device("mig", first_pod("blind"), labels={**slice_, "GPU_I_ID": "4"}, util=steady(0.0), used=0)
    cast.deploy("mig", "blind", blind, **mig)
    # Time-slicing: every pod has the device's values.
    for number in range(3):
        shared = device(trust, first_pod("slots", number), uuid="shared", model=T4, util=busy(80, 0.6), used=9_000.0)
        cast.devices.append(shared)
    slots: Json = {"resource": "nvidia.com/gpu.shared", "node": "node-t4"}
    cast.deploy(trust, "slots", pods=3, **slots)
    bursty = device(trust, first_pod("notebook"), model=T4, util=busy(95, 0.04), used=2_000.0)
    cast.deploy(trust, "notebook", bursty, node="node-t4-whole")
    calm = device("strangers", first_pod("calm"), model=T4, util=steady(5), used=2_000.0)
    cast.deploy("strangers", "calm", calm, node="node-t4-whole")
    # Two servers of one model.
    for name in ("chat", "summary"):
        cast.deploy("serving", name, device("serving", first_pod(name), sm=steady(0.15), used=73_000.0), **vllm)
    # The exporter does not know whose GPU this is.
    nobody = {"exported_pod": "", "exported_namespace": "", "exported_container": ""}
    cast.devices.append(device("x", "nobody", labels=nobody, sm=steady(0.5)))
    return cast


def the_nodes() -> list[Json]:
    a100 = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB", "nvidia.com/gpu.memory": "81920"}
    t4 = {"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.memory": "15360"}
    nodes = [a_node(f"node-{n}", labels={**a100, "nvidia.com/gpu.count": "8"}) for n in "abcd"]
    mig = a_node("node-mig", "nvidia.com/mig-3g.40gb", "2", labels={**a100, "nvidia.com/gpu.count": "2"})
    for part in ("capacity", "allocatable"):
        mig["status"][part] |= {"nvidia.com/mig-1g.10gb": "7", "nvidia.com/gpu": "0"}
    shared = {**t4, "nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "time-slicing"}
    slots = a_node("node-t4", "nvidia.com/gpu.shared", "4", labels={**shared, "nvidia.com/gpu.count": "1"})
    whole = a_node("node-t4-whole", count="2", labels={**t4, "nvidia.com/gpu.count": "2"})
    return [*nodes, mig, slots, whole]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cast]]:
    """A Prometheus with the cast's series; its URL."""
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
        stateful = template("work", "StatefulSet", "moved")
        there.lists("/apis/apps/v1/statefulsets", stateful)
        there.lists("/apis/batch/v1/cronjobs", template("work", "CronJob", "nightly"))
        within = "namespaces/trusting"
        there.lists(f"/api/v1/{within}/pods", *(one for one in cast.pods if one["metadata"]["namespace"] == "trusting"))
        there.lists(f"/apis/apps/v1/{within}/replicasets", *cast.replicasets)
        there.lists("/apis/batch.volcano.sh/v1alpha1/jobs", {"metadata": {"namespace": "work", "name": "gang"}})
        there.lists("/apis/kubeflow.org/v1/pytorchjobs", {"metadata": {"namespace": "work", "name": "dist"}})
        for plural in ("apis/batch/v1/jobs", "apis/apps/v1/daemonsets", "api/v1/replicationcontrollers"):
            there.lists(f"/{plural}")
        for name in ("deployments", "statefulsets", "daemonsets"):
            there.lists(f"/apis/apps/v1/{within}/{name}")
        for name in ("jobs", "cronjobs"):
            there.lists(f"/apis/batch/v1/{within}/{name}")
        there.lists(f"/api/v1/{within}/replicationcontrollers")
        for name in ("work", "mig", "trusting", "strangers", "serving"):
            there.set_namespace(name)
        yield there


def live(cluster: Cluster, url: str, folder: Path, *more: str) -> Any:
    kubeconfig = write_kubeconfig(folder / "kubeconfig", cluster.url)
    return run("recommend", "--kubeconfig", kubeconfig, "--prometheus", url, *more)


def test_every_workload_of_the_cast_gets_the_advice_that_a_person_would_give(
    scene: tuple[str, Cast], cluster: Cluster, tmp_path: Path
) -> None:
    ran = live(cluster, scene[0], tmp_path, "--trusted", "trust*", "--save", str(tmp_path / "usage.json"), "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    verdicts = {line["name"]: (line["verdict"]["kind"], line["verdict"].get("form", "")) for line in found["workloads"]}
    whole, small = ("exclusive", "exclusive"), ("MIG slice", "mig-1g.10gb")
    assert verdicts == {
        "train": whole,
        "small": small,
        "idle": ("not used", "none"),
        "vllm": ("unknown", ""),
        "flat": ("unknown", ""),
        "young": ("unknown", ""),
        "gappy": ("unknown", ""),
        "unseen": ("unknown", ""),
        "half": ("unknown", ""),
        "partly": ("unknown", ""),
        "blank": ("unknown", ""),
        "twice": ("unknown", ""),
        "mixed": whole,
        "blind": ("unknown", ""),
        "video": whole,
        "two": ("fewer GPUs", "exclusive"),
        "both": whole,
        "again": small,
        "moved": small,
        "polled": whole,
        "grows": ("MIG slice", "mig-3g.40gb"),
        "resliced": ("unknown", ""),
        "nightly": whole,
        "dist": whole,
        "gang": whole,
        "sliced": small,
        "slots": ("as it is", "time-slicing"),
        "notebook": ("shared", "time-slicing"),
        "calm": whole,
        "chat": ("batch in one process", ""),
        "summary": ("batch in one process", ""),
    }
    reasons = {line["name"]: " / ".join(line["verdict"]["reasons"]) for line in found["workloads"]}
    for name, reason in {
        "idle": "at most 0 % of the GPU in 14 days / it still holds 0.4 GiB of GPU memory",
        "vllm": "memory unknown: vLLM reserves a share of the GPU",
        "flat": "memory unknown: 92 % of the GPU's memory is in use all the time",
        "young": "too little data: 1.0 days; 3 are needed",
        "gappy": "of about 5040 samples (30 %); 50 % are needed",
        "unseen": "no usage data: no series names its pods",
        "partly": "running pods without a sample in the last day: 1 of 3",
        "twice": "of about 5040 samples (30 %); 50 % are needed",
        "mixed": "it ran on several GPU models",
        "half": "a pod requests 2 GPUs, and 1 of its pods has series of fewer",
        "blind": "DCGM_FI_DEV_GPU_UTIL says nothing about MIG slices",
        "video": "it uses the video encoder or decoder (up to 40 %), of which MIG slices have few or none",
        "two": "1 of 2 GPUs of a pod was never used; request 1",
        "both": "all 2 GPUs of a pod are used; several are never shared",
        "dist": "the 3 pods of a PyTorchJob work together",
        "gang": "the 2 pods of a Job.batch.volcano.sh work together",
        "slots": "the device total over 3 pods",
        "notebook": "bursts: time-slicing suits it",
        "polled": "while it is active, it uses 60 % of a GPU on average",
        "grows": "its memory grew by 2.7 GiB from the first half of the window to the second",
        "resliced": "it ran on whole GPUs and MIG slices",
        "calm": "only in namespaces declared trusted (--trusted)",
        "chat": "2 servers of llama-8b in this namespace use 30 % of one GPU together",
    }.items():
        assert reason in reasons[name], name
    used = {line["name"]: line.get("used") for line in found["workloads"]}
    assert used["again"]["points"] >= WINDOW // STEP - 2  # of both series
    assert (used["dist"]["most"], used["small"]["expected"]) == (0.5, pytest.approx((14 + 2) * DAY / STEP, rel=0.01))
    assert (used["small"]["p95"], used["small"]["memory"], used["small"]["capacity"]) == (0.12, 6500, 81_920)
    assert used["small"]["idle"] == pytest.approx(0.44, abs=0.02)
    assert used["sliced"]["metrics"] == ["DCGM_FI_PROF_GR_ENGINE_ACTIVE"]
    assert used["moved"]["expected"] == pytest.approx(WINDOW / STEP, rel=0.01)

    advice = {one["namespace"]: one for one in found["namespaces"]}
    assert {name: one.get("policy", "") for name, one in advice.items()} == {
        "work": "",
        "mig": "",
        "trusting": "time-slicing",
        "strangers": "exclusive",
        "serving": "",
    }
    assert advice["work"]["whyNone"].startswith("exclusive fits ")
    assert advice["mig"]["whyNone"].startswith("mig-1g.10gb fits 1 of 2 workloads, and is or may be wrong for")
    there = f" --kubeconfig {tmp_path / 'kubeconfig'}"
    label, preview = advice["trusting"]["label"], advice["trusting"]["preview"]
    assert label == f"kubectl label namespace trusting gpuwarden.io/enforce=time-slicing{there}"
    assert preview == f"gpuwarden audit -n trusting --assume trusting=time-slicing --fleet live{there}"
    assert found["notes"] == [
        NO_BANDWIDTH,
        (
            "DCGM_FI_PROF_SM_ACTIVE of work/blank-7d4b9c6f5d-bbbbb has the value 9.2e+18, which no GPU can have; usage with "
            "such values is not counted (1 pod)"
        ),
        "16 deleted pods are counted with their workloads, by owner or name",
        "1 pod has usage but no existing workload, in work: not counted",
    ]
    assert found["cluster"]["gpus"] == 37
    assert found["cluster"]["after"]["gpus"] < found["cluster"]["before"]["gpus"]

    # What was saved says the same; the cluster of its commands is not known.
    again = run("recommend", "--usage", tmp_path / "usage.json", "-o", "json")
    assert (again.code, again.out) == (0, ran.out.replace(there, ""))


def test_without_trust_nothing_is_told_to_share(scene: tuple[str, Cast], cluster: Cluster, tmp_path: Path) -> None:
    ran = live(cluster, scene[0], tmp_path, "-n", "trusting", "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    kinds = {line["name"]: line["verdict"]["kind"] for line in found["workloads"]}
    assert kinds == {"notebook": "exclusive", "slots": "as it is"}
    # With one namespace read, who else is on a GPU shows all the same.
    (slots,) = (line for line in found["workloads"] if line["name"] == "slots")
    assert slots["used"]["sharedBy"] == 3

"""``python -m benchmarks.nodes``: what the node view and the count of pods cost a replica in a large cluster.

A kubelet reports its status every five minutes, so 15,000 nodes make 50 events a second, each with the whole node. The API
server is a stand-in, or a real one (``--real``, with the programs of ``make control-plane`` or ``KUBEBUILDER_ASSETS``).
"""

import argparse
import http.client
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec

from benchmarks.processes import Cores
from benchmarks.servers import Files, Gpuwarden, gpuwarden
from testing.control_plane.bulk import store
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.programs import find
from testing.control_plane.waiting import wait_for
from testing.reviews import TEAM, a_gpu_container, a_pod, a_review, encode
from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import status
from testing.stand_in.http_side import Handler
from testing.stand_in.kubeconfig import write_kubeconfig

NODES, UPDATES, PODS, SECONDS = 15_000, 50, 5_000, 30.0
MOST_MEBIBYTES, MOST_OF_A_CORE = 20.0, 0.03
_SETTLE_SECONDS = 5.0
_KNOWN_SECONDS = 180.0
_REVIEWS = 100  # a second
_PRODUCTS = ("NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3", "Tesla-T4", "NVIDIA-L4")
_MERGE = {"Content-Type": "application/merge-patch+json"}


class Measured(msgspec.Struct, frozen=True):
    """What a replica needs with nodes watched and pods counted, beyond what it needs without.

    Attributes:
        nodes, pods: how many there are.
        mebibytes: resident memory.
        of_a_core: processor time of a second, while nodes report.
        updates: how many events came in a second.
        without, with_nodes: milliseconds that a review takes, the median and the 99th percentile.
    """

    nodes: int
    pods: int
    mebibytes: float
    of_a_core: float
    updates: float
    without: tuple[float, float]
    with_nodes: tuple[float, float]


class Cluster(Protocol):
    """An API server."""

    kubeconfig: Path

    def report(self, number: int) -> None:
        """Let a node report its status, in which something changed."""


class _StandIn:
    def __init__(self, folder: Path, cluster: StandIn, nodes: int, pods: int) -> None:
        self.kubeconfig = write_kubeconfig(folder / "kubeconfig", cluster.url)
        self._cluster = cluster
        self._company = _company()
        self._pods = [_pod(number, nodes) for number in range(pods)]
        cluster.set_namespace(TEAM, enforce="exclusive")
        for number in range(nodes):
            self.report(number)
        cluster.forget_node_events()
        cluster.always("object", self._object)

    def report(self, number: int) -> None:
        fields = {"gpus": {"nvidia.com/gpu": 8}, "labels": _labels(number)}
        self._cluster.set_node(f"node-{number:05}", **fields, company=self._company)

    def _object(self, handler: Handler) -> None:
        path, _, query = handler.path.partition("?")
        if path != "/api/v1/pods":
            handler.say(404, status(404, f"{path} not found"))
            return
        asked = dict(part.split("=") for part in query.split("&"))
        start, limit = int(asked.get("continue", "0")), int(asked["limit"])
        more = {"continue": str(start + limit)} if start + limit < len(self._pods) else {}
        handler.say(200, {"metadata": more, "items": self._pods[start : start + limit]})


class _Real:
    def __init__(self, control_plane: ControlPlane, nodes: int, pods: int) -> None:
        self.kubeconfig = control_plane.kubeconfig()
        self._plane = control_plane
        namespace = {"metadata": {"name": TEAM, "labels": {"gpuwarden.io/enforce": "exclusive"}}}
        control_plane.api.post("/api/v1/namespaces", json=namespace).raise_for_status()
        # They would taint nodes and delete pods, as no kubelet answers, and use the cores that are measured.
        control_plane.kill_controllers()
        control_plane.kill_scheduler()
        store(control_plane.etcd, ((f"minions/node-{number:05}", _node(number)) for number in range(nodes)))
        store(
            control_plane.etcd, ((f"pods/{TEAM}/pod-{number:05}", _stored_pod(number, nodes)) for number in range(pods))
        )

    def report(self, number: int) -> None:
        time_of = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        conditions = [{"type": "Ready", "status": "True", "lastHeartbeatTime": time_of, "reason": str(time.time())}]
        path = f"/api/v1/nodes/node-{number:05}/status"
        content = {"status": {"conditions": conditions}}
        self._plane.api.patch(path, json=content, headers=_MERGE).raise_for_status()


@contextmanager
def stand_in(folder: Path, nodes: int, pods: int) -> Iterator[Cluster]:
    """A stand-in for an API server."""
    with StandIn() as cluster:
        yield _StandIn(folder, cluster, nodes, pods)


@contextmanager
def real(folder: Path, nodes: int, pods: int) -> Iterator[Cluster]:
    """A real API server."""
    with ControlPlane(find(os.environ, Path(__file__).resolve().parents[1]), folder / "control-plane") as plane:
        yield _Real(plane, nodes, pods)


def measure(  # noqa: PLR0913 - how much is measured
    cores: Cores,
    folder: Path,
    cluster: Cluster,
    *,
    nodes: int,
    pods: int,
    updates: int,
    seconds: float,
    settle: float = _SETTLE_SECONDS,
) -> Measured:
    """Compare a replica that watches nodes and counts pods with one that does not, while both hear of as many updates.

    Raises:
        TimeoutError: the server was not ready, or did not know the nodes and pods, in time.
    """
    files = Files(folder / "files")
    found = []
    for options in (("--no-watch-nodes",), ()):
        with gpuwarden(files, cores, "--kubeconfig", cluster.kubeconfig, *options) as server:
            wait_for("gpuwarden", server.ready, _KNOWN_SECONDS)
            if not options:
                wait_for(f"{nodes} nodes and {pods} pods", partial(_knows, server, 8 * nodes, pods), _KNOWN_SECONDS)
            time.sleep(settle)
            asking = _Asking(server, files)
            memory, before = server.running.resident_mebibytes, server.running.cpu_seconds
            began, done = time.perf_counter(), 0
            asking.start()
            for number in _paced(updates, seconds):
                cluster.report(number % nodes)
                done += 1
            took = time.perf_counter() - began
            latency = asking.result()
            memory = max(memory, server.running.resident_mebibytes)
            found.append((memory, (server.running.cpu_seconds - before) / took, done / took, latency))
    (without, idle, _, before_nodes), (memory, busy, rate, latency) = found
    return Measured(nodes, pods, memory - without, busy - idle, rate, before_nodes, latency)


class _Asking(threading.Thread):
    """Asks a server for a decision again and again, and notes how long each takes."""

    def __init__(self, server: Gpuwarden, files: Files) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=files.trust)
        self._body = encode(a_review(a_pod(a_gpu_container("1"))))
        self._ended = threading.Event()
        self._times: list[float] = []

    def run(self) -> None:
        for _ in _paced(_REVIEWS, float(1 << 20)):
            if self._ended.is_set():
                return
            began = time.perf_counter()
            self._connection.request("POST", "/mutate", self._body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            answer.read()
            if answer.status == http.client.OK:
                self._times.append((time.perf_counter() - began) * 1000)

    def result(self) -> tuple[float, float]:
        """End it; the median and the 99th percentile, in milliseconds."""
        self._ended.set()
        self.join()
        self._connection.close()
        hundredths = statistics.quantiles(self._times, n=100)
        return hundredths[49], hundredths[98]


def _knows(server: Gpuwarden, gpus: int, pods: int) -> bool:
    """Whether the server knows so many GPUs and pods."""
    held, waiting = (server.metric(f'gpuwarden_{what}_gpus{{form="exclusive"}}') for what in ("allocated", "pending"))
    return server.metric('gpuwarden_offered_gpus{form="exclusive"}') == gpus and held + waiting == pods


def _paced(each_second: int, seconds: float) -> Iterator[int]:
    """Numbers, so many a second."""
    began = time.perf_counter()
    for number in range(int(each_second * seconds)):
        time.sleep(max(0.0, began + number / each_second - time.perf_counter()))
        yield number


def _labels(number: int) -> dict[str, str]:
    """The labels of a node as GPU feature discovery and node feature discovery write them; a few dozen kinds."""
    return {
        "kubernetes.io/hostname": f"node-{number:05}",
        "topology.kubernetes.io/zone": f"zone-{number % 3}",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": _PRODUCTS[number % 4],
        "nvidia.com/gpu.memory": "81920",
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/gfd.timestamp": str(1_760_000_000 + number),
        "nvidia.com/driver.version": f"570.{number % 5}",
        **{f"nvidia.com/gpu.deploy.part-{part}": "true" for part in range(10)},
        **{f"feature.node.kubernetes.io/cpu-cpuid.FEATURE{feature}": "true" for feature in range(50)},
    }


def _pod(number: int, nodes: int) -> dict[str, Any]:
    """A pod with a GPU; every fifth waits."""
    pod = a_pod(a_gpu_container("1"))
    metadata = {"name": f"pod-{number:05}", "namespace": TEAM, "labels": {"app": f"app-{number % 50}"}}
    where = {"schedulerName": "none"} if number % 5 == 0 else {"nodeName": f"node-{number % nodes:05}"}
    return {"metadata": metadata, "spec": {**pod["spec"], **where}}


def _stored(api_version: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """An object as the API server would have stored it."""
    made = {"uid": str(uuid.uuid4()), "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"apiVersion": api_version, "kind": kind, **content, "metadata": {**content["metadata"], **made}}


def _node(number: int) -> dict[str, Any]:
    gpus = {"nvidia.com/gpu": "8", "cpu": "64", "pods": "100"}
    conditions = [{"type": "Ready", "status": "True"}]
    state = {"capacity": gpus, "allocatable": gpus, "conditions": conditions, **_company()}
    return _stored(
        "v1", "Node", {"metadata": {"name": f"node-{number:05}", "labels": _labels(number)}, "status": state}
    )


def _stored_pod(number: int, nodes: int) -> dict[str, Any]:
    return _stored("v1", "Pod", {**_pod(number, nodes), "status": {"phase": "Pending"}})


def _company() -> dict[str, Any]:
    """What else makes a node's status long: fifty images, conditions, addresses."""
    digest = "sha256:" + "0" * 64
    images = [
        {
            "names": [f"registry.example/team/image-{i}@{digest}", f"registry.example/team/image-{i}:v1.{i}"],
            "sizeBytes": 10**9,
        }
        for i in range(50)
    ]
    return {
        "images": images,
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {"bootID": digest},
    }


def main() -> int:
    """Measure, print, and say whether the bars are reached: 0 where they are, 1 where not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodes", description=__doc__)
    parser.add_argument("--real", action="store_true", help="on a real API server")
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--pods", type=int, default=PODS)
    parser.add_argument("--updates", type=int, default=UPDATES, help="status updates a second")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpuwarden-bench-") as name:
        folder = Path(name)
        with (real if options.real else stand_in)(folder, options.nodes, options.pods) as cluster:
            found = measure(
                Cores(),
                folder,
                cluster,
                nodes=options.nodes,
                pods=options.pods,
                updates=options.updates,
                seconds=options.seconds,
            )
    reached = found.mebibytes <= MOST_MEBIBYTES and found.of_a_core <= MOST_OF_A_CORE
    (median, slow), (median_with, slow_with) = found.without, found.with_nodes
    sys.stdout.write(
        f"{found.nodes:,} nodes and {found.pods:,} pods: {found.mebibytes:.1f} MiB (at most {MOST_MEBIBYTES:g}); at "
        f"{found.updates:.0f} updates a second {found.of_a_core:.1%} of a core (at most {MOST_OF_A_CORE:.0%}); a review takes "
        f"{median_with:.2f} ms ({median:.2f} without nodes), the 99th percentile {slow_with:.2f} ms ({slow:.2f})\n"
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())

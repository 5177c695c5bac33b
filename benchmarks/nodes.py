"""``python -m benchmarks.nodes``: what the node view costs a replica, in memory and processor time, in a large cluster.

A kubelet reports its status every five minutes, so 15,000 nodes make 50 events a second, each with the whole node.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.processes import Cores
from benchmarks.servers import Files, Gpuwarden, gpuwarden
from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig

NODES, UPDATES, SECONDS = 15_000, 50, 30.0
MOST_MEBIBYTES, MOST_OF_A_CORE = 20.0, 0.03
_SETTLE_SECONDS = 5.0
_PRODUCTS = ("NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3", "Tesla-T4", "NVIDIA-L4")


class Measured(msgspec.Struct, frozen=True):
    """What a replica needs with the nodes watched, beyond what it needs without.

    Attributes:
        nodes: how many there are.
        mebibytes: resident memory.
        of_a_core: processor time of a second, while nodes report.
        updates: how many events came in a second.
    """

    nodes: int
    mebibytes: float
    of_a_core: float
    updates: float


def measure(  # noqa: PLR0913 - how much is measured
    cores: Cores, folder: Path, *, nodes: int, updates: int, seconds: float, settle: float = _SETTLE_SECONDS
) -> Measured:
    """Compare a replica that watches so many nodes with one that does not, while both hear of as many updates.

    Raises:
        RuntimeError: the nodes did not become known in time.
    """
    files = Files(folder / "files")
    company = _company()
    with StandIn() as cluster:
        for number in range(nodes):
            cluster.set_node(f"node-{number:05}", **_fields(number), company=company)
        cluster.forget_node_events()
        kubeconfig = write_kubeconfig(folder / "kubeconfig", cluster.url)
        found = []
        for options in (("--no-watch-nodes",), ()):
            with gpuwarden(files, cores, "--kubeconfig", kubeconfig, *options) as server:
                server.running.wait_until(server.ready, "gpuwarden")
                if not options:
                    server.running.wait_until(partial(_knows, server, 8 * nodes), f"{nodes} nodes")
                time.sleep(settle)
                memory, before = server.running.resident_mebibytes, server.running.cpu_seconds
                began, done = time.perf_counter(), 0
                for number in _paced(updates, seconds):
                    cluster.set_node(f"node-{number % nodes:05}", **_fields(number % nodes), company=company)
                    done += 1
                took = time.perf_counter() - began
                memory = max(memory, server.running.resident_mebibytes)
                found.append((memory, (server.running.cpu_seconds - before) / took, done / took))
    (without, idle, _), (memory, busy, rate) = found
    return Measured(nodes, memory - without, busy - idle, rate)


def _knows(server: Gpuwarden, gpus: int) -> bool:
    """Whether the server knows so many GPUs."""
    return server.metric('gpuwarden_offered_gpus{form="exclusive"}') == gpus


def _paced(each_second: int, seconds: float) -> Iterator[int]:
    """Numbers, so many a second."""
    began = time.perf_counter()
    for number in range(int(each_second * seconds)):
        time.sleep(max(0.0, began + number / each_second - time.perf_counter()))
        yield number


def _fields(number: int) -> dict[str, Any]:
    """The labels and GPUs of a node as GPU feature discovery and node feature discovery write them; a few dozen kinds."""
    labels = {
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
    return {"gpus": {"nvidia.com/gpu": 8}, "labels": labels}


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
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--updates", type=int, default=UPDATES, help="status updates a second")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpuwarden-bench-") as folder:
        found = measure(Cores(), Path(folder), nodes=options.nodes, updates=options.updates, seconds=options.seconds)
    reached = found.mebibytes <= MOST_MEBIBYTES and found.of_a_core <= MOST_OF_A_CORE
    sys.stdout.write(
        f"{found.nodes:,} nodes: {found.mebibytes:.1f} MiB (at most {MOST_MEBIBYTES:g}); at {found.updates:.0f} updates a second "
        f"{found.of_a_core:.1%} of a core (at most {MOST_OF_A_CORE:.0%})\n"
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())

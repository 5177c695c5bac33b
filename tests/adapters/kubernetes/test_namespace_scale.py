"""20,000 namespaces cost a few mebibytes and a moment."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig

COUNT = 20_000

# In a process of its own, in which nothing else takes memory.
PROGRAM = """
import gc, json, sys, time
from collections.abc import Callable
from pathlib import Path
from webhook.adapters.kubernetes.connect import connect
from webhook.adapters.kubernetes.watched_namespaces import WatchedNamespaces

def resident():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmRSS"))

class Nobody:
    def listed(self, namespaces): pass
    def watch_failed(self, fault, detail, retry_in): print(detail, file=sys.stderr)
    def missed(self, outcome): pass

api = connect(Path(sys.argv[1]), None, {})
namespaces = WatchedNamespaces(api, Nobody())
gc.collect()
before, began = resident(), time.perf_counter()
namespaces.start()
while not namespaces.freshness()[0]:
    time.sleep(0.002)
took, peak = time.perf_counter() - began, resident()
gc.collect()
known = [namespaces.cached(f"team-{number:05}") for number in range(20_000)]
print(json.dumps({
    "seconds": took,
    "growth": resident() - before,
    "resident": resident(),
    "known": sum(labels is not None and labels.enforce == "mps" for labels in known),
    "objects": len(set(map(id, known))),
}))
namespaces.stop()
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_20_000_namespaces_cost_little_memory_and_little_time(
    apiserver: StandIn, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    apiserver.fill(COUNT, enforce="mps")
    config = write_kubeconfig(tmp_path / "config", apiserver.url)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, config], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    measured = json.loads(ran.stdout)
    record_property("measured", measured)
    print(measured)  # noqa: T201 - shown by pytest -s
    assert measured["known"] == COUNT
    assert measured["objects"] == 1
    assert apiserver.count("list") == COUNT // 500
    assert measured["growth"] < 12, "MiB"
    assert measured["seconds"] < 30  # some 1 to 2 s, most of it the stand-in's

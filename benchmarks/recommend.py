"""``python -m benchmarks.recommend FOLDER``: what a recommendation for a large cluster costs gpuwarden and Prometheus.

Writes usage into a Prometheus, or uses what an earlier run wrote there (for a day: the usage continues until then).
"""

import argparse
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.usage import DAY, HOUR, Workload, objects, write
from testing.prometheus import programs, running
from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig

_OPTIONS = ("--storage.tsdb.retention.time=30d", "--web.enable-remote-write-receiver")
_DAYS = 14


class Cost(msgspec.Struct, frozen=True):
    """What a run cost.

    Attributes:
        seconds: wall time.
        requests, answers: to Prometheus, and the bytes of its answers.
        cpu, mebibytes: CPU seconds and the most resident memory of gpuwarden.
        their_cpu, their_mebibytes: those of Prometheus.
    """

    seconds: float
    requests: float
    answers: float
    cpu: float
    mebibytes: float
    their_cpu: float
    their_mebibytes: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what is missing, run ``gpuwarden recommend``, and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="has Prometheus' database, and gets the report")
    parser.add_argument("--workloads", type=int, default=5000)
    options = parser.parse_args(arguments)
    found = programs()
    if found is None:
        parser.error("no prometheus and promtool; on Debian: apt-get install prometheus")
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    workloads = [Workload(number) for number in range(options.workloads)]
    with running(found[0], folder, *_OPTIONS) as (url, pid):
        if not (folder / "written").exists():
            _write(url, folder, workloads)
        cost = _measure(url, pid, folder, workloads)
    sys.stdout.write(f"{msgspec.json.format(msgspec.json.encode(cost)).decode()}\n")
    return 0


def _write(url: str, folder: Path, workloads: list[Workload]) -> None:
    now = int(time.time()) // HOUR * HOUR
    for samples in write(url, workloads, now - _DAYS * DAY, now + DAY):
        sys.stderr.write(f"{samples:,} samples\n")
    (folder / "written").touch()


def _measure(url: str, pid: int, folder: Path, workloads: list[Workload]) -> Cost:
    started = datetime.fromtimestamp(time.time() - 2 * _DAYS * DAY, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with StandIn() as cluster:
        for path, items in objects(workloads, started).items():
            cluster.store(path, {"metadata": {}, "items": items})
        for name in sorted({one.namespace for one in workloads}):
            cluster.set_namespace(name)
        kubeconfig = write_kubeconfig(folder / "kubeconfig", cluster.url)
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # from here on, the most memory
        before, began = _counters(url), time.monotonic()
        program = Path(sys.executable).with_name("gpuwarden")
        options = ("--kubeconfig", kubeconfig, "--prometheus", url, "--trusted", "*", "-o", "json")
        with (folder / "report.json").open("wb") as report:
            process = subprocess.Popen([program, "recommend", *options], stdout=report)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"gpuwarden recommend ended with {process.returncode}")
    requests, answers, their_cpu = (after - earlier for after, earlier in zip(_counters(url), before, strict=True))
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(seconds, requests, answers, cpu, usage.ru_maxrss / 1024, their_cpu, most / 1024)


def _counters(url: str) -> tuple[float, float, float]:
    """Requests for queries and series so far, the bytes of their answers, and CPU seconds, as Prometheus counts them."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:  # noqa: S310 - our own
        lines = answer.read().decode().splitlines()
    sums = {"prometheus_http_response_size_bytes_count": 0.0, "prometheus_http_response_size_bytes_sum": 0.0}
    cpu = 0.0
    for line in lines:
        name, _, value = line.rpartition(" ")
        if name == "process_cpu_seconds_total":
            cpu = float(value)
        for counted in sums:
            if name in {f'{counted}{{handler="/api/v1/{one}"}}' for one in ("query", "series")}:
                sums[counted] += float(value)
    requests, answers = sums.values()
    return requests, answers, cpu


if __name__ == "__main__":
    sys.exit(main())

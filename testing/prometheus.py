"""A real Prometheus that holds series of ours: written as OpenMetrics, made blocks by promtool, served on loopback."""

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from testing.control_plane.processes import Process, free_port

DAY = 86400
_PATIENCE = 60.0
BLOCK = "744h"  # hidden from promtool's help; with the usual 2h it would read the file once for each


@dataclass(frozen=True)
class Device:
    """What a pod's container does on a device: labels, and a function of time for each metric.

    Attributes:
        values: of each metric, by seconds since the window began; ``None`` if there is no sample.
        days: from which day to which.
    """

    labels: Mapping[str, str]
    values: Mapping[str, Callable[[int], float | None]]
    days: tuple[float, float] = (0, 14)
    step: int = field(default=120)


def programs() -> tuple[str, str] | None:
    """The programs ``prometheus`` and ``promtool``; ``None`` if one is not installed."""
    found = [os.environ.get(f"GPUWARDEN_{name.upper()}") or shutil.which(name) for name in ("prometheus", "promtool")]
    return (found[0], found[1]) if found[0] and found[1] else None


def openmetrics(devices: Iterable[Device], begin: int) -> Iterator[str]:
    """The lines of a file, metric by metric."""
    every = list(devices)
    for metric in sorted({name for one in every for name in one.values}):
        yield f"# TYPE {metric} gauge\n"
        for one in every:
            value = one.values.get(metric)
            if value is None:
                continue
            written = ",".join(f'{name}="{text}"' for name, text in one.labels.items() if text)
            prefix = f"{metric}{{{written}}} "
            for at in range(int(one.days[0] * DAY), int(one.days[1] * DAY), one.step):
                number = value(at)
                if number is not None:
                    yield f"{prefix}{number:g} {begin + at}\n"
    yield "# EOF\n"


def write_blocks(promtool: str, devices: Iterable[Device], begin: int, folder: Path) -> None:
    """Write series into a database."""
    text = folder / "series.txt"
    with text.open("w") as file:
        file.writelines(openmetrics(devices, begin))
    command: list[str | Path] = [
        promtool,
        "tsdb",
        "create-blocks-from",
        f"--max-block-duration={BLOCK}",
        "openmetrics",
        text,
        folder / "data",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    text.unlink()


@contextmanager
def served(prometheus: str, folder: Path, *options: str, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve a database; its URL on loopback. ``host`` is the address to listen on."""
    with running(prometheus, folder, "--storage.tsdb.retention.time=10y", *options, host=host) as (url, _):
        yield url


@contextmanager
def running(prometheus: str, folder: Path, *options: str, host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """Serve a database; its URL and the id of the process."""
    port = free_port()
    (folder / "prometheus.yml").write_text("{}\n")
    command: list[str | Path] = [
        prometheus,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={host}:{port}",
        *options,
    ]
    process = Process("prometheus", command, folder / "prometheus.log")
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(f"{url}/-/ready")
        yield url, process.pid
    finally:
        process.stop()


def _wait(url: str) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own server
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)

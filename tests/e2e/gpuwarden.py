"""Replicas of gpuwarden as processes: ``gpuwarden serve`` with the command line that the chart gives its pods."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from hack.render_manifests import NAMESPACE
from testing.control_plane.processes import Process, free_port
from testing.control_plane.waiting import wait_for

PROGRAM = Path(sys.executable).with_name("gpuwarden")


class Replica:
    """One running ``gpuwarden serve``.

    Attributes:
        port: of the webhooks, over TLS.
        ops_port: of ``/readyz`` and ``/metrics``.
        process: the program.
        home: the directory of its files.
    """

    def __init__(self, arguments: Sequence[str], home: Path, environment: Mapping[str, str]) -> None:
        """Start it on ports of its own; ``arguments`` are all the others."""
        self.home = home
        self.port = free_port()
        self.ops_port = free_port()
        ports = (f"--port={self.port}", f"--ops-port={self.ops_port}")
        self.process = Process("gpuwarden", [PROGRAM, "serve", *arguments, *ports], home / "log", environment)

    def readiness(self) -> dict[str, str]:
        """What ``/readyz`` says of each part that is not ready; nothing when all are."""
        answer = httpx.get(f"http://127.0.0.1:{self.ops_port}/readyz", timeout=30.0, trust_env=False)
        return {part["name"]: part["message"] for part in answer.json()["parts"] if not part["ready"]}

    def wait_until_ready(self, seconds: float = 120.0) -> None:
        """Wait for ``/readyz``, or raise with its log if it ended or the time is over."""

        def ready() -> bool:
            if self.process.exit_code is None and (unready := self.readiness()):
                raise RuntimeError(str(unready))
            return True

        try:
            wait_for("gpuwarden to be ready", ready, seconds)
        except TimeoutError as error:
            raise RuntimeError(f"{error}; the end of its log:\n{self.process.tail()}") from error
        if (code := self.process.exit_code) is not None:
            raise RuntimeError(f"gpuwarden ended with {code}; the end of its log:\n{self.process.tail()}")

    def metric(self, name: str, **labels: str) -> float:
        """Answer the sum of a metric's samples that have these labels; 0 where there are none."""
        text = httpx.get(f"http://127.0.0.1:{self.ops_port}/metrics", timeout=30.0, trust_env=False).text
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        total = 0.0
        for line in text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(pair in sample for pair in wanted):
                total += float(value)
        return total

    @property
    def resident_bytes(self) -> int:
        """How much memory it has now, as the kernel counts it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


def arguments_of(container: Mapping[str, Any], instead: Mapping[str, str]) -> list[str]:
    """Take the command line from the chart's container, and put our own values in the place of some of its options.

    Args:
        container: the Deployment's container.
        instead: options that a process beside a cluster needs otherwise than a pod in it, such as the path of the
            configuration file; one with an empty value is left out.
    """
    subcommand, *options = container["args"]
    assert subcommand == "serve", container["args"]
    kept = [option for option in options if option.partition("=")[0] not in instead]
    return kept + [f"{name}={value}" for name, value in instead.items() if value]


def environment_of(container: Mapping[str, Any], home: Path) -> dict[str, str]:
    """The container's environment, with what its references stand for in our one namespace."""
    known = {"metadata.namespace": NAMESPACE}
    environment = {"HOME": str(home)}
    for variable in container.get("env", []):
        reference = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        environment[variable["name"]] = known[reference] if reference else variable["value"]
    return environment

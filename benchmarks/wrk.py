"""wrk, which asks as fast as a server answers: finding it, running it, reading what it says."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.processes import Cores

_SCRIPT = Path(__file__).with_name("post.lua")

_TRIES = 3  # on a machine that is busy otherwise, a second may pass with nothing but handshakes


class MissingError(Exception):
    """A program that the bench needs is not there; the message says how to get it."""


class Load(msgspec.Struct, frozen=True):
    """What wrk measured in one run: latencies in microseconds, errors by their kind."""

    seconds: float
    requests: int
    p50: float
    p99: float
    errors: dict[str, int]

    @property
    def throughput(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Wrk:
    """Runs wrk on the client's core."""

    def __init__(self, cores: Cores, folder: Path) -> None:
        """Find it; reviews are handed over in files below ``folder``.

        Raises:
            MissingError: wrk is not installed.
        """
        found = shutil.which("wrk")
        if found is None:
            raise MissingError("wrk is not on the PATH; on Debian: apt-get install wrk")
        self._program, self._cores, self._folder = found, cores, folder

    def write(self, name: str, bodies: Sequence[bytes]) -> Path:
        """Put reviews where :meth:`run` finds them."""
        folder = self._folder / name
        folder.mkdir(parents=True)
        for number, body in enumerate(bodies, start=1):
            (folder / f"{number}.json").write_bytes(body)
        return folder

    def run(self, url: str, bodies: Path, connections: int, seconds: int) -> Load:
        """POST the reviews of a folder in turn for some seconds over connections that are kept.

        Raises:
            RuntimeError: wrk failed, there was an error (a status above 399, for example), or no answer in every run.
        """
        count = str(len(list(bodies.iterdir())))
        command = [
            *(self._program, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"),
            *("--timeout", "10s", "--latency", "--script", str(_SCRIPT), url, "--", str(bodies), count),
        ]
        for _ in range(_TRIES):
            load = self._once(command, seconds)
            if errors := {kind: count for kind, count in load.errors.items() if count}:
                raise RuntimeError(f"{url}: errors in {load.requests} answers: {errors}")
            if load.requests:
                return load
        raise RuntimeError(f"{url}: nothing was answered in {_TRIES} runs of {seconds} s")

    def _once(self, command: Sequence[str], seconds: int) -> Load:
        with self._cores.pinned(self._cores.client):
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
        if done.returncode != 0:
            raise RuntimeError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
        return msgspec.json.decode(done.stdout.rstrip().rpartition("\n")[2], type=Load)

"""wrk, which asks as fast as a server answers: finding it, running it, reading what it says."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.processes import Cores

_SCRIPT = Path(__file__).with_name("post.lua")

# On a machine that is busy otherwise, a second may pass with nothing but handshakes, or a request wait so long that it is shed.
_TRIES = 3


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
            RuntimeError: wrk failed, or every run had errors (a status above 399, for example) or no answer.
        """
        count = str(len(list(bodies.iterdir())))
        command = [
            *(self._program, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"),
            *("--timeout", "10s", "--latency", "--script", str(_SCRIPT), url, "--", str(bodies), count),
        ]
        runs = []
        for _ in range(_TRIES):
            load = self._once(command, seconds)
            errors = {kind: count for kind, count in load.errors.items() if count}
            if load.requests and not errors:
                return load
            runs.append(f"{load.requests} answers with errors {errors or 'none'}")
        raise RuntimeError(f"{url}: {_TRIES} runs of {seconds} s failed: {'; '.join(runs)}; use an idle machine")

    def _once(self, command: Sequence[str], seconds: int) -> Load:
        with self._cores.pinned(self._cores.client):
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
        if done.returncode != 0:
            raise RuntimeError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
        return msgspec.json.decode(done.stdout.rstrip().rpartition("\n")[2], type=Load)

"""Processes under measurement: each on a core of its own, started, asked for its memory, ended."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

START_SECONDS = 30.0
_TICK = 0.002
# Settings of the programs, and whether Python keeps the bytecode of what it imports, as an image and a package have it.
_NOT_INHERITED = ("GPUWARDEN_", "KUBE", "PYTHONDONTWRITEBYTECODE")


class Cores:
    """One core for the server, another for whoever asks it.

    On one and the same core the two would take turns, and the client's work would be measured as the server's.
    """

    def __init__(self) -> None:
        """Take the first two cores that this process may use.

        Raises:
            RuntimeError: there is only one, or the system can't bind processes to cores.
        """
        if not hasattr(os, "sched_setaffinity"):
            raise RuntimeError("the bench binds processes to cores, which only Linux can")
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:  # noqa: PLR2004 - one for each side
            raise RuntimeError("the bench needs two cores: one for the server, one for the client")
        self.server, self.client = cores[0], cores[1]

    @contextmanager
    def pinned(self, core: int) -> Iterator[None]:
        """Run the body on a core; what it starts inherits that."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


class Running:
    """A process. A context manager: leaving it kills the process.

    Its output goes through a pipe that ``cat`` empties on the client's core, as a container's goes to the container
    runtime: a file or /dev/null would take lines at another price.
    """

    def __init__(self, command: Sequence[str | Path], cores: Cores, *, pinned: bool = True) -> None:
        """Start a command on the server's core, or where there is room if not ``pinned``."""
        with cores.pinned(cores.client):
            self._reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: S607 - from the PATH
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        with cores.pinned(cores.server) if pinned else nullcontext():
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=self._reader.stdin,
                stderr=self._reader.stdin,
                env=inherited,
            )
        if self._reader.stdin:
            self._reader.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.wait()

    @property
    def resident_mebibytes(self) -> float:
        """Its resident memory now, as the kernel counts it."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    @property
    def cpu_seconds(self) -> float:
        """The processor time that its threads have had, as the scheduler counts it, to the nanosecond."""
        told = [
            path.read_text(encoding="ascii") for path in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        ]
        return sum(int(line.split()[0]) for line in told) / 1e9

    def wait_until(self, holds: Callable[[], bool], what: str) -> float:
        """Wait until something holds; the seconds since the process was started.

        Raises:
            RuntimeError: the process ended, or the time is over.
        """
        while not holds():
            if (code := self._process.poll()) is not None:
                raise RuntimeError(
                    f"{what}: the process ended with {code}; its output is lost, start it by hand to see why"
                )
            if time.perf_counter() - self.started > START_SECONDS:
                raise RuntimeError(f"{what}: not within {START_SECONDS:.0f} s")
            time.sleep(_TICK)
        return time.perf_counter() - self.started


def listens(port: int) -> bool:
    """Whether a loopback port accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(port: int, path: str) -> tuple[int, bytes]:
    """Ask a plain loopback port; status 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def post(port: int, path: str, body: bytes, context: Any) -> bytes:
    """POST JSON over TLS to a loopback port; the body of the answer.

    Raises:
        RuntimeError: the answer is not 200.
    """
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path} answered {answer.status}: {text[:500].decode(errors='replace')}")
    return text

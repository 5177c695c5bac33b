"""Child processes that never outlive the tests: each with its own group, its output in a log, killed with its parent."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
# Below the ports that Linux hands to outgoing connections (32768 and up): nothing else takes one by chance.
PORTS = range(20_000, 32_000)
# Each comes once before any comes again: most callers choose several ports before they listen on the first.
_SHUFFLED = cycle(random.SystemRandom().sample(PORTS, len(PORTS)))


def free_port() -> int:
    """Return a loopback port on which nothing listens, and that was not returned to this process before."""
    for port in islice(_SHUFFLED, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"of 100 ports in {PORTS.start}-{PORTS.stop} on 127.0.0.1 none is free")


class Process:
    """A running program.

    It is started in a process group of its own, so that Ctrl-C reaches the tests only, which then end it in order. If
    they are killed, the kernel kills it too. Start it from the main thread: for Linux, the thread is the parent.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start ``command`` (its first word a path); output is appended to ``log``."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{name} must be started from the main thread: it dies with the thread that starts it")
        self.name = name
        self.log = log
        guarded = [sys.executable, "-I", "-S", GUARD, str(os.getpid()), *command]
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                guarded,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is the group's too."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by that signal), or None while it runs."""
        return self._popen.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and whatever it has started."""
        if self.exit_code is None:
            os.killpg(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait for it to end by itself; answer the exit code, or raise :class:`subprocess.TimeoutExpired`."""
        return self._popen.wait(seconds)

    def stop(self, grace: float = 10.0) -> int:
        """End it by SIGTERM, after ``grace`` seconds by SIGKILL; answer the exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it at once, stopped or not."""
        self.signal(signal.SIGKILL)
        return self._popen.wait()

    def tail(self, lines: int = 30) -> str:
        """Answer the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

"""Replicas that are killed and started again for as long as a block runs, and an API server that calls them all the time."""

import contextlib
import random
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from testing.control_plane.processes import free_port
from testing.stand_in.apiserver import StandIn
from testing.stand_in.http_side import Behaviour, Handler, Seen
from tests.adapters.kubernetes.faults import cut_off
from tests.cli.serving import COMMAND, environment
from tests.faults.cluster import bundles, login, managed, why_refused
from tests.wire import Wire, request

LIFETIMES = {"leaf": 12, "ca": 36, "skew": 2, "propagation": 1}
"""Seconds. A rotation is due every 24 and takes 16 until the old authority is gone: most moments are in one."""


class DangerousStandIn(StandIn):
    """An API server whose clients may be killed while it answers them."""

    killer: "Killer | None" = None

    def behaviour(self, seen: Seen) -> Behaviour | None:
        """As the killer wishes."""
        behaviour = super().behaviour(seen)
        if self.killer is None or seen.kind != "object":
            return behaviour
        killer = self.killer
        if len(seen.body) < int(seen.headers.get("Content-Length", "0")):
            return cut_off  # it was killed while it asked
        return lambda handler: killer.on_object(handler, lambda: handler._object(unquote(seen.path), seen))


class Replica:
    """A process that can be killed at any moment of its life, and started again."""

    def __init__(self, folder: Path, apiserver: StandIn, number: int) -> None:
        self.token = f"replica-{number}"
        self.port, self.ops_port = free_port(), free_port()
        options = managed(login(folder, apiserver, self.token), **LIFETIMES)
        ports = ("--host", "127.0.0.1", "--port", str(self.port), "--ops-port", str(self.ops_port))
        self._command = [*COMMAND, *ports, *map(str, options)]
        self._log = folder / f"{self.token}.log"
        self.lock = threading.Lock()  # so that nobody takes a process that is being replaced for one that fails
        self.lives = 0
        self.start()

    def start(self) -> None:
        """Begin another life."""
        self.lives += 1
        self.since: float | None = None  # when it was first seen to listen
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log, env=environment())

    def kill(self) -> None:
        """Send SIGKILL, and see it gone."""
        self._process.kill()
        self._process.wait()

    def again(self) -> None:
        """Kill it, and begin another life."""
        with self.lock:
            self.kill()
            self.start()

    def ended(self) -> int | None:
        """The exit code, if it has ended by itself; nobody is told of those that are killed."""
        return self._process.poll()

    def ready(self) -> bool:
        """Whether it says that it is ready; and whether it listens at all, see ``since``."""
        try:
            with Wire(self.ops_port) as wire:
                wire.send(request("/readyz", method="GET", content_length="", content_type=""))
                code = wire.reply().code
        except (OSError, EOFError, ValueError):
            return False
        self.since = self.since or time.monotonic()
        return code == 200

    @property
    def log(self) -> str:
        """What all of its lives have said."""
        return self._log.read_text()


@dataclass
class Called:
    """What the API server made of a replica.

    Attributes:
        calls: how often it called.
        lost: calls that failed though the replica said before and after that it is ready.
        last: when every bundle last let it be called.
        longest: the longest time for which some did not, in one life, in seconds; and why.
        ended: exit codes of lives that ended by themselves.
    """

    calls: int = 0
    lost: list[str] = field(default_factory=list)
    last: float = 0.0
    longest: tuple[float, str] = (0.0, "")
    ended: set[int] = field(default_factory=set)


class Caller:
    """An API server's calls to one replica, by the bundles as they stand; a context manager with its own thread."""

    def __init__(self, apiserver: StandIn, replica: Replica) -> None:
        self._apiserver = apiserver
        self._replica = replica
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call_forever)
        self.called = Called()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _call_forever(self) -> None:
        while not self._stop.wait(0.1):
            with self._replica.lock:
                self._call()

    def _call(self) -> None:
        called, replica = self.called, self._replica
        ready, trusted = replica.ready(), bundles(self._apiserver)
        reasons = [reason for bundle in trusted if (reason := why_refused(replica.port, bundle))]
        called.calls += 1
        if (code := replica.ended()) is not None:
            called.ended.add(code)
        now = time.monotonic()
        if not reasons:
            called.last = now
        elif replica.since is not None:  # how long Python takes to start on a busy machine is no fault of ours
            # A new life is a new replica: what counts is for how long a live one can't be called.
            called.longest = max(called.longest, (now - max(called.last, replica.since), reasons[0]))
        if reasons and ready and trusted == bundles(self._apiserver) and replica.ready():
            called.lost.append("; ".join(reasons))


class Killer:
    """Kills a replica at a random moment, or in the middle of a write: before it is stored, or before it is told of it."""

    def __init__(self, apiserver: StandIn, replicas: list[Replica], chance: random.Random) -> None:
        self._apiserver = apiserver
        self._replicas = {f"Bearer {replica.token}": replica for replica in replicas}
        self._chance = chance
        self.kills = {"at a random moment": 0, "before a write": 0, "after a write": 0}
        self._armed = ""

    def kill_one(self, patience: float) -> None:
        """Kill one. In the middle of a write if there is one soon, else wherever it is."""
        self._armed = self._chance.choice(list(self.kills))
        before = self.total
        until = time.monotonic() + (0 if self._armed == "at a random moment" else patience)
        while self.total == before and time.monotonic() < until:
            time.sleep(0.01)
        self._armed = ""
        if self.total == before:
            self._chance.choice(list(self._replicas.values())).again()
            self.kills["at a random moment"] += 1

    @property
    def total(self) -> int:
        """Kills so far."""
        return sum(self.kills.values())

    def on_object(self, handler: Handler, answer: Callable[[], None]) -> None:
        """Stand between a request for an object and its answer."""
        replica = self._replicas[handler.headers["Authorization"]]
        moment, write = self._armed, handler.command != "GET"
        if not (write and moment in ("before a write", "after a write")):
            answer()
            return
        self._armed = ""
        if moment == "after a write":
            replica.kill()  # what is asked is done, and the answer goes nowhere
            with contextlib.suppress(OSError):
                answer()
        replica.again()
        self.kills[moment] += 1
        handler.close_connection = True

"""A server under attack, and an honest caller beside the attackers: what the server needs, and how long the caller waits.

``make attack`` prints a table of every attack; ``python -m tests.load.under_attack "label values" heads`` of some, and
``together`` is all of them at once.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self

from testing.reviews import Json, a_gpu_container, a_pod, a_review, encode, read_answer
from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes.support import eventually
from tests.cli.serving import COMMAND, Served
from tests.load.attackers import ATTACKS, TOGETHER
from tests.load.kernel_memory import socket_bytes
from tests.load.process import descriptors, peak_mib, reset_peak, resident_mib, waited_for_processor
from tests.wire import PATIENCE, Wire, request

MOST_MIB = 256.0
"""A replica's memory, by the chart's limit."""
MOST_SECONDS = 1.0
"""Until an honest caller has its verdict."""
MOST_LEFT_MIB = 64.0
"""What may remain of an attack's memory when it is over: what the allocator keeps."""
SECONDS = 2.0

WITHIN = shlex.split(os.environ.get("GPUWARDEN_ATTACK_WITHIN", ""))
"""What starts the server within a limit of memory, such as ``systemd-run --user --scope -p MemoryMax=256M -p MemorySwapMax=0``.

It must end as the server itself (``exec``), so that the process that is watched is the server.
"""

CONFIGURATION = "apiVersion: gpuwarden.io/v1\nkind: Configuration\ndefaults: {enforce: mps}\n"
_PAUSE = 0.05
_GIVES_UP = 15.0
_NEW_CONNECTION_EVERY = 20
_RECOVERY = 8.0
# Alone an attacker is nearly as important as the server; many together must not starve it.
_NICE, _NICEST = 4, 19
_ROOT = Path(__file__).parents[2]


@dataclass
class Honest:
    """A caller as the API server is one: on connections that it keeps, and now and then on a new one."""

    server: Served
    slowest: float = 0.0
    slowest_served: float = 0.0
    """The slowest, without the time in which the server or the caller had no processor: others use this machine too."""
    outcomes: Counter[str] = field(default_factory=Counter)
    _wires: list[Wire | None] = field(default_factory=lambda: [None, None])
    _numbers: "count[int]" = field(default_factory=count)

    def ask(self) -> None:
        """Ask once, on the next connection."""
        number = next(self._numbers)
        if number % _NEW_CONNECTION_EVERY == _NEW_CONNECTION_EVERY - 1:
            self._hang_up(number % 2)
        began, waited = time.monotonic(), self._waited_for_processors()
        self.outcomes[self._until_answered(number, began + _GIVES_UP)] += 1
        took = time.monotonic() - began
        self.slowest = max(self.slowest, took)
        self.slowest_served = max(self.slowest_served, took - (self._waited_for_processors() - waited))

    def _waited_for_processors(self) -> float:
        return waited_for_processor(self.server.pid) + waited_for_processor(os.getpid())

    def _until_answered(self, number: int, until: float) -> str:
        denied, uid = number % 2, f"honest-{number}"
        body = encode(a_review(a_pod(a_gpu_container("0.5" if denied else "1")), uid=uid))
        asked = request("/validate" if denied else "/mutate", body)
        while time.monotonic() < until:
            try:
                wire = self._wires[number % 2]
                if wire is None:
                    wire = self._wires[number % 2] = Wire(
                        self.server.said["port"], self.server.context, patience=_GIVES_UP
                    )
                wire.send(asked)
                reply = wire.reply()
            except TimeoutError:
                self._hang_up(number % 2)
                return "lost"
            except (OSError, EOFError, ValueError):
                self._hang_up(number % 2)
                self.outcomes["reconnected"] += 1
                time.sleep(0.01)
                continue
            if reply.headers.get("connection") == "close":
                self._hang_up(number % 2)
            if reply.code != 200:
                return str(reply.code)
            answered = read_answer(reply.body, uid)
            return "answered" if answered.allowed != bool(denied) and bool(answered.patch) != bool(denied) else "wrong"
        return "lost"

    def _hang_up(self, which: int) -> None:
        if wire := self._wires[which]:
            with suppress(OSError):
                wire.close()
        self._wires[which] = None

    def close(self) -> None:
        for which in range(2):
            self._hang_up(which)


class Attackers:
    """The processes of some attacks."""

    def __init__(self, port: int, ops_port: int, names: Iterable[str], seconds: float) -> None:
        names = [name for name in names for _ in range(ATTACKS[name].processes)]
        ports = str(port), str(ops_port)
        nice = min(_NICE + len(names), _NICEST)
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.load.attackers", name, *ports, str(seconds), str(nice)],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for name in names
        ]

        self._until = 0.0

    def __enter__(self) -> Self:
        return self

    def begin(self, seconds: float) -> None:
        """Begin, when all are ready."""
        for process in self._processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in self._processes:
            assert process.stdin is not None
            with suppress(OSError):  # it has failed, which shows in what it did
                process.stdin.write(b"\n")
                process.stdin.flush()
        # At their low priority, they get little of a busy machine.
        self._until = time.monotonic() + 3 * seconds + PATIENCE

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def at_work(self) -> bool:
        """Whether any of them is."""
        return time.monotonic() < self._until and any(process.poll() is None for process in self._processes)

    def did(self) -> Counter[str]:
        """What they did, all together, once they have ended."""
        total: Counter[str] = Counter()
        for process in self._processes:
            if process.poll() is None:
                total["overdue"] += 1
                process.kill()
            said, complaint = process.communicate()
            if process.returncode == 0:
                total.update(json.loads(said))
            else:
                total["failed"] += 1
                sys.stderr.write(complaint.decode()[-2000:])
        return total


def ports(server: Served) -> tuple[int, int]:
    """What is attacked: the admission port, and the operations port."""
    return server.said["port"], server.said["ops_port"]


class Memory:
    """What the server and the kernel's sockets held together at most while a block ran, as a memory cgroup would count."""

    def __init__(self, server: Served) -> None:
        self.kernel_mib = self.total_mib = 0.0
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while self._server.alive and not self._over.wait(0.1):
            kernel = socket_bytes(self._server.said["port"], self._server.said["ops_port"]) / (1 << 20)
            self.kernel_mib = max(self.kernel_mib, kernel)
            self.total_mib = max(self.total_mib, kernel + resident_mib(self._server))


@dataclass
class Measured:
    """What an attack came to."""

    name: str
    did: Counter[str]
    peak_mib: float
    memory: Memory
    honest: Honest
    left_mib: float
    files_left: int
    answers: bool
    complaints: list[str]
    alive: bool
    may_fail: int = 0
    """Of the attackers; where there are many, some do not get to it on a small machine."""
    many: float = 1.0
    """How much longer an honest caller may wait because they are many: on a small machine they take the processor from all."""

    def shortcomings(self) -> list[str]:
        """Everything that must not be; empty when the server withstood it."""
        outcomes, served = self.honest.outcomes, self.honest.slowest_served
        found = {
            f"the attack did not take place: {dict(self.did)}": not self.did["sent"]
            or self.did["failed"] > self.may_fail,
            "the server ended": not self.alive,
            f"the server needed {self.peak_mib:.0f} MiB": self.peak_mib > MOST_MIB,
            f"the server and its sockets needed {self.memory.total_mib:.0f} MiB": self.memory.total_mib > MOST_MIB,
            f"an honest caller waited for {served:.2f} s": served > MOST_SECONDS * self.many,
            f"an honest caller got {self._unanswered()}": bool(self._unanswered()),
            "no honest caller was answered": not outcomes["answered"],
            f"{self.left_mib:.0f} MiB were not given back": self.left_mib > MOST_LEFT_MIB * self.many,
            f"{self.files_left} descriptors were left open": self.files_left > 0,
            "the server does not answer any more": not self.answers,
            f"the log has {self.complaints[:3]}": bool(self.complaints),
        }
        return [what for what, so in found.items() if so]

    def row(self) -> str:
        """A row of the table."""
        honest, outcomes, memory = self.honest, self.honest.outcomes, self.memory
        unanswered = ", ".join(f"{count} {what}" for what, count in self._unanswered().items()) or "-"
        cells = (
            f"{self.name:29}",
            *(f"{mib:5.0f}" for mib in (self.peak_mib, memory.kernel_mib, memory.total_mib)),
            *(f"{seconds:5.2f}" for seconds in (honest.slowest_served, honest.slowest)),
            f"{outcomes['answered']:4}",
            f"{unanswered:12}",
            f"{outcomes['reconnected']:4}",
            f"{self.left_mib:+4.0f}",
            f"{self.files_left:+4}",
            f"{len(self.complaints):4}",
            " ".join(f"{what} {count}" for what, count in self.did.items()),
        )
        return " | ".join(cells)

    def _unanswered(self) -> dict[str, int]:
        return {what: count for what, count in self.honest.outcomes.items() if what not in ("answered", "reconnected")}


HEADINGS = (
    f"{'attack':29} | peak  | kernel| sum   | slow- | by the| ans- | not          | re-  | left | left | bad  | the attackers\n"
    f"{'':29} | MiB   | MiB   | MiB   | est s | clock | wered| answered     | conn.| MiB  | files| lines|"
)


def withstand(name: str, attacks: Sequence[str], seconds: float = SECONDS) -> Measured:
    """Attack a fresh server for some seconds, and see what it comes to."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "config.yaml"
        config.write_text(CONFIGURATION)
        options: list[str | Path] = ["--tls-self-signed", "--config", config]
        cluster = None
        if any(ATTACKS[attack].silent_cluster for attack in attacks):
            cluster = stack.enter_context(StandIn())
            cluster.set_namespace("team", enforce="mps")
            options += ["--kubeconfig", write_kubeconfig(folder / "kubeconfig", cluster.url)]
        server = stack.enter_context(Served(*options, command=[*WITHIN, *COMMAND]))
        if cluster:
            eventually(lambda: server.ops("/readyz").code == 200, "ready")
            cluster.freeze()
        return _withstand(server, name, attacks, seconds)


def _withstand(server: Served, name: str, attacks: Sequence[str], seconds: float) -> Measured:
    warm = Honest(server)
    for _ in range(20):
        warm.ask()
    warm.close()
    server.ops("/metrics")
    time.sleep(0.1)
    files, before, lines = descriptors(server), resident_mib(server), len(server.log)
    reset_peak(server)
    unread_log = any(ATTACKS[attack].unread_log for attack in attacks)
    if unread_log:
        server.stall_log()
    honest = Honest(server)
    with Memory(server) as memory, Attackers(*ports(server), attacks, seconds) as attackers:
        attackers.begin(seconds)
        while attackers.at_work():
            due = time.monotonic() + _PAUSE
            honest.ask()
            time.sleep(max(0.0, due - time.monotonic()))
        did = attackers.did()
    honest.close()
    if unread_log:
        server.read_log()
    _wait_until_recovered(server, before + MOST_LEFT_MIB, files)
    alive = server.alive
    after = Honest(server)
    if alive:
        after.ask()
    after.close()
    return Measured(
        name=name,
        did=did,
        peak_mib=peak_mib(server) if alive else float("nan"),
        memory=memory,
        honest=honest,
        left_mib=resident_mib(server) - before if alive else float("nan"),
        files_left=max(0, descriptors(server) - files - 1) if alive else 0,  # one: of the caller just now
        answers=after.outcomes["answered"] == 1,
        complaints=complaints(server.log[lines:]),
        alive=alive,
        may_fail=len(attacks) // 4,
        many=1.0 if len(attacks) == 1 else 1.5,
    )


def complaints(log: list[Json]) -> list[str]:
    """Lines that tell of a bug: errors, and whatever bypassed the log."""
    return [str(line) for line in log if line.get("raw") or line["level"] in ("error", "critical")]


def _wait_until_recovered(server: Served, mib: float, files: int) -> None:
    until = time.monotonic() + _RECOVERY
    while server.alive and time.monotonic() < until:
        if resident_mib(server) <= mib and descriptors(server) <= files:
            return
        time.sleep(0.1)


def main(names: Sequence[str]) -> int:
    """Print the table; the exit code says whether the server withstood everything."""
    sys.stdout.write(f"{HEADINGS}\n")
    failed = 0
    for name in names or (*ATTACKS, "together"):
        measured = withstand(name, TOGETHER if name == "together" else [name])
        shortcomings = measured.shortcomings()
        failed += bool(shortcomings)
        sys.stdout.write("".join((measured.row(), "\n", *(f"    {what}\n" for what in shortcomings))))
        sys.stdout.flush()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

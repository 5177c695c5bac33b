"""On the wire: throughput and latency of gpuwarden over TLS, beside a constant answer and the usual FastAPI handler."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import jsonpatch
import msgspec

from benchmarks import reviews
from benchmarks.processes import Cores, post
from benchmarks.reviews import CASES, NO_GPU, ONE, Case
from benchmarks.samples import Spread, ratios
from benchmarks.servers import GPUWARDEN, USUAL, WIRE, Files, Server, gpuwarden, rival
from benchmarks.wrk import Load, Wrk

Tell = Callable[[str], None]

CONNECTIONS = (1, 16, 64)
MUTATE, VALIDATE = "mutate", "validate"
BAR_CONNECTIONS = 16  # where the bars are
_SERVERS = (GPUWARDEN, WIRE, USUAL)


class Measured(msgspec.Struct, frozen=True):
    """One server asked one thing over so many connections: rounds summed up; times in microseconds.

    ``cpu`` is the server's processor time a review: what is left of a comparison on a machine that does other things too.
    ``of_wire`` and ``p99_of_wire`` are to the wire in the same round.
    """

    path: str
    case: str
    connections: int
    server: str
    rounds: int
    throughput: Spread
    p50: Spread
    p99: Spread
    cpu: Spread
    of_wire: Spread
    p99_of_wire: Spread


class _Run(msgspec.Struct, frozen=True):
    """What the client measured in one run, and the server's processor time meanwhile, in seconds."""

    load: Load
    cpu: float


class Plan(msgspec.Struct, frozen=True):
    """How much is measured: rounds over everything, and further rounds over what has a bar."""

    rounds: int
    more_rounds: int
    seconds: int
    connections: tuple[int, ...] = CONNECTIONS


class Asked(msgspec.Struct, frozen=True):
    """A path, a case, the bodies to send, and how large gpuwarden's answer is."""

    path: str
    case: Case
    bodies: Path
    size: int

    def url(self, server: str, port: int) -> str:
        """Where a server is asked this, as the API server asks: with its timeout in the query."""
        path = self.size if server == WIRE else self.path
        return f"https://127.0.0.1:{port}/{path}?timeout=10s"


def measure(cores: Cores, folder: Path, plan: Plan, tell: Callable[[str], None]) -> list[Measured]:
    """Ask every server everything, in turns.

    Raises:
        MissingError: wrk is not installed.
        RuntimeError: a server failed, or gave a wrong answer.
    """
    wrk = Wrk(cores, folder)
    files = Files(folder / "files")
    with ExitStack() as stack:
        own = stack.enter_context(gpuwarden(files, cores))
        own.running.wait_until(own.ready, GPUWARDEN)
        sizes = _sizes(files, own.port)
        # Idle servers cost the one that is asked nothing, so all run at once, on one core.
        others = {
            name: stack.enter_context(rival(name, files, cores, sorted(set(sizes.values())))) for name in (WIRE, USUAL)
        }
        running: dict[str, Server] = {GPUWARDEN: own, **others}
        asked = list(_asked(wrk, files, {name: server.port for name, server in running.items()}, sizes))
        runs: dict[tuple[str, str, int, str], list[_Run]] = {}
        for number in range(plan.rounds + plan.more_rounds):
            tell(f"on the wire: round {number + 1} of {plan.rounds + plan.more_rounds}")
            for one in asked:
                for connections in plan.connections:
                    if number >= plan.rounds and not _has_a_bar(one, connections):
                        continue
                    # Each round begins with another server, so that none is always the one after a pause.
                    for name in _SERVERS[number % len(_SERVERS) :] + _SERVERS[: number % len(_SERVERS)]:
                        run = _run(wrk, one, name, running[name], connections, plan.seconds)
                        runs.setdefault((one.path, one.case.name, connections, name), []).append(run)
    return [_measured(*key, found, runs[*key[:3], WIRE]) for key, found in runs.items()]


def _run(wrk: Wrk, asked: Asked, name: str, server: Server, connections: int, seconds: int) -> _Run:  # noqa: PLR0913, PLR0917 - who asks whom what
    before = server.running.cpu_seconds
    load = wrk.run(asked.url(name, server.port), asked.bodies, connections, seconds)
    return _Run(load, server.running.cpu_seconds - before)


def _has_a_bar(asked: Asked, connections: int) -> bool:
    return asked.path == MUTATE and asked.case in (ONE, NO_GPU) and connections == BAR_CONNECTIONS


def _measured(path: str, case: str, connections: int, server: str, runs: list[_Run], wire: list[_Run]) -> Measured:  # noqa: PLR0913, PLR0917 - a key in full
    loads, references = [run.load for run in runs], [run.load for run in wire]
    return Measured(
        path,
        case,
        connections,
        server,
        len(loads),
        throughput=Spread.of([load.throughput for load in loads]),
        p50=Spread.of([load.p50 for load in loads]),
        p99=Spread.of([load.p99 for load in loads]),
        cpu=Spread.of([run.cpu / run.load.requests * 1e6 for run in runs]),
        of_wire=ratios([load.throughput for load in loads], [load.throughput for load in references]),
        p99_of_wire=ratios([load.p99 for load in loads], [load.p99 for load in references]),
    )


def _bodies(files: Files, port: int, path: str, case: Case) -> list[bytes]:
    """What is sent: pods as they arrive to ``/mutate``, as they are after it to ``/validate``."""
    arriving = reviews.bodies(case)
    if path == MUTATE:
        return arriving
    return [_patched(body, _answer(files, port, MUTATE, body)) for body in arriving]


def _patched(body: bytes, answer: dict[str, object]) -> bytes:
    review = json.loads(body)
    if patch := answer.get("patch"):
        operations = json.loads(base64.b64decode(str(patch)))
        review["request"]["object"] = jsonpatch.apply_patch(review["request"]["object"], operations)
    return reviews.encode(review)


def _answer(files: Files, port: int, path: str, body: bytes) -> dict[str, object]:
    response: dict[str, object] = json.loads(post(port, f"/{path}?timeout=10s", body, files.trust))["response"]
    return response


def _sizes(files: Files, port: int) -> dict[tuple[str, Case], int]:
    """How large gpuwarden's answers are: the wire's are as large."""
    return {
        (path, case): len(post(port, f"/{path}", _bodies(files, port, path, case)[0], files.trust))
        for path in (MUTATE, VALIDATE)
        for case in CASES
    }


def _asked(wrk: Wrk, files: Files, ports: dict[str, int], sizes: dict[tuple[str, Case], int]) -> Iterator[Asked]:
    """Everything that is asked, after a look at whether the answers are right: a fast wrong one is worth nothing."""
    for (path, case), size in sizes.items():
        bodies = _bodies(files, ports[GPUWARDEN], path, case)
        for server in (GPUWARDEN, USUAL):
            answer = _answer(files, ports[server], path, bodies[0])
            if answer["allowed"] is not True or ("patch" in answer) != (path == MUTATE and case.gpu):
                raise RuntimeError(f"{server} /{path} answers {case.name} wrongly: {answer}")
        yield Asked(path, case, wrk.write(f"{path}-{case.name.replace(' ', '-')}", bodies), size)

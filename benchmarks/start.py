"""Start and memory: process start to ready, and resident memory idle, after many reviews, with very many namespaces."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks import reviews
from benchmarks.processes import Cores
from benchmarks.reviews import ONE
from benchmarks.samples import Spread
from benchmarks.servers import GPUWARDEN, Files, Gpuwarden, gpuwarden, in_a_pod
from benchmarks.wrk import Wrk
from testing.stand_in.apiserver import StandIn

NAMESPACES = 20_000
WARM_UP, REVIEWS = 50_000, 300_000
CONNECTIONS = 16
_SETTLE_SECONDS = 3.0  # the decision log writes what waits


class Measured(msgspec.Struct, frozen=True):
    """Seconds and mebibytes.

    Attributes:
        ready_seconds: process start to ``/readyz`` 200, without a cluster.
        idle: resident memory once ready.
        warm: after the first reviews, when every buffer and cache has its size.
        after: after ``reviews`` more.
        reviews: how many those were.
        namespaces_idle: resident with ``namespaces`` namespaces watched.
        namespaces_ready_seconds: process start to ready with them; most of it is the stand-in API server's.
    """

    ready_seconds: Spread
    idle: float
    warm: float
    after: float
    reviews: int
    namespaces: int
    namespaces_idle: float
    namespaces_ready_seconds: float

    @property
    def growth(self) -> float:
        """Mebibytes that the reviews left behind."""
        return self.after - self.warm


class Plan(msgspec.Struct, frozen=True):
    """How much is measured."""

    starts: int
    warm_up: int = WARM_UP
    reviews: int = REVIEWS
    namespaces: int = NAMESPACES
    settle_seconds: float = _SETTLE_SECONDS


def measure(cores: Cores, folder: Path, plan: Plan, tell: Callable[[str], None]) -> Measured:
    """Start it several times, load it, give it a large cluster."""
    files = Files(folder / "files")
    with gpuwarden(files, cores) as server:  # not measured: it leaves the bytecode, which an installed package has
        server.running.wait_until(server.ready, GPUWARDEN)
    ready = []
    for number in range(plan.starts):
        tell(f"start: {number + 1} of {plan.starts}")
        with gpuwarden(files, cores) as server:
            ready.append(server.running.wait_until(server.ready, GPUWARDEN))
    tell(f"memory: {plan.reviews} reviews")
    idle, warm, after, sent = _under_load(cores, folder, files, plan)
    tell(f"memory: {plan.namespaces} namespaces")
    large, seconds = _in_a_large_cluster(cores, folder, files, plan)
    return Measured(Spread.of(ready), idle, warm, after, sent, plan.namespaces, large, round(seconds, 3))


def _under_load(cores: Cores, folder: Path, files: Files, plan: Plan) -> tuple[float, float, float, int]:
    wrk = Wrk(cores, folder)
    bodies = wrk.write("memory", reviews.bodies(ONE))
    with gpuwarden(files, cores) as server:
        server.running.wait_until(server.ready, GPUWARDEN)
        idle = server.running.resident_mebibytes
        _send(wrk, bodies, server, plan.warm_up)
        warm = _settled(server, plan)
        sent = _send(wrk, bodies, server, plan.reviews)
        return idle, warm, _settled(server, plan), sent


def _send(wrk: Wrk, bodies: Path, server: Gpuwarden, least: int) -> int:
    sent = 0
    while sent < least:
        sent += wrk.run(f"https://127.0.0.1:{server.port}/mutate", bodies, CONNECTIONS, 1).requests
    return sent


def _settled(server: Gpuwarden, plan: Plan) -> float:
    """Resident memory once what waits is written."""
    time.sleep(plan.settle_seconds)
    return server.running.resident_mebibytes


def _in_a_large_cluster(cores: Cores, folder: Path, files: Files, plan: Plan) -> tuple[float, float]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    with StandIn(tls) as cluster:
        cluster.fill(plan.namespaces, enforce=reviews.POLICY)
        pod = in_a_pod(files, folder / "account", cluster.port)
        with gpuwarden(
            files, cores, pod=pod
        ) as server:  # not measured, as above: it leaves the bytecode that only a cluster needs
            server.running.wait_until(server.ready, "gpuwarden with a large cluster")
        with gpuwarden(files, cores, pod=pod) as server:
            seconds = server.running.wait_until(server.ready, "gpuwarden with a large cluster")
            known = server.metric("gpuwarden_namespaces")
            if known != plan.namespaces:
                raise RuntimeError(f"gpuwarden knows {known:.0f} of {plan.namespaces} namespaces")
            return _settled(server, plan), seconds

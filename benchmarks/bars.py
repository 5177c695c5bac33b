"""The bars: what the measurements must reach, and whether they do."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from benchmarks import checking, cluster, engine, on_the_wire, start
from benchmarks.on_the_wire import BAR_CONNECTIONS, MUTATE
from benchmarks.reviews import NO_GPU, ONE, Case
from benchmarks.servers import GPUWARDEN, USUAL

# What grows by less than this over a hundred or two thousand times as much is flat: rounds of one and the same thing differ
# by half as much.
_FLAT = 1.1
# Pages that the allocator keeps by chance: readings under the same load differ by 1. It is 7 bytes a review, and the smallest
# thing that can be left behind by each, a place in a list, has 8.
_NO_GROWTH_MEBIBYTES = 2.0


class Bar(msgspec.Struct, frozen=True):
    """One bar: ``measured`` must be at least, or at most, ``wanted``."""

    name: str
    measured: float
    relation: str
    wanted: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is reached."""
        return self.measured >= self.wanted if self.relation == "≥" else self.measured <= self.wanted


def on_wire(measured: Iterable[on_the_wire.Measured]) -> Iterator[Bar]:
    """Throughput and latency beside the wire and the usual way, at 16 connections."""
    found = {
        (each.server, each.case): each
        for each in measured
        if each.path == MUTATE and each.connections == BAR_CONNECTIONS
    }

    def of(server: str, case: Case) -> on_the_wire.Measured:
        return found[server, case.name]

    own, usual = of(GPUWARDEN, ONE), of(USUAL, ONE)
    at = f"{BAR_CONNECTIONS} connections"
    yield Bar(f"throughput, 1 container, {at}, relative to wire", own.of_wire.median, "≥", 0.6, "x")
    # Both are to the wire of their own round, so what slowed a round down is in neither.
    yield Bar(
        f"throughput, 1 container, {at}, relative to usual", own.of_wire.median / usual.of_wire.median, "≥", 2.5, "x"
    )
    yield Bar(f"p99, 1 container, {at}, relative to wire", own.p99_of_wire.median, "≤", 2.0, "x")
    yield Bar(f"throughput, no GPU, {at}, relative to wire", of(GPUWARDEN, NO_GPU).of_wire.median, "≥", 0.8, "x")


def of_engine(measured: engine.Measured) -> Iterator[Bar]:
    """Cost of one review and its growth."""
    one = measured.cases[ONE.name].median
    yield Bar("decode, decide, encode, 1 container", one, "≤", 20.0, "µs")
    yield Bar("cost of 20 containers, relative to 1", measured.cases["20 containers"].median / one, "≤", 6.0, "x")
    yield _flat(
        "cost with 1,000 configured policies, relative to 1", [each.median for each in measured.policies.values()]
    )
    yield _flat("cost with 20,000 namespaces, relative to 10", [each.median for each in measured.namespaces.values()])


def _flat(name: str, medians: Sequence[float]) -> Bar:
    return Bar(name, medians[-1] / medians[0], "≤", _FLAT, "x")


def of_start(measured: start.Measured) -> Iterator[Bar]:
    """Start and memory."""
    yield Bar("start to ready, without a cluster", measured.ready_seconds.median, "≤", 0.6, "s")
    yield Bar(f"resident, {measured.namespaces:,} namespaces", measured.namespaces_idle, "≤", 72.0, "MiB")
    yield Bar(f"growth over {measured.reviews:,} reviews", measured.growth, "≤", _NO_GROWTH_MEBIBYTES, "MiB")


def of_cluster(measured: cluster.Measured) -> Iterator[Bar]:
    """What the API server's own decision adds to the creation of a pod, where it has the kind."""
    medians = {way: spread.median for way, spread in measured.milliseconds.items()}
    if cluster.COMPILED not in medians:
        return
    own = medians[cluster.COMPILED]
    yield Bar(f"{cluster.COMPILED}, above no webhook", own - medians[cluster.WITHOUT], "≤", 1.0, "ms")
    yield Bar(f"{cluster.COMPILED}, of a hand-written policy", own / medians[cluster.HAND_WRITTEN], "≤", 1.1, "x")


def of_checking(measured: checking.Measured) -> Iterator[Bar]:
    """Manifests a second, by the report."""
    for output, a_second in measured.a_second.items():
        yield Bar(f"check, {measured.manifests:,} manifests, as {output}", a_second.median, "≥", 1_000, "a second")

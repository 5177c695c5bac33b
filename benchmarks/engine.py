"""The engine alone: decode, decide and encode one review, in a process of its own, and how that grows."""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from benchmarks import reviews
from benchmarks.processes import Cores
from benchmarks.reviews import CASES, ONE, Case
from benchmarks.samples import Spread
from webhook.adapters import logs
from webhook.adapters.configuration import file as configuration_file
from webhook.adapters.decision_log import DecisionLog
from webhook.adapters.metrics import Metrics
from webhook.adapters.namespace_file import FileNamespaces
from webhook.application.admission import Admission
from webhook.application.recorder import RecordedDecision, Recorder
from webhook.engine.namespace_labels import NamespaceLabels

FEW_POLICIES, FEW_NAMESPACES = 20, 200
POLICIES = (1, 10, 100, 1_000)
NAMESPACES = (10, 100, 1_000, 20_000)


class Measured(msgspec.Struct, frozen=True):
    """Microseconds a review, the median of each round summed up.

    Attributes:
        cases: by kind of pod: decode, decide, encode.
        recorded: the same with what production records of it, metrics and the decision log's line in its queue.
        policies: one container, by the number of configured policies.
        namespaces: one container, by the number of cached namespaces.
    """

    cases: dict[str, Spread]
    recorded: dict[str, Spread]
    policies: dict[str, Spread]
    namespaces: dict[str, Spread]


class _Nobody:
    def decided(self, recorded: RecordedDecision) -> None:
        """Keeps nothing."""


class _All:
    def __init__(self, *recorders: Recorder) -> None:
        self._recorders = recorders

    def decided(self, recorded: RecordedDecision) -> None:
        for recorder in self._recorders:
            recorder.decided(recorded)


def measure(cores: Cores, rounds: int, reviews_a_round: int) -> Measured:
    """Measure in a process on the server's core, whose log lines go nowhere.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "benchmarks.engine", str(rounds), str(reviews_a_round)]
    with cores.pinned(cores.server):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}; start it by hand to see why")
    return msgspec.json.decode(done.stdout, type=Measured)


def measure_here(rounds: int, reviews_a_round: int) -> Measured:
    """Measure everything in turns, so many reviews of each a round."""
    nobody = _Nobody()
    ordinary = _admission(nobody, FEW_POLICIES, FEW_NAMESPACES)
    contenders: dict[tuple[str, str], tuple[Admission, Case]] = {}
    for case in CASES:
        contenders["cases", case.name] = ordinary, case
    for count in POLICIES:
        contenders["policies", str(count)] = _admission(nobody, count, FEW_NAMESPACES), ONE
    for count in NAMESPACES:
        contenders["namespaces", str(count)] = _admission(nobody, FEW_POLICIES, count), ONE
    medians = _rounds(contenders, rounds, reviews_a_round)
    # Last, so that lines which are still being written slow nothing else down.
    with _production_recorders() as recorders:
        recording = _admission(recorders, FEW_POLICIES, FEW_NAMESPACES)
        medians |= _rounds({("recorded", case.name): (recording, case) for case in CASES}, rounds, reviews_a_round)
    return Measured(*(_of(medians, what) for what in ("cases", "recorded", "policies", "namespaces")))


def _rounds(
    contenders: Mapping[tuple[str, str], tuple[Admission, Case]], rounds: int, reviews_a_round: int
) -> dict[tuple[str, str], list[float]]:
    """Medians in microseconds, a round of all contenders after the other."""
    bodies = {case: reviews.bodies(case) for case in CASES}
    medians: dict[tuple[str, str], list[float]] = {key: [] for key in contenders}
    # As serve does: what lives as long as the process is not looked at in the middle of a review.
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for key, (admission, case) in contenders.items():
            medians[key].append(_microseconds(admission, bodies[case], reviews_a_round))
    return medians


def _of(medians: Mapping[tuple[str, str], Sequence[float]], what: str) -> dict[str, Spread]:
    return {name: Spread.of(values) for (kind, name), values in medians.items() if kind == what}


def _admission(recorder: Recorder, policies: int, namespaces: int) -> Admission:
    configuration = configuration_file.parse(json.dumps(reviews.configuration(policies)))
    listed = (made["metadata"] for made in reviews.namespaces(namespaces))
    labels = {metadata["name"]: NamespaceLabels.of(metadata["labels"]) for metadata in listed}
    return Admission(configuration, FileNamespaces(labels), recorder)


@contextmanager
def _production_recorders() -> Iterator[Recorder]:
    """What ``gpuwarden serve`` puts together."""
    logs.configure(logs.LogFormat.JSON, logs.LogLevel.INFO)
    log = DecisionLog(lambda *_: None)
    yield _All(Metrics(), log)
    log.write()


def _microseconds(admission: Admission, bodies: Sequence[bytes], count: int) -> float:
    """The median time of one review, in microseconds."""
    taken = []
    clock = time.perf_counter
    for number in range(count):
        body = bodies[number % len(bodies)]
        began = clock()
        answer = admission.mutate(body)
        taken.append(clock() - began)
        if not isinstance(answer, bytes):
            raise RuntimeError("the answer waits for something")  # noqa: TRY004 - a fault of ours
    taken.sort()
    return taken[count // 2] * 1e6


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measure_here(int(sys.argv[1]), int(sys.argv[2]))))

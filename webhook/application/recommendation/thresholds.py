"""Thresholds of verdicts, each with where it comes from."""

from collections.abc import Iterable
from difflib import get_close_matches

import msgspec


class Threshold(msgspec.Struct, frozen=True):
    """A threshold: its name on the command line, default, range, what it decides and its source."""

    name: str
    default: float
    least: float
    most: float
    decides: str
    source: str


TABLE = (
    Threshold(
        "minimum-days", 3, 0, 365, "days between the first and the last sample; with less there is no verdict",
        "ours; VPA needs 8 days for narrow bounds (FAQ of Goldilocks), GKE's recommender 15",
    ),
    Threshold(
        "minimum-coverage", 0.5, 0, 1,
        "share of the samples expected at the interval of the densest hour; with less there is no verdict", "ours",
    ),
    Threshold(
        "minimum-points", 100, 1, 1e9, "samples; with less there is no verdict", "KRR, strategies/simple.py: points_required",
    ),
    Threshold(
        "unused-below", 0.001, 0, 1, "a GPU whose use never reached this share counts as not used",
        "gpu-pruner uses 0 over 30 minutes; a request of 100 ms is 0.003 of a sample of 30 s, the exporter's interval",
    ),
    Threshold(
        "unused-coverage", 0.9, 0, 1,
        "share of the samples between the first and the last one; with less, no GPU is reported as unused", "ours",
    ),
    Threshold(
        "idle-below", 0.01, 0, 1, "a sample below this share counts as idle; it takes effect when usage is read", "ours",
    ),
    Threshold(
        "memory-headroom", 0.15, 0, 10, "added to the maximum memory in use",
        "KRR, strategies/simple.py: memory_buffer_percentage",
    ),
    Threshold(
        "flat-memory", 0.95, 0, 1, "memory that stays above this share of its maximum for 95 % of the time is flat", "ours",
    ),
    Threshold(
        "preallocated-memory", 0.7, 0, 1,
        "flat memory above this share of the device counts as preallocated: how much of it is needed is unknown",
        "JAX preallocates 0.75, vLLM 0.9, TensorFlow nearly all",
    ),
    Threshold(
        "clients", 4, 2, 48, "pods that share a GPU, if the nodes do not report how many", "ours",
    ),
    Threshold(
        "burst", 0.5, 0, 1, "use that reaches this share at times is bursty: time-slicing suits it, otherwise MPS", "ours",
    ),
    Threshold(
        "batch-together", 0.7, 0, 1,
        "servers of one model whose total use is below this share of a GPU fit one process",
        "ours; SageMaker Debugger's LowGPUUtilization calls a GPU underused below a p95 of 70 %",
    ),
)  # fmt: skip


class ThresholdError(Exception):
    """Thresholds that can't be used; ``problems`` are sentences, one for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Thresholds(msgspec.Struct, frozen=True, rename="kebab"):
    """The values in use."""

    minimum_days: float = 3
    minimum_coverage: float = 0.5
    minimum_points: float = 100
    unused_below: float = 0.001
    unused_coverage: float = 0.9
    idle_below: float = 0.01
    memory_headroom: float = 0.15
    flat_memory: float = 0.95
    preallocated_memory: float = 0.7
    clients: float = 4
    burst: float = 0.5
    batch_together: float = 0.7


def parse(texts: Iterable[str]) -> Thresholds:
    """Read ``NAME=VALUE`` texts; what they do not name has its default.

    Raises:
        ThresholdError: for all that can't be read, each with the nearest that can.
    """
    known = {one.name: one for one in TABLE}
    values = {name: one.default for name, one in known.items()}
    problems = []
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in known:
            close = get_close_matches(name, known, n=1, cutoff=0.5)
            meant = f'did you mean "{close[0]}"?' if close else f"the names are {', '.join(known)}"
            problems.append(f'"{text}": there is no threshold "{name}"; {meant}')
            continue
        one = known[name]
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not one.least <= number <= one.most:
            problems.append(f'"{text}": write a number from {one.least:g} to {one.most:g}')
        values[name] = number
    if problems:
        raise ThresholdError(problems)
    return Thresholds(**{name.replace("-", "_"): value for name, value in values.items()})

"""Finds the hours in which a compute metric fails: it is missing, or it is 0 although the GPU was in use.

Profiling metrics do both while another program uses the GPU's profiler. After errors of it, they are 0 until DCGM is restarted
(NVIDIA/dcgm-exporter issue 662, NVIDIA/DCGM issue 303).
"""

from collections.abc import Collection, Iterable, Mapping

from ...application.recommendation.usage import Metric
from . import expressions
from .dcgm import Key, PodLabels
from .pod_devices import PodDevices
from .pod_numbers import numbers
from .query_batches import QueryBatches


def gaps(batches: QueryBatches, found: PodDevices, metric: Metric, keys: Iterable[Key]) -> dict[Key, float]:
    """Return the share of the measured hours since a metric's first sample that have samples of memory only.

    Raises:
        QueryError: there was no usable answer.
    """
    shares = _gaps(batches, found, metric, keys, since_first=False)
    # Few have gaps, so few are asked about the hours before the first sample, as if the metric was enabled within the window.
    some = [key for key, share in shares.items() if share]
    return shares | _gaps(batches, found, metric, some, since_first=True)


def zeros(
    batches: QueryBatches, found: PodDevices, metric: Metric, lesser: Mapping[Key, Collection[Metric]]
) -> dict[Key, float]:
    """Return the share of the hours in which a lesser metric of a container's device is above 0 and this one is always 0.

    Raises:
        QueryError: there was no usable answer.
    """
    shares: dict[Key, float] = {}
    for others in sorted({tuple(one) for one in lesser.values()} - {()}):

        def query(family: PodLabels, which: str, others: Collection[Metric] = others) -> str:
            return expressions.zeros(metric, others, family, which, batches.window)

        keys = [key for key, one in lesser.items() if tuple(one) == others]
        for key, stats in numbers(batches, f"zeros of {metric}", found, keys, query).items():
            shares[key] = max(stats.get("zeros", ()), default=0)
    return shares


def _gaps(
    batches: QueryBatches, found: PodDevices, metric: Metric, keys: Iterable[Key], *, since_first: bool
) -> dict[Key, float]:
    def query(family: PodLabels, which: str) -> str:
        return expressions.gaps(metric, family, which, batches.window, since_first=since_first)

    read = numbers(batches, f"gaps of {metric}", found, keys, query)
    return {key: max(stats.get("gaps", ()), default=0) for key, stats in read.items()}

"""Finds the hours in which the compute metric of a device is missing, although its memory was measured."""

from collections.abc import Iterable, Mapping

from ...application.recommendation.usage import Metric
from . import expressions
from .dcgm import Key, PodLabels
from .pod_devices import PodDevices
from .pod_numbers import numbers
from .query_batches import QueryBatches


def gaps(
    batches: QueryBatches, found: PodDevices, chosen: Mapping[Key, Metric | None], keys: Iterable[Key]
) -> dict[Key, float]:
    """Return the share of the hours since the first sample of the chosen metric that have samples of memory only.

    Raises:
        QueryError: there was no usable answer.
    """
    shares = _shares(batches, found, chosen, keys, since_first=False)
    # Few have gaps, so few are asked about the hours before the first sample, as if the metric was enabled within the window.
    some = [key for key, share in shares.items() if share]
    return shares | _shares(batches, found, chosen, some, since_first=True)


def _shares(
    batches: QueryBatches,
    found: PodDevices,
    chosen: Mapping[Key, Metric | None],
    keys: Iterable[Key],
    *,
    since_first: bool,
) -> dict[Key, float]:
    shares: dict[Key, float] = {}
    for metric in Metric:

        def query(family: PodLabels, which: str, metric: Metric = metric) -> str:
            return expressions.gaps(metric, family, which, batches.window, since_first=since_first)

        of_metric = [key for key in keys if chosen[key] is metric]
        for key, one in numbers(batches, f"gaps of {metric}", found, of_metric, query).items():
            shares[key] = max(one.get("gaps", ()), default=0)
    return shares

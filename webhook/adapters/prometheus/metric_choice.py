"""Chooses the compute metric of each device, and reads its numbers; one that fails is replaced by the next best."""

from collections.abc import Mapping

from ...application.recommendation.usage import MOST_GAPS, Metric
from ...engine.text import plural
from . import expressions, metric_failures
from .dcgm import Key, PodLabels
from .device_sharing import Sharing
from .pod_devices import PodDevice, PodDevices
from .pod_numbers import Numbers, numbers
from .query_batches import QueryBatches


def choose(found: PodDevices, sharing: Sharing) -> dict[Key, Metric | None]:
    """Return the best metric of each container's device; ``None`` if none is meaningful."""
    return {key: _best(key, one, sharing) for key, one in found.items()}


def compute(batches: QueryBatches, found: PodDevices, chosen: dict[Key, Metric | None], idle_below: float) -> Numbers:
    """Return the numbers of the chosen metrics, and the share of the hours in which they are missing (``gaps``).

    A metric that is missing, or 0 although a lesser one is not, for too many hours is replaced by the next, which is never lower.

    Args:
        batches: how to read.
        found: the containers on devices.
        chosen: the metric of each; replacements are written into it.
        idle_below: a sample below this share counts as idle.

    Raises:
        QueryError: there was no usable answer.
    """
    result: Numbers = {}
    failed: dict[Key, tuple[float, Metric, str, str]] = {}
    for metric in Metric:

        def query(_: PodLabels, which: str, metric: Metric = metric) -> str:
            return expressions.compute(metric, which, batches.window, idle_below)

        keys = [key for key in found if chosen[key] is metric]
        read = numbers(batches, str(metric), found, keys, query)
        lesser = {key: _lesser(key, found[key], metric) for key in read}
        idle = {key: lesser[key] for key, one in read.items() if any(one.get("idle", (1,))) or not idle_below}
        zeros = metric_failures.zeros(batches, found, metric, idle)
        gaps = metric_failures.gaps(batches, found, metric, read)
        for key in list(read):
            read[key]["gaps"] = [gaps.get(key, 0)]
            share, how, hours = max(
                (gaps.get(key, 0), "missing", "memory was measured"), (zeros.get(key, 0), "0", "its GPU was in use")
            )
            if share > MOST_GAPS and lesser[key]:
                failed.setdefault(key, (share, metric, how, hours))
                chosen[key] = lesser[key][0]
                del read[key]
        result |= read
    batches.notes += _said(failed, chosen)
    return result


def _said(failed: Mapping[Key, tuple[float, Metric, str, str]], chosen: Mapping[Key, Metric | None]) -> list[str]:
    """Return a note about the pods whose metric was replaced, if there are any; it names the worst."""
    if not failed:
        return []
    key, (share, metric, how, hours) = max(failed.items(), key=lambda one: (one[1][0], str(one[0])))
    note = (
        f"{metric} of {key.namespace}/{key.pod} is {how} for {share * 100:.0f} % of the hours in which {hours}, so {chosen[key]} "
        f"counts; does another program use the GPU's profiler then, or does DCGM need a restart? ({plural(len(failed), 'pod')})"
    )
    return [note]


def _usable(key: Key, one: PodDevice) -> list[Metric]:
    """The metrics that a device has and that are meaningful for it, the best first."""
    is_slice = key.device.slice or one.profile
    return [metric for metric in Metric if metric in one.metrics and not (is_slice and metric is Metric.GPU_UTIL)]


def _lesser(key: Key, one: PodDevice, metric: Metric) -> list[Metric]:
    """The usable metrics of a device after one of them, the best first."""
    usable = _usable(key, one)
    return usable[usable.index(metric) + 1 :]


def _best(key: Key, one: PodDevice, sharing: Sharing) -> Metric | None:
    """Return the best metric of a device; for a shared device one that differs between its pods, if there is any."""
    usable = _usable(key, one)
    best = next(iter(usable), None)
    if best is None or not sharing.get(best, {}).get(key.device, (1, False))[1]:
        return best
    # A metric is per pod only if it differs between the pods of the device.
    apart = (metric for metric in usable if sharing.get(metric, {}).get(key.device, (1, True))[1] is False)
    return next(apart, best)

"""Chooses the compute metric of each device, and reads its numbers; one that fails is replaced by the next best.

Profiling metrics are 0, not missing, while another program uses the GPU's profiler, and after errors of it until DCGM is
restarted (NVIDIA/dcgm-exporter issue 662, NVIDIA/DCGM issue 303), so a 0 counts only if no other metric says otherwise.
"""

from collections.abc import Collection, Mapping

from ...application.recommendation.usage import MOST_GAPS, Metric
from ...engine.text import plural
from . import expressions
from .dcgm import Key, PodLabels
from .device_sharing import Sharing
from .pod_devices import PodDevice, PodDevices
from .pod_numbers import Numbers, numbers
from .query_batches import QueryBatches


def choose(found: PodDevices, sharing: Sharing) -> dict[Key, Metric | None]:
    """Return the best metric of each container's device; ``None`` if none is meaningful."""
    return {key: _best(key, one, sharing) for key, one in found.items()}


def compute(batches: QueryBatches, found: PodDevices, chosen: dict[Key, Metric | None], idle_below: float) -> Numbers:
    """Return the numbers of the chosen metrics.

    A metric that is 0 for too many of the hours in which a lesser one is not is replaced by the next.

    Args:
        batches: how to read.
        found: the containers on devices.
        chosen: the metric of each; replacements are written into it.
        idle_below: a sample below this share counts as idle.

    Raises:
        QueryError: there was no usable answer.
    """
    result: Numbers = {}
    failed: dict[Key, tuple[Metric, float]] = {}
    for metric in Metric:

        def query(_: PodLabels, which: str, metric: Metric = metric) -> str:
            return expressions.compute(metric, which, batches.window, idle_below)

        keys = [key for key in found if chosen[key] is metric]
        read = numbers(batches, str(metric), found, keys, query)
        idle = [key for key, one in read.items() if any(one.get("idle", (1,))) or not idle_below]
        for key, share in _zeros(batches, found, idle, metric).items():
            if share > MOST_GAPS:
                failed.setdefault(key, (metric, share))
                chosen[key] = _lesser(key, found[key], metric)[0]
                del read[key]
        result |= read
    batches.notes += _said(failed, chosen)
    return result


def _zeros(batches: QueryBatches, found: PodDevices, keys: Collection[Key], metric: Metric) -> dict[Key, float]:
    """Of containers that are idle at times: the share of the hours in which a lesser metric is above 0 and this one is 0."""
    others = {key: tuple(_lesser(key, found[key], metric)) for key in keys}
    shares: dict[Key, float] = {}
    for lesser in sorted(set(others.values()) - {()}):

        def query(family: PodLabels, which: str, lesser: Collection[Metric] = lesser) -> str:
            return expressions.zeros(metric, lesser, family, which, batches.window)

        compared = [key for key in keys if others[key] == lesser]
        for key, one in numbers(batches, f"zeros of {metric}", found, compared, query).items():
            shares[key] = max(one.get("zeros", ()), default=0)
    return shares


def _said(failed: Mapping[Key, tuple[Metric, float]], chosen: Mapping[Key, Metric | None]) -> list[str]:
    """Return a note about the pods whose metric was replaced, if there are any; it is about the worst."""
    if not failed:
        return []
    key, (metric, share) = max(failed.items(), key=lambda one: (one[1][1], str(one[0])))
    note = (
        f"{metric} of {key.namespace}/{key.pod} is 0 for {share * 100:.0f} % of the hours in which its GPU was in use, so "
        f"{chosen[key]} counts; does another program use the GPU's profiler then, or does DCGM need a restart? "
        f"({plural(len(failed), 'pod')})"
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

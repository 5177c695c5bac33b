"""Chooses the compute metric of each device, and reads its numbers; one that fails is replaced by the next best."""

from ...application.recommendation.usage import Metric
from ...engine.text import plural
from . import expressions
from .dcgm import Key
from .device_sharing import Sharing
from .pod_devices import PodDevice, PodDevices
from .pod_numbers import Numbers, numbers
from .query_batches import QueryBatches


def choose(found: PodDevices, sharing: Sharing) -> dict[Key, Metric | None]:
    """Return the best metric of each container's device; ``None`` if none is meaningful."""
    return {key: _best(key, one, sharing) for key, one in found.items()}


def compute(batches: QueryBatches, found: PodDevices, chosen: dict[Key, Metric | None], idle_below: float) -> Numbers:
    """Return the numbers of the chosen metrics. One that is always 0 while the next best is not is replaced by it.

    Args:
        batches: how to read.
        found: the containers on devices.
        chosen: the metric of each; replacements are written into it.
        idle_below: a sample below this share counts as idle.

    Raises:
        QueryError: there was no usable answer.
    """
    result: Numbers = {}
    failed: dict[Key, Metric] = {}
    for metric in Metric:

        def query(which: str, metric: Metric = metric) -> str:
            return expressions.compute(metric, which, batches.window, idle_below)

        idle = {key for key, one in result.items() if not any(one.get("max", ()))}
        again = {key for key in idle if metric in _usable(key, found[key])}
        keys = [key for key in found if chosen[key] is metric or key in again]
        for key, one in numbers(batches, str(metric), found, keys, query).items():
            if key in again:
                if not any(one.get("max", ())):
                    continue
                failed[key] = metric
            result[key], chosen[key] = one, metric
    for key, metric in list(failed.items())[:1]:
        batches.notes.append(
            f"the profiling metrics of {key.namespace}/{key.pod} are always 0, although {metric} is not, so {metric} counts; "
            f"does another program use the GPU's profiler? ({plural(len(failed), 'pod')})"
        )
    return result


def _usable(key: Key, one: PodDevice) -> list[Metric]:
    """The metrics that a device has and that are meaningful for it, the best first."""
    is_slice = key.device.slice or one.profile
    return [metric for metric in Metric if metric in one.metrics and not (is_slice and metric is Metric.GPU_UTIL)]


def _best(key: Key, one: PodDevice, sharing: Sharing) -> Metric | None:
    """Return the best metric of a device; for a shared device one that differs between its pods, if there is any."""
    usable = _usable(key, one)
    best = next(iter(usable), None)
    if best is None or not sharing.get(best, {}).get(key.device, (1, False))[1]:
        return best
    # A metric is per pod only if it differs between the pods of the device.
    apart = (metric for metric in usable if sharing.get(metric, {}).get(key.device, (1, True))[1] is False)
    return next(apart, best)

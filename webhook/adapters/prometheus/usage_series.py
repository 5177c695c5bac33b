"""Makes the usage of a device by a container from the numbers that were read."""

from collections.abc import Iterable, Mapping, Sequence

from ...application.recommendation.usage import Metric, Series
from . import dcgm, expressions
from .dcgm import Key
from .device_sharing import Sharing
from .pod_devices import PodDevice

_HOUR = 3600.0


def series(  # noqa: PLR0913, PLR0917 - what is known about one container on one device
    key: Key,
    one: PodDevice,
    metric: Metric | None,
    compute: Mapping[str, list[float]],
    memory: Mapping[str, list[float]],
    sharing: Sharing,
    held: float,
) -> Series:
    """Return the usage of a device by a container.

    Args:
        key: which container and device.
        one: what the labels say about them.
        metric: the metric of ``compute``; ``None`` if it is not known.
        compute: the numbers of that metric, by the names in ``expressions.compute``, and its ``gaps``.
        memory: those of memory, bandwidth and video engines, by the names in ``expressions.memory``.
        sharing: how devices are shared.
        held: the maximum memory in use by the series of the device itself, in MiB; 0 if unknown.
    """
    unit = expressions.scale(metric) if metric else 1.0
    total = sum(compute.get("points", ()))
    pods, of_device = sharing.get(metric or "", {}).get(key.device, (1, False))
    pods_of_memory, memory_of_device = sharing.get(dcgm.USED, {}).get(key.device, (1, False))
    used, free = _most(memory.get("used")), min(memory.get("free", ()), default=None)
    hourly = _most(compute.get("hourly"))
    engines = [*memory.get("encoder", ()), *memory.get("decoder", ())]

    def average(name: str, within: str = "points") -> float:
        values, points = compute.get(name, []), compute.get(within, [])
        weights = points if len(points) == len(values) else [1.0] * len(values)
        return sum(map(float.__mul__, values, weights)) / sum(weights) if values else 0.0

    return Series(
        namespace=key.namespace,
        pod=key.pod,
        container=key.container,
        node=one.node,
        uuid=key.device.uuid,
        slice=key.device.slice,
        profile=one.profile,
        model=one.model,
        metric=metric if total else None,
        points=int(total),
        interval=_HOUR / hourly if hourly else 0,
        first=min(compute.get("first", ()), default=0),
        last=_most(compute.get("last")) or 0,
        gaps=_most(compute.get("gaps")) or 0,
        p95=min(1.0, max((*compute.get("p95", ()), *compute.get("p95_by_time", ())), default=0) / unit),
        most=min(1.0, (_most(compute.get("max")) or 0) / unit),
        mean=min(1.0, average("mean") / unit),
        by_time=min(1.0, average("by_time") / unit) if compute.get("by_time") else None,
        working=min(1.0, _working(compute) / unit),
        recent=min(1.0, average("recent_mean", "recent_points") / unit),
        recent_working=min(1.0, _working(compute, "recent_") / unit),
        idle=average("idle"),
        engines=max(engines) / 100 if engines else None,
        # For a device that several pods share, it is the total.
        bandwidth=_most(memory.get("bandwidth")) if pods == 1 else None,
        bandwidth_working=min(1.0, _working(memory, "bandwidth_")) if pods == 1 else 0,
        memory=used,
        memory_earlier=_most(memory.get("earlier")),
        memory_low=min(memory.get("low", ()), default=None),
        memory_points=int(sum(memory.get("counted", ()))),
        # Used, free and reserved add up to the device's memory at any time, so the most used goes with the least free. What
        # a pod's own processes use is less than what is used of the device.
        capacity=None
        if used is None or free is None
        else max(used, held) + free + (_most(memory.get("reserved")) or 0),
        pods=max(pods, pods_of_memory),
        is_slot=one.is_slot,
        compute_of_device=of_device,
        memory_of_device=memory_of_device,
    )


def _working(numbers: Mapping[str, Sequence[float]], within: str = "") -> float:
    """The average of a metric with each sample weighted by its value: E[x²] / E[x]."""
    rows = list(zip(*(numbers.get(within + name, ()) for name in ("points", "mean", "deviation")), strict=False))
    work = sum(points * mean for points, mean, _ in rows)
    return sum(points * (mean**2 + deviation**2) for points, mean, deviation in rows) / work if work else 0.0


def _most(values: Iterable[float] | None) -> float | None:
    return max(values or (), default=None)

"""Measures: a workload's series together, with how much they can be relied on."""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from ...engine.forms import parse
from .thresholds import Thresholds
from .usage import Metric, Series, Usage
from .workloads import Workload

_DAY = 86400.0
_HOUR = 3600.0


class Measures(msgspec.Struct, rename="camel", omit_defaults=True):
    """The usage of a workload, from all its series together.

    Shares are from 0 to 1 of a device. A number that is the highest of the workload's devices is marked (highest).

    Attributes:
        metrics: the metrics that the shares are from.
        days: the time from the first to the last sample.
        points, expected: the number of samples that exist, and that should exist.
        unbroken: the number of samples that should exist from each pod's first to its last sample.
        gaps: the share of the hours in which there are samples of memory, but none of the metrics.
        p95, most: the share in use 95 % of the time at most, and the maximum (highest).
        mean: the average share over all samples.
        by_time: the average share over time, however many samples there are at a time.
        working: the average share while it works: each sample is weighted by its value.
        recent, recent_working: ``mean`` and ``working`` of the last day (highest).
        idle: the share of the time in which less than the idle threshold was in use.
        engines: the maximum use of video encoders or decoders; ``None`` if unknown.
        bandwidth, bandwidth_working: memory bandwidth, as ``p95`` and ``working`` (highest); the first is ``None`` if
            unknown.
        memory: the maximum memory in use on one device, in MiB; ``None`` if unknown.
        memory_earlier: the same in the first half of the window.
        without_memory: the number of containers on devices with too few samples of memory, or with zeros only.
        capacity: the memory of the device, in MiB; ``None`` if unknown.
        flat: the memory in use was nearly constant.
        used: the maximum number of devices of a pod that were in use at once; ``None`` if not all have series.
        incomplete: the number of its pods with series of fewer devices than they request.
        left_out: the number of earlier pods with series of fewer devices than a pod requests now, which are not counted.
        unseen: the number of pods that have run for more than an hour and have no sample in the last day.
        held: the maximum memory in use on a device that was never used, in MiB.
        moved: the same of those whose compute was always 0, but whose memory in use was not nearly constant.
        model, profile: the GPU model and the MIG profile; empty if they differ or are unknown.
        models_differ: the devices are of several models.
        sizes_differ: the devices are whole GPUs and MIG slices, or slices of several profiles.
        whole: none of the devices is a MIG slice.
        shared_by: the number of pods whose total these numbers are; 1 if they are the workload's own.
        pods_at_once: the maximum number of its pods that had samples at the same time.
        sharing_unknown: its GPUs are shared, and the numbers may include other pods.
        memory_shared: the memory is the total of a device that several pods use.
    """

    metrics: tuple[Metric, ...] = ()
    days: float = 0
    points: int = 0
    expected: int = 0
    unbroken: int = 0
    gaps: float = 0
    p95: float = 0
    most: float = 0
    mean: float = 0
    by_time: float = 0
    working: float = 0
    recent: float = 0
    recent_working: float = 0
    idle: float = 0
    engines: float | None = None
    bandwidth: float | None = None
    bandwidth_working: float = 0
    memory: float | None = None
    memory_earlier: float | None = None
    without_memory: int = 0
    capacity: float | None = None
    flat: bool = False
    used: int | None = None
    incomplete: int = 0
    left_out: int = 0
    unseen: int = 0
    held: float = 0
    moved: float = 0
    model: str = ""
    profile: str = ""
    models_differ: bool = False
    sizes_differ: bool = False
    whole: bool = False
    shared_by: int = 1
    pods_at_once: int = 1
    sharing_unknown: bool = False
    memory_shared: bool = False

    @property
    def coverage(self) -> float:
        """The share of the expected samples that exist."""
        return min(1.0, self.points / self.expected) if self.expected else 0.0


def measure(workload: Workload, series: Sequence[Series], usage: Usage, thresholds: Thresholds) -> Measures | None:
    """Return what a workload used; ``None`` without a series that says how much of a device was in use."""
    usable = [one for one in series if one.metric and one.points]
    if not usable:
        return None
    known = _since_it_grew(workload, usable)
    left_out = {one.pod for one in usable} - {one.pod for one in known}
    series = [one for one in series if one.pod not in left_out]
    incomplete = {pod for pod, _ in _incomplete(workload, known)}
    points = sum(one.points for one in known)
    work = sum(one.mean * one.points for one in known)
    memory = max((one for one in series if one.memory is not None), key=lambda one: one.memory or 0, default=None)
    engines = [one.engines for one in series if one.engines is not None]
    form = parse(workload.form)
    is_shared = form is not None and form.shared
    of_device = [one for one in known if one.compute_of_device]
    return Measures(
        metrics=tuple(sorted({one.metric for one in known if one.metric}, key=list(Metric).index)),
        days=_days(known),
        points=points,
        expected=_expected(workload, known, usage),
        unbroken=_spanned(workload, known),
        gaps=sum(one.gaps * one.points for one in known) / points,
        p95=max(one.p95 for one in known),
        most=max(one.most for one in known),
        mean=work / points,
        by_time=sum((one.mean if one.by_time is None else one.by_time) * one.points for one in known) / points,
        working=sum(one.working * one.mean * one.points for one in known) / work if work else 0,
        recent=max(one.recent for one in known),
        recent_working=max(one.recent_working for one in known),
        idle=sum(one.idle * one.points for one in known) / points,
        engines=max(engines, default=None),
        bandwidth=max((one.bandwidth for one in known if one.bandwidth is not None), default=None),
        bandwidth_working=max(one.bandwidth_working for one in known),
        memory=memory.memory if memory else None,
        memory_earlier=max((one.memory_earlier for one in series if one.memory_earlier is not None), default=None),
        without_memory=sum(_lacks_memory(one, thresholds) for one in known),
        capacity=memory.capacity if memory else None,
        flat=memory is not None and _is_flat(memory, thresholds),
        used=None if incomplete else _used(workload, known, thresholds),
        incomplete=len(incomplete),
        left_out=len(left_out),
        unseen=_unseen(workload, known, usage),
        held=max((one.memory or 0 for one in known if not is_used(one, thresholds)), default=0),
        moved=max((one.memory or 0 for one in known if _has_moved(one, thresholds)), default=0),
        model=_same(one.model for one in known),
        profile=_same(one.profile for one in known),
        models_differ=len({one.model for one in known} - {""}) > 1,
        sizes_differ=len({(one.is_slice, one.profile) for one in known}) > 1,
        whole=not any(one.is_slice for one in known),
        shared_by=max((one.pods for one in of_device), default=1),
        pods_at_once=_pods_at_once(known),
        # Without KUBERNETES_VIRTUAL_GPUS, the exporter gives the series of a shared GPU to one of its pods.
        sharing_unknown=is_shared and any(one.pods == 1 and not one.is_slot for one in known),
        memory_shared=memory is not None and memory.memory_of_device,
    )


def _expected(workload: Workload, series: Sequence[Series], usage: Usage) -> int:
    """Samples that should be there: while each pod that runs has run, and of deleted pods from first to last."""
    interval = {one.pod: one.interval for one in series if one.interval > 0}
    running = {pod.name: pod for pod in workload.pods if pod.started and not pod.over}
    started = {name: pod.started for name, pod in running.items()}
    expected = 0.0
    for name, pod in running.items():
        seconds = min(usage.window, max(0.0, usage.end - pod.started))
        usual = interval.get(name) or min(interval.values(), default=0)
        expected += (pod.gpus or workload.gpus) * seconds / usual if usual else 0
    # A StatefulSet's pod that was created again has the name of the previous one, and often its series.
    before = (msgspec.structs.replace(one, last=min(one.last, started.get(one.pod, one.last))) for one in series)
    return round(expected) + _spanned(workload, before, started)


def _spanned(workload: Workload, series: Iterable[Series], running: Collection[str] = ()) -> int:
    """The samples expected from each pod's first to its last; those that exist, for a pod that no subquery found twice."""
    spans: dict[str, list[tuple[float, float]]] = {}
    interval: dict[str, float] = {}
    samples = 0.0
    for one in series:
        if one.interval and 0 < one.first < one.last:
            spans.setdefault(one.pod, []).append((one.first, one.last))
            interval[one.pod] = one.interval
        elif one.pod not in running:
            samples += one.points
    for name, found in spans.items():
        # It may have had several GPUs one after another, and the same one twice; at any time it had no more than it requests.
        samples += min(sum(last - first for first, last in found), workload.gpus * _covered(found)) / interval[name]
    return round(samples)


def _lacks_memory(one: Series, thresholds: Thresholds) -> bool:
    """Whether the memory that belongs to the use of a device is unknown; a process that computes always has some."""
    points = one.points if one.memory_points is None else one.memory_points
    return not one.memory or points < thresholds.minimum_coverage * one.points


def _is_flat(one: Series, thresholds: Thresholds) -> bool:
    return (one.memory_low or 0) >= thresholds.flat_memory * (one.memory or 0) > 0


def _has_moved(one: Series, thresholds: Thresholds) -> bool:
    return not one.most and not is_used(one, thresholds) and not _is_flat(one, thresholds)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """How many seconds lie in any of these spans."""
    total = until = 0.0
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, until))
        until = max(until, last)
    return total


def _pods_at_once(series: Iterable[Series]) -> int:
    changes: list[tuple[float, int]] = []  # a pod that ends in the hour in which another begins has ended before it
    spans: dict[str, list[Series]] = {}
    for one in series:
        if 0 < one.first < one.last:
            spans.setdefault(one.pod, []).append(one)
    for found in spans.values():
        changes += (min(one.first for one in found), 1), (max(one.last for one in found), -1)
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return max(1, most)


def _days(series: Sequence[Series]) -> float:
    timed = [one for one in series if one.first]
    return (max(one.last for one in timed) - min(one.first for one in timed)) / _DAY if timed else 0


def _places(series: Iterable[Series]) -> dict[tuple[str, str], list[Series]]:
    """Series by pod and node: a pod that was created again under its name may have had other devices."""
    found: dict[tuple[str, str], list[Series]] = {}
    for one in series:
        found.setdefault((one.pod, one.node), []).append(one)
    return found


def _devices(series: Iterable[Series]) -> dict[tuple[str, str], Series]:
    return {(one.uuid, one.slice): one for one in series}


def _incomplete(workload: Workload, series: Iterable[Series]) -> dict[tuple[str, str], list[Series]]:
    """The series of pods with fewer devices than the pod requests (or the workload, if that is unknown), by pod and node."""
    requested = {pod.name: pod.gpus for pod in workload.pods}
    return {
        (pod, node): found
        for (pod, node), found in _places(series).items()
        if len(_devices(found)) < (requested.get(pod) or workload.gpus)
    }


def _since_it_grew(workload: Workload, series: list[Series]) -> list[Series]:
    """Leave out pods with fewer devices than a pod requests now, if all of them ended before the others began."""
    fewer = _incomplete(workload, series)
    later = [one for one in series if (one.pod, one.node) not in fewer]
    begin = min((one.first for one in later), default=0)
    # Pods of two templates run side by side for a while.
    ended = all(0 < one.last <= begin + _HOUR for found in fewer.values() for one in found)
    return later if begin and ended else series


def _used(workload: Workload, series: Sequence[Series], thresholds: Thresholds) -> int:
    """How many devices one pod had in use, at most."""
    places = _places(series).values()
    used = max(sum(is_used(one, thresholds) for one in _devices(found).values()) for found in places)
    return min(workload.gpus, used)


def is_used(what: Series | Measures, thresholds: Thresholds) -> bool:
    """Return whether a device, or one of a workload's, was used, however rarely."""
    return what.most >= thresholds.unused_below or bool(what.engines)


def _unseen(workload: Workload, series: Iterable[Series], usage: Usage) -> int:
    """Pods that run and of which nothing is known now: no exporter on their node, or one that has stopped."""
    seen = {one.pod for one in series if one.last >= usage.end - _DAY}
    return sum(
        bool(pod.started) and not pod.over and pod.started < usage.end - _HOUR and pod.name not in seen
        for pod in workload.pods
    )


def _same(values: Iterable[str]) -> str:
    found = set(values)
    return found.pop() if len(found) == 1 else ""

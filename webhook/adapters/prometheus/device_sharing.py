"""Finds the devices that several pods used at once, and whether their values are those of the device."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from . import dcgm, expressions
from .client import Sample
from .dcgm import Key, MeasuredDevice, PodLabels
from .pod_devices import ListedSeries, PodDevices, metrics
from .query_batches import QueryBatches

_DEVICES = 50  # per query
_TOGETHER = 3  # samples 5 minutes apart, for each pod: pods that follow each other within minutes do not share a device

Sharing = Mapping[str, Mapping[MeasuredDevice, tuple[int, bool]]]
"""How many pods used each device at once, if several did, and whether their values were always equal; by metric."""


def sharing(batches: QueryBatches, listed: ListedSeries, *, all_namespaces: bool) -> Sharing:
    """Return how devices are shared, by each metric that they have, and by memory.

    Raises:
        QueryError: there was no usable answer.
    """
    devices: dict[MeasuredDevice, set[tuple[str, str]]] = {}
    for key in listed.found:
        devices.setdefault(key.device, set()).add((key.namespace, key.pod))
    # Who else is on a device shows only where all namespaces are read.
    several = {device for device, pods in devices.items() if len(pods) > 1 or not all_namespaces}
    if several:
        several = _at_once(batches, listed, several)
    return {metric: _sharing(batches, listed.found, several, metric) for metric in (*metrics(listed.found), dcgm.USED)}


def of_device_itself(
    batches: QueryBatches, found: PodDevices, metric: str, devices: Collection[MeasuredDevice]
) -> dict[MeasuredDevice, float]:
    """Return the highest value of a metric in the devices' own series, which name no pod.

    Raises:
        QueryError: there was no usable answer.
    """

    def query(_: PodLabels, batch: Sequence[str]) -> str:
        return expressions.of_device_itself(metric, batch, batches.window, batches.only)

    stat = "used" if metric == dcgm.USED else "max"
    return {
        device: sample.number
        for _, device, sample in _of_devices(batches, f"{metric} without pods", found, devices, query)
        if 0 <= sample.number <= expressions.most_possible(metric, stat)
    }


def _at_once(batches: QueryBatches, listed: ListedSeries, devices: Collection[MeasuredDevice]) -> set[MeasuredDevice]:
    """Return the devices that several pods may have used at once, by a cheap query for the hours in which each pod ran."""
    metric = dcgm.USED if listed.any_memory else metrics(listed.found)[0]
    hours: dict[MeasuredDevice, dict[tuple[str, str], list[float]]] = {device: {} for device in devices}

    def query(family: PodLabels, batch: Sequence[str]) -> str:
        return expressions.spans(metric, batch, family, batches.window, batches.only)

    for family, device, sample in _of_devices(batches, "hours of pods", listed.found, devices, query):
        pod = sample.metric.get(family.namespace, ""), sample.metric.get(family.pod, "")
        hours.setdefault(device, {}).setdefault(pod, []).append(sample.number)
    number = _pods_on_devices(listed.found)
    return {device for device in devices if len(pods := hours[device]) < number[device] or _overlap(pods.values())}


def _sharing(
    batches: QueryBatches, found: PodDevices, devices: Collection[MeasuredDevice], metric: str
) -> dict[MeasuredDevice, tuple[int, bool]]:
    """Return how many pods used each device at once, if several did, and whether their values were always equal."""
    stats: dict[tuple[PodLabels, MeasuredDevice], dict[str, float]] = {}

    def query(family: PodLabels, batch: Sequence[str]) -> str:
        return expressions.shared(metric, batch, family, batches.window, batches.only)

    for family, device, sample in _of_devices(batches, f"sharing of {metric}", found, devices, query):
        stats.setdefault((family, device), {})[sample.metric.get(expressions.STAT, "")] = sample.number
    number = _pods_on_devices(found)
    return {
        device: (int(one["pods"]), not one.get("apart", 0) > 0)
        for (_, device), one in stats.items()
        if one.get("pods", 1) > 1 and one.get("together", 0) >= _TOGETHER * max(1, number[device] - 1)
    }


def _of_devices(
    batches: QueryBatches,
    what: str,
    found: PodDevices,
    devices: Collection[MeasuredDevice],
    query: Callable[[PodLabels, Sequence[str]], str],
) -> Iterator[tuple[PodLabels, MeasuredDevice, Sample]]:
    """Yield the samples of devices, with the labels that name their pods."""
    for family, ids in _by_family(found, devices):
        for sample in batches.samples(what, ids, _DEVICES, partial(query, family)):
            yield family, MeasuredDevice(sample.metric.get("UUID", ""), sample.metric.get("GPU_I_ID", "")), sample


def _by_family(found: PodDevices, devices: Collection[MeasuredDevice]) -> list[tuple[PodLabels, list[str]]]:
    """The GPUs of devices, by the labels that name their pods."""
    ids: dict[PodLabels, set[str]] = {}
    for key, one in found.items():
        if key.device in devices:
            ids.setdefault(one.family, set()).add(key.device.uuid)
    return [(family, sorted(ids[family])) for family in dcgm.FAMILIES if family in ids]


def _pods_on_devices(found: Iterable[Key]) -> Counter[MeasuredDevice]:
    return Counter(device for device, *_ in {(key.device, key.namespace, key.pod) for key in found})


def _overlap(spans: Iterable[Sequence[float]]) -> bool:
    """Whether any two pods may have used the device at once; two in one hour count if one was there only in that hour."""
    until, is_short = 0.0, False
    for begin, end in sorted((min(hours), max(hours)) for hours in spans):
        if begin < until or (begin == until and (is_short or begin == end)):
            return True
        until, is_short = end, begin == end
    return False

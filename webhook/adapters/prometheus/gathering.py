"""Gathers the usage of GPUs: finds the series, and reads their numbers in batches of pods, some at a time."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from ...application.recommendation.usage import Metric, Series, Usage
from ...engine.text import first_of, plural
from ..kubernetes.lists import Progress
from . import by_process, dcgm, expressions
from .client import QueryError, Sample
from .dcgm import Key, MeasuredDevice, PodLabels

WORKERS = 4  # queries at a time
BATCH = 100  # pods per query
_DEVICES = 50  # per query
_TOGETHER = 3  # samples 5 minutes apart, for each pod: pods that follow each other within minutes do not share a device
_HOUR = 3600.0

T = TypeVar("T")
_Numbers = dict[Key, dict[str, list[float]]]  # those of all series of a key, by what they are


class PrometheusServer(Protocol):
    """A Prometheus server; see ``Prometheus``."""

    requests: int
    warnings: dict[str, None]

    def query(self, expression: str, at: float) -> list[Sample]:
        """Return an expression's value.

        Raises:
            QueryError: there is none.
        """

    def series(self, selectors: Sequence[str], start: float, end: float) -> list[dict[str, str]]:
        """Return the labels of series.

        Raises:
            QueryError: there is no answer.
        """


class _Found(msgspec.Struct):
    """One container on one device, from the labels of its series."""

    family: PodLabels
    node: str
    profile: str
    model: str
    metrics: set[Metric]


class Gatherer:
    """Gathers usage within a window of ``window`` seconds that ends at ``end`` (seconds since 1970).

    A sample below the share ``idle_below`` counts as idle. Only series with one of the values of each of ``labels`` count.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - where, when, and what counts
        self,
        server: PrometheusServer,
        end: float,
        window: float,
        idle_below: float,
        progress: Progress | None = None,
        labels: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._server = server
        self._end, self._window, self._idle = end, window, idle_below
        self._progress = progress
        self._labels = labels or {}
        self._only = expressions.with_labels(self._labels)
        self._unread: list[str] = []
        self._any_memory = False

    def usage(self, namespaces: Collection[str] = ()) -> Usage:
        """Return the usage of the pods in these namespaces, or (if none is named) in all.

        Queries that are too much for the server are split; ``missing`` lists what can't be read even then.

        Raises:
            QueryError: nothing can be read.
        """
        found, missing = self._find(namespaces)
        devices: dict[MeasuredDevice, set[tuple[str, str]]] = {}
        for key in found:
            devices.setdefault(key.device, set()).add((key.namespace, key.pod))
        # Who else is on a device shows only where all namespaces are read.
        several = {device for device, pods in devices.items() if len(pods) > 1 or namespaces}
        if several:
            several = self._at_once(found, several)
        sharing = {metric: self._sharing(found, several, metric) for metric in (*_metrics(found), dcgm.USED)}
        chosen = {key: _choose(key, one, sharing) for key, one in found.items()}
        numbers = self._compute(found, chosen)
        memory = self._memory(found)
        apart = {device for device, (_, is_device) in sharing[dcgm.USED].items() if not is_device}
        empty = (
            by_process.without_processes(memory) - apart
        )  # pods of namespaces that are not read may have memory there
        held = self._of_device_itself(dcgm.USED, found, empty | apart)
        unseen = by_process.unseen(numbers, chosen, empty, partial(self._of_device_itself, Metric.GPU_UTIL, found))
        self._unread += by_process.said(unseen)
        if numbers and not any("bandwidth" in one for one in memory.values()):
            missing.append(dcgm.NO_BANDWIDTH)
        series = [
            _series(
                key,
                one,
                None if key in unseen else chosen[key],
                numbers.get(key, {}),
                memory.get(key, {}),
                sharing,
                held.get(key.device, 0),
            )
            for key, one in found.items()
        ]
        return Usage(
            self._end,
            self._window,
            self._idle,
            series,
            missing=[*missing, *dict.fromkeys(self._unread)],
            warnings=list(self._server.warnings),
            queries=self._server.requests,
        )

    def _find(self, namespaces: Collection[str]) -> tuple[dict[Key, _Found], list[str]]:
        """Find the pods and devices that have series, and report why some have none."""
        found: dict[Key, _Found] = {}
        clusters: dict[str, set[str]] = {}
        any_series = False
        names = (*Metric, dcgm.USED)
        for number, name in enumerate(names):
            self._show("series", number, len(names))
            selectors = [expressions.of_namespaces(name, family, namespaces, self._only) for family in dcgm.FAMILIES]
            for labels in self._listed(selectors):
                any_series = True
                family = dcgm.family_of(labels)
                if family is None:
                    continue
                for label in dcgm.CLUSTER_LABELS - self._labels.keys():
                    clusters.setdefault(label, set()).add(labels.get(label, ""))
                key = dcgm.key_of(labels, family)
                one = found.get(key)
                if one is None:
                    profile = labels.get("GPU_I_PROFILE", "")
                    one = found[key] = _Found(family, dcgm.node_of(labels), profile, labels.get("modelName", ""), set())
                self._any_memory = self._any_memory or name == dcgm.USED
                if isinstance(name, Metric):
                    one.metrics.add(name)
        for label, values in sorted(clusters.items()):
            if len(values) > 1:
                # A series without the label has the empty value.
                found_values = first_of([f'"{one}"' for one in sorted(values)], 5)
                raise QueryError(
                    f"the series of GPUs come from several clusters, {label}: {found_values}, whose pods may have the same "
                    f"names; set --prometheus-label {label}=VALUE to the cluster whose workloads are read"
                )
        if not any_series:
            every = [f"{name}{{{self._only.removeprefix(',')}}}" for name in names]
            any_series = bool(self._listed(every))
        present = {metric for one in found.values() for metric in one.metrics}
        return found, dcgm.missing(present, with_pods=bool(found), any_series=any_series, memory=self._any_memory)

    def _listed(self, selectors: Sequence[str]) -> list[dict[str, str]]:
        try:
            return self._server.series(selectors, self._end - self._window, self._end)
        except QueryError as error:
            if not error.too_much:
                raise
            fix = "read fewer namespaces at a time (-n), or a shorter time (--window)"
            raise QueryError(f"{error.detail}; {fix}", too_much=True) from error

    def _at_once(self, found: Mapping[Key, _Found], devices: Collection[MeasuredDevice]) -> set[MeasuredDevice]:
        """Return the devices that several pods may have used at once, by a cheap query for the hours in which each pod ran."""
        metric = dcgm.USED if self._any_memory else _metrics(found)[0]
        hours: dict[MeasuredDevice, dict[tuple[str, str], list[float]]] = {device: {} for device in devices}

        def query(family: PodLabels, batch: Sequence[str]) -> str:
            return expressions.spans(metric, batch, family, self._window, self._only)

        for family, device, sample in self._of_devices("hours of pods", found, devices, query):
            pod = sample.metric.get(family.namespace, ""), sample.metric.get(family.pod, "")
            hours.setdefault(device, {}).setdefault(pod, []).append(sample.number)
        number = _pods_on_devices(found)
        return {device for device in devices if len(pods := hours[device]) < number[device] or _overlap(pods.values())}

    def _sharing(
        self, found: Mapping[Key, _Found], devices: Collection[MeasuredDevice], metric: str
    ) -> dict[MeasuredDevice, tuple[int, bool]]:
        """Return how many pods used each device at once, if several did, and whether their values were always equal."""
        stats: dict[tuple[PodLabels, MeasuredDevice], dict[str, float]] = {}

        def query(family: PodLabels, batch: Sequence[str]) -> str:
            return expressions.shared(metric, batch, family, self._window, self._only)

        for family, device, sample in self._of_devices(f"sharing of {metric}", found, devices, query):
            stats.setdefault((family, device), {})[sample.metric.get(expressions.STAT, "")] = sample.number
        number = _pods_on_devices(found)
        return {
            device: (int(one["pods"]), not one.get("apart", 0) > 0)
            for (_, device), one in stats.items()
            if one.get("pods", 1) > 1 and one.get("together", 0) >= _TOGETHER * max(1, number[device] - 1)
        }

    def _of_device_itself(
        self, metric: str, found: Mapping[Key, _Found], devices: Collection[MeasuredDevice]
    ) -> dict[MeasuredDevice, float]:
        """Return the highest value of a metric in the devices' own series, which name no pod."""

        def query(_: PodLabels, batch: Sequence[str]) -> str:
            return expressions.of_device_itself(metric, batch, self._window, self._only)

        stat = "used" if metric == dcgm.USED else "max"
        return {
            device: sample.number
            for _, device, sample in self._of_devices(f"{metric} without pods", found, devices, query)
            if 0 <= sample.number <= expressions.most_possible(metric, stat)
        }

    def _of_devices(
        self,
        what: str,
        found: Mapping[Key, _Found],
        devices: Collection[MeasuredDevice],
        query: Callable[[PodLabels, Sequence[str]], str],
    ) -> Iterator[tuple[PodLabels, MeasuredDevice, Sample]]:
        """Yield the samples of devices, with the labels that name their pods."""
        for family, ids in _by_family(found, devices):
            for sample in self._batches(what, ids, _DEVICES, partial(query, family)):
                yield family, MeasuredDevice(sample.metric.get("UUID", ""), sample.metric.get("GPU_I_ID", "")), sample

    def _compute(self, found: Mapping[Key, _Found], chosen: dict[Key, Metric | None]) -> _Numbers:
        """The numbers of the chosen metrics. One that is always 0 while the next best is not is replaced by it."""
        result: _Numbers = {}
        failed: dict[Key, Metric] = {}
        for metric in Metric:

            def query(which: str, metric: Metric = metric) -> str:
                return expressions.compute(metric, which, self._window, self._idle)

            idle = {key for key, numbers in result.items() if not any(numbers.get("max", ()))}
            again = {key for key in idle if metric in _usable(key, found[key])}
            keys = [key for key in found if chosen[key] is metric or key in again]
            for key, numbers in self._of_pods(str(metric), found, keys, query).items():
                if key in again:
                    if not any(numbers.get("max", ())):
                        continue
                    failed[key] = metric
                result[key], chosen[key] = numbers, metric
        for key, metric in list(failed.items())[:1]:
            self._unread.append(
                f"the profiling metrics of {key.namespace}/{key.pod} are always 0, although {metric} is not, so {metric} counts; "
                f"does another program use the GPU's profiler? ({plural(len(failed), 'pod')})"
            )
        return result

    def _memory(self, found: Mapping[Key, _Found]) -> _Numbers:
        return self._of_pods("memory", found, found, lambda which: expressions.memory(which, self._window))

    def _of_pods(
        self, what: str, found: Mapping[Key, _Found], keys: Iterable[Key], query: Callable[[str], str]
    ) -> _Numbers:
        """The numbers of containers on devices, by a query for the matchers of their pods."""
        result: _Numbers = {}
        for family in dcgm.FAMILIES:
            wanted = {key for key in keys if found[key].family == family}
            numbers = self._of_family(what, wanted, family, query)
            result |= {key: stats for key, stats in numbers.items() if key in wanted}
        return result

    def _of_family(self, what: str, keys: Collection[Key], family: PodLabels, query: Callable[[str], str]) -> _Numbers:
        """The numbers of all series of one container on one device, since restarts begin new ones."""
        pods = sorted({(key.namespace, key.pod) for key in keys})
        rows: dict[Key, dict[frozenset[tuple[str, str]], dict[str, float]]] = {}
        wrong: dict[Key, float] = {}
        matching = partial(expressions.matching, family.namespace, family.pod, only=self._only)
        for sample in self._batches(what, pods, BATCH, lambda batch: query(matching(batch))):
            if dcgm.family_of(sample.metric) != family:
                continue
            key, stat = dcgm.key_of(sample.metric, family), sample.metric.get(expressions.STAT, "")
            is_fraction = what == Metric.GPU_UTIL and stat == "max" and 0 < sample.number < 1  # it is whole percent
            if is_fraction or not 0 <= sample.number <= expressions.most_possible(what, stat):  # NaN is not, either
                wrong[key] = max(sample.number, wrong.get(key, sample.number))
            labels = frozenset(sample.metric.items() - {(expressions.STAT, stat)})
            rows.setdefault(key, {}).setdefault(labels, {})[stat] = sample.number
        for key, value in sorted(wrong.items(), key=str)[:1]:
            self._unread.append(
                f"{what} of {key.namespace}/{key.pod} has the value {value:g}, which no GPU can have; usage with such values is "
                f"not counted ({plural(len(wrong), 'pod')})"
            )
        result: _Numbers = {}
        for key in rows.keys() - wrong.keys():
            _count_once(list(rows[key].values()))
            for row in rows[key].values():
                for stat, number in row.items():
                    result.setdefault(key, {}).setdefault(stat, []).append(number)
        return result

    def _batches(
        self, what: str, items: Sequence[T], size: int, query: Callable[[Sequence[T]], str]
    ) -> Iterator[Sample]:
        batches = [items[at : at + size] for at in range(0, len(items), size)]
        with ThreadPoolExecutor(WORKERS) as workers:
            for number, samples in enumerate(workers.map(lambda batch: self._query(what, batch, query), batches)):
                self._show(what, number + 1, len(batches))
                yield from samples

    def _query(self, what: str, items: Sequence[T], query: Callable[[Sequence[T]], str]) -> list[Sample]:
        """The samples of a query for these items; the items are split in halves if they are too many for the server."""
        try:
            return self._server.query(query(items), self._end)
        except QueryError as error:
            if not error.too_much:
                raise
            if len(items) == 1:
                self._unread.append(f"{what} of {items[0]} can't be read: {error.detail}")
                return []
        half = len(items) // 2
        return self._query(what, items[:half], query) + self._query(what, items[half:], query)

    def _show(self, what: str, done: int, total: int) -> None:
        if self._progress:
            self._progress.read(what, done, total)


def _by_family(found: Mapping[Key, _Found], devices: Collection[MeasuredDevice]) -> list[tuple[PodLabels, list[str]]]:
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


def _metrics(found: Mapping[Key, _Found]) -> list[Metric]:
    present = {metric for one in found.values() for metric in one.metrics}
    return [metric for metric in Metric if metric in present]


def _count_once(series: list[dict[str, float]]) -> None:
    """Count samples only once if an exporter is scraped twice: of overlapping series, only one keeps its points."""
    counted: list[dict[str, float]] = []
    for one in sorted(series, key=lambda one: -one.get("points", 0)):
        first, last = one.get("first", 0), one.get("last", 0)
        if any(first < other.get("last", 0) and other.get("first", 0) < last for other in counted):
            one["points"] = 0
        else:
            counted.append(one)


def _usable(key: Key, one: _Found) -> list[Metric]:
    """The metrics that a device has and that are meaningful for it, the best first."""
    is_slice = key.device.slice or one.profile
    return [metric for metric in Metric if metric in one.metrics and not (is_slice and metric is Metric.GPU_UTIL)]


def _choose(key: Key, one: _Found, sharing: Mapping[str, Mapping[MeasuredDevice, tuple[int, bool]]]) -> Metric | None:
    """Return the best metric of a device; for a shared device one that differs between its pods, if there is any."""
    usable = _usable(key, one)
    best = next(iter(usable), None)
    if best is None or not sharing.get(best, {}).get(key.device, (1, False))[1]:
        return best
    # A metric is per pod only if it differs between the pods of the device.
    apart = (metric for metric in usable if sharing.get(metric, {}).get(key.device, (1, True))[1] is False)
    return next(apart, best)


def _series(  # noqa: PLR0913, PLR0917 - what is known about one series
    key: Key,
    one: _Found,
    metric: Metric | None,
    compute: Mapping[str, list[float]],
    memory: Mapping[str, list[float]],
    sharing: Mapping[str, Mapping[MeasuredDevice, tuple[int, bool]]],
    held: float,
) -> Series:
    unit = expressions.scale(metric) if metric else 1.0
    total = sum(compute.get("points", ()))
    pods, of_device = sharing.get(metric or "", {}).get(key.device, (1, False))
    pods_of_memory, memory_of_device = sharing.get(dcgm.USED, {}).get(key.device, (1, False))
    used, free = _most(memory.get("used")), min(memory.get("free", ()), default=None)
    hourly = _most(compute.get("hourly"))
    first, last = min(compute.get("first", ()), default=0), _most(compute.get("last")) or 0
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
        first=first,
        last=last,
        gaps=_gaps((last - first) / _HOUR + 1, sum(compute.get("hours", ())), sum(memory.get("hours", ()))),
        p95=min(1.0, (_most(compute.get("p95")) or 0) / unit),
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
        compute_of_device=of_device,
        memory_of_device=memory_of_device,
    )


def _gaps(hours: float, with_compute: float, with_memory: float) -> float:
    """The share of these hours in which there are samples of memory, but none of compute."""
    return max(0.0, min(hours, with_memory) - with_compute) / hours


def _working(numbers: Mapping[str, Sequence[float]], within: str = "") -> float:
    """The average of a metric with each sample weighted by its value: E[x²] / E[x]."""
    rows = list(zip(*(numbers.get(within + name, ()) for name in ("points", "mean", "deviation")), strict=False))
    work = sum(points * mean for points, mean, _ in rows)
    return sum(points * (mean**2 + deviation**2) for points, mean, deviation in rows) / work if work else 0.0


def _most(values: Iterable[float] | None) -> float | None:
    return max(values or (), default=None)

"""The PromQL that reads usage: several numbers of some pods' series by one query, each marked by a label."""

from collections.abc import Collection, Iterable, Mapping
from string import punctuation

from ...application.recommendation.usage import Metric
from .dcgm import BANDWIDTH, DECODER, ENCODER, FREE, NO_POD, RESERVED, USED, PodLabels

STAT = "gpuwarden_stat"
# Seconds between the evaluations of a subquery, which are expensive for a server; a range of samples is cheap.
STEP = 300
"""The step that finds which pods share a device: the time for which a sample stays valid (--query.lookback-delta)."""
_IDLE_STEP = 613
"""Not a divisor of an hour: otherwise every evaluation could hit work that starts on the hour, which would be overestimated."""
_LOOK_BACK = 900
"""Seconds for which a sample counts where each time has the same weight: samples may be sparser than the steps."""
_HOUR = 3600
_DAY = 86400
_COMPUTE_STATS = frozenset(
    {"p95", "max", "mean", "by_time", "p95_by_time", "deviation", "recent_mean", "recent_deviation"}
)
_MEMORY_STATS = frozenset({"used", "earlier", "low", "free", "reserved"})
_ENGINE_STATS = frozenset({"encoder", "decoder"})
_BANDWIDTH_STATS = frozenset({"bandwidth", "bandwidth_mean", "bandwidth_deviation"})
_WORKS = {Metric.GR_ENGINE_ACTIVE: 0.001, Metric.GPU_UTIL: 1.0}
"""From here on, another metric is not 0 either: one multiprocessor of 132 in use for 0.1 % of the time is a ``SM_ACTIVE`` of
0.000008, and the exporter writes six digits."""
_TOLERANCE = 1.5  # profiling metrics are sometimes a little above what is possible
_MOST = 1e15  # seconds since 1970, and samples
_MOST_MEMORY = 1 << 24  # MiB: no GPU has 16 TiB
_SPECIAL = frozenset(punctuation) - {"-", "_"}


def with_labels(labels: Mapping[str, Collection[str]]) -> str:
    """Matchers that require one of these values for each label, to append to others; empty without labels."""
    return "".join(f',{name}=~"{_any(sorted(values))}"' for name, values in labels.items())


def matching(namespace: str, label: str, objects: Collection[tuple[str, str]], only: str = "") -> str:
    """Label matchers of objects by namespace and name; they match each of the names in each of the namespaces.

    ``only`` are more matchers, from ``with_labels``.
    """
    namespaces = sorted({one for one, _ in objects})
    names = sorted({name for _, name in objects})
    return f'{{{namespace}=~"{_any(namespaces)}",{label}=~"{_any(names)}"{only}}}'


def of_namespaces(metric: str, family: PodLabels, namespaces: Collection[str], only: str = "") -> str:
    """A selector of all series of a metric that name a pod, in these namespaces or (if none is named) in all."""
    within = f',{family.namespace}=~"{_any(sorted(namespaces))}"' if namespaces else ""
    return f'{metric}{{{family.pod}!=""{within}{only}}}'


def _any(names: Iterable[str]) -> str:
    """A regular expression (RE2) of names as the inside of a string of PromQL; a label may hold anything."""
    pattern = "|".join("".join(f"\\{one}" if one in _SPECIAL else one for one in name) for name in names)
    return pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def compute(metric: Metric, which: str, window: float, idle_below: float) -> str:
    """The numbers of a compute metric: of the window, the last day (recent), and by hours."""
    series = f"{metric}{which}"
    whole = f"[{window:.0f}s]"
    recent = f"[{min(window, _DAY):.0f}s]"
    looks = f"[{window:.0f}s:{_IDLE_STEP}s]"
    hours = f"[{window:.0f}s:{_HOUR}s]"
    at_times = f"last_over_time({series}[{_LOOK_BACK}s])"
    idle = idle_below * scale(metric)
    return _marked(
        p95=f"quantile_over_time(0.95, {series}{whole})",
        max=f"max_over_time({series}{whole})",
        mean=f"avg_over_time({series}{whole})",
        by_time=f"avg_over_time({at_times}{looks})",
        p95_by_time=f"quantile_over_time(0.95, {at_times}{looks})",
        deviation=f"stddev_over_time({series}{whole})",
        points=f"count_over_time({series}{whole})",
        recent_mean=f"avg_over_time({series}{recent})",
        recent_deviation=f"stddev_over_time({series}{recent})",
        recent_points=f"count_over_time({series}{recent})",
        idle=f"avg_over_time(({series} < bool {idle:g}){looks})",
        first=f"min_over_time({_when(series)}{hours})",
        last=f"max_over_time({_when(series)}{hours})",
        hourly=f"max_over_time({_in_an_hour(series)}{hours})",
    )


def gaps(metric: Metric, family: PodLabels, which: str, window: float, *, since_first: bool = False) -> str:
    """The share of the hours with samples of memory in which there are none of the metric, for each container on a device.

    Hours before the metric's first sample count unless ``since_first``, which costs up to twice as much.
    """
    hours = f"[{window:.0f}s:{_HOUR}s]"
    by = _by_container(family)
    measured = f"max {by} ({_in_an_hour(f'{metric}{which}')})"
    found = f"({measured} < bool 0 or max {by} ({_in_an_hour(f'{USED}{which}')}) >= bool 0)"
    later = f" and count_over_time({measured}{hours})" if since_first else ""
    return _marked(gaps=f"avg_over_time(({found}{later}){hours})")


def zeros(metric: Metric, others: Collection[Metric], family: PodLabels, which: str, window: float) -> str:
    """The share of the hours in which another metric is above 0 in which this one is always 0, for each container on a device."""
    by = _by_container(family)

    def most(one: Metric) -> str:
        return f"max {by} (max_over_time({one}{which}[{_HOUR - 1}s]))"

    works = " or ".join(f"{most(one)} >= {_WORKS[one]:g} <= {most_possible(one, 'max'):g}" for one in others)
    return _marked(zeros=f"avg_over_time(({most(metric)} == bool 0 and ({works}))[{window:.0f}s:{_HOUR}s])")


def _by_container(family: PodLabels) -> str:
    """Of all series of a container on a device: a restart of the exporter begins new ones."""
    return f"by (UUID, uuid, GPU_I_ID, {family.namespace}, {family.pod}, {family.container})"


def _in_an_hour(series: str) -> str:
    """The number of samples in an hour; the range is a second shorter, because it includes both ends."""
    return f"count_over_time({series}[{_HOUR - 1}s])"


def _when(series: str) -> str:
    """The evaluation time, if there were samples in the hour before; timestamp() in a subquery takes 25 times as long."""
    return f"clamp_min({_in_an_hour(series)}, time())"


def memory(which: str, window: float) -> str:
    """The numbers of memory in MiB and of its bandwidth, and the highest use of the video engines in percent."""
    whole = f"[{window:.0f}s]"
    return _marked(
        used=f"max_over_time({USED}{which}{whole})",
        earlier=f"max_over_time({USED}{which}[{window / 2:.0f}s] offset {window / 2:.0f}s)",
        low=f"quantile_over_time(0.05, {USED}{which}{whole})",
        counted=f"count_over_time({USED}{which}{whole})",
        free=f"min_over_time({FREE}{which}{whole})",
        reserved=f"max_over_time({RESERVED}{which}{whole})",
        bandwidth=f"quantile_over_time(0.95, {BANDWIDTH}{which}{whole})",
        bandwidth_mean=f"avg_over_time({BANDWIDTH}{which}{whole})",
        bandwidth_deviation=f"stddev_over_time({BANDWIDTH}{which}{whole})",
        bandwidth_points=f"count_over_time({BANDWIDTH}{which}{whole})",
        encoder=f"max_over_time({ENCODER}{which}{whole})",
        decoder=f"max_over_time({DECODER}{which}{whole})",
    )


def of_device_itself(metric: str, devices: Collection[str], window: float, only: str = "") -> str:
    """The highest value of a metric on each device in the series that name no pod but the exporter's."""
    which = f'{{UUID=~"{_any(sorted(devices))}",{NO_POD}{only}}}'
    return f"max by (UUID, GPU_I_ID) (max_over_time({metric}{which}[{window:.0f}s]))"


def spans(metric: str, devices: Collection[str], family: PodLabels, window: float, only: str = "") -> str:
    """The full hours at which each pod on these devices was first and last seen."""
    series = f"{metric}{_of_devices(devices, family, only)}"
    when = f"{_when(series)}[{window:.0f}s:{_HOUR}s]"
    by = f"by (UUID, GPU_I_ID, {family.namespace}, {family.pod})"
    return _marked(first=f"min {by} (min_over_time({when}))", last=f"max {by} (max_over_time({when}))")


def _of_devices(devices: Collection[str], family: PodLabels, only: str) -> str:
    return f'{{{family.pod}!="",UUID=~"{_any(sorted(devices))}"{only}}}'


def shared(metric: str, devices: Collection[str], family: PodLabels, window: float, only: str = "") -> str:
    """For devices with several pods: how many had series at once, at how many evaluations, and how much their values differed."""
    which = _of_devices(devices, family, only)
    looks = f"[{window:.0f}s:{STEP}s]"
    pods = f"count by (UUID, GPU_I_ID) (max by (UUID, GPU_I_ID, {family.namespace}, {family.pod}) ({metric}{which}))"
    apart = f"max by (UUID, GPU_I_ID) ({metric}{which}) - min by (UUID, GPU_I_ID) ({metric}{which})"
    return _marked(
        pods=f"max_over_time(({pods}){looks})",
        together=f"count_over_time(({pods} > 1){looks})",
        apart=f"max_over_time(({apart}){looks})",
    )


def scale(metric: Metric) -> float:
    """The value of a metric if all of a device is in use."""
    return 100.0 if metric is Metric.GPU_UTIL else 1.0


def most_possible(what: str, stat: str) -> float:
    """Return the highest valid value of a number; exporters send numbers above it for "no value"."""
    if stat in _MEMORY_STATS:
        return _MOST_MEMORY
    if stat in _ENGINE_STATS:
        return 100 * _TOLERANCE
    if stat in _BANDWIDTH_STATS:
        return _TOLERANCE
    return scale(Metric(what)) * _TOLERANCE if stat in _COMPUTE_STATS else _MOST


def _marked(**expressions: str) -> str:
    parts = (f'label_replace({one}, "{STAT}", "{name}", "{STAT}", "")' for name, one in expressions.items())
    return " or ".join(parts)

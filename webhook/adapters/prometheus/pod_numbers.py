"""Reads the numbers of containers on devices, in batches of pods; series of one container on one device belong together."""

from collections.abc import Callable, Collection, Iterable
from functools import partial

from ...application.recommendation.usage import Metric
from ...engine.text import plural
from . import dcgm, expressions
from .dcgm import Key, PodLabels
from .pod_devices import PodDevices
from .query_batches import QueryBatches

_PODS = 100  # per query

Numbers = dict[Key, dict[str, list[float]]]  # those of all series of a key, by what they are


def numbers(
    batches: QueryBatches, what: str, found: PodDevices, keys: Iterable[Key], query: Callable[[PodLabels, str], str]
) -> Numbers:
    """Return the numbers of containers on devices, by a query for the labels that name their pods and the matchers of these.

    Raises:
        QueryError: there was no usable answer.
    """
    result: Numbers = {}
    for family in dcgm.FAMILIES:
        wanted = {key for key in keys if found[key].family == family}
        of_family = _of_family(batches, what, wanted, family, partial(query, family))
        result |= {key: stats for key, stats in of_family.items() if key in wanted}
    return result


def _of_family(
    batches: QueryBatches, what: str, keys: Collection[Key], family: PodLabels, query: Callable[[str], str]
) -> Numbers:
    """The numbers of all series of one container on one device, since restarts begin new ones."""
    pods = sorted({(key.namespace, key.pod) for key in keys})
    rows: dict[Key, dict[frozenset[tuple[str, str]], dict[str, float]]] = {}
    wrong: dict[Key, float] = {}
    matching = partial(expressions.matching, family.namespace, family.pod, only=batches.only)
    for sample in batches.samples(what, pods, _PODS, lambda batch: query(matching(batch))):
        if dcgm.family_of(sample.metric) != family:
            continue
        key, stat = dcgm.key_of(sample.metric, family), sample.metric.get(expressions.STAT, "")
        is_fraction = what == Metric.GPU_UTIL and stat == "max" and 0 < sample.number < 1  # it is whole percent
        if is_fraction or not 0 <= sample.number <= expressions.most_possible(what, stat):  # NaN is not, either
            wrong[key] = max(sample.number, wrong.get(key, sample.number))
        labels = frozenset(sample.metric.items() - {(expressions.STAT, stat)})
        rows.setdefault(key, {}).setdefault(labels, {})[stat] = sample.number
    for key, value in sorted(wrong.items(), key=str)[:1]:
        batches.notes.append(
            f"{what} of {key.namespace}/{key.pod} has the value {value:g}, which no GPU can have; usage with such values is "
            f"not counted ({plural(len(wrong), 'pod')})"
        )
    result: Numbers = {}
    for key in rows.keys() - wrong.keys():
        _count_once(list(rows[key].values()))
        for row in rows[key].values():
            for stat, number in row.items():
                result.setdefault(key, {}).setdefault(stat, []).append(number)
    return result


def _count_once(series: list[dict[str, float]]) -> None:
    """Count samples only once if an exporter is scraped twice: of overlapping series, only one keeps its points."""
    counted: list[dict[str, float]] = []
    for one in sorted(series, key=lambda one: -one.get("points", 0)):
        first, last = one.get("first", 0), one.get("last", 0)
        if any(first < other.get("last", 0) and other.get("first", 0) < last for other in counted):
            one["points"] = 0
        else:
            counted.append(one)

"""Finds which containers have series of which devices, from the labels of series, and why some have none."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from ...application.recommendation.usage import Metric
from ...engine.text import first_of
from . import dcgm, expressions
from .client import QueryError
from .dcgm import Key, PodLabels
from .query_batches import QueryBatches


class PodDevice(msgspec.Struct):
    """One container on one device, from the labels of its series.

    Attributes:
        is_slot: the exporter names its slot of the shared device, so it gives every pod of the device series of its own.
    """

    family: PodLabels
    node: str
    profile: str
    model: str
    metrics: set[Metric]
    is_slot: bool = False


PodDevices = Mapping[Key, PodDevice]


class ListedSeries(msgspec.Struct):
    """What has series: containers on devices, whether any series is of memory, and why some are missing, in sentences."""

    found: dict[Key, PodDevice] = {}
    any_memory: bool = False
    missing: list[str] = []


def find(batches: QueryBatches, namespaces: Collection[str]) -> ListedSeries:
    """Find the pods of these namespaces (of all, if none is named) and their devices.

    Raises:
        QueryError: the series can't be listed, or are from several clusters.
    """
    listed = ListedSeries()
    clusters: dict[str, set[str]] = {}
    any_series = False
    names = (*Metric, dcgm.USED)
    for number, name in enumerate(names):
        batches.show("series", number, len(names))
        selectors = [expressions.of_namespaces(name, family, namespaces, batches.only) for family in dcgm.FAMILIES]
        for labels in batches.series(selectors):
            any_series = True
            family = dcgm.family_of(labels)
            if family is None:
                continue
            for label in dcgm.CLUSTER_LABELS - batches.labels.keys():
                clusters.setdefault(label, set()).add(labels.get(label, ""))
            key = dcgm.key_of(labels, family)
            one = listed.found.get(key)
            if one is None:
                profile, model = labels.get("GPU_I_PROFILE", ""), labels.get("modelName", "")
                one = listed.found[key] = PodDevice(family, dcgm.node_of(labels), profile, model, set())
            one.is_slot = one.is_slot or dcgm.SLOT in labels
            listed.any_memory = listed.any_memory or name == dcgm.USED
            if isinstance(name, Metric):
                one.metrics.add(name)
    _check_cluster(clusters)
    if not any_series:
        every = [f"{name}{{{batches.only.removeprefix(',')}}}" for name in names]
        any_series = bool(batches.series(every))
    present, with_pods = metrics(listed.found), bool(listed.found)
    listed.missing = dcgm.missing(present, with_pods=with_pods, any_series=any_series, memory=listed.any_memory)
    return listed


def metrics(found: PodDevices) -> list[Metric]:
    """Return the metrics that any device has, the best first."""
    present = {metric for one in found.values() for metric in one.metrics}
    return [metric for metric in Metric if metric in present]


def _check_cluster(clusters: Mapping[str, Iterable[str]]) -> None:
    """Check the values of labels that distinguish clusters.

    Raises:
        QueryError: the series are from several clusters.
    """
    for label, values in sorted(clusters.items()):
        found = [f'"{one}"' for one in sorted(values)]
        if len(found) > 1:
            # A series without the label has the empty value.
            raise QueryError(
                f"the series of GPUs come from several clusters, {label}: {first_of(found, 5)}, whose pods may have the same "
                f"names; set --prometheus-label {label}=VALUE to the cluster whose workloads are read"
            )

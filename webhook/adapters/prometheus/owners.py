"""The controllers of deleted pods, as kube-state-metrics recorded them within the window."""

from collections.abc import Iterable, Iterator, Sequence

from .expressions import matching
from .query_batches import PrometheusServer

_BATCH = 200  # names per request
_NONE = "<none>"  # what kube-state-metrics writes for one without a controller
# Kinds that have controllers of their own: the metric with their owners, and its label for the object.
_ABOVE = {"ReplicaSet": ("kube_replicaset_owner", "replicaset"), "Job": ("kube_job_owner", "job_name")}

Owners = dict[str, tuple[str, str]]


def owners(
    server: PrometheusServer, pods: Iterable[tuple[str, str]], start: float, end: float, only: str = ""
) -> Owners:
    """Return kind and name of the topmost controller of pods, by namespace and name; pods without a record are left out.

    ``pods`` are namespaces and names; the window is from ``start`` to ``end`` (seconds since 1970); ``only`` are more matchers of
    series, from ``with_labels``.

    Raises:
        QueryError: there was no usable answer.
    """
    found = dict(_recorded(server, "kube_pod_owner", "pod", sorted(set(pods)), (start, end), only))
    for kind, (metric, label) in _ABOVE.items():
        below = {(key.partition("/")[0], name) for key, (of_kind, name) in found.items() if of_kind == kind}
        above = dict(_recorded(server, metric, label, sorted(below), (start, end), only))
        for key, (of_kind, name) in found.items():
            if of_kind == kind:
                found[key] = above.get(f"{key.partition('/')[0]}/{name}", (kind, name))
    return found


def _recorded(  # noqa: PLR0913, PLR0917 - which series, of which objects, when
    server: PrometheusServer,
    metric: str,
    label: str,
    names: Sequence[tuple[str, str]],
    within: tuple[float, float],
    only: str,
) -> Iterator[tuple[str, tuple[str, str]]]:
    for at in range(0, len(names), _BATCH):
        batch = names[at : at + _BATCH]
        which = matching("namespace", label, batch, only)
        for labels in server.series([f"{metric}{which}"], *within):
            owner = labels.get("owner_kind", _NONE), labels.get("owner_name", _NONE)
            if _NONE not in owner:
                yield f"{labels.get('namespace', '')}/{labels.get(label, '')}", owner

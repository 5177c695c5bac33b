"""Where ``check``, ``audit`` and ``fleet`` get the nodes from: a saved file, or the cluster."""

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..adapters.file_errors import why
from ..adapters.kubernetes import fleets
from ..adapters.kubernetes.errors import ApiError
from ..adapters.kubernetes.lists import Lister
from ..adapters.kubernetes.nodes import FleetFileError
from ..adapters.reports import terminal
from ..adapters.reports.progress import ProgressBar
from ..application.configuration import Configuration
from ..application.deciders import DecidedPolicy
from ..application.fleet_view import FleetView, PodCount, view
from ..engine.fleet.fleet import Fleet
from .cluster_options import reached
from .messages import say, usage_error

LIVE = "live"
# A file that is older denies nothing: what nodes offered within a day still counts as offered.
_CERTAIN_SECONDS = 86400

FleetOption = Annotated[
    str | None,
    typer.Option(
        "--fleet",
        metavar="FILE|live",
        help="Also report requests that no node can run. FILE: nodes as printed by gpuwarden fleet -o json or kubectl get "
        "nodes -o json; live: those of the cluster.",
    ),
]


class FleetInput(msgspec.Struct, frozen=True):
    """A fleet as it was read: the objects, and the nodes as rules see them."""

    objects: fleets.ClusterObjects
    fleet: Fleet


def read_fleet(  # noqa: PLR0913 - where it is, and how to call that
    value: str,
    configuration: Configuration,
    kubeconfig: Path | None,
    context: str | None,
    *,
    called: str = "",
    with_pods: bool = False,
) -> FleetInput:
    """A fleet, from a file or a cluster.

    ``value`` is a file's name or ``live``; ``called`` is its name in messages, by default the option ``--fleet``.

    Raises:
        typer.Exit: 2, after printing why, if it can't be read.
    """
    labels = configuration.policies.node_labels
    if value == LIVE:
        objects, age = _live(called or f"--fleet {LIVE}", kubeconfig, context, labels, with_pods=with_pods), 0.0
    else:
        objects, age = _saved(called or f"--fleet {value}", Path(value), labels)
    if objects.unread:
        say(f"note: DeviceClasses are not taken into account: {objects.unread}")
    fleet = Fleet(
        Counter(node.shape for node in objects.gpu_nodes(labels)),
        labels=labels,
        classes=objects.offered,
        expected=configuration.expected,
        age=age,
        is_certain=age < _CERTAIN_SECONDS and not objects.unread,
    )
    return FleetInput(objects, fleet)


def view_of(read: FleetInput, configuration: Configuration) -> FleetView:
    """Return the view of a fleet that was read."""
    objects = read.objects
    nodes = objects.gpu_nodes(configuration.policies.node_labels)
    pods = None if objects.pods is None else PodCount(item.pod for item in objects.pods)
    return view(configuration, read.fleet, nodes, pods, objects.labels, objects.devices)


def deciders_of(read: FleetInput, configuration: Configuration) -> list[DecidedPolicy] | None:
    """Return who decides by which policy; ``None`` if that is not known."""
    admission = read.objects.admission
    return admission.installed.policies(configuration, read.objects.labels or {}) if admission else None


def _saved(called: str, path: Path, labels: frozenset[str]) -> tuple[fleets.ClusterObjects, float]:
    try:
        objects = fleets.read_saved(path.read_bytes(), labels)
        # A file with the time of its reading may have been copied since.
        objects.at = objects.at or datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
        return objects, max(0.0, time.time() - objects.at.timestamp())
    except FleetFileError as error:
        raise usage_error(f"{called}: {error}") from error
    except OSError as error:
        raise usage_error(f"{called}: {why(path, error)}") from error


def _live(
    called: str, kubeconfig: Path | None, context: str | None, labels: frozenset[str], *, with_pods: bool
) -> fleets.ClusterObjects:
    api = reached(kubeconfig, context, called=called)
    try:
        now = datetime.now(UTC).replace(microsecond=0)
        with ProgressBar(terminal.console(stderr=True)) as progress:
            return fleets.read_cluster(Lister(api, progress), labels, now, with_pods=with_pods)
    except ApiError as error:
        fix = "use a user who may list nodes, or a file saved by gpuwarden fleet -o json"
        raise usage_error(f"{called}: the nodes can't be listed: {error.detail}; {fix}") from error

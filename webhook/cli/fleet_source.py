"""Watches the cluster's GPU nodes for the server, and counts the GPUs that pods hold and wait for."""

from collections.abc import Callable, Mapping, Sequence

import structlog

from ..adapters.asgi.application import ReadinessPart
from ..adapters.kubernetes.client import ApiServer
from ..adapters.kubernetes.errors import ApiError, Fault
from ..adapters.kubernetes.fleet_watch import FleetWatch
from ..adapters.kubernetes.gpu_node_selectors import SELECTORS
from ..adapters.kubernetes.gpu_pod_count import PodCounts
from ..adapters.metrics import Metrics
from ..application.configuration import Configuration
from ..application.diagnosis.results import listed
from ..application.fleet import plain_forms_offered
from ..application.fleet_view import view
from ..engine.fleet.fleet import Fleet
from ..engine.namespace_labels import NamespaceLabels

_log = structlog.get_logger("gpuwarden.nodes")


class WatchedFleet:
    """Runs the watch of nodes, updates its metrics, and reports its readiness."""

    def __init__(
        self,
        api: ApiServer,
        metrics: Metrics,
        configuration: Callable[[], Configuration],
        namespaces: Callable[[], Mapping[str, NamespaceLabels]],
        selectors: Sequence[str] | None = None,
    ) -> None:
        self._view = FleetWatch(api, _Observer(metrics), selectors or SELECTORS)
        self._pods = PodCounts(api)
        self._metrics = metrics
        self._configuration = configuration
        self._namespaces = namespaces
        self._published: tuple[Fleet | None, Configuration | None] = None, None
        self._published_labels: frozenset[NamespaceLabels] = frozenset()
        self._seen, self._part = "", "not known yet"
        self._uncounted = False

    @property
    def fleet(self) -> Fleet | None:
        """The nodes' offers."""
        return self._view.fleet

    def start(self) -> None:
        """Begin to watch."""
        self._view.start()

    def poll(self) -> None:
        """Update the view, and set the gauges of its content and its age."""
        configuration = self._configuration()
        fleet = self._view.poll(configuration)
        self._metrics.node_watch_age(self._view.age())
        exempt = configuration.exemptions.namespaces
        labels = frozenset(of_one for name, of_one in self._namespaces().items() if name not in exempt)
        old_fleet, old_configuration = self._published
        if fleet is not old_fleet or configuration is not old_configuration or labels != self._published_labels:
            self._published, self._published_labels = (fleet, configuration), labels
            self._metrics.offered(fleet.offered if fleet else {})
            self._metrics.policies_offered(plain_forms_offered(fleet, configuration, labels) if fleet else {})
        self._publish_selection()

    def _publish_selection(self) -> None:
        """Set the numbers of nodes, and log if the selectors select none."""
        view = self._view
        selected = None if view.age() is None else view.selected_number
        self._metrics.nodes(selected, None if view.unselected is None else len(view.unselected))
        if selected is None:
            seen, self._part = "", "not known, so requests that no node can run are not reported"
        elif selected:
            seen, self._part = "", f"{selected} with GPUs"
        elif view.unselected:
            names = listed([node.name for node in view.unselected])
            seen = "no node selector selects the nodes with GPUs, so all nodes are read every 5 minutes instead"
            fix = "set --node-selector (nodes.selectors in the chart) to labels that the nodes with GPUs have"
            self._part = f"{seen}; {fix}"  # no names: the port is unauthenticated
            if seen != self._seen:
                _log.warning(seen, nodes=names, fix=fix)
        elif view.unselected is not None:
            self._part = seen = "no node has GPUs, so requests that no node can run are not reported"
            if seen != self._seen:
                _log.info(seen)
        else:
            return  # not read yet
        self._seen = seen

    def count_pods(self) -> None:
        """Set the gauges of the GPUs that pods hold and wait for, if a count is due."""
        fleet = self._view.fleet
        if fleet is None:
            self._metrics.pods_counted({}, {})
        elif self._pods.due:
            nodes = [*self._view.selected, *(self._view.unselected or ())]
            try:
                pods = self._pods.read()
            except ApiError as error:
                self._metrics.pods_counted({}, {})
                if not self._uncounted:
                    _log.warning("pods can't be listed, so what they hold is not in the metrics", detail=error.detail)
                self._uncounted = True
                return
            self._uncounted = False
            found = view(self._configuration(), fleet, nodes, pods, self._namespaces())
            self._metrics.pods_counted(found.allocated, found.pending)

    def part(self) -> ReadinessPart:
        """Its part of ``/readyz``: always ready, because no decision needs the nodes."""
        return ReadinessPart(name="nodes", ready=True, message=self._part)

    def stop(self) -> None:
        """End the watch."""
        self._view.stop()


class _Observer:
    """Reports events of the watches to metrics and log. A missing permission is logged once."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._forbidden = False

    def listed(self, number: int) -> None:
        self._forbidden = False
        _log.info("nodes listed", count=number)

    def watch_failed(self, fault: Fault, detail: str, retry_in: float) -> None:
        self._metrics.node_watch_failed(fault.value)
        if fault is not Fault.FORBIDDEN:
            _log.warning("node watch failed", fault=fault.value, detail=detail, retry_seconds=round(retry_in, 1))
        elif not self._forbidden:
            self._forbidden = True
            _log.warning("nodes can't be read, so requests that no node can run are not reported", detail=detail)

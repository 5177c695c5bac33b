"""Where the server learns what nodes offer: a watch of the cluster's GPU nodes, or nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from webhook.adapters.kubernetes.errors import Fault
from webhook.adapters.kubernetes.fleet_view import FleetView
from webhook.adapters.kubernetes.selectors import SELECTORS
from webhook.adapters.metrics import Metrics
from webhook.application.configuration import Configuration
from webhook.application.fleet import plain_forms_offered
from webhook.engine.fleet.fleet import Fleet
from webhook.engine.labels import NamespaceLabels

if TYPE_CHECKING:  # it loads an HTTP client, which nobody needs without a cluster
    from webhook.adapters.kubernetes.client import ApiServer

_log = structlog.get_logger("gpuwarden.nodes")


class WatchedFleet:
    """The nodes of a cluster, with their share of the server's life."""

    def __init__(
        self,
        api: ApiServer,
        metrics: Metrics,
        configuration: Callable[[], Configuration],
        labels: Callable[[Configuration], Iterable[NamespaceLabels]],
        selectors: Sequence[str] | None = None,
    ) -> None:
        self._view = FleetView(api, _Telling(metrics), selectors or SELECTORS)
        self._metrics = metrics
        self._configuration = configuration
        self._labels = labels
        self._told: Fleet | None = None

    @property
    def fleet(self) -> Fleet | None:
        """The nodes' offers."""
        return self._view.fleet

    @property
    def class_forms(self) -> Mapping[str, str]:
        """The forms of DeviceClasses by their resource names."""
        return self._view.class_forms

    def start(self) -> None:
        """Begin to watch."""
        self._view.start()

    def poll(self) -> None:
        """Bring the view up to date, and set the gauges of its content and its age."""
        configuration = self._configuration()
        fleet = self._view.poll(configuration)
        self._metrics.node_watch_age(self._view.age())
        if fleet is not self._told:
            self._told = fleet
            self._metrics.offered(fleet.offered if fleet else {})
            labels = self._labels(configuration)
            self._metrics.policies_offered(plain_forms_offered(fleet, configuration, labels) if fleet else {})

    def stop(self) -> None:
        """End the watch."""
        self._view.stop()


class _Telling:
    """Reports the state of the watches to metrics and log; once for as long as nodes may not be listed."""

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

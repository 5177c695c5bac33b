"""The source of namespaces' labels: a file, a cluster's API server, or none (the defaults apply to all)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import structlog

from ..adapters import namespace_file
from ..adapters.asgi.application import ReadinessPart
from ..adapters.kubernetes.claim_holders import LiveClaimHolders
from ..adapters.kubernetes.errors import Fault
from ..adapters.kubernetes.live_claims import LiveClaims
from ..adapters.kubernetes.preview import WorkloadPreview
from ..adapters.kubernetes.watched_namespaces import FRESHNESS_BOUND, WatchedNamespaces
from ..adapters.metrics import Metrics
from ..adapters.namespace_file import FileNamespaces
from ..application.claims import ClaimSource, NoClaims
from ..application.configuration import Configuration
from ..application.namespace_admission import Preview
from ..application.namespaces import Namespaces
from ..application.reservations import NoPods, PodSource
from ..engine.labels import NamespaceLabels
from .options import Options
from .reloading import Reload

if TYPE_CHECKING:  # it loads an HTTP client, which only a cluster needs
    from ..adapters.kubernetes.client import ApiServer

_log = structlog.get_logger("gpuwarden.namespaces")


class NamespaceSource(Protocol):
    """A source with its share of the server's life."""

    namespaces: Namespaces
    claims: ClaimSource
    pods: PodSource

    def preview(self, configuration: Callable[[], Configuration]) -> Preview | None:
        """The preview of the effect of a new label on workloads, or ``None`` without a cluster."""

    def start(self) -> None:
        """Start."""

    def poll(self) -> None:
        """Do what is due; called about once a second, in a thread."""

    def stop(self) -> None:
        """Stop."""

    def part(self) -> ReadinessPart:
        """Its part of ``/readyz``."""


class FileSource:
    """Namespaces from ``--namespaces``, or none."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        self._file = FileNamespaces()
        self.namespaces: Namespaces = self._file
        self.claims: ClaimSource = NoClaims()
        self.pods: PodSource = NoPods()
        self._reload: Reload[dict[str, NamespaceLabels]] | None = None
        if options.namespaces:
            self._reload = Reload("namespaces", options.namespaces, namespace_file.parse, self._use, metrics)
        else:
            _log.warning("no source of namespaces: the configuration's defaults apply to all")

    def preview(self, configuration: Callable[[], Configuration]) -> None:
        """``None``: a file has no workloads."""

    def start(self) -> None:
        """Do nothing: a file is read at once."""

    def poll(self) -> None:
        """Read a changed file."""
        if self._reload:
            self._reload.poll()

    def stop(self) -> None:
        """Do nothing: no thread runs."""

    def part(self) -> ReadinessPart:
        """Ready once it is read."""
        if self._reload:
            return self._reload.part()
        return ReadinessPart(
            name="namespaces", ready=True, message="no source: the configuration's defaults apply to all"
        )

    def _use(self, labels: Mapping[str, NamespaceLabels]) -> None:
        self._file.labels = labels


class ClusterSource:
    """Namespaces watched through the API server."""

    def __init__(self, api: ApiServer, metrics: Metrics) -> None:
        self._api = api
        self._metrics = metrics
        self._watched = WatchedNamespaces(api, _Telling(metrics))
        self.namespaces: Namespaces = self._watched
        self._read = LiveClaims(api, _log.warning)
        self.claims: ClaimSource = self._read
        self._holders = LiveClaimHolders(api)
        self.pods: PodSource = self._holders
        self._previews: list[WorkloadPreview] = []

    def preview(self, configuration: Callable[[], Configuration]) -> WorkloadPreview:
        """One that reads the API server."""
        preview = WorkloadPreview(self._api, configuration)
        self._previews.append(preview)
        return preview

    def labels(self) -> Mapping[str, NamespaceLabels]:
        """The labels of all namespaces, as far as they are known."""
        return self._watched.labels()

    def start(self) -> None:
        """Start the watch."""
        self._watched.start()

    def poll(self) -> None:
        """Report the age of the cache."""
        self._metrics.watch_age(self._watched.age())

    def stop(self) -> None:
        """End the watch and the previews."""
        for preview in self._previews:
            preview.close()
        self._watched.stop()
        self._read.close()
        self._holders.close()

    def part(self) -> ReadinessPart:
        """Ready when all namespaces are known and the API server has answered recently."""
        ready, message = self._watched.freshness(FRESHNESS_BOUND)
        return ReadinessPart(name="namespaces", ready=ready, message=message)


class _Telling:
    """Reports the state of the watch to metrics and log."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def listed(self, namespaces: int) -> None:
        self._metrics.namespaces_listed(namespaces)
        _log.info("namespaces listed", count=namespaces)

    def watch_failed(self, fault: Fault, detail: str, retry_in: float) -> None:
        self._metrics.watch_failed(fault.value)
        _log.warning("namespace watch failed", fault=fault.value, detail=detail, retry_seconds=round(retry_in, 1))

    def missed(self, outcome: str) -> None:
        self._metrics.namespace_missed(outcome)

"""The source of namespaces' labels: a file, a cluster's API server, or none (the defaults apply to all)."""

from collections.abc import Callable, Mapping

import structlog

from ..adapters import namespace_file
from ..adapters.asgi.application import ReadinessPart
from ..adapters.kubernetes.claim_holders import LiveClaimHolders
from ..adapters.kubernetes.client import ApiServer
from ..adapters.kubernetes.errors import Fault
from ..adapters.kubernetes.live_claims import LiveClaims
from ..adapters.kubernetes.preview import WorkloadPreview
from ..adapters.kubernetes.watched_namespaces import FRESHNESS_BOUND, WatchedNamespaces
from ..adapters.metrics import Metrics
from ..adapters.namespace_file import FileNamespaces
from ..application.claims import NoClaims
from ..application.configuration import Configuration
from ..application.reservations import NoPods
from ..engine.namespace_labels import NamespaceLabels
from .options import Options
from .reloading import Reload

_log = structlog.get_logger("gpuwarden.namespaces")


class FileSource:
    """Namespaces from ``--namespaces``, or none, with the methods of ``ClusterSource``; a file has no workloads and no thread."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        self.namespaces = FileNamespaces()
        self.claims = NoClaims()
        self.pods = NoPods()
        self._reload: Reload[dict[str, NamespaceLabels]] | None = None
        if options.namespaces:
            self._reload = Reload("namespaces", options.namespaces, namespace_file.parse, self._use, metrics)
        else:
            _log.warning("no source of namespaces: the configuration's defaults apply to all")

    def preview(self, configuration: Callable[[], Configuration]) -> None:
        """Return ``None``."""

    def start(self) -> None:
        """Do nothing."""

    def poll(self) -> None:
        """Read a changed file."""
        if self._reload:
            self._reload.poll()

    def stop(self) -> None:
        """Do nothing."""

    def part(self) -> ReadinessPart:
        """Ready once it is read."""
        if self._reload:
            return self._reload.part()
        return ReadinessPart(
            name="namespaces", ready=True, message="no source: the configuration's defaults apply to all"
        )

    def _use(self, labels: Mapping[str, NamespaceLabels]) -> None:
        self.namespaces.labels = labels


class ClusterSource:
    """Namespaces watched through the API server."""

    def __init__(self, api: ApiServer, metrics: Metrics) -> None:
        self._api = api
        self._metrics = metrics
        self.namespaces = WatchedNamespaces(api, _Observer(metrics))
        self.claims = LiveClaims(api, _log.warning)
        self.pods = LiveClaimHolders(api)
        self._previews: list[WorkloadPreview] = []

    def preview(self, configuration: Callable[[], Configuration]) -> WorkloadPreview:
        """Return a preview of the effect of a new label on workloads."""
        preview = WorkloadPreview(self._api, configuration)
        self._previews.append(preview)
        return preview

    def labels(self) -> Mapping[str, NamespaceLabels]:
        """The labels of all namespaces, as far as they are known."""
        return self.namespaces.labels()

    def start(self) -> None:
        """Start the watch."""
        self.namespaces.start()

    def poll(self) -> None:
        """Report the age of the cache; called about once a second, in a thread."""
        self._metrics.watch_age(self.namespaces.age())

    def stop(self) -> None:
        """End the watch and the previews."""
        for preview in self._previews:
            preview.close()
        self.namespaces.stop()
        self.claims.close()
        self.pods.close()

    def part(self) -> ReadinessPart:
        """Ready when all namespaces are known and the API server has answered recently."""
        ready, message = self.namespaces.freshness(FRESHNESS_BOUND)
        return ReadinessPart(name="namespaces", ready=ready, message=message)


NamespaceSource = FileSource | ClusterSource


class _Observer:
    """Reports events of the watch to metrics and log."""

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

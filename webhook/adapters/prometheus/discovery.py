"""Finds the cluster's Prometheus by the labels of its Service, as usual charts set them; it is reached through the API server.

Sources of the labels: the charts kube-prometheus-stack, prometheus, rancher-monitoring, thanos, mimir-distributed and
victoria-metrics; OpenShift's cluster-monitoring-operator.
"""

from collections.abc import Mapping

import msgspec

from ...application.diagnosis.documents import Service
from ..kubernetes.api_request import path_of
from ..kubernetes.lists import Lister, Page

_NAME, _COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
# Servers that see all clusters or keep data longer come first; each with the path before /api/v1.
_KNOWN: tuple[tuple[Mapping[str, str], str], ...] = (
    ({_NAME: "thanos", _COMPONENT: "query"}, ""),
    ({_NAME: "thanos-query"}, ""),
    ({"app": "thanos-query"}, ""),
    ({_NAME: "mimir", _COMPONENT: "query-frontend"}, "/prometheus"),
    ({_NAME: "vmselect"}, "/select/0/prometheus"),
    ({_NAME: "vmsingle"}, ""),
    ({_NAME: "victoria-metrics-single"}, ""),
    ({"app": "kube-prometheus-stack-prometheus"}, ""),
    ({"app": "rancher-monitoring-prometheus"}, ""),
    ({"app": "prometheus", "component": "server"}, ""),
    ({_NAME: "prometheus", _COMPONENT: "server"}, ""),
    ({"app": "prometheus-operator-prometheus"}, ""),
    ({_NAME: "prometheus", _COMPONENT: "prometheus"}, ""),
)
_PORTS = ("http-web", "http", "web", "http-query", "http-metrics")


class FoundServer(msgspec.Struct, frozen=True):
    """A Service: its namespace, name and port, and the path before ``/api/v1``."""

    namespace: str
    name: str
    port: int
    prefix: str

    @property
    def path(self) -> str:
        """Its path through the API server, which needs the right to get and create ``services/proxy``."""
        return (
            path_of("api", "v1", "namespaces", self.namespace, "services", f"{self.name}:{self.port}", "proxy")
            + self.prefix
        )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.port}"


def services(lister: Lister) -> list[FoundServer]:
    """Return the Services that are a Prometheus, the preferred one first.

    Raises:
        ApiError: Services can't be listed.
    """
    ranked = lister.all("services", path_of("api", "v1", "services"), Page[Service], _ranked)
    return [found for _, found in sorted(ranked, key=lambda one: (one[0], one[1].namespace, one[1].name))]


def _ranked(item: Service) -> tuple[int, FoundServer] | None:
    labels, ports = item.metadata.labels or {}, item.spec.ports or []
    for rank, (wanted, prefix) in enumerate(_KNOWN):
        if ports and wanted.items() <= labels.items():
            port = min(ports, key=lambda one: _PORTS.index(one.name) if one.name in _PORTS else len(_PORTS))
            return rank, FoundServer(item.metadata.namespace, item.metadata.name, port.port, prefix)
    return None

"""The facts of a diagnosis: what was read from the cluster, and what could not be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, TypeVar

from cryptography import x509

from ...engine.claim_objects import Claim
from ...engine.fleet.node_shapes import GpuNode
from ...engine.namespace_labels import UNLABELLED, NamespaceLabels
from ..configuration import Configuration
from ..fleet_view import GpuPod
from ..in_tree_drift import InTreeObject
from ..limit_ranges import LimitRange
from ..plugin_configuration import PluginFile
from ..quotas import Quota
from .documents import Budget, Deployment, EndpointSlice, Pod, Probed, Service
from .neighbours import ClusterQueue, DeviceClass, KueueConfiguration, LocalQueue, NodePool, Program
from .webhook_configurations import WebhookConfiguration

T = TypeVar("T")

ALL_NODES = "*"
NAME_LABEL = "kubernetes.io/metadata.name"
KUBE_SYSTEM = "kube-system"


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read.

    Attributes:
        right: the permission that is missing, as for ``kubectl auth can-i``: ``list nodes``, ``get configmaps/gpuwarden -n gpu``.
        detail: what the API server reported.
        forbidden: whether the permission is missing.
        absent: the kind that the API server does not have, and the project that it belongs to; empty if it has the kind.
    """

    right: str
    detail: str
    forbidden: bool
    absent: str = ""


Maybe: TypeAlias = T | Unread


class UnreadError(Exception):
    """A check needs a fact that could not be read."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(unread.detail)
        self.unread = unread


def known(fact: "T | Unread") -> T:
    """The fact.

    Raises:
        UnreadError: it could not be read.
    """
    if isinstance(fact, Unread):
        raise UnreadError(fact)
    return fact


@dataclass(frozen=True, slots=True)
class BadConfiguration:
    """A configuration that gpuwarden can't use, and why."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission that gpuwarden's ServiceAccount needs: without a namespace, in all; without a name, for any object."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}/{self.name}" if self.name else self.resource
        return f"{self.verb} {what}" + (f" -n {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, slots=True)
class Target:
    """An address that the API server calls, or one behind it.

    Attributes:
        name: what the certificate must be for.
        bundle: the PEM that it is checked against.
    """

    webhook: str
    address: tuple[str, int]
    name: str
    bundle: bytes = field(repr=False)
    path: str = field(default="", repr=False)

    @property
    def where(self) -> str:
        """The address for people."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Contact:
    """The result of connecting to a target.

    Attributes:
        leaf: the certificate that was presented.
        refusal: why a TLS client that trusts the bundle and expects the name rejects it; empty when it does not.
        silence: why there was no connection, or why a handshake ended early; empty if neither happened.
        connected: whether anyone took the connection.
        status: the HTTP status of a GET of the target's path; 0 if it was not tried, or not answered.
        plain_status: the same for the path without its token.
    """

    target: Target
    leaf: x509.Certificate | None = None
    refusal: str = ""
    silence: str = ""
    connected: bool = True
    status: int = 0
    plain_status: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A dry run's answer: the pod as it would have been created, or why it would not."""

    pod: Probed | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """Dry runs in a namespace: of a plain request of one GPU, and of a shared request of two."""

    namespace: str
    labels: Maybe[Mapping[str, str]]
    plain: Attempt
    two_shared: Attempt


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """The namespaces.

    Attributes:
        count: how many there are.
        labels: all labels of the namespaces that have one of our labels or a similar one, and of the few that every diagnosis
            reads.
        annotations: annotations that resemble our labels.
        restricting: annotations that restrict what pods may have (`namespace_restrictions.ANNOTATIONS`).
    """

    count: int
    labels: Mapping[str, Mapping[str, str]]
    annotations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    restricting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def ours(self) -> dict[str, NamespaceLabels]:
        """Our labels, of those namespaces that carry one."""
        found = {name: NamespaceLabels.of(labels) for name, labels in self.labels.items()}
        return {name: labels for name, labels in found.items() if labels != UNLABELLED}


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The other programs that know GPUs by name; `Unread` if one could not be read, or its kind does not exist.

    Attributes:
        exporters: the DaemonSets that run dcgm-exporter.
        autoscalers: where Cluster Autoscaler was found.
        overlay_resources: what nodes have according to NodeOverlays.
        cluster_queues, local_queues: Kueue's.
        kueue: Kueue's configuration; ``None`` if it is not in its default place.
        shared_by: the DRA drivers that have devices which several pods may get.
        devices_on: the nodes on which each DRA driver has devices; ``ALL_NODES`` for devices that any node can use.
        claim_templates: the ResourceClaimTemplates, by namespace and name; ``None`` for one that can't be read.
        runtime_classes: the names of the RuntimeClasses.
    """

    plugin_files: Maybe[Sequence[PluginFile]] = ()
    exporters: Maybe[Sequence[Program]] = ()
    autoscalers: Maybe[Sequence[str]] = ()
    node_pools: Maybe[Sequence[NodePool]] = ()
    overlay_resources: Maybe[frozenset[str]] = frozenset()
    cluster_queues: Maybe[Sequence[ClusterQueue]] = ()
    local_queues: Maybe[Sequence[LocalQueue]] = ()
    kueue: Maybe[KueueConfiguration | None] = None
    device_classes: Maybe[Sequence[DeviceClass]] = ()
    shared_by: Maybe[frozenset[str]] = frozenset()
    devices_on: Maybe[Mapping[str, frozenset[str]]] = field(default_factory=dict)
    claim_templates: Maybe[Mapping[tuple[str, str], Claim | None]] = field(default_factory=dict)
    runtime_classes: Maybe[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """A cluster with gpuwarden, at a moment; an object that does not exist is ``None``.

    Attributes:
        now: when it was checked.
        namespace: where gpuwarden is installed.
        name: of its Deployment, ConfigMap and validating webhook configuration.
        version: the API server's, such as ``(1, 36)``.
        mutating, validating: our webhook configurations.
        all_mutating: everyone's.
        services: those that our webhooks name, by namespace and name.
        slices: of those Services.
        rights: which of the rights that it needs gpuwarden's ServiceAccount has.
        contacts: what answers.
        probe: dry runs, if ``--probe-namespace`` is set.
        nodes: those with GPUs.
        selected_nodes: the names of the nodes that the node selectors of gpuwarden select.
        classes: the resources that DeviceClasses offer.
        neighbours: what else knows GPUs by name.
        waiting: the pods without a node that request a resource that only a DeviceClass makes a GPU resource.
        in_tree: our admission policies and their bindings; none before Kubernetes 1.36.
    """

    now: datetime
    namespace: str
    name: str
    version: Maybe[tuple[int, int]]
    mutating: Maybe[WebhookConfiguration | None]
    validating: Maybe[WebhookConfiguration | None]
    all_mutating: Maybe[Sequence[WebhookConfiguration]]
    services: Mapping[tuple[str, str], Maybe[Service | None]]
    slices: Mapping[tuple[str, str], Maybe[Sequence[EndpointSlice]]]
    deployment: Maybe[Deployment | None]
    pods: Maybe[Sequence[Pod]]
    budgets: Maybe[Sequence[Budget]]
    configuration: Maybe[Configuration | BadConfiguration | None]
    namespaces: Maybe[NamespaceFacts]
    quotas: Maybe[Sequence[Quota]]
    limit_ranges: Maybe[Sequence[LimitRange]]
    nodes: Maybe[Sequence[GpuNode]]
    rights: Maybe[Mapping[Permission, bool]]
    contacts: Sequence[Contact] = ()
    probe: Probe | None = None
    selected_nodes: Maybe[frozenset[str]] = frozenset()
    classes: Maybe[frozenset[str]] = frozenset()
    neighbours: Neighbours = field(default_factory=Neighbours)
    in_tree: Maybe[Sequence[InTreeObject]] = ()
    waiting: Maybe[Sequence[GpuPod]] = ()

    def usable_configuration(self) -> Configuration:
        """The configuration.

        Raises:
            UnreadError: there is none that can be used.
        """
        configuration = known(self.configuration)
        if configuration is None or isinstance(configuration, BadConfiguration):
            detail = "there is no usable configuration (see check configuration)"
            raise UnreadError(Unread("", detail, forbidden=False))
        return configuration

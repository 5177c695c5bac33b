"""A fleet with its pods: nodes, pods with GPUs, namespaces and DeviceClasses, live or from a file, in one format."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ...engine.fleet.devices import Devices
from ...engine.fleet.node_shapes import GpuNode
from ...engine.namespace_labels import DOMAIN, NamespaceLabels
from . import in_tree_objects, nodes
from .api_request import path_of
from .devices import AllocatedClaim, SliceItem, devices_of
from .errors import ApiError, Fault
from .gpu_pods import PodItem
from .in_tree_objects import AdmissionObjects
from .lists import Lister, Page
from .nodes import ClassItem, NodeItem
from .workload_documents import NamespaceItem

T = TypeVar("T")


class ClusterObjects(msgspec.Struct):
    """The objects that were read from a cluster.

    Attributes:
        nodes: those with GPUs or devices of ResourceSlices.
        pods: those with GPUs that have not ended; ``None`` if pods were not read.
        namespaces: ``None`` if they were not read.
        classes, slices: DeviceClasses that offer a resource name, and the ResourceSlices if there are such classes.
        claims: the ResourceClaims that hold devices, read where pods are.
        admission: gpuwarden's admission policies and webhooks, read where pods are; ``None`` if they are not known.
        notes: what could not be read, and why.
        unread: why the DeviceClasses are not known; empty if they are known.
        at: when it was read; ``None`` if a file doesn't contain the time.
    """

    nodes: list[NodeItem]
    pods: list[PodItem] | None = None
    namespaces: list[NamespaceItem] | None = None
    classes: list[ClassItem] = []
    slices: list[SliceItem] = []
    claims: list[AllocatedClaim] = []
    admission: AdmissionObjects | None = None
    notes: list[str] = []
    unread: str = ""
    at: datetime | None = None

    def gpu_nodes(self, others: Collection[str]) -> list[GpuNode]:
        """The nodes with GPUs; ``others`` are labels to keep that policies select by."""
        return [node for item in self.nodes if (node := item.gpu_node(others))]

    @property
    def offered(self) -> frozenset[str]:
        """The resources that DeviceClasses offer."""
        return nodes.offered(self.classes, {one.spec.driver for one in self.slices})

    @property
    def resource_names(self) -> dict[str, str]:
        """The resource name of each DeviceClass that has one."""
        return {one.metadata.name: one.spec.extended_resource_name or "" for one in self.classes}

    @property
    def devices(self) -> Devices:
        """The devices of ResourceSlices."""
        away = {node.metadata.name for node in self.nodes if not node.takes_pods}
        return devices_of(self.classes, self.slices, self.claims, away)

    @property
    def labels(self) -> dict[str, NamespaceLabels] | None:
        """The labels of namespaces."""
        return None if self.namespaces is None else {one.metadata.name: one.policies for one in self.namespaces}

    @property
    def items(self) -> list[dict[str, Any]]:
        """Everything as Kubernetes objects with the fields that were read, as ``saved`` reads them."""
        return [
            *(_written("Node", "v1", one) for one in self.nodes),
            *(_written("Pod", "v1", one) for one in self.pods or ()),
            *(_namespace(one) for one in self.namespaces or ()),
            *(_written("DeviceClass", "resource.k8s.io/v1", one) for one in self.classes),
            *(_written("ResourceSlice", "resource.k8s.io/v1", one) for one in self.slices),
            *(_written("ResourceClaim", "resource.k8s.io/v1", one) for one in self.claims),
            *(_full(one) for one in (self.admission.items if self.admission else ())),
        ]


def read_cluster(lister: Lister, others: Collection[str], now: datetime, *, with_pods: bool) -> ClusterObjects:
    """Read a cluster; objects that may not be listed, other than the nodes, are left out with a note.

    ``others`` are node labels to keep in addition to those that distinguish forms.

    Raises:
        ApiError: the nodes can't be listed.
    """
    objects = ClusterObjects([], notes=[], at=now)
    _read_devices(lister, objects)
    path = path_of("api", "v1", "nodes")
    objects.nodes = lister.all("nodes", path, Page[NodeItem], lambda item: _kept(item, objects.slices, others))
    if with_pods:
        _read_pods(lister, objects)
        if objects.slices:
            _read_claims(lister, objects)
        with _noted(objects, f"{in_tree_objects.UNDECIDED}: admission policies and webhooks can't be listed"):
            objects.admission = in_tree_objects.live(lister)
    return objects


def _kept(node: NodeItem, slices: Sequence[SliceItem], others: Collection[str]) -> NodeItem | None:
    """A node with GPUs, or with devices of ResourceSlices."""
    has_devices = any(node.metadata.name in one.nodes for one in slices)
    return node if has_devices or node.gpu_node(others) else None


def _read_devices(lister: Lister, objects: ClusterObjects) -> None:
    try:
        objects.classes = nodes.named_classes(lister)
        if objects.classes:
            objects.slices = lister.all(nodes.SLICES, nodes.SLICES_PATH, Page[SliceItem], lambda item: item)
    except ApiError as error:
        objects.unread = "" if error.fault is Fault.NOT_FOUND else error.detail


def _read_claims(lister: Lister, objects: ClusterObjects) -> None:
    path = path_of("apis", "resource.k8s.io", "v1", "resourceclaims")
    with _noted(objects, "the devices in use are not known: ResourceClaims can't be listed"):
        objects.claims = lister.all(
            "resourceclaims", path, Page[AllocatedClaim], lambda item: item if item.holds else None
        )


def _read_pods(lister: Lister, objects: ClusterObjects) -> None:
    with _noted(objects, "GPUs in use and waiting pods are not known: pods can't be listed"):
        objects.pods = lister.all("pods", path_of("api", "v1", "pods"), Page[PodItem], PodItem.trimmed)
        with_gpus = {pod.metadata.namespace for pod in objects.pods}
        path = path_of("api", "v1", "namespaces")
        with _noted(objects, "the policies of namespaces are not known: namespaces can't be listed"):
            objects.namespaces = lister.all(
                "namespaces", path, Page[NamespaceItem], lambda item: item if item.metadata.name in with_gpus else None
            )


@contextmanager
def _noted(objects: ClusterObjects, why: str) -> Iterator[None]:
    """Leave out what can't be read, with a note."""
    try:
        yield
    except ApiError as error:
        objects.notes.append(f"{why}: {error.detail}")


def read_saved(text: bytes, others: Collection[str]) -> ClusterObjects:
    """Read a file: a report of ``gpuwarden fleet -o json``, or a list that kubectl printed.

    Without a Pod (or Namespace) in the list of kubectl, pods (or namespaces) count as not read.

    Raises:
        FleetFileError: it is something else.
    """
    found = nodes.load(text)
    pods = [item for one in found.every("Pod", PodItem) if (item := one.trimmed())]
    namespaces = found.every("Namespace", NamespaceItem)
    slices = found.every("ResourceSlice", SliceItem)
    notes = []
    if not found.has_pods:
        notes.append(
            "GPUs in use and waiting pods are not known: the file has no pods; save it with gpuwarden fleet -o json"
        )
    if not found.has_deciders:
        notes.append(
            f"{in_tree_objects.UNDECIDED}: the file has no webhooks and admission policies; save it with gpuwarden fleet -o json"
        )
    return ClusterObjects(
        [one for one in found.every("Node", NodeItem) if _kept(one, slices, others)],
        pods if found.has_pods else None,
        namespaces or None,
        found.every("DeviceClass", ClassItem),
        slices,
        [one for one in found.every("ResourceClaim", AllocatedClaim) if one.holds],
        in_tree_objects.saved(found) if found.has_deciders else None,
        notes,
        at=found.at,
    )


def _written(kind: str, version: str, item: msgspec.Struct) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, **_full(msgspec.to_builtins(item))}


def _namespace(item: NamespaceItem) -> dict[str, Any]:
    """A namespace, with only its name and our labels."""
    ours = {key: value for key, value in (item.metadata.labels or {}).items() if key.startswith(DOMAIN)}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": item.metadata.name, "labels": ours}}


def _full(value: Any) -> Any:
    """The object without fields that have no value."""
    if isinstance(value, Mapping):
        return {key: _full(one) for key, one in value.items() if one is not None}
    return [_full(one) for one in value] if isinstance(value, list) else value

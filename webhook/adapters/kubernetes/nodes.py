"""Nodes and DeviceClasses, which offer GPUs, from the API server or from the output of ``kubectl get -o json``."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from ...engine.fleet.node_shapes import GpuNode, Taint, shape_of
from .api_request import path_of
from .errors import ApiError, Fault
from .lists import Lister, Page

T = TypeVar("T")

_Amounts = dict[str, str | int] | None
_DRA = "resource.k8s.io"


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""
    labels: dict[str, str] | None = None


class _NodeSpec(msgspec.Struct):
    taints: list[Taint] | None = None
    unschedulable: bool = False


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _NodeInfo(msgspec.Struct, rename="camel", frozen=True):
    kubelet_version: str = ""


class _NodeStatus(msgspec.Struct, rename="camel"):
    capacity: _Amounts = None
    allocatable: _Amounts = None
    conditions: list[_Condition] | None = None
    node_info: _NodeInfo = _NodeInfo()


class NodeItem(msgspec.Struct):
    """The fields of a Node that decide which GPU pods it can run."""

    metadata: _Metadata
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)

    @property
    def is_ready(self) -> bool:
        """Whether its Ready condition is not known to be false."""
        return not any(one.type == "Ready" and one.status != "True" for one in self.status.conditions or ())

    @property
    def takes_pods(self) -> bool:
        """Whether it accepts new pods, apart from taints."""
        return self.is_ready and not self.spec.unschedulable

    def gpu_node(self, others: Collection[str]) -> GpuNode | None:
        """The engine's value; ``None`` for a node without GPUs. ``others`` are labels to keep that policies select by."""
        shape = shape_of(
            self.metadata.labels or {},
            self.status.capacity or {},
            self.status.allocatable or {},
            self.spec.taints or (),
            ready=self.is_ready,
            cordoned=self.spec.unschedulable,
            kubelet=self.status.node_info.kubelet_version,
            others=others,
        )
        return GpuNode(self.metadata.name, shape) if shape else None


class _Cel(msgspec.Struct):
    expression: str = ""


class _Selector(msgspec.Struct):
    cel: _Cel | None = None


class _ClassSpec(msgspec.Struct, rename="camel"):
    extended_resource_name: str | None = None
    selectors: list[_Selector] | None = None


class ClassItem(msgspec.Struct):
    """A DeviceClass: its resource name (KEP-5004), and which devices it selects."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _ClassSpec = msgspec.field(default_factory=_ClassSpec)

    @property
    def expressions(self) -> list[str]:
        """Its CEL selectors."""
        return [one.cel.expression for one in self.spec.selectors or () if one.cel]

    def offered(self, drivers: Collection[str]) -> str | None:
        """The resource that the class offers, if its selectors name one of these drivers (the ones with devices)."""
        expressions = self.expressions
        has_devices = any(not expressions or any(driver in each for each in expressions) for driver in drivers)
        return self.spec.extended_resource_name if has_devices else None


class _SliceSpec(msgspec.Struct):
    driver: str = ""


class _DriverItem(msgspec.Struct):
    """A ResourceSlice: the driver of its devices."""

    spec: _SliceSpec = msgspec.field(default_factory=_SliceSpec)


CLASSES = "deviceclasses"
CLASSES_PATH = path_of("apis", _DRA, "v1", CLASSES)


class FleetFileError(Exception):
    """The file is not a list of nodes as kubectl prints it."""


def nodes(lister: Lister, others: Collection[str]) -> list[GpuNode]:
    """The cluster's nodes with GPUs.

    Raises:
        ApiError: the list is not available.
    """
    return lister.all("nodes", path_of("api", "v1", "nodes"), Page[NodeItem], lambda item: item.gpu_node(others))


def named_classes(lister: Lister) -> list[ClassItem]:
    """The DeviceClasses that offer a resource name.

    Raises:
        ApiError: the list is not available.
    """
    return lister.all(
        CLASSES, CLASSES_PATH, Page[ClassItem], lambda item: item if item.spec.extended_resource_name else None
    )


SLICES = "resourceslices"
SLICES_PATH = path_of("apis", _DRA, "v1", SLICES)


def class_items(lister: Lister) -> tuple[list[ClassItem], frozenset[str]]:
    """The DeviceClasses that offer a resource name, and the drivers with devices; none if there are no such objects.

    Raises:
        ApiError: a list is not available.
    """
    found: list[ClassItem] = []
    drivers: list[str] = []
    try:
        found = named_classes(lister)
        if found:
            drivers = lister.all(SLICES, SLICES_PATH, Page[_DriverItem], lambda item: item.spec.driver)
    except ApiError as error:
        if error.fault is not Fault.NOT_FOUND:
            raise
    return found, frozenset(drivers)


class _Kind(msgspec.Struct, rename="camel"):
    kind: str = ""


class _Listed(msgspec.Struct, rename="camel"):
    kind: str = ""
    generated_at: datetime | None = None
    pods_known: bool = False
    deciders: list[msgspec.Raw] | None = None
    items: list[msgspec.Raw] | None = None


class SavedObjects(msgspec.Struct):
    """The objects of a file, undecoded, by kind.

    Attributes:
        at: when they were read, if the file contains the time.
        has_pods: the file is a report whose pods were read, even if there were none.
        has_deciders: the file is a report with deciders, so it contains all admission policies and webhooks.
    """

    items: dict[str, list[msgspec.Raw]]
    at: datetime | None
    has_pods: bool
    has_deciders: bool

    def every(self, kind: str, item: type[T]) -> list[T]:
        """All objects of a kind.

        Raises:
            FleetFileError: one has a field of the wrong type.
        """
        try:
            return [msgspec.json.decode(one, type=item) for one in self.items.get(kind, ())]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FleetFileError(f"is not what kubectl get nodes -o json prints: {kind}: {error}") from error


def load(text: bytes) -> SavedObjects:
    """The objects of a file: a list as kubectl or the API server writes it, one object, or a report of ``gpuwarden fleet``.

    Raises:
        FleetFileError: it is something else, or contains no Node.
    """
    found: dict[str, list[msgspec.Raw]] = {}
    try:
        listed = msgspec.json.decode(text, type=_Listed)
        whole = [msgspec.Raw(text)] if listed.items is None else listed.items
        for item in whole:
            # A list as the API server answers it (kubectl get --raw) has its items' kind in its own.
            kind = msgspec.json.decode(item, type=_Kind).kind or listed.kind.removesuffix("List")
            found.setdefault(kind, []).append(item)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FleetFileError(f"is not what kubectl get nodes -o json prints: {error}") from error
    if "Node" not in found and listed.generated_at is None:
        raise FleetFileError("holds no Node; use the output of kubectl get nodes -o json")
    return SavedObjects(found, listed.generated_at, "Pod" in found or listed.pods_known, listed.deciders is not None)


def offered(found: Sequence[ClassItem], drivers: Collection[str]) -> frozenset[str]:
    """The resources that DeviceClasses offer, given the drivers that have devices."""
    return frozenset(name for one in found if (name := one.offered(drivers)))

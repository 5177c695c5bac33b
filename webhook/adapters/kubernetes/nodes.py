"""Nodes, and what else offers GPUs (DeviceClasses), as the API server lists them and as ``kubectl get -o json`` prints them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec

from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.lists import Lister, Page
from webhook.adapters.kubernetes.request import path_of
from webhook.engine.fleet.shapes import GpuNode, Shape, Taint, shape_of

_Amounts = dict[str, str | int] | None
_DRA = "resource.k8s.io"


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None


class _NodeSpec(msgspec.Struct):
    taints: list[Taint] | None = None
    unschedulable: bool = False


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _NodeStatus(msgspec.Struct):
    capacity: _Amounts = None
    allocatable: _Amounts = None
    conditions: list[_Condition] | None = None


class NodeItem(msgspec.Struct):
    """The fields of a Node that decide which GPU pods it can run."""

    metadata: _Metadata
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)

    def gpu_node(self, others: Collection[str]) -> GpuNode | None:
        """The engine's value; ``None`` for a node without GPUs. ``others`` are labels to keep, as policies select by them."""
        shape = shape_of(
            self.metadata.labels or {},
            self.status.capacity or {},
            self.status.allocatable or {},
            self.spec.taints or (),
            ready=not any(one.type == "Ready" and one.status != "True" for one in self.status.conditions or ()),
            cordoned=self.spec.unschedulable,
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
    """A DeviceClass: the resource name that stands for it (KEP-5004), and which devices it selects."""

    spec: _ClassSpec = msgspec.field(default_factory=_ClassSpec)

    def offered(self, drivers: Collection[str]) -> str | None:
        """The resource that it offers, if one of the drivers with devices is of the class."""
        expressions = [one.cel.expression for one in self.spec.selectors or () if one.cel]
        has_devices = any(not expressions or any(driver in each for each in expressions) for driver in drivers)
        return self.spec.extended_resource_name if has_devices else None


class _SliceSpec(msgspec.Struct):
    driver: str = ""


class SliceItem(msgspec.Struct):
    """A ResourceSlice: whose devices it has."""

    spec: _SliceSpec = msgspec.field(default_factory=_SliceSpec)


class Seen(msgspec.Struct, frozen=True):
    """What a cluster offers.

    Attributes:
        shapes: how many nodes have each shape.
        nodes: how many nodes were checked, those without GPUs among them.
        classes: the resources that DeviceClasses offer.
        unread: why the DeviceClasses are not known; empty where they are.
    """

    shapes: dict[Shape, int]
    nodes: int
    classes: frozenset[str] = frozenset()
    unread: str = ""


class FleetFileError(Exception):
    """The file is not what kubectl prints of nodes."""


def nodes(lister: Lister, others: Collection[str]) -> list[GpuNode]:
    """The cluster's nodes with GPUs.

    Raises:
        ApiError: the list is not available.
    """
    return lister.all("nodes", path_of("api", "v1", "nodes"), Page[NodeItem], lambda item: item.gpu_node(others))


def classes(lister: Lister) -> frozenset[str]:
    """The resources that DeviceClasses offer; none where the API server has no such objects.

    Raises:
        ApiError: a list is not available.
    """
    found: list[ClassItem] = []
    drivers: set[str] = set()
    try:
        path = path_of("apis", _DRA, "v1", "deviceclasses")
        found = lister.all(
            "deviceclasses", path, Page[ClassItem], lambda item: item if item.spec.extended_resource_name else None
        )
        if found:
            path = path_of("apis", _DRA, "v1", "resourceslices")
            drivers = set(lister.all("resourceslices", path, Page[SliceItem], lambda item: item.spec.driver))
    except ApiError as error:
        if error.fault is not Fault.NOT_FOUND:
            raise
    return _offered(found, drivers)


def live(lister: Lister, others: Collection[str]) -> Seen:
    """What a cluster offers now.

    Raises:
        ApiError: its nodes can't be listed.
    """
    with_gpus = nodes(lister, others)
    try:
        offered, unread = classes(lister), ""
    except ApiError as error:
        offered, unread = frozenset(), error.detail
    return Seen(_counted(with_gpus), lister.counts["nodes"], offered, unread)


class _Kind(msgspec.Struct, rename="camel"):
    kind: str = ""


class _Listed(msgspec.Struct):
    kind: str = ""
    items: list[msgspec.Raw] | None = None


def parse(text: bytes, others: Collection[str]) -> Seen:
    """What a cluster offered when its nodes were saved.

    Args:
        text: what ``kubectl get nodes -o json`` prints, or ``kubectl get nodes,deviceclasses,resourceslices -o json``.
        others: labels to keep.

    Raises:
        FleetFileError: it is something else.
    """
    found: dict[str, list[msgspec.Raw]] = {"Node": [], "DeviceClass": [], "ResourceSlice": []}
    try:
        listed = msgspec.json.decode(text, type=_Listed)
        whole = [msgspec.Raw(text)] if listed.items is None else listed.items
        for item in whole:
            # A list as the API server answers it (kubectl get --raw) has its items' kind in its own.
            kind = msgspec.json.decode(item, type=_Kind).kind or listed.kind.removesuffix("List")
            found.get(kind, []).append(item)
        every = [msgspec.json.decode(item, type=NodeItem) for item in found["Node"]]
        offered = [msgspec.json.decode(item, type=ClassItem) for item in found["DeviceClass"]]
        slices = [msgspec.json.decode(item, type=SliceItem) for item in found["ResourceSlice"]]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FleetFileError(f"is not what kubectl get nodes -o json prints: {error}") from error
    if not every:
        raise FleetFileError("holds no Node; write what kubectl get nodes -o json prints")
    with_gpus = [node for item in every if (node := item.gpu_node(others))]
    return Seen(_counted(with_gpus), len(every), _offered(offered, {one.spec.driver for one in slices}))


def _counted(found: Iterable[GpuNode]) -> dict[Shape, int]:
    return Counter(node.shape for node in found)


def _offered(found: Sequence[ClassItem], drivers: Collection[str]) -> frozenset[str]:
    return frozenset(name for one in found if (name := one.offered(drivers)))

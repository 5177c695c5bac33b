"""Shapes: the properties of a node that determine which GPU pods it can run. Equal nodes have the same shape."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import msgspec

from ..forms import Form, Platform, Sharing
from ..pods import Toleration
from ..products import PRODUCT, read_product
from ..quantity import Quantity, whole
from ..resources import GPU, PREFIX, GpuResource, classify
from ..spelling import (
    GKE_CLIENTS,
    GKE_KEYS,
    GKE_PARTITION,
    GKE_SHARING,
    GKE_STRATEGIES,
    LABELS_OF_FORMS,
    MIG_STATE,
    SHARED_STRATEGIES,
    strategy_label,
)

GKE_ACCELERATOR = "cloud.google.com/gke-accelerator"
_RECONFIGURING = frozenset({"pending", "rebooting"})
# These differ from node to node or change with every rollout, and are not used in selectors.
_VOLATILE = ("nvidia.com/gfd.timestamp", "nvidia.com/gpu.deploy.", "nvidia.com/gpu-driver-upgrade-")
# The node controllers set these to repeat Ready and unschedulable, or only temporarily.
_OF_THE_NODE = "node.kubernetes.io/"
# The admission plugin ExtendedResourceToleration is on in EKS (docs, platform versions), recognized by the kubelets' version,
# in AKS (Azure/AKS issue 1449), and in GKE.
_OF_EKS = "-eks-"
_OF_AKS = "kubernetes.azure.com/cluster"
_KEEPS_PODS_OUT = frozenset({"NoSchedule", "NoExecute"})
# Operators and GKE set the taint on GPU nodes, and every pod with a GPU is expected to tolerate it.
_USUAL = (Toleration(GPU, "Exists"),)
_NEW_STRATEGIES = {name: sharing for sharing, name in GKE_STRATEGIES.items()}


def keeps(key: str, others: Collection[str] = ()) -> bool:
    """Whether a shape keeps a node label: all that distinguish forms, and the ``others`` that policies select."""
    return (key.startswith(LABELS_OF_FORMS) and not key.startswith(_VOLATILE)) or key in others


class Taint(msgspec.Struct, frozen=True):
    """A taint of a node."""

    key: str = ""
    value: str | None = None
    effect: str = ""

    def is_tolerated(self, tolerations: Iterable[Toleration]) -> bool:
        """Whether a toleration covers it (k8s.io/api/core/v1/toleration.go ToleratesTaint)."""
        return any(
            (not one.effect or one.effect == self.effect)
            and (one.key == self.key or (not one.key and one.operator == "Exists"))
            and (one.operator == "Exists" or (one.value or "") == (self.value or ""))
            for one in tolerations
        )

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"


CORDONED = Taint("node.kubernetes.io/unschedulable", None, "NoSchedule")
"""The taint of cordoned nodes, which pods of DaemonSets tolerate (scheduler plugin NodeUnschedulable)."""
NOT_READY = tuple(Taint(f"{_OF_THE_NODE}{name}", None, "NoSchedule") for name in ("not-ready", "unreachable"))
"""The taints of nodes that are not ready, which pods of DaemonSets tolerate (pkg/controller/nodelifecycle)."""
DAEMONS = (Toleration(CORDONED.key, "Exists", effect="NoSchedule"),)
"""The tolerations for the taints above that the DaemonSet controller adds to those of the template
(pkg/controller/daemon/util AddOrUpdateDaemonPodTolerations)."""


class State(StrEnum):
    """Whether nodes accept pods with GPUs now, or the reason why not."""

    READY = "ready"
    TAINTED = "tainted"
    """Only pods with an additional toleration run there."""
    MIG_FAILED = "MIG failed"
    NO_DEVICES = "no devices"
    """Allocatable is 0: the device plugin is restarting, or its devices are unhealthy."""
    RECONFIGURING = "MIG pending"
    CORDONED = "cordoned"
    NOT_READY = "not ready"


@dataclass(frozen=True)
class Shape:
    """The properties that nodes have in common.

    Attributes:
        pairs: the labels that are kept, sorted.
        amounts: the GPU resources, each with capacity and allocatable; never both 0.
        taints: those that keep pods out.
        ready: the Ready condition is not known to be false.
        cordoned: the node is unschedulable.
        tolerates_requested: the API server adds tolerations of the taints that have the names of the resources that pods request
            (the admission plugin ExtendedResourceToleration).
    """

    pairs: tuple[tuple[str, str], ...] = ()
    amounts: tuple[tuple[str, int, int], ...] = ()
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    cordoned: bool = False
    tolerates_requested: bool = False

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels that are kept."""
        return dict(self.pairs)

    @cached_property
    def offers(self) -> dict[str, int]:
        """The number of GPUs that such a node offers to all of its pods, by resource.

        That is the allocatable number, or the capacity if that is 0: the kubelet sets allocatable to 0 at once when the
        device plugin restarts, and keeps the capacity for five minutes (pkg/kubelet/cm/devicemanager GetCapacity).
        """
        return {name: allocatable or capacity for name, capacity, allocatable in self.amounts}

    @cached_property
    def forms(self) -> dict[str, Form]:
        """The form of each GPU resource that such a node offers."""
        return {
            name: self._form(resource) for name in self.offers if isinstance(resource := classify(name), GpuResource)
        }

    @property
    def is_reconfiguring(self) -> bool:
        """Whether the MIG manager is changing the node: what it will offer is unknown, and its labels are out of date."""
        return self.labels.get(MIG_STATE) in _RECONFIGURING

    @property
    def takes_pods(self) -> bool:
        """Whether such a node accepts new pods, apart from taints."""
        return self.ready and not self.cordoned and not self.is_reconfiguring

    @property
    def state(self) -> State:
        """The state of such nodes: the first one in this order that is true."""
        if not self.ready:
            return State.NOT_READY
        if self.cordoned:
            return State.CORDONED
        if self.is_reconfiguring:
            return State.RECONFIGURING
        if self.amounts and not any(allocatable for _, _, allocatable in self.amounts):
            return State.NO_DEVICES
        if self.failed_mig:
            return State.MIG_FAILED
        return State.TAINTED if self.untolerated(_USUAL) else State.READY

    @property
    def failed_mig(self) -> bool:
        """Whether the MIG manager could not configure the node."""
        return self.labels.get(MIG_STATE) == "failed"

    @property
    def is_gke(self) -> bool:
        """Whether GKE's device plugin manages its GPUs."""
        return GKE_ACCELERATOR in self.labels or any(key in self.labels for key in GKE_KEYS)

    def untolerated(self, tolerations: Iterable[Toleration], requested: Iterable[str] = ()) -> Taint | None:
        """The first taint that no toleration of a pod covers; ``requested`` are the resources that the pod requests."""
        added = requested if self.tolerates_requested else ()
        every = [*tolerations, *(Toleration(name, "Exists", effect="NoSchedule") for name in added)]
        return next((taint for taint in self.taints if not taint.is_tolerated(every)), None)

    def _form(self, resource: GpuResource) -> Form:
        labels = self.labels
        if self.is_gke:
            sharing = _NEW_STRATEGIES.get(labels.get(GKE_SHARING, ""), Sharing.NONE)
            clients = labels.get(GKE_CLIENTS, "")
            counted = sharing is not Sharing.NONE and clients.isdecimal()
            return Form(labels.get(GKE_PARTITION), sharing, Platform.GKE, int(clients) if counted else None)
        product = read_product(labels.get(PRODUCT, ""))
        partition = resource.partition or product.partition
        strategy = labels.get(strategy_label(resource.partition))
        kept_its_name = not any(name == f"{resource.name}.shared" for name in self.offers)
        shared = strategy in SHARED_STRATEGIES or (product.shared and resource.partition is None)
        if not resource.shared and not (shared and kept_its_name):
            return Form(partition)
        return Form(partition, Sharing(strategy) if strategy in SHARED_STRATEGIES else Sharing.ANY).as_listed


class GpuNode(msgspec.Struct, frozen=True):
    """A node with GPUs: its name and its shape."""

    name: str
    shape: Shape


def shape_of(  # noqa: PLR0913 - the fields of a node
    labels: Mapping[str, str],
    capacity: Mapping[str, Quantity],
    allocatable: Mapping[str, Quantity],
    taints: Iterable[Taint] = (),
    *,
    ready: bool = True,
    cordoned: bool = False,
    kubelet: str = "",
    others: Collection[str] = (),
) -> Shape | None:
    """The shape of a node; ``None`` if it has no GPUs.

    A resource that is 0 in both ``capacity`` and ``allocatable`` is often stale, and is ignored. ``others`` are labels to keep
    in addition to those that distinguish forms; ``kubelet`` is its version.
    """
    kept = {key: value for key, value in labels.items() if keeps(key, others)}
    amounts = []
    for name in sorted({*capacity, *allocatable}):
        if isinstance(classify(name), GpuResource):
            most, left = whole(capacity.get(name)) or 0, whole(allocatable.get(name)) or 0
            if most or left:
                amounts.append((name, most, left))
    if not amounts and GKE_ACCELERATOR not in kept and not any(key.startswith(PREFIX) for key in kept):
        return None
    keeping = (one for one in taints if one.effect in _KEEPS_PODS_OUT and not one.key.startswith(_OF_THE_NODE))
    made = Shape(tuple(sorted(kept.items())), tuple(amounts), tuple(keeping), ready=ready, cordoned=cordoned)
    return replace(made, tolerates_requested=made.is_gke or _OF_AKS in labels or _OF_EKS in kubelet)

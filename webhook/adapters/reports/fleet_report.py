"""The document of a fleet: what ``gpuwarden fleet -o json`` prints, and what tables and pages are made from."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from pydantic import Field

from ...application.deciders import DecidedPolicy
from ...application.fleet_view import FleetView
from ...engine.fleet.node_shapes import GKE_ACCELERATOR, Shape, State
from ...engine.fleet.usage import Share
from ...engine.products import PRODUCT
from ..kubernetes.fleets import ClusterObjects
from .check_report import Part
from .deciders import DeciderLine, decider_lines


class ShareLine(Part):
    """GPUs, or slots of shared ones: ``offered`` is ``in_use`` + ``free`` + ``blocked``, unless pods hold more than there are.

    ``blocked`` are on nodes that accept no pods now; ``most_free`` is the most on one node. If the pods were not read,
    ``in_use`` is null, and ``free`` is what would be free without them.
    """

    offered: int
    in_use: int | None
    free: int
    blocked: int
    most_free: int


class FormLine(ShareLine):
    """A form by one resource. ``pending`` is what waiting pods request of it; null if the pods were not read."""

    form: str
    resource: str
    nodes: int
    pending: int | None


class ResourceLine(ShareLine):
    """A resource that nodes of one shape offer, and its form on them."""

    resource: str
    form: str


class ShapeLine(Part):
    """Nodes of one shape: how many, their product, state (and taints that only some pods tolerate), labels and resources."""

    nodes: int
    product: str
    state: str
    taints: list[str]
    labels: dict[str, str]
    resources: list[ResourceLine]


class WaitingLine(Part):
    """Equal pods that wait: how many, what each requests, and why they wait. ``rule`` is set if no node can run them."""

    namespace: str
    policy: str
    form: str
    resource: str
    count: int
    pods: int
    rule: str
    reason: str


class FleetPart(Part):
    """A fleet by form and by shape, the pods that wait for it, and who decides new ones; null if that is not known.

    A pod that requests several resources is in ``waiting`` with each, and counts once in ``pods_waiting`` and ``pods_in_vain``
    (those that wait for what no node offers).
    """

    pods_known: bool
    forms: list[FormLine]
    shapes: list[ShapeLine]
    waiting: list[WaitingLine]
    pods_waiting: int
    pods_in_vain: int
    deciders: list[DeciderLine] | None
    notes: list[str]

    @property
    def nodes(self) -> int:
        """How many nodes with GPUs there are."""
        return sum(shape.nodes for shape in self.shapes)


class FleetReport(FleetPart):
    """The fleet, and in ``items`` the Kubernetes objects from which it was made, with the fields that were read."""

    api_version: str = "gpuwarden.io/v1"
    kind: str = "FleetReport"
    generated_at: datetime | None
    items: list[dict[str, Any]] = Field(
        description="Nodes, pods, namespaces, DeviceClasses, ResourceSlices, ResourceClaims, and gpuwarden's admission "
        "policies, bindings and webhook configurations."
    )


def fleet_report(view: FleetView, objects: ClusterObjects, deciders: list[DecidedPolicy] | None) -> FleetReport:
    """The report on a view of the fleet, with the objects from which the view was made."""
    part = fleet_part(view, objects.notes, deciders)
    return FleetReport(**dict(part), generated_at=objects.at, items=objects.items)


def fleet_part(view: FleetView, notes: list[str], deciders: list[DecidedPolicy] | None) -> FleetPart:
    """The report on a view of the fleet; ``notes`` are those of reading it, ``deciders`` ``None`` if not known."""
    pending: dict[tuple[str, str], int] = {}
    for one, pods in view.waiting.items():
        key = one.form, one.resource
        pending[key] = pending.get(key, 0) + one.count * pods
    forms = [
        FormLine(
            form=str(row.form),
            resource=row.resource,
            nodes=row.nodes,
            pending=pending.pop((str(row.form), row.resource), 0) if view.pods_known else None,
            **_share(row.share, view.pods_known),
        )
        for row in view.forms
    ]
    forms += [
        FormLine(form=form, resource=resource, nodes=0, pending=number, **_share(Share(), view.pods_known))
        for (form, resource), number in sorted(pending.items())
    ]
    return FleetPart(
        pods_known=view.pods_known,
        forms=forms,
        shapes=[
            ShapeLine(
                nodes=use.nodes,
                product=_product(use.shape),
                state=use.shape.state.value,
                taints=list(map(str, use.shape.taints)) if use.shape.state is State.TAINTED else [],
                labels=use.shape.labels,
                resources=[
                    ResourceLine(resource=name, form=str(use.shape.forms[name]), **_share(share, view.pods_known))
                    for name, share in use.shares.items()
                ],
            )
            for use in sorted(view.shapes, key=lambda use: -use.nodes)
        ],
        waiting=[WaitingLine(**msgspec.structs.asdict(one), pods=pods) for one, pods in view.waiting.items()],
        pods_waiting=view.pods_waiting,
        pods_in_vain=view.pods_in_vain,
        deciders=None if deciders is None else decider_lines(deciders),
        notes=[*notes, *view.notes],
    )


def _share(share: Share, known: bool) -> Mapping[str, Any]:  # noqa: FBT001 - whether the pods were read
    return {
        "offered": share.offered,
        "in_use": share.used if known else None,
        "free": share.free,
        "blocked": share.blocked,
        "most_free": share.most,
    }


def _product(shape: Shape) -> str:
    return shape.labels.get(PRODUCT) or shape.labels.get(GKE_ACCELERATOR) or ""

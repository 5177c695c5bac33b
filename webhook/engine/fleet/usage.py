"""The usage of the fleet: what nodes offer, what pods use and what is free, by form and by shape."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from ..forms import Form
from ..pods import Place, PodSpec
from ..requests import pod_count, read
from .node_shapes import GpuNode, Shape


class Share(msgspec.Struct, frozen=True):
    """GPUs of one resource (slots, if they are shared) on nodes of one shape.

    Attributes:
        offered: all of them; the sum of the other three, unless pods hold more than nodes offer.
        used: held by pods.
        free: available now.
        blocked: neither held nor available, because the nodes accept no pods now.
        most: the highest number that is free on one node.
    """

    offered: int = 0
    used: int = 0
    free: int = 0
    blocked: int = 0
    most: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(
            self.offered + other.offered,
            self.used + other.used,
            self.free + other.free,
            self.blocked + other.blocked,
            max(self.most, other.most),
        )


class ShapeUse(msgspec.Struct):
    """A shape, the number of its nodes, and their GPUs by resource."""

    shape: Shape
    nodes: int = 0
    shares: dict[str, Share] = msgspec.field(default_factory=dict)


class FormUse(msgspec.Struct):
    """A form with its resource: how many nodes have it, and their GPUs."""

    form: Form
    resource: str
    nodes: int = 0
    share: Share = Share()


def requested(spec: PodSpec) -> dict[str, int]:
    """The number of GPUs that the scheduler reserves for a pod with its init containers and sidecars, by resource."""
    counts: dict[str, dict[Place, int]] = {}
    for gpu_container in read(spec):
        for amount in gpu_container.amounts:
            counts.setdefault(amount.resource.name, {})[gpu_container.place] = amount.count
    return {name: pod_count(spec, each) for name, each in counts.items()}


def by_shape(nodes: Iterable[GpuNode], held: Mapping[str, Mapping[str, int]]) -> list[ShapeUse]:
    """Nodes by shape, in the order of their first node.

    ``held`` is the number of each resource that pods hold, by node.
    """
    found: dict[Shape, ShapeUse] = {}
    for node in nodes:
        use = found.setdefault(node.shape, ShapeUse(node.shape))
        use.nodes += 1
        holds = held.get(node.name, {})
        for name, _, allocatable in node.shape.amounts:
            offered, used = node.shape.offers[name], holds.get(name, 0)
            left = max(offered - used, 0)
            # The device plugin may offer one of several resources and not the others.
            free = left if node.shape.takes_pods and allocatable else 0
            use.shares[name] = use.shares.get(name, Share()) + Share(offered, used, free, left - free, free)
    return list(found.values())


def by_form(shapes: Iterable[ShapeUse]) -> list[FormUse]:
    """The same GPUs by form and resource, ordered by the number of nodes."""
    return merged(
        FormUse(use.shape.forms[name], name, use.nodes, share) for use in shapes for name, share in use.shares.items()
    )


def merged(uses: Iterable[FormUse]) -> list[FormUse]:
    """Combine entries of the same form and resource, ordered by the number of nodes."""
    found: dict[tuple[Form, str], FormUse] = {}
    for use in uses:
        row = found.setdefault((use.form, use.resource), FormUse(use.form, use.resource))
        row.nodes += use.nodes
        row.share += use.share
    return sorted(found.values(), key=lambda row: (-row.nodes, str(row.form), row.resource))


def without_devices(nodes: Iterable[GpuNode], held: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
    """The number of each resource that pods hold on nodes that no longer have it, by resource and node."""
    shapes = {node.name: node.shape for node in nodes}
    found: dict[str, Counter[str]] = {}
    for node, holds in held.items():
        for name, count in holds.items():
            if count and node in shapes and name not in shapes[node].offers:
                found.setdefault(name, Counter())[node] += count
    return found

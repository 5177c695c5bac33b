"""The fleet: whether any node can run a pod with its requests, and the closest offer if none can."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property, lru_cache, partial

import msgspec

from ..forms import Form
from ..node_constraints import Need, NodeConstraints
from ..pods import Toleration
from ..spelling import LABELS_OF_FORMS
from .node_shapes import CORDONED, NOT_READY, Shape, Taint, keeps
from .reconfiguration import Reconfiguration

# Results are cached by request; a request with more tolerations is not cached.
_WISHES = 512
_MOST_TOLERATIONS = 16


class NodeRequest(msgspec.Struct, frozen=True):
    """What a pod requests from its node.

    Attributes:
        resource, count: the GPU resource, and how many the pod needs at once.
        nodes: the pod's node constraints.
        needs: additional node labels that it needs.
        tolerations: its tolerations; ``None`` to ignore taints.
        requested: all GPU resources that it requests, if not only that one.
    """

    resource: str
    count: int
    nodes: NodeConstraints
    needs: tuple[Need, ...] = ()
    tolerations: tuple[Toleration, ...] | None = None
    requested: tuple[str, ...] = ()

    def untolerated(self, shape: Shape) -> Taint | None:
        """The first taint of a node that keeps the pod out."""
        if self.tolerations is None:
            return None
        return shape.untolerated(self.tolerations, self.requested or (self.resource,))


class UnschedulableReason(StrEnum):
    """Why no node can run a pod."""

    RESOURCE = "resource"
    LABELS = "labels"
    COUNT = "count"
    UNAVAILABLE = "unavailable"
    TOGETHER = "together"


class Unschedulable(msgspec.Struct, frozen=True):
    """The reason why no node can run a pod.

    Attributes:
        reason: the last condition, in order, that no node meets.
        nodes: how many nodes meet all conditions before it.
        labels: the labels that none of them has with a value that the pod needs, and their actual values.
        most: the highest number that one of them offers.
        cordoned, not_ready: how many of them are.
        taints: how many of them have a taint that the pod does not tolerate.
    """

    reason: UnschedulableReason
    nodes: int = 0
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    most: int = 0
    cordoned: int = 0
    not_ready: int = 0
    taints: Mapping[Taint, int] = {}


class Fleet:
    """The nodes with GPUs at one point in time.

    Args:
        shapes: how many nodes have each shape.
        labels: the labels that shapes keep in addition to those that distinguish forms.
        classes: GPU resources of DeviceClasses (DRA, ``extendedResourceName``), which do not appear on nodes.
        expected: forms that an autoscaler can add.
        remembered: shapes that nodes had recently; what they offered still counts.
        age: seconds since the nodes were read.
        is_certain: all of them were read recently.
    """

    def __init__(  # noqa: PLR0913 - what is known about the nodes, and how well
        self,
        shapes: Mapping[Shape, int],
        *,
        labels: Collection[str] = (),
        classes: Collection[str] = (),
        expected: Sequence[Form] = (),
        remembered: Collection[Shape] = (),
        age: float = 0,
        is_certain: bool = True,
    ) -> None:
        self.shapes = shapes
        self.classes = frozenset(classes)
        self.age = age
        self.is_certain = is_certain
        self._labels = frozenset(labels)
        self._expected = tuple(expected)
        self._remembered = tuple(remembered)
        self._find_once = lru_cache(maxsize=_WISHES)(self._find)

    def alone(self, shape: Shape) -> "Fleet":
        """A fleet with nodes of one shape only. It is enough for deciding about a pod that such a node can run."""
        return Fleet({shape: 1}, labels=self._labels)

    def expects(self, form: Form) -> bool:
        """Whether an autoscaler can add nodes of a form."""
        return any(form.meet(one) for one in self._expected)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of the node labels that are kept."""
        return (*LABELS_OF_FORMS, *self._labels)

    @cached_property
    def failed_mig(self) -> int:
        """How many nodes the MIG manager could not configure."""
        return sum(number for shape, number in self.shapes.items() if shape.failed_mig)

    @cached_property
    def forms(self) -> dict[Form, int]:
        """The number of nodes that offer a form and accept new pods, by form."""
        found: Counter[Form] = Counter()
        for shape, number in self.shapes.items():
            if shape.takes_pods:
                found.update(dict.fromkeys(shape.forms.values(), number))
        return found

    @cached_property
    def offered(self) -> dict[Form, int]:
        """The number of GPUs, shared slots or MIG slices that such nodes offer, by form."""
        found: Counter[Form] = Counter()
        for shape, number in self.shapes.items():
            if shape.takes_pods:
                for name, form in shape.forms.items():
                    found[form] += shape.offers[name] * number
        return found

    @cached_property
    def at_present(self) -> "Fleet":
        """This fleet without its history: what nodes offer now."""
        return Fleet(self.shapes, labels=self._labels, classes=self.classes, expected=self._expected)

    def nearest(self, form: Form) -> tuple[Form, int] | None:
        """The offered form that is closest to a form, and how many nodes offer it; ``None`` if no form is offered."""

        def likeness(one: tuple[Form, int]) -> tuple[bool, bool, bool, bool, int]:
            other, number = one
            return (
                other.partition == form.partition,
                bool(other.partition) == bool(form.partition),
                other.shared == form.shared,
                other.platform is form.platform,
                number,
            )

        return max(self.forms.items(), key=likeness, default=None)

    def unschedulable(self, node_request: NodeRequest) -> Unschedulable | None:
        """Return what is missing for a pod; ``None`` if a node can run it, or if this is not known.

        A node that the MIG manager is reconfiguring may offer other MIG slices or whole GPUs afterwards.
        """
        is_usual = node_request.nodes.shared and len(node_request.tolerations or ()) <= _MOST_TOLERATIONS
        return self._find_once(node_request) if is_usual else self._find(node_request)

    def _find(self, node_request: NodeRequest) -> Unschedulable | None:
        if node_request.resource in self.classes:
            return None
        fits = _label_test(node_request, self._knows)
        having = [(shape, n) for shape, n in self.shapes.items() if node_request.resource in shape.offers]
        fitting = [(shape, n) for shape, n in having if fits(shape)]
        enough = [(shape, n) for shape, n in fitting if shape.offers[node_request.resource] >= node_request.count]
        if enough:
            return _unavailable(enough, node_request)
        if self._may_be_added(node_request) or any(
            fits(shape) and _takes(shape, node_request) for shape in self._remembered
        ):
            return None
        if fitting:
            most = max(shape.offers[node_request.resource] for shape, _ in fitting)
            return Unschedulable(UnschedulableReason.COUNT, _number(fitting), most=most)
        if having:
            return Unschedulable(
                UnschedulableReason.LABELS, _number(having), labels=tuple(self._missing(node_request, having))
            )
        return Unschedulable(UnschedulableReason.RESOURCE)

    def not_together(self, node_requests: Sequence[NodeRequest]) -> Unschedulable | None:
        """Return what is missing for requests of one pod that nodes can meet one by one; ``None`` as in ``unschedulable``."""
        counts = {one.resource: one.count for one in node_requests if one.resource not in self.classes}
        if len(counts) <= 1:
            return None
        fits = _label_test(node_requests[0], self._knows)

        def has_all(shape: Shape) -> bool:
            return fits(shape) and all(shape.offers.get(name, 0) >= count for name, count in counts.items())

        having = [(shape, number) for shape, number in self.shapes.items() if has_all(shape)]
        if having:
            return _unavailable(having, node_requests[0])
        remembered = any(has_all(shape) and _takes(shape, node_requests[0]) for shape in self._remembered)
        if remembered or any(map(self._may_be_added, node_requests)):
            return None
        return Unschedulable(UnschedulableReason.TOGETHER)

    def _knows(self, key: str) -> bool:
        return keeps(key, self._labels)

    def _may_be_added(self, node_request: NodeRequest) -> bool:
        """Whether a node that is being reconfigured may fit the pod afterwards."""
        keys = {*filter(self._knows, node_request.nodes.mentioned), *(need.key for need in node_request.needs)}
        return any(
            shape.is_reconfiguring
            and (change := Reconfiguration(shape)).may_offer(node_request.resource)
            and all(
                change.may_have(key, partial(self._admits, node_request, key), _named(node_request, key))
                for key in keys
            )
            for shape in self.shapes
        )

    def _missing(
        self, node_request: NodeRequest, having: Iterable[tuple[Shape, int]]
    ) -> Iterable[tuple[str, tuple[str, ...]]]:
        """Each label that no node has with a value that the pod needs, as a requirement, with the nodes' actual values."""
        shapes = [shape for shape, _ in having]
        of_pod = {key: selected(node_request.nodes, key) for key in node_request.nodes.mentioned if self._knows(key)}
        of_needs: dict[str, str] = {}
        for need in node_request.needs:
            of_needs[need.key] = f"{of_needs[need.key]} and {need}" if need.key in of_needs else str(need)
        for key, requirement in {**of_pod, **of_needs}.items():
            values = {shape.labels.get(key) for shape in shapes}
            if not any(self._admits(node_request, key, value) for value in values):
                yield requirement, tuple(sorted(value for value in values if value is not None))

    @staticmethod
    def _admits(node_request: NodeRequest, key: str, value: str | None) -> bool:
        return node_request.nodes.permits(key, value) and all(
            need.admits(value) for need in node_request.needs if need.key == key
        )


def _named(node_request: NodeRequest, key: str) -> list[str]:
    return [
        *node_request.nodes.values(key),
        *(value for need in node_request.needs if need.key == key for value in need.values),
    ]


def _label_test(node_request: NodeRequest, knows: Callable[[str], bool]) -> Callable[[Shape], bool]:
    """Whether a shape has the labels that a pod needs, among those that are kept."""
    keys = [key for key in node_request.nodes.mentioned if knows(key)]
    alternatives = list(node_request.nodes.alternatives(keys))
    needs = [need for need in node_request.needs if knows(need.key)]

    def fits(shape: Shape) -> bool:
        values = [shape.labels.get(key) for key in keys]
        return all(need.admits(shape.labels.get(need.key)) for need in needs) and any(
            all(label.admits(value) for label, value in zip(labels, values, strict=True)) for labels in alternatives
        )

    return fits


def _takes(shape: Shape, node_request: NodeRequest) -> bool:
    """Whether a node of a shape has enough GPUs for a pod, and accepts it."""
    enough = shape.offers.get(node_request.resource, 0) >= node_request.count
    return enough and not node_request.untolerated(shape)


def _unavailable(enough: Iterable[tuple[Shape, int]], node_request: NodeRequest) -> Unschedulable | None:
    """Return why no node with the resources that a pod needs accepts it; ``None`` if one does."""
    cordoned = not_ready = 0
    taints: Counter[Taint] = Counter()
    tolerations = node_request.tolerations or ()
    for shape, number in enough:
        taint = node_request.untolerated(shape)
        if shape.cordoned and not CORDONED.is_tolerated(tolerations):
            cordoned += number
        elif not shape.ready and not all(each.is_tolerated(tolerations) for each in NOT_READY):
            not_ready += number
        elif taint:
            taints[taint] += number
        else:
            return None
    number = cordoned + not_ready + taints.total()
    return Unschedulable(
        UnschedulableReason.UNAVAILABLE, number, cordoned=cordoned, not_ready=not_ready, taints=dict(taints)
    )


def _number(shapes: Iterable[tuple[Shape, int]]) -> int:
    return sum(number for _, number in shapes)


def selected(nodes: NodeConstraints, key: str) -> str:
    """A label as a pod selects it."""
    values = nodes.values(key)
    return f"{key}: {' or '.join(values)}" if values else f"{key} as the pod requires it"

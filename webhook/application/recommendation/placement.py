"""Placement: which forms a pod can't get, because it may not run on any of the nodes that offer them."""

from collections.abc import Mapping, Sequence

import msgspec

from ...engine.fleet.node_shapes import Shape
from ...engine.node_constraints import Label, NodeConstraints
from ...engine.pods import PodSpec
from ...engine.products import PRODUCT, read_product
from ...engine.spelling import (
    GKE_KEYS,
    GPU_TOLERATION,
    MIG_STRATEGY,
    SLICE_LABELS,
    STRATEGY,
    replicas_label,
)
from .model_names import model_of_shape

_OF_FORMS = (STRATEGY, MIG_STRATEGY, *SLICE_LABELS, replicas_label(None), *GKE_KEYS)
"""Labels that differ between the forms of one model: a policy replaces or denies what a pod states about them. The label of the
product is not among them, because policies replace its suffix and keep its model."""
_NAME = "metadata.name"


class NamedNode(msgspec.Struct, frozen=True):
    """A node with GPUs: its name, all of its labels, and its shape."""

    name: str
    labels: Mapping[str, str]
    shape: Shape

    @property
    def offers(self) -> frozenset[tuple[str, str]]:
        """The forms below a whole GPU that it offers, each with the GPU model."""
        model = model_of_shape(self.shape)
        return frozenset((str(form), model) for form in self.shape.forms.values() if form.partition or form.shared)


class Placement:
    """Which nodes pods can run on. It caches results, because most pods are alike."""

    def __init__(self, nodes: Sequence[NamedNode]) -> None:
        self._nodes = [(node, offers) for node in nodes if (offers := node.offers)]
        self._known: dict[bytes, tuple[tuple[str, str], ...]] = {}

    def unreachable(self, spec: PodSpec) -> tuple[tuple[str, str], ...]:
        """Return the forms, each with a GPU model, that only nodes offer on which a pod may not run."""
        key = msgspec.json.encode((spec.node_selector, spec.terms, spec.tolerations))
        if (known := self._known.get(key)) is None:
            every = frozenset[tuple[str, str]]().union(*(offers for _, offers in self._nodes))
            constraints = NodeConstraints(spec, without=_OF_FORMS)
            names = _names(spec)
            tolerations = [*(spec.tolerations or ()), GPU_TOLERATION]
            reached = (
                offers
                for node, offers in self._nodes
                if (names is None or node.name in names)
                and _permits(constraints, node)
                and not node.shape.untolerated(tolerations, node.shape.offers)
            )
            known = self._known[key] = tuple(sorted(every.difference(*reached)))
        return known


def _permits(constraints: NodeConstraints, node: NamedNode) -> bool:
    keys = constraints.mentioned
    return not constraints.nowhere and any(
        all(_admits(label, key, node) for key, label in zip(keys, labels, strict=True))
        for labels in constraints.alternatives(keys)
    )


def _admits(label: Label, key: str, node: NamedNode) -> bool:
    own = node.labels.get(key)
    if key != PRODUCT or own is None:
        return label.admits(own)
    model = read_product(own).model
    of_other_forms = (one for one in label.listed or () if read_product(one).model == model)
    return any(map(label.admits, (own, *of_other_forms)))


def _names(spec: PodSpec) -> set[str] | None:
    """The nodes that a pod selects by name, as those of a DaemonSet do; ``None`` if it selects none."""
    fields = [[one for one in term.match_fields or () if isinstance(one, dict)] for term in spec.terms]
    selected = [one for of_term in fields for one in of_term if one.get("key") == _NAME and one.get("operator") == "In"]
    if not fields or not all(fields):
        return None
    return {name for one in selected for name in one.get("values") or ()}

"""Needs: the node labels that a form needs, compared with a pod's node constraints."""

from collections.abc import Iterable, Sequence
from math import inf

import msgspec

from .nodes import ABSENT, OTHER, Label, NodeConstraints, integer
from .pods import Expression

_BOUNDS = ("Gt", "Lt")
MOST_SHOWN = 8
"""Values of a requirement that are shown in full."""


class Need(msgspec.Struct, frozen=True, cache_hash=True):
    """A node label that a form needs, as a node selector requirement.

    Attributes:
        key, operator, values: the requirement.
        in_affinity: it is written as a requirement of the node affinity even where a nodeSelector could say it.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()
    in_affinity: bool = False

    @property
    def is_selector(self) -> bool:
        """Whether it is written as a nodeSelector: ``In`` with one value."""
        return self.operator == "In" and len(self.values) == 1 and not self.in_affinity

    @property
    def expression(self) -> Expression:
        """As a node selector requirement."""
        return Expression(self.key, self.operator, list(self.values) or None)

    def admits(self, value: str | None) -> bool:
        """Whether a node with this value of the label will do."""
        if self.operator == "DoesNotExist":
            return value is ABSENT
        if self.operator in _BOUNDS:
            number = None if value is ABSENT else integer(value)
            return number is not None and (number > self.bound if self.operator == "Gt" else number < self.bound)
        return (value in self.values) == (self.operator == "In")

    @property
    def bound(self) -> int:
        """The number of ``Gt`` or ``Lt``."""
        return int(self.values[0])

    def is_met_by(self, nodes: NodeConstraints) -> bool:
        """Whether the pod's own constraints let no other node through."""
        if not nodes.mentions(self.key):
            return nodes.nowhere
        return nodes.nowhere or not any(
            label.admits(value) and not self.admits(value)
            for label in nodes.labels(self.key)
            for value in _cases(label, self)
        )

    def __str__(self) -> str:
        if self.is_selector:
            return f"{self.key}: {self.values[0]}"
        if not self.values:
            return f"{self.key} {self.operator}"
        more = len(self.values) - MOST_SHOWN
        values = [*self.values[:MOST_SHOWN], f"{more} more"] if more > 1 else self.values
        return f"{self.key} {self.operator} [{', '.join(values)}]"


def possible(needs: Iterable[Need], nodes: NodeConstraints) -> bool:
    """Whether the pod's own constraints let any node through that has all of what is needed."""
    needed: dict[str, list[Need]] = {}
    for need in needs:
        needed.setdefault(need.key, []).append(need)
    in_question = [key for key, together in needed.items() if len(together) > 1 or nodes.mentions(key)]
    return any(
        all(fits(needed[key], label) for key, label in zip(in_question, labels, strict=True))
        for labels in nodes.alternatives(in_question)
    )


def fits(needs: Sequence[Need], label: Label) -> bool:
    """Whether some value of a label is let through and will do for all that is needed of it."""
    if label.bounded and not label.reaches(
        max((need.bound for need in needs if need.operator == "Gt"), default=-inf),
        min((need.bound for need in needs if need.operator == "Lt"), default=inf),
    ):
        return False  # told without a look at any value
    return any(label.admits(value) and all(need.admits(value) for need in needs) for value in _cases(label, *needs))


def _cases(label: Label, *needs: Need) -> list[str | None]:
    """The values that tell constraints apart: those that someone writes down, one that stands for all others, and none.

    Where the label is bounded, numbers next to the bounds stand for all others. Of one that is listed no others are let through.
    """
    if label.listed is not None:
        return [*label.listed]
    cases = dict.fromkeys([ABSENT, *(value for need in needs for value in need.values)])
    bounds = [need.bound for need in needs if need.operator in _BOUNDS]
    if not label.bounded:
        cases[OTHER] = None
    return [*cases, *label.numbers(bounds, cases)] if bounds or label.bounded else [*cases]

"""Node labels: what a pod's nodeSelector and required node affinity permit together, and the labels that a form needs."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from math import inf

import msgspec
from msgspec.structs import force_setattr

from .pods import Affinity, Expression, NodeAffinity, PodSpec, Required, Term

# The label is missing from the node.
ABSENT = None
# Represents all values that no constraint names.
OTHER = "\0"

# The largest value that strconv.ParseInt accepts.
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_BOUNDS = ("Gt", "Lt")
MOST_SHOWN = 8
"""Values of a requirement that are shown in full."""


class Label:
    """The values of one node label that one alternative of a pod permits.

    All requirements must be met, each as in k8s.io/apimachinery/pkg/labels/selector.go (Requirement.Matches).
    """

    def __init__(self, expressions: Iterable[Expression]) -> None:
        """Take every requirement on the label."""
        self.listed: dict[str, None] | None = None
        self._absent = self._present = True
        self.excluded: dict[str, None] = {}
        self._above, self._below = -inf, inf
        for expression in expressions:
            self._narrow(expression.operator, expression.values or [])

    def _narrow(self, operator: str, values: list[str]) -> None:
        bound = integer(values[0]) if operator in ("Gt", "Lt") and values else None
        match operator:
            case "NotIn":
                self.excluded.update(dict.fromkeys(values))
                return
            case "DoesNotExist":
                self._present = False
                return
            case "In":
                self.listed = {value: None for value in values if self.listed is None or value in self.listed}
            case "Gt" if bound is not None:
                self._above = max(self._above, bound)
            case "Lt" if bound is not None:
                self._below = min(self._below, bound)
            case "Exists":
                pass
            case _:
                self._present = False
        self._absent = False

    @property
    def bounded(self) -> bool:
        """Whether ``Gt`` or ``Lt`` restricts it to numbers."""
        return self._above > -inf or self._below < inf

    def reaches(self, above: float, below: float) -> bool:
        """Whether its bounds permit a number between two others."""
        return max(self._above, above) + 1 < min(self._below, below)

    def numbers(self, bounds: Iterable[int], written: Collection[str | None]) -> Iterator[str]:
        """Numbers that distinguish its bounds from others.

        These are the numbers next to each bound on both sides, up to the first one that no requirement names.
        """
        own = (bound for bound in (self._above, self._below) if abs(bound) < inf)
        for bound in {*bounds, *map(int, own)}:
            for step in (1, -1):
                number = bound + step
                while str(number) in self.excluded or str(number) in written:
                    yield str(number)
                    number += step
                yield str(number)

    @property
    def admits_nothing(self) -> bool:
        """Whether its requirements contradict each other."""
        if self.bounded and not self.reaches(-inf, inf):
            return True
        return not any(self.admits(value) for value in (ABSENT, OTHER, *(self.listed or ())))

    def admits(self, value: str | None) -> bool:
        """Whether a node with this value of the label (``ABSENT``: without it; ``OTHER``: with another one) matches."""
        if value is ABSENT:
            return self._absent
        if not self._present or value in self.excluded or (self.listed is not None and value not in self.listed):
            return False
        if value == OTHER or (self._above == -inf and self._below == inf):
            return True
        number = integer(value)
        return number is not None and self._above < number < self._below


class NodeConstraints:
    """The node labels that a pod's nodeSelector and required node affinity permit.

    The terms of a node affinity are alternatives, and nodeSelector applies to each. An alternative that contradicts itself is
    ignored, unless all do. A pod whose terms all match nothing can run ``nowhere``; then only its nodeSelector is read.

    A pod may have thousands of terms and values, so the time of everything here is proportional to their number.

    Attributes:
        shared: one object represents all pods with equal constraints, so that results can be cached by it.
    """

    def __init__(self, spec: PodSpec, *, without: Iterable[str] = (), shared: bool = False) -> None:
        """Read a spec without the keys in ``without``."""
        self.shared = shared
        self._spec = spec
        self._ignored = ignored = frozenset(without)
        self.selector = {key: value for key, value in (spec.node_selector or {}).items() if key not in ignored}
        terms = [term for term in spec.terms if not term.matches_nothing]
        self.nowhere = bool(spec.terms) and not terms
        every = [self._read(term, ignored) for term in terms]
        possible = [said for said in every if not any(label.admits_nothing for label in said.values())]
        self._satisfiable = bool(possible) or not every
        self._alternatives = possible or every or [{}]
        self._said: dict[str, list[Label]] = {}
        for said in self._alternatives:
            for key, label in said.items():
                self._said.setdefault(key, []).append(label)

    def _read(self, term: Term, ignored: frozenset[str]) -> dict[str, Label]:
        required: dict[str, list[Expression]] = {}
        for expression in term.match_expressions or ():
            if expression.key not in ignored:
                required.setdefault(expression.key, self._selected(expression.key)).append(expression)
        return {key: Label(expressions) for key, expressions in required.items()}

    def _selected(self, key: str) -> list[Expression]:
        return [Expression(key, "In", [self.selector[key]])] if key in self.selector else []

    def without(self, keys: Iterable[str]) -> "NodeConstraints":
        """The constraints of the same pod without these keys."""
        return NodeConstraints(self._spec, without=keys)

    def replacing(self, key: str, replaced: Callable[[str, str], str]) -> "NodeConstraints":
        """The constraints of the same pod with other values of a label, found by the operator and the original value."""
        selector = {
            name: replaced("In", v) if name == key else v for name, v in (self._spec.node_selector or {}).items()
        }
        terms = [Term([*_replacing(term, key, replaced)], term.match_fields) for term in self._spec.terms]
        required = Affinity(NodeAffinity(Required(terms))) if terms else None
        return NodeConstraints(PodSpec(node_selector=selector, affinity=required), without=self._ignored)

    def requiring(self, expressions: Iterable[Expression]) -> "NodeConstraints":
        """The constraints of the same pod with additional requirements in every alternative."""
        required = [*expressions]
        if not required:
            return self
        kept = [
            Term([e for e in term.match_expressions or () if e.key not in self._ignored] + required, term.match_fields)
            for term in self._spec.terms
            if not term.matches_nothing
        ]
        affinity = Affinity(NodeAffinity(Required(kept or [Term(required)])))
        return NodeConstraints(PodSpec(node_selector=self.selector, affinity=affinity))

    def contradiction(self, prefixes: tuple[str, ...]) -> str | None:
        """The first label with one of these prefixes and contradictory constraints, if every alternative has such a label."""
        if self._satisfiable:
            return None
        contradicted = [
            next((key for key, label in said.items() if label.admits_nothing and key.startswith(prefixes)), None)
            for said in self._alternatives
        ]
        return contradicted[0] if None not in contradicted else None

    @property
    def has_alternatives(self) -> bool:
        """Whether its node affinity has several terms, of which each is one."""
        return len(self._alternatives) > 1

    @property
    def mentioned(self) -> list[str]:
        """The labels that the pod constrains."""
        return list(dict.fromkeys([*self.selector, *self._said]))

    def mentions(self, key: str) -> bool:
        """Whether the pod constrains this label."""
        return key in self.selector or key in self._said

    def alternatives(self, keys: Iterable[str]) -> Iterator[list[Label]]:
        """Return the constraints of each alternative on some labels."""
        selected = {key: Label(self._selected(key)) for key in keys}
        for said in self._alternatives:
            yield [said.get(key, label) for key, label in selected.items()]

    def labels(self, key: str) -> list[Label]:
        """Return the constraints of the alternatives on a label; alternatives without the label are combined."""
        said = self._said.get(key, [])
        return said if len(said) == len(self._alternatives) else [*said, Label(self._selected(key))]

    def values(self, key: str) -> list[str]:
        """The values of this label that the pod selects by nodeSelector or ``In``, and permits."""
        asked = (value for label in self.labels(key) for value in label.listed or () if label.admits(value))
        return list(dict.fromkeys(asked))

    def excluded(self, key: str) -> list[str]:
        """The values of this label that the pod excludes by ``NotIn``."""
        return list(dict.fromkeys(value for label in self.labels(key) for value in label.excluded))

    def permits(self, key: str, value: str | None) -> bool:
        """Whether the constraints on this label permit a node with this value (or ``ABSENT``, ``OTHER``)."""
        return any(label.admits(value) for label in self.labels(key))


def _replacing(term: Term, key: str, replaced: Callable[[str, str], str]) -> Iterator[Expression]:
    for each in term.match_expressions or ():
        values = [replaced(each.operator, value) for value in each.values or ()] if each.key == key else each.values
        yield Expression(each.key, each.operator, values)


NOTHING_SAID = NodeConstraints(PodSpec(), shared=True)
"""The constraints of a pod that permits every node."""

# Limits on what is cached: the number of strings, and their total length.
_MOST_KEYS = 4
_MOST_EXPRESSIONS = 12
_MOST_TEXTS = 48
_LONGEST_TOGETHER = 1024
# The requirements of a term of the node affinity, and whether it selects by fields too.
_TermKey = tuple[tuple[tuple[str, str, tuple[str, ...]], ...], bool]


def constraints(spec: PodSpec, prefixes: tuple[str, ...]) -> NodeConstraints:
    """Return a pod's constraints on labels with one of these prefixes, for callers that need no other labels.

    Its other selectors and terms do not affect these labels, unless no node matches the terms at all. So pods that select the
    same of these labels share one result: pods without any of them, and pods that select one form, which all rewritten pods do.
    """
    selector = spec.node_selector
    said = {key: value for key, value in selector.items() if key.startswith(prefixes)} if selector else {}
    terms = spec.terms
    about = terms and (
        any(e.key.startswith(prefixes) for term in terms for e in term.match_expressions or ())
        or all(term.matches_nothing for term in terms)
    )
    if not said and not about:
        return NOTHING_SAID
    # Each term is a separate alternative, to which the whole nodeSelector applies.
    kept = (selector or {}) if terms else said
    if not _is_small(kept, terms):
        return NodeConstraints(spec)
    return _remembered(tuple(kept.items()), _key(terms))


def _is_small(selector: dict[str, str], terms: list[Term]) -> bool:
    expressions = [e for term in terms for e in term.match_expressions or ()]
    if len(selector) > _MOST_KEYS or max(len(terms), len(expressions)) > _MOST_EXPRESSIONS:
        return False
    texts = [*selector, *selector.values()]
    for expression in expressions:
        texts += [expression.key, expression.operator, *(expression.values or ())]
    return len(texts) <= _MOST_TEXTS and sum(map(len, texts)) <= _LONGEST_TOGETHER


def _key(terms: list[Term]) -> tuple[_TermKey, ...]:
    return tuple(
        (
            tuple((e.key, e.operator, tuple(e.values or ())) for e in term.match_expressions or ()),
            bool(term.match_fields),
        )
        for term in terms
    )


@lru_cache(maxsize=256)
def _remembered(selector: tuple[tuple[str, str], ...], terms: tuple[_TermKey, ...]) -> NodeConstraints:
    required = [
        Term(
            [Expression(key, operator, [*values]) for key, operator, values in expressions], [None] if fields else None
        )
        for expressions, fields in terms
    ]
    affinity = Affinity(NodeAffinity(Required(required))) if required else None
    return NodeConstraints(PodSpec(node_selector=dict(selector), affinity=affinity), shared=True)


def integer(text: str) -> int | None:
    """A number as ``Gt`` and ``Lt`` read it (strconv.ParseInt), or ``None``."""
    return int(text) if _INTEGER.fullmatch(text) else None


class Need(msgspec.Struct, frozen=True, cache_hash=True):
    """A node label that a form needs, as a node selector requirement.

    Attributes:
        key, operator, values: the requirement.
        in_affinity: whether it is written into the node affinity, which is necessary except for ``In`` with one value, or as a
            nodeSelector.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()
    in_affinity: bool = False

    def __post_init__(self) -> None:
        """Set ``in_affinity`` for requirements that a nodeSelector can't express."""
        if self.operator != "In" or len(self.values) != 1:
            force_setattr(self, "in_affinity", True)  # noqa: FBT003 - the value of the field

    @property
    def expression(self) -> Expression:
        """As a node selector requirement."""
        return Expression(self.key, self.operator, list(self.values) or None)

    def admits(self, value: str | None) -> bool:
        """Whether a node with this value of the label meets the need."""
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
        """Whether the pod's own constraints already permit only such nodes."""
        if not nodes.mentions(self.key):
            return nodes.nowhere
        return nodes.nowhere or not any(
            label.admits(value) and not self.admits(value)
            for label in nodes.labels(self.key)
            for value in _cases(label, self)
        )

    def __str__(self) -> str:
        if not self.in_affinity:
            return f"{self.key}: {self.values[0]}"
        if not self.values:
            return f"{self.key} {self.operator}"
        more = len(self.values) - MOST_SHOWN
        values = [*self.values[:MOST_SHOWN], f"{more} more"] if more > 1 else self.values
        return f"{self.key} {self.operator} [{', '.join(values)}]"


def possible(needs: Iterable[Need], nodes: NodeConstraints) -> bool:
    """Whether the pod's own constraints permit any node that meets all needs."""
    needed: dict[str, list[Need]] = {}
    for need in needs:
        needed.setdefault(need.key, []).append(need)
    in_question = [key for key, together in needed.items() if len(together) > 1 or nodes.mentions(key)]
    return any(
        all(fits(needed[key], label) for key, label in zip(in_question, labels, strict=True))
        for labels in nodes.alternatives(in_question)
    )


def fits(needs: Sequence[Need], label: Label) -> bool:
    """Whether a value of a label is permitted and meets all needs."""
    if label.bounded and not label.reaches(
        max((need.bound for need in needs if need.operator == "Gt"), default=-inf),
        min((need.bound for need in needs if need.operator == "Lt"), default=inf),
    ):
        return False  # decided without checking values
    return any(label.admits(value) and all(need.admits(value) for need in needs) for value in _cases(label, *needs))


def _cases(label: Label, *needs: Need) -> list[str | None]:
    """The values that distinguish constraints: all named values, one that represents all others, and ``ABSENT``.

    If the label is bounded, numbers next to the bounds represent all others. If values are listed (``In``), no others are
    permitted.
    """
    if label.listed is not None:
        return [*label.listed]
    cases = dict.fromkeys([ABSENT, *(value for need in needs for value in need.values)])
    bounds = [need.bound for need in needs if need.operator in _BOUNDS]
    if not label.bounded:
        cases[OTHER] = None
    return [*cases, *label.numbers(bounds, cases)] if bounds or label.bounded else [*cases]

"""The node selection of pods of the common case: as a predicate, and as equivalent CEL."""

import re
from collections.abc import Mapping

from . import cel
from .cel import every
from .common_case import FEW, RequestPattern
from .node_constraints import Need
from .pods import Expression, PodSpec, Term
from .products import PRODUCT
from .spelling import GKE_KEYS, LABELS_OF_FORMS

# The suffixes that feature discovery appends to the GPU model, case-insensitive.
SUFFIX = "(?i)-MIG-|-SHARED$"
_SUFFIX = re.compile(SUFFIX)
# Other labels of GKE's nodes, such as the accelerator's, do not name a form.
_GKE = "cloud.google.com/gke-"
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
REQUIRED = "object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
HAS_REQUIRED = f"has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity) && has({REQUIRED})"
"""Whether a pod has required node affinity."""
EXPRESSIONS = "term.matchExpressions"


def selects_only(spec: PodSpec, pattern: RequestPattern) -> bool:
    """Whether nodeSelector has no labels of forms except those of a pattern."""
    selector = spec.node_selector or {}
    return all(selector.get(key) == value for key, value in pattern.selector.items()) and all(
        not key.startswith(LABELS_OF_FORMS)
        or key in pattern.selector
        or (key.startswith(_GKE) and key not in GKE_KEYS)
        or (pattern.model and key == PRODUCT and value and not _SUFFIX.search(value))
        for key, value in selector.items()
    )


def selects(pattern: RequestPattern) -> str:
    """The CEL of ``selects_only``."""
    labels = "object.spec.nodeSelector"
    chosen = [
        f"({cel.quoted(key)} in {labels} && {labels}[{cel.quoted(key)}] == {cel.quoted(value)})"
        for key, value in pattern.selector.items()
    ]
    others = [" && ".join(f"!key.startsWith({cel.quoted(prefix)})" for prefix in LABELS_OF_FORMS)]
    others += [f"key in {cel.listed(pattern.selector)}"] if pattern.selector else []
    others += [f"(key.startsWith({cel.quoted(_GKE)}) && !(key in {cel.listed(GKE_KEYS)}))"]
    if pattern.model:
        model = f"{labels}[key]"
        others += [f"(key == {cel.quoted(PRODUCT)} && {model} != '' && !{model}.matches({cel.quoted(SUFFIX)}))"]
    rest = f"{labels}.all(key, {' || '.join(others)})"
    return f"has({labels}) && {every(*chosen, rest)}" if chosen else f"(!has({labels}) || {rest})"


def requires_only(spec: PodSpec, pattern: RequestPattern) -> bool:
    """Whether each term of required node affinity has the labels of a pattern's form and no others, and a node can match it."""
    required = spec.affinity and spec.affinity.node_affinity and spec.affinity.node_affinity.required
    if required is None:
        return not pattern.terms
    return bool(spec.terms) and all(_is_of(term, spec.node_selector or {}, pattern) for term in spec.terms)


def _is_of(term: Term, selector: Mapping[str, str], pattern: RequestPattern) -> bool:
    """Whether a term requires what a pattern does, and each other label once, with a possible value, and no label of a form."""
    expressions = term.match_expressions or []
    keys = [expression.key for expression in expressions]
    needed = [_compared(need.expression) for need in pattern.terms]
    of_form = [_compared(e) for e in expressions if e.key.startswith(LABELS_OF_FORMS)]
    return (
        0 < len(expressions) <= _most(pattern)
        and all(need in of_form for need in needed)
        and all(one in needed for one in of_form)
        and all(
            e.key not in selector
            and keys.count(e.key) == 1
            and e.operator in _OPERATORS
            and (e.operator != "In" or bool(e.values))
            for e in expressions
            if not e.key.startswith(LABELS_OF_FORMS)
        )
    )


def _compared(expression: Expression) -> tuple[str, str, list[str]]:
    return expression.key, expression.operator, expression.values or []


def _most(pattern: RequestPattern) -> int:
    """The maximum number of requirements in a term, because the form adds its own."""
    return FEW - len(pattern.requirements)


def requires(pattern: RequestPattern) -> str:
    """The CEL of ``requires_only``."""
    of_form = " || ".join(f"e.key.startsWith({cel.quoted(prefix)})" for prefix in LABELS_OF_FORMS)
    needed = [_is_need(need) for need in pattern.terms]
    plain = f"""{EXPRESSIONS}.exists_one(other, other.key == e.key) &&
!(has(object.spec.nodeSelector) && e.key in object.spec.nodeSelector) &&
e.operator in {cel.listed(_OPERATORS)} && (e.operator != 'In' || (has(e.values) && size(e.values) > 0))"""
    each = f"({of_form}) ? {' || '.join(needed)} : {plain}" if needed else f"!({of_form}) &&\n{plain}"
    of_each = every(
        f"has({EXPRESSIONS}) && size({EXPRESSIONS}) > 0",
        *([f"size({EXPRESSIONS}) <= {_most(pattern)}"] if pattern.requirements else ()),
        *(f"{EXPRESSIONS}.exists(e, {one})" for one in needed),
        f"{EXPRESSIONS}.all(e, {each})",
    )
    terms = f"{REQUIRED}.nodeSelectorTerms"
    matched = f"size({terms}) > 0 && {terms}.all(term,\n{of_each})"
    return f"{HAS_REQUIRED} &&\n{matched}" if needed else f"(!({HAS_REQUIRED}) || ({matched}))"


def _is_need(need: Need) -> str:
    """The CEL of whether a requirement ``e`` is one of a form."""
    values = f"has(e.values) && e.values == {cel.listed(need.values)}" if need.values else _NO_VALUES
    return f"(e.key == {cel.quoted(need.key)} && e.operator == {cel.quoted(need.operator)} && {values})"


_NO_VALUES = "(!has(e.values) || size(e.values) == 0)"


def lacks_requirement(need: Need) -> str:
    """The CEL of whether a pod of the common case lacks a requirement of node affinity that a form needs."""
    has_it = f"has({EXPRESSIONS}) && {EXPRESSIONS}.exists(e, e.key == {cel.quoted(need.key)})"
    return f"!({HAS_REQUIRED}) || !{REQUIRED}.nodeSelectorTerms.all(term, {has_it})"

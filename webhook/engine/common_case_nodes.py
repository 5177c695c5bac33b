"""The node selection of pods of the common case: as a predicate, and as equivalent CEL."""

import re
from collections.abc import Mapping

from . import cel
from .cel import every
from .common_case import RequestPattern
from .pods import PodSpec, Term
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
    """Whether required node affinity has no labels of forms except those of a pattern, and a node can match it."""
    terms = spec.terms
    if pattern.terms:
        return terms == [Term([need.expression for need in pattern.terms])]
    if pattern.requirements:
        return not (spec.affinity and spec.affinity.node_affinity and spec.affinity.node_affinity.required)
    selector = spec.node_selector or {}
    return all(_is_plain(term, selector) for term in terms)


def _is_plain(term: Term, selector: Mapping[str, str]) -> bool:
    """Whether a node can match a term: it requires each label once, with a possible value, and no label of a form."""
    expressions = term.match_expressions or []
    keys = [expression.key for expression in expressions]
    return (
        bool(expressions)
        and len({*keys}) == len(keys)
        and not any(key in selector or key.startswith(LABELS_OF_FORMS) for key in keys)
        and all(e.operator in _OPERATORS and (e.operator != "In" or bool(e.values)) for e in expressions)
    )


def requires(pattern: RequestPattern) -> str:
    """The CEL of ``requires_only``."""
    terms = f"{REQUIRED}.nodeSelectorTerms"
    if pattern.terms:
        expressions = f"{terms}[0].matchExpressions"
        exact = [
            f"{expressions}[{index}].key == {cel.quoted(need.key)} && "
            f"{expressions}[{index}].operator == {cel.quoted(need.operator)} && "
            + (
                f"{expressions}[{index}].values == {cel.listed(need.values)}"
                if need.values
                else f"(!has({expressions}[{index}].values) || size({expressions}[{index}].values) == 0)"
            )
            for index, need in enumerate(pattern.terms)
        ]
        return every(
            HAS_REQUIRED,
            f"size({terms}) == 1 && !has({terms}[0].matchFields) && has({expressions}) && size({expressions}) == {len(exact)}",
            *exact,
        )
    if pattern.requirements:
        return f"!({HAS_REQUIRED})"
    foreign = " && ".join(f"!e.key.startsWith({cel.quoted(prefix)})" for prefix in LABELS_OF_FORMS)
    return f"""(!({HAS_REQUIRED}) || {terms}.all(term,
has({EXPRESSIONS}) && size({EXPRESSIONS}) > 0 && {EXPRESSIONS}.all(e, {foreign} &&
{EXPRESSIONS}.exists_one(other, other.key == e.key) &&
!(has(object.spec.nodeSelector) && e.key in object.spec.nodeSelector) &&
e.operator in {cel.listed(_OPERATORS)} && (e.operator != 'In' || (has(e.values) && size(e.values) > 0)))))"""

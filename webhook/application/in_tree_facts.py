"""What CEL has to know of a pod of the common case: how it requests GPUs, and what the rules say against it."""

from collections.abc import Iterator, Sequence

from ..engine import cel
from ..engine.common_case import CommonCase, Sentence, Way
from ..engine.common_case_pods import HAS_REQUIRED, told_apart

CONTAINER = "object.spec.containers[i]"
"""The container of an index ``i``, as CEL."""

_COUNT = f"{CONTAINER}.resources.limits[variables.resource]"
_GPUS = f"""lists.range(size(object.spec.containers)).filter(i, has({CONTAINER}.resources) &&
has({CONTAINER}.resources.limits) && variables.resource in {CONTAINER}.resources.limits)"""


def facts(case: CommonCase) -> Iterator[tuple[str, str]]:
    """The pod's way, as its index, its resource, the containers that request it, as indexes, and what is denied."""
    *firsts, last = range(len(case.ways))
    chosen = ((told_apart(case.ways[index], case.ways[index + 1 :]), index) for index in firsts)
    yield "way", "".join(f"({apart}) ? {index} :\n" for apart, index in chosen) + str(last)
    yield "resource", by_way([cel.quoted(way.resource) for way in case.ways])
    yield "gpus", _GPUS
    yield "counts", f"variables.gpus.map(i, string({_COUNT}))"
    yield "above", by_way([_above(way) for way in case.ways])
    yield "beyond", _beyond(case)
    yield "denials", "variables.above + variables.beyond"


def may_be_denied(case: CommonCase) -> str:
    """CEL that holds for every pod of the common case that is denied or not rewritten, and for few others.

    The API server prepares a pod again for each part of a policy, and that takes longer than the CEL: a policy that denies is
    not to look at the pods that it has nothing to say of.
    """
    if case.policy.adds:
        return "true"
    plain = case.ways[0]
    quick, container = [], []
    for resource in dict.fromkeys(way.resource for way in case.ways):
        if resource == plain.resource and plain.renames:
            container.append(f"{cel.quoted(resource)} in {_LIMITS}")
            continue
        limits = [way.most for way in case.ways if way.resource == resource] + [case.policy.max_per_pod]
        most = min((limit for limit in limits if limit is not None), default=None)
        if most is not None:
            permitted = cel.listed(str(count + 1) for count in range(min(most, _LISTED)))
            container.append(
                f"({cel.quoted(resource)} in {_LIMITS} && !({_LIMITS}[{cel.quoted(resource)}] in {permitted}))"
            )
    if container:
        any_of = " || ".join(container)
        quick.append(f"object.spec.containers.exists(c, has(c.resources) && has({_LIMITS}) && ({any_of}))")
    if case.per_pod is not None:
        quick.append("size(object.spec.containers) > 1")
    if plain.needs and not plain.renames:
        absent = [
            f"!has(object.spec.nodeSelector) || !({cel.quoted(key)} in object.spec.nodeSelector)"
            for key in plain.selectors
        ]
        quick.append(next(iter(absent), f"!({HAS_REQUIRED})"))
    return " || ".join(quick) or "false"


# Higher counts are looked at in full.
_LISTED = 16
_LIMITS = "c.resources.limits"


def by_way(values: Sequence[str]) -> str:
    """The one of several values of CEL that belongs to the pod's way."""
    *others, last = values
    if len({*values}) == 1:
        return last
    return "".join(f"variables.way == {index} ? {each} :\n" for index, each in enumerate(others)) + last


def _beyond(case: CommonCase) -> str:
    """What is said of a pod whose containers request more together than the policy permits in one pod."""
    if case.per_pod is None:
        return "[]"
    total = "variables.counts.map(count, int(count)).sum()"
    of_pod = _sentence(case.per_pod, "''", f"string({total})")
    return f"{total} > {case.policy.max_per_pod} ? [{of_pod}] : []"


def _above(way: Way) -> str:
    """What is said of containers with more than a way permits."""
    if way.most is None or way.denial is None:
        return "[]"
    said = _sentence(way.denial, f"{CONTAINER}.name", _COUNT)
    return f"variables.gpus.filter(i, int({_COUNT}) > {way.most}).map(i, {said})"


def _sentence(sentence: Sentence, name: str, count: str) -> str:
    """A sentence as CEL, with CEL in its gaps."""
    values = {"name": name, "count": count}
    texts = [*sentence.parts]
    parts = [cel.quoted(texts[0])]
    for gap, text in zip(sentence.gaps, texts[1:], strict=True):
        parts += [values[gap], cel.quoted(text)]
    return " + ".join(part for part in parts if part != "''")

"""Facts about a pod of the common case, as CEL: how it requests GPUs, and which rules deny it or warn about it.

A variable of an admission policy costs an evaluation of its own, so what is the same for every pod of a policy is not a variable.
"""

from collections.abc import Callable, Iterator, Sequence

from ..engine import cel
from ..engine.common_case import CommonCase, RequestPattern, Sentence, Slices
from ..engine.common_case_nodes import lacks_requirement
from ..engine.common_case_requests import SLICE, distinguished, is_slice, named_by
from ..engine.policy import NO_ADDITIONS
from ..engine.products import PRODUCT

CONTAINER = "object.spec.containers[i]"
"""The container of an index ``i``, as CEL."""
IS_DENIED = "size(variables.denials) > 0"

_REQUESTING = f"""lists.range(size(object.spec.containers)).filter(i, has({CONTAINER}.resources) &&
has({CONTAINER}.resources.limits) && %s)"""


def facts(case: CommonCase) -> Iterator[tuple[str, str]]:
    """Facts about the pod: its pattern (an index), its resource, the containers that request it (indexes), and its denials."""
    *firsts, last = range(len(case.patterns))
    chosen = ((distinguished(case.patterns[index], case.patterns[index + 1 :]), index) for index in firsts)
    if firsts:
        yield "way", "".join(f"({apart}) ? {index} :\n" for apart, index in chosen) + str(last)
    if not _one_name(case):
        yield "resource", by_pattern([cel.quoted(pattern.resource) for pattern in case.patterns])
    yield "gpus", _REQUESTING % f"{resource(case)} in {CONTAINER}.resources.limits"
    if case.slices and case.slices.denials:
        named = f"{CONTAINER}.resources.limits.exists(name, {is_slice(case.slices, 'name')})"
        yield "sliced", _REQUESTING % named
    denied = [*denials(case)]
    yield from ((name, said) for name, said, _ in denied)
    if denied:
        yield "denials", cel.joined([f"variables.{name}" for name, *_ in denied])


def of_each(pattern: RequestPattern, entry: Callable[[str, str], str], combined: str) -> str:
    """CEL that combines the entries of all containers that request a pattern's resource.

    Most pods have one container. Its entry has a constant index, and nothing is iterated or combined.

    Args:
        pattern: how the pod requests GPUs.
        entry: writes the entry, given the CEL of a container and of its index.
        combined: the CEL method that combines a list of entries; a single entry is returned as it is.
    """
    requests = f"has(c.resources) && has(c.resources.limits) && {named_by(pattern)}"
    several = f"object.spec.containers.transformList(i, c, {requests},\n{entry('c', 'i')}).{combined}"
    return f"(size(object.spec.containers) == 1 ? {entry('object.spec.containers[0]', '0')} :\n{several})"


def resource(case: CommonCase) -> str:
    """The requests of the pod's containers, as CEL."""
    return cel.quoted(case.patterns[0].resource) if _one_name(case) else "variables.resource"


def _one_name(case: CommonCase) -> bool:
    return len({pattern.resource for pattern in case.patterns}) == 1


def count(case: CommonCase) -> str:
    """The number that container ``i`` requests of the resource, as CEL."""
    return f"{CONTAINER}.resources.limits[{resource(case)}]"


def denials(case: CommonCase) -> Iterator[tuple[str, str, str]]:
    """The findings that deny the pod, in the order of the rules: a name, the sentences, and the rule's id, as CEL."""
    if case.slices and case.slices.denials:
        yield "slices", _of_slices(case.slices), cel.quoted(case.slices.denials[0][1].rule)
    if any(pattern.denial for pattern in case.patterns):
        rules = by_pattern([cel.quoted(pattern.denial.rule if pattern.denial else "") for pattern in case.patterns])
        yield "above", by_pattern([_above(pattern, count(case)) for pattern in case.patterns]), rules
    if case.per_pod is not None:
        yield "beyond", _beyond(case, case.per_pod), cel.quoted(case.per_pod.rule)


def may_be_denied(case: CommonCase) -> str:
    """CEL that holds for every pod of the common case that is denied or not rewritten, and for few others.

    The API server prepares a pod again for each part of a policy, which takes longer than the CEL. So a policy that denies
    should not be evaluated for pods that it would not deny.
    """
    if case.policy.additions != NO_ADDITIONS:
        return "true"
    plain = case.patterns[0]
    quick = []
    if (unusual := _unusual(case)) != cel.NEVER:
        quick.append(f"object.spec.containers.exists(c, has(c.resources) && has({_LIMITS}) && ({unusual}))")
    if case.per_pod is not None:
        quick.append("size(object.spec.containers) > 1")
    if plain.needs and not plain.renames:
        absent = [
            f"!has(object.spec.nodeSelector) || !({cel.quoted(key)} in object.spec.nodeSelector)"
            for key in plain.selectors
        ]
        quick += absent[:1] or [lacks_requirement(plain.requirements[0])]
    return " || ".join(quick) or cel.NEVER


# Higher counts are evaluated completely.
_LISTED = 16
_LIMITS = "c.resources.limits"


def _unusual(case: CommonCase) -> str:
    """CEL that holds for every container of the common case that is denied or renamed, and for few others."""
    plain = case.patterns[0]
    asked = cel.NEVER
    if case.slices and case.slices.denials:
        asked = f"{_LIMITS}.exists(name, {is_slice(case.slices, 'name')})"
    for name in reversed(dict.fromkeys(pattern.resource for pattern in case.patterns)):
        limits = [pattern.most for pattern in case.patterns if pattern.resource == name] + [case.policy.max_per_pod]
        most = min((limit for limit in limits if limit is not None), default=None)
        if name == plain.resource and plain.renames:
            verdict = cel.ALWAYS
        elif most is None:
            verdict = cel.NEVER
        else:
            permitted = cel.listed(str(count + 1) for count in range(min(most, _LISTED)))
            verdict = f"!({_LIMITS}[{cel.quoted(name)}] in {permitted})"
        if verdict != asked:
            # The container requests no other GPU.
            asked = f"{cel.quoted(name)} in {_LIMITS} ? {verdict} : {asked}"
    return asked


def by_pattern(values: Sequence[str]) -> str:
    """The one of several values of CEL that belongs to the pod's pattern."""
    *others, last = values
    if len({*values}) == 1:
        return last
    return "".join(f"variables.way == {index} ? {each} :\n" for index, each in enumerate(others)) + last


def _beyond(case: CommonCase, sentence: Sentence) -> str:
    """CEL for the message about a pod whose containers together request more than the policy permits in one pod."""
    counts = f"variables.gpus.map(i, int({count(case)}))"
    if case.slices and case.slices.denials:
        counts = f"({counts} + variables.sliced.map(i, int({_slice(case.slices)[1]})))"
    total = f"{counts}.sum()"
    of_pod = sentence_in_cel(sentence, count=f"string({total})")
    return f"{total} > {case.policy.max_per_pod} ? [{of_pod}] : []"


_SELECTS_MODEL = f"has(object.spec.nodeSelector) && {cel.quoted(PRODUCT)} in object.spec.nodeSelector"


def _above(pattern: RequestPattern, written: str) -> str:
    """CEL for the messages about containers that request more than a pattern permits."""
    if pattern.most is None or pattern.denial is None:
        return cel.EMPTY
    values = {"name": f"{CONTAINER}.name", "count": written}
    said = sentence_in_cel(pattern.denial, **values)
    if pattern.denial_with_model:
        said = f"{_SELECTS_MODEL} ? {sentence_in_cel(pattern.denial_with_model, **values)} :\n{said}"
    return f"variables.gpus.filter(i, int({written}) > {pattern.most}).map(i, {said})"


def _slice(slices: Slices) -> tuple[str, str]:
    """The name of the slice that container ``i`` requests, and its count."""
    limits = f"{CONTAINER}.resources.limits"
    name = f"{limits}.filter(name, {is_slice(slices, 'name')})[0]"
    return name, f"{limits}[{name}]"


def _of_slices(slices: Slices) -> str:
    """CEL for the messages about containers that request slices which the policy does not list."""
    name, written = _slice(slices)
    values = {"name": f"{CONTAINER}.name", "count": written, "profile": f"{name}.substring({len(SLICE)})"}
    *others, (_, first) = reversed(slices.denials)
    steps = "".join(f"int({written}) > {above} ? {sentence_in_cel(said, **values)} :\n" for above, said in others)
    return f"variables.sliced.map(i, {steps}{sentence_in_cel(first, **values)})"


def sentence_in_cel(sentence: Sentence, **values: str) -> str:
    """A sentence as CEL, with CEL in its gaps."""
    texts = [*sentence.parts]
    parts = [cel.quoted(texts[0])]
    for gap, text in zip(sentence.gaps, texts[1:], strict=True):
        parts += [values[gap], cel.quoted(text)]
    return " + ".join(part for part in parts if part != "''")

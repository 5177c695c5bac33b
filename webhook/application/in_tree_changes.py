"""What a policy changes in a pod of the common case, as CEL: what it adds, what is outstanding, and the JSON Patch."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from ..engine import cel
from ..engine.common_case import CommonCase, RequestPattern
from ..engine.common_case_nodes import HAS_REQUIRED, REQUIRED
from ..engine.common_case_requests import SECTIONS
from ..engine.decision import ORIGINAL_REQUEST, POLICY
from ..engine.edits import AddEnv, AddNeed, AddToleration, RenameResource, SetRuntimeClass
from ..engine.node_constraints import Need
from ..engine.pods import Place, Toleration
from ..engine.policy import Policy
from ..engine.spelling import GPU_TOLERATION
from .in_tree_facts import CONTAINER, IS_DENIED, denials, of_each


def additions(case: CommonCase) -> Iterator[tuple[str, str]]:
    """What the policy still adds to the pod."""
    plain, policy = case.patterns[0], case.policy
    is_plain = _is_plain(case)
    labels = [cel.listed_if(is_plain, f"[{_label(key, value)}]") for key, value in plain.selectors.items()]
    labels += [
        cel.listed_if(
            f"!has(object.spec.nodeSelector) || !({cel.quoted(key)} in object.spec.nodeSelector)",
            f"[{_label(key, value)}]",
        )
        for key, value in case.node_selector.items()
    ]
    found = {"labels": cel.joined(labels), "env": _env(policy)}
    yield from ((name, added) for name, added in found.items() if added != cel.EMPTY)


def _lacking(case: CommonCase) -> Iterator[tuple[Toleration, str]]:
    """The tolerations that the policy adds, each with the CEL of whether the pod lacks it."""
    is_plain = _is_plain(case)
    if case.patterns[0].renames:
        yield GPU_TOLERATION, cel.every(is_plain, f"!{_tolerated(GPU_TOLERATION)}")
    for own in case.policy.additions.tolerations:
        already = own == GPU_TOLERATION and case.patterns[0].renames
        if not already:
            yield own, f"!{_tolerated(own)}"
        elif is_plain != cel.ALWAYS:
            yield own, f"!({is_plain}) && !{_tolerated(own)}"


def _is_plain(case: CommonCase) -> str:
    return "variables.way == 0" if len(case.patterns) > 1 else cel.ALWAYS


def _label(key: str, value: str) -> str:
    return cel.mapped({"key": key, "value": value})


def _toleration(toleration: Toleration) -> str:
    texts = msgspec.to_builtins(toleration)
    seconds = texts.pop("tolerationSeconds", None)
    if seconds is None:
        return cel.mapped(texts)
    # The values of a CEL map have one type, so these are dynamic.
    entries = [f"{cel.quoted(key)}: dyn({cel.quoted(text)})" for key, text in texts.items()]
    return f"{{{', '.join(entries)}, 'tolerationSeconds': dyn({seconds})}}"


def _tolerated(wanted: Toleration) -> str:
    """Whether the pod's own tolerations cover a wanted one: ``rewriting.tolerated``."""
    key, value, effect = (cel.quoted(text or "") for text in (wanted.key, wanted.value, wanted.effect))
    exists = "has(t.operator) && t.operator == 'Exists'"
    # Most tolerations are for another key.
    covers = f"(!has(t.key) || t.key in ['', {key}]) && (!has(t.effect) || t.effect in ['', {effect}]) &&\n"
    seconds = wanted.toleration_seconds
    as_long = "!has(t.tolerationSeconds)"
    covers += f"{as_long} && " if seconds is None else f"({as_long} || t.tolerationSeconds == {seconds}) && "
    if (wanted.operator or "Equal") == "Equal":
        equals = f"has(t.key) && t.key == {key} && (has(t.value) ? t.value : '') == {value}"
        covers += f"({exists} || ((!has(t.operator) || t.operator in ['', 'Equal']) && {equals}))"
    else:
        covers += exists
    return f"(has(object.spec.tolerations) && object.spec.tolerations.exists(t,\n{covers}))"


def _env(policy: Policy) -> str:
    """The variables that containers lack: index, name and value of each."""
    of_container = " +\n".join(
        f"(!has({CONTAINER}.env) || !{CONTAINER}.env.exists(e, e.name == {cel.quoted(name)}) ?\n"
        f"[{{'index': string(i), 'name': {cel.quoted(name)}, 'value': {cel.quoted(value)}, "
        f"'text': ': ' + {cel.quoted(str(AddEnv(_PLACE, name, value)).partition(': ')[2])}}}] : [])"
        for name, value in policy.additions.env
    )
    return f"variables.gpus.map(i, {of_container}).flatten()" if policy.additions.env else cel.EMPTY


_PLACE = Place("containers", 0)


def outstanding(case: CommonCase) -> Iterator[tuple[str, str]]:
    """The edits that are still missing, as text, in the engine's order; the rule ``not_rewritten`` reports them."""
    plain, policy = case.patterns[0], case.policy
    is_plain = _is_plain(case)
    texts = []
    if plain.renames:
        before, after = str(RenameResource(_PLACE, plain.resource, plain.renamed, ())).split("0", 1)
        renamed = f"variables.gpus.map(i, {cel.quoted(before)} + string(i) + {cel.quoted(after)})"
        texts.append(cel.listed_if(is_plain, renamed))
    if plain.needs:
        texts.append(cel.listed_if(is_plain, cel.listed(str(AddNeed(need)) for need in plain.needs)))
    tolerations = [cel.listed_if(lacks, cel.listed([str(AddToleration(one))])) for one, lacks in _lacking(case)]
    if plain.renames:
        texts.append(tolerations.pop(0))
    if case.node_selector:
        texts.append(
            "variables.labels.filter(l, l.key in "
            f"{cel.listed(case.node_selector)}).map(l, 'node selector ' + l.key + ': ' + l.value)"
        )
    texts += tolerations
    if policy.additions.runtime_class_name:
        text = str(SetRuntimeClass(policy.additions.runtime_class_name))
        texts.append(cel.listed_if(_NO_RUNTIME_CLASS, cel.listed([text])))
    if policy.additions.env:
        texts.append("variables.env.map(e, 'spec.containers[' + e.index + ']' + e.text)")
    if texts:
        denied = f"{IS_DENIED} ? {cel.EMPTY} :\n" if any(denials(case)) else ""
        yield "missing", f"{denied}{cel.joined(texts)}"


_NO_RUNTIME_CLASS = "!has(object.spec.runtimeClassName) || object.spec.runtimeClassName == ''"


# --- the patch --------------------------------------------------------------------------------------------------------


def json_patch(case: CommonCase) -> str:
    """The JSON Patch with all missing edits, as CEL; empty if a policy changes nothing."""
    plain, policy = case.patterns[0], case.policy
    is_plain = _is_plain(case)
    added = [name for name, _ in additions(case)]
    parts = []
    if plain.renames:
        parts.append(cel.listed_if(is_plain, of_each(plain, partial(_moves, plain), "flatten()")))
    if "labels" in added:
        absent = "size(variables.labels) > 0 && !has(object.spec.nodeSelector)"
        parts.append(cel.listed_if(absent, f"[{_add('/spec/nodeSelector', '{}')}]"))
        parts.append(f"variables.labels.map(l, {_add_at(_LABEL_PATH, 'l.value')})")
    if plain.requirements:
        parts.append(cel.listed_if(is_plain, _affinity(plain.requirements)))
    lacking = [*_lacking(case)]
    parts += _tolerations(lacking)
    if policy.additions.runtime_class_name:
        runtime_class = _add("/spec/runtimeClassName", cel.quoted(policy.additions.runtime_class_name))
        parts.append(cel.listed_if(_NO_RUNTIME_CLASS, f"[{runtime_class}]"))
    if "env" in added:
        empty = f"variables.gpus.filter(i, !has({CONTAINER}.env)).map(i, {_add_at(_ENV_PATH % 'string(i)', '[]')})"
        parts += [empty, f"variables.env.map(e, {_add_at(_ENV_PATH % 'e.index' + _AT_END, _VARIABLE)})"]
    if not parts:
        return ""
    parts += _annotations(case)
    nothing = [IS_DENIED] if any(denials(case)) else []
    if not (plain.respells and is_plain == cel.ALWAYS):
        changes = [is_plain] if plain.respells else []
        changes += [f"size(variables.{name}) > 0" for name in added] + [lacks for _, lacks in lacking]
        changes += [_NO_RUNTIME_CLASS] if policy.additions.runtime_class_name else []
        nothing.append(f"!({' || '.join(f'({change})' for change in changes)})")
    return (f"{' || '.join(nothing)} ? {cel.EMPTY} :\n" if nothing else "") + cel.joined(parts)


# Each concatenation of lists, and each operation, takes time for every pod. So what most policies change, one toleration and both
# annotations, is one list with as few operations as possible.


def _tolerations(lacking: Sequence[tuple[Toleration, str]]) -> Iterator[str]:
    """The operations that add tolerations; ``lacking`` has each toleration, and the CEL of whether the pod lacks it."""
    if len(lacking) == 1:
        [(one, lacks)] = lacking
        added = _toleration(one)
        to_others, alone = _add(_TOLERATIONS_END, added), _add(_TOLERATIONS, f"[{added}]")
        yield cel.listed_if(lacks, f"({_HAS_TOLERATIONS} ? [{to_others}] : [{alone}])")
    elif lacking:
        # Then the policy has its own, and a pod without tolerations lacks each of them.
        yield f"(!{_HAS_TOLERATIONS} ? [{_add(_TOLERATIONS, '[]')}] : [])"
        yield from (cel.listed_if(lacks, f"[{_add(_TOLERATIONS_END, _toleration(one))}]") for one, lacks in lacking)


_TOLERATIONS = "/spec/tolerations"
_TOLERATIONS_END = f"{_TOLERATIONS}/-"
_HAS_TOLERATIONS = "has(object.spec.tolerations)"


def _annotations(case: CommonCase) -> Iterator[str]:
    """The operations that add the annotations of a changed pod."""
    is_plain, respells = _is_plain(case), case.patterns[0].respells
    policy = (POLICY, cel.quoted(case.policy.name))
    always = [policy]
    if respells and is_plain == cel.ALWAYS:
        always.insert(0, (ORIGINAL_REQUEST, _original(case)))
    values = ", ".join(f"{cel.quoted(key)}: {value}" for key, value in always)
    to_others = ", ".join(_annotate(key, value) for key, value in always)
    yield f"(has(object.metadata.annotations) ? [{to_others}] : [{_add('/metadata/annotations', f'{{{values}}}')}])"
    if respells and is_plain != cel.ALWAYS:
        yield cel.listed_if(is_plain, f"[{_annotate(ORIGINAL_REQUEST, _original(case))}]")


def _original(case: CommonCase) -> str:
    """The annotation as ``policy_additions`` writes it. Names of containers and resources need no escapes in JSON."""
    plain = case.patterns[0]

    def entry(container: str, _: str) -> str:
        if plain.only_one:
            return f"""'"' + {container}.name + '":{{"{plain.resource}":"1"}}'"""
        counted = f"string({container}.resources.limits[{cel.quoted(plain.resource)}])"
        return f"""'"' + {container}.name + '":{{"{plain.resource}":"' + {counted} + '"}}'"""

    entries = of_each(plain, entry, "join(',')")
    return f"'{{' + {entries} + '}}'"


def _add(path: str, value: str) -> str:
    return _add_at(cel.quoted(path), value)


def _add_at(path: str, value: str) -> str:
    """An addition at a path that is CEL."""
    return f"JSONPatch{{op: 'add', path: {path}, value: {value}}}"


_LABEL_PATH = "'/spec/nodeSelector/' + jsonpatch.escapeKey(l.key)"
_ENV_PATH = "'/spec/containers/' + %s + '/env'"
_AT_END = " + '/-'"
_VARIABLE = "{'name': e.name, 'value': e.value}"


def _annotate(key: str, value: str) -> str:
    return _add(f"/metadata/annotations/{key.replace('/', '~1')}", value)


def _moves(pattern: RequestPattern, _: str, index: str) -> str:
    """The resource's new name, in limits and in requests of the container with an index."""

    def path(section: str, name: str) -> str:
        rest = f"/resources/{section}/{name.replace('/', '~1')}"
        if index.isdigit():
            return cel.quoted(f"/spec/containers/{index}{rest}")
        return f"'/spec/containers/' + string({index}) + {cel.quoted(rest)}"

    moves = (
        f"JSONPatch{{op: 'move', from: {path(section, pattern.resource)}, path: {path(section, pattern.renamed)}}}"
        for section in SECTIONS
    )
    together = ",\n".join(moves)
    return f"[{together}]"


def _affinity(needs: Iterable[Need]) -> str:
    """The operations that add the form's requirements to each term of the required node affinity; without terms, to a new one."""
    expressions = [
        f"{{'key': dyn({cel.quoted(need.key)}), 'operator': dyn({cel.quoted(need.operator)})"
        + (f", 'values': dyn({cel.listed(need.values)})" if need.values else "")
        + "}"
        for need in needs
    ]
    node = "/spec/affinity/nodeAffinity"
    required = f"{node}/requiredDuringSchedulingIgnoredDuringExecution"
    first_term = f"{{'nodeSelectorTerms': [{{'matchExpressions': [{', '.join(expressions)}]}}]}}"
    first = cel.joined(
        [
            f"(!has(object.spec.affinity) ? [{_add('/spec/affinity', '{}')}] : [])",
            f"(!has(object.spec.affinity) || !has(object.spec.affinity.nodeAffinity) ? [{_add(node, '{}')}] : [])",
            f"[{_add(required, first_term)}]",
        ]
    )
    at = f"{cel.quoted(f'{required}/nodeSelectorTerms/')} + string(i) + '/matchExpressions/-'"
    added = ",\n".join(_add_at(at, expression) for expression in expressions)
    terms = f"lists.range(size({REQUIRED}.nodeSelectorTerms)).map(i, [{added}]).flatten()"
    return f"({HAS_REQUIRED} ?\n{terms} :\n{first})"

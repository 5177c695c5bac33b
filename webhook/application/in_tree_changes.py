"""What a policy changes in a pod of the common case, as CEL: what it adds, what is outstanding, and the JSON Patch."""

from collections.abc import Iterable, Iterator

import msgspec

from ..engine import cel
from ..engine.common_case import CommonCase, Way
from ..engine.decision import ORIGINAL_REQUEST, POLICY
from ..engine.edits import AddEnv, AddNeed, AddToleration, RenameResource, SetRuntimeClass
from ..engine.nodes import Need
from ..engine.pods import Place, Toleration
from ..engine.policy import Policy
from ..engine.spelling import GPU_TOLERATION
from .in_tree_facts import CONTAINER


def additions(case: CommonCase) -> Iterator[tuple[str, str]]:
    """What the policy still adds to the pod."""
    plain, policy = case.ways[0], case.policy
    is_plain = _is_plain(case)
    labels = [f"({is_plain} ? [{_label(key, value)}] : [])" for key, value in plain.selectors.items()]
    labels += [
        f"(!has(object.spec.nodeSelector) || !({cel.quoted(key)} in object.spec.nodeSelector) ? [{_label(key, value)}] : [])"
        for key, value in case.node_selector.items()
    ]
    yield "labels", joined(labels)
    tolerations = (
        [f"({is_plain} && !{_tolerated(GPU_TOLERATION)} ? [{_toleration(GPU_TOLERATION)}] : [])"]
        if plain.renames
        else []
    )
    for own in policy.tolerations:
        already = f" && !({is_plain})" if own == GPU_TOLERATION and plain.renames else ""
        tolerations.append(f"(!{_tolerated(own)}{already} ? [{_toleration(own)}] : [])")
    yield "tolerations", joined(tolerations)
    yield "env", _env(policy)


def _is_plain(case: CommonCase) -> str:
    return "variables.way == 0" if len(case.ways) > 1 else "true"


def joined(lists: list[str]) -> str:
    """Lists of CEL as one list."""
    return " +\n".join(lists) or "[]"


def _label(key: str, value: str) -> str:
    return cel.mapped({"key": key, "value": value})


def _toleration(toleration: Toleration) -> str:
    return cel.mapped(msgspec.to_builtins(toleration))


def _tolerated(wanted: Toleration) -> str:
    """Whether the pod's own tolerations cover a wanted one: ``rewriting.tolerated``."""
    key, value, effect = (cel.quoted(text or "") for text in (wanted.key, wanted.value, wanted.effect))
    covers = f"(!has(t.effect) || t.effect in ['', {effect}]) && !has(t.tolerationSeconds) &&\n"
    covers += f"(has(t.operator) && t.operator == 'Exists' ? !has(t.key) || t.key in ['', {key}] : "
    if (wanted.operator or "Equal") == "Equal":
        covers += f"(!has(t.operator) || t.operator in ['', 'Equal']) && has(t.key) && t.key == {key} && "
        covers += f"(has(t.value) ? t.value : '') == {value})"
    else:
        covers += "false)"
    return f"(has(object.spec.tolerations) && object.spec.tolerations.exists(t,\n{covers}))"


def _env(policy: Policy) -> str:
    """The variables that containers lack: index, name and value of each."""
    of_container = " +\n".join(
        f"(!has({CONTAINER}.env) || !{CONTAINER}.env.exists(e, e.name == {cel.quoted(name)}) ?\n"
        f"[{{'index': string(i), 'name': {cel.quoted(name)}, 'value': {cel.quoted(value)}, "
        f"'text': ': ' + {cel.quoted(str(AddEnv(_PLACE, name, value)).partition(': ')[2])}}}] : [])"
        for name, value in policy.env.items()
    )
    return f"variables.gpus.map(i, {of_container}).flatten()" if policy.env else "[]"


_PLACE = Place("containers", 0)


def outstanding(case: CommonCase) -> Iterator[tuple[str, str]]:
    """The edits that are outstanding, as texts and in the order of the engine's: what ``not_rewritten`` says."""
    plain, policy = case.ways[0], case.policy
    is_plain = _is_plain(case)
    texts = []
    if plain.renames:
        before, after = str(RenameResource(_PLACE, plain.resource, plain.renamed, ())).split("0", 1)
        texts.append(
            f"({is_plain} ? variables.gpus.map(i, {cel.quoted(before)} + string(i) + {cel.quoted(after)}) : [])"
        )
    if plain.needs:
        texts.append(f"({is_plain} ? {cel.listed(str(AddNeed(need)) for need in plain.needs)} : [])")
    if plain.renames:
        gpu = _toleration(GPU_TOLERATION)
        texts.append(
            f"({is_plain} && {gpu} in variables.tolerations ? [{cel.quoted(str(AddToleration(GPU_TOLERATION)))}] : [])"
        )
    if case.node_selector:
        texts.append(
            "variables.labels.filter(l, l.key in "
            f"{cel.listed(case.node_selector)}).map(l, 'node selector ' + l.key + ': ' + l.value)"
        )
    for own in policy.tolerations:
        already = f" && !({is_plain})" if own == GPU_TOLERATION and plain.renames else ""
        texts.append(
            f"({_toleration(own)} in variables.tolerations{already} ? [{cel.quoted(str(AddToleration(own)))}] : [])"
        )
    if policy.runtime_class_name:
        text = cel.quoted(str(SetRuntimeClass(policy.runtime_class_name)))
        texts.append(f"({_NO_RUNTIME_CLASS} ? [{text}] : [])")
    if policy.env:
        texts.append("variables.env.map(e, 'spec.containers[' + e.index + ']' + e.text)")
    yield "missing", f"size(variables.denials) > 0 ? [] :\n{joined(texts)}"


_NO_RUNTIME_CLASS = "!has(object.spec.runtimeClassName) || object.spec.runtimeClassName == ''"


# --- the patch --------------------------------------------------------------------------------------------------------


def json_patch(case: CommonCase) -> str:
    """The JSON Patch that makes all that is outstanding, as CEL; empty where a policy changes nothing."""
    plain, policy = case.ways[0], case.policy
    is_plain = _is_plain(case)
    parts = []
    if plain.renames:
        parts.append(f"({is_plain} ? variables.gpus.map(i, [{_moves(plain)}]).flatten() : [])")
    if plain.selectors or case.node_selector:
        parts += [
            f"(size(variables.labels) > 0 && !has(object.spec.nodeSelector) ? [{_add('/spec/nodeSelector', '{}')}] : [])",
            f"variables.labels.map(l, {_add_at(_LABEL_PATH, 'l.value')})",
        ]
    if plain.requirements:
        parts.append(f"({is_plain} ? {_affinity(plain.requirements)} : [])")
    if plain.renames or policy.tolerations:
        parts += [
            f"(size(variables.tolerations) > 0 && !has(object.spec.tolerations) ? [{_add('/spec/tolerations', '[]')}] : [])",
            f"variables.tolerations.map(t, {_add('/spec/tolerations/-', 't')})",
        ]
    if policy.runtime_class_name:
        parts.append(
            f"({_NO_RUNTIME_CLASS} ? [{_add('/spec/runtimeClassName', cel.quoted(policy.runtime_class_name))}] : [])"
        )
    if policy.env:
        parts += [
            f"variables.gpus.filter(i, !has({CONTAINER}.env)).map(i, {_add_at(_ENV_PATH % 'string(i)', '[]')})",
            f"variables.env.map(e, {_add_at(_ENV_PATH % 'e.index' + _AT_END, _VARIABLE)})",
        ]
    if not parts:
        return ""
    parts.append(f"(!has(object.metadata.annotations) ? [{_add('/metadata/annotations', '{}')}] : [])")
    if plain.respells:
        parts.append(f"({is_plain} ? [{_annotate(ORIGINAL_REQUEST, _REQUESTED)}] : [])")
    parts.append(f"[{_annotate(POLICY, cel.quoted(policy.name))}]")
    changes = [is_plain] if plain.respells else []
    changes += [f"size(variables.{added}) > 0" for added in ("labels", "tolerations", "env")]
    changes += [_NO_RUNTIME_CLASS] if policy.runtime_class_name else []
    return f"size(variables.denials) > 0 || !({' || '.join(changes)}) ? [] :\n{joined(parts)}"


# As policy_additions writes it: names of containers and resources have nothing that JSON escapes.
_REQUESTED = f"""'{{' + variables.gpus.map(i, '"' + {CONTAINER}.name + '":{{"' + variables.resource + '":"' +
string({CONTAINER}.resources.limits[variables.resource]) + '"}}').join(',') + '}}'"""


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


def _moves(way: Way) -> str:
    """The resource's new name, in limits and in requests."""
    old, new = (name.replace("/", "~1") for name in (way.resource, way.renamed))
    path = "'/spec/containers/' + string(i) + '/resources/%s/%s'"
    return ",\n".join(
        f"JSONPatch{{op: 'move', from: {path % (section, old)}, path: {path % (section, new)}}}"
        for section in ("limits", "requests")
    )


def _affinity(needs: Iterable[Need]) -> str:
    """The first term of a required node affinity, with the parents that are missing."""
    written = ", ".join(
        f"{{'key': dyn({cel.quoted(need.key)}), 'operator': dyn({cel.quoted(need.operator)})"
        + (f", 'values': dyn({cel.listed(need.values)})" if need.values else "")
        + "}"
        for need in needs
    )
    node = "/spec/affinity/nodeAffinity"
    required = f"{{'nodeSelectorTerms': [{{'matchExpressions': [{written}]}}]}}"
    return joined(
        [
            f"(!has(object.spec.affinity) ? [{_add('/spec/affinity', '{}')}] : [])",
            f"(!has(object.spec.affinity) || !has(object.spec.affinity.nodeAffinity) ? [{_add(node, '{}')}] : [])",
            f"[{_add(f'{node}/requiredDuringSchedulingIgnoredDuringExecution', required)}]",
        ]
    )

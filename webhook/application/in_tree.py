"""In the API server itself: the admission policies (CEL) that decide the common case of a configuration's policies.

A policy of gpuwarden becomes a MutatingAdmissionPolicy, which rewrites, and a ValidatingAdmissionPolicy, which denies with the
engine's own sentences. Both are bound to the namespaces that it is for. What is not the common case is left to the webhooks.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.engine import cel
from webhook.engine.common_case import CommonCase, NotCommonError, Sentence, Way, common_case
from webhook.engine.common_case_pods import ORDINARY_BEGINNINGS, condition, written
from webhook.engine.edits import AddEnv, AddNeed, AddToleration, RenameResource, SetRuntimeClass
from webhook.engine.labels import AUDIT, DOMAIN, ENFORCE, WARN
from webhook.engine.needs import Need
from webhook.engine.pods import Place, Toleration
from webhook.engine.policy import ANY, Policy
from webhook.engine.policy_additions import ORIGINAL_REQUEST, POLICY
from webhook.engine.rewriting import GPU_TOLERATION
from webhook.engine.rules.not_rewritten import NOT_REWRITTEN, not_rewritten
from webhook.engine.schedulers import DEFAULT

Json = dict[str, Any]

API_VERSION = "admissionregistration.k8s.io/v1"
ANNOTATION = f"{DOMAIN}/enforces"
"""On every object: the policy that it is made from."""
BUILT_IN = ("exclusive", "shared", "time-slicing", "mps", "none", ANY)
"""The built-in values that are compiled besides configured policies and the defaults."""
_POD_RULES = [
    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}
]
_NAMESPACE_NAME = "kubernetes.io/metadata.name"


class LeftToWebhooks(msgspec.Struct, frozen=True):
    """A policy whose pods the webhooks decide, and why."""

    policy: str
    why: str


class Compiled(msgspec.Struct, frozen=True):
    """What a configuration becomes.

    Attributes:
        objects: the admission policies and bindings, as manifests.
        cases: the policies that they decide, each with its common case.
        left: the policies that they don't.
    """

    objects: tuple[Json, ...]
    cases: tuple[CommonCase, ...]
    left: tuple[LeftToWebhooks, ...]


def compiled(configuration: Configuration, values: Iterable[str] = ()) -> Compiled:
    """The admission policies of a configuration.

    Args:
        configuration: the configuration.
        values: built-in policy values that namespaces are labelled with, besides ``BUILT_IN`` and the defaults.
    """
    book = configuration.policies
    default = book.defaults.enforce or ANY
    names = dict.fromkeys([*book.configured, *BUILT_IN, default, *values])
    cases: list[CommonCase] = []
    left: list[LeftToWebhooks] = []
    for name in names:
        policy = book.resolve(name)
        if policy is None:
            left.append(LeftToWebhooks(name, book.nearest(name)))
            continue
        try:
            cases.append(_case(policy, configuration))
        except NotCommonError as error:
            left.append(LeftToWebhooks(name, str(error)))
    objects = [
        each
        for case in cases
        for each in _objects(case, configuration.exemptions, is_default=case.policy.name == default)
    ]
    return Compiled(tuple(objects), tuple(cases), tuple(left))


def _case(policy: Policy, configuration: Configuration) -> CommonCase:
    if configuration.mode is Mode.AUDIT:
        raise NotCommonError("mode: audit records what would happen, and CEL can't")
    if own := [name for name in configuration.names.gpus if _is_ordinary(name)]:
        raise NotCommonError(f"resources.gpus counts {own[0]} as a GPU, which CEL takes for none")
    defaults = configuration.policies.defaults
    if (defaults.warn or ANY) not in (ANY, policy.name) or (defaults.audit or ANY) != ANY:
        raise NotCommonError("defaults.warn or defaults.audit names a policy, and CEL can't report what it would do")
    return common_case(policy, configuration.plugin)


def _is_ordinary(pattern: str) -> bool:
    """Whether a name, or its beginning with ``*``, may be one that is not looked at."""
    name = pattern.removesuffix("*")
    return any(name.startswith(one) or (name != pattern and one.startswith(name)) for one in ORDINARY_BEGINNINGS)


def object_name(policy: str) -> str:
    """The name of a policy's objects; policies' names may have capitals, and names of objects may not."""
    lower = policy.lower().replace("_", "-")
    plain = lower == policy and lower[:1].isalnum() and lower[-1:].isalnum() and ".." not in lower
    return f"gpuwarden-{policy}" if plain else f"gpuwarden-{sha256(policy.encode()).hexdigest()[:16]}"


def _objects(case: CommonCase, exemptions: Exemptions, *, is_default: bool) -> Iterator[Json]:
    name = object_name(case.policy.name)
    conditions = [
        {"name": "not-exempt", "expression": not_exempt(exemptions)},
        {"name": "common-case", "expression": condition(case)},
    ]
    constraints = {"resourceRules": _POD_RULES, "matchPolicy": "Equivalent"}
    shared = {"failurePolicy": "Fail", "matchConstraints": constraints, "matchConditions": conditions}
    selectors = namespace_selectors(case.policy.name, exemptions, is_default=is_default)
    if patch := _patch(case):
        variables = _variables([*_facts(case), *_outstanding(case)])
        mutations = [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}]
        spec = {**shared, "reinvocationPolicy": "IfNeeded", "variables": variables, "mutations": mutations}
        yield _object("MutatingAdmissionPolicy", name, case, spec)
        for suffix, selector in selectors.items():
            bound = {"policyName": name, "matchResources": {"namespaceSelector": selector}}
            yield _object("MutatingAdmissionPolicyBinding", f"{name}{suffix}", case, bound)
    if validations := [*_validations(case)]:
        variables = _variables([*_facts(case), *_outstanding(case)])
        spec = {**shared, "variables": variables, "validations": validations, "auditAnnotations": _annotations(case)}
        yield _object("ValidatingAdmissionPolicy", name, case, spec)
        for suffix, selector in selectors.items():
            bound = {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": selector},
            }
            yield _object("ValidatingAdmissionPolicyBinding", f"{name}{suffix}", case, bound)


def _object(kind: str, name: str, case: CommonCase, spec: Json) -> Json:
    metadata = {
        "name": name,
        "labels": {"app.kubernetes.io/name": "gpuwarden"},
        "annotations": {ANNOTATION: case.policy.name},
    }
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def namespace_selectors(policy: str, exemptions: Exemptions, *, is_default: bool) -> dict[str, Json]:
    """The selectors of the namespaces that a policy decides, by a suffix for the binding's name.

    Namespaces with a ``warn`` or an ``audit`` label are left to the webhooks, which can say what a policy would do.
    """
    others = [{"key": key, "operator": "DoesNotExist"} for key in (WARN, AUDIT)]
    if exemptions.namespaces:
        others.append({"key": _NAMESPACE_NAME, "operator": "NotIn", "values": sorted(exemptions.namespaces)})
    selectors = {"": {"matchExpressions": [{"key": ENFORCE, "operator": "In", "values": [policy]}, *others]}}
    if is_default:
        unlabelled = {"key": ENFORCE, "operator": "DoesNotExist"}
        selectors["-unlabelled"] = {"matchExpressions": [unlabelled, *others]}
    return selectors


def not_exempt(exemptions: Exemptions) -> str:
    """CEL: whether a pod that the admission policies look at is exempt from nothing.

    ``Exemptions`` of ``webhook.application.configuration`` in the negative. Pods with a node of their own, and those of HAMi's
    resources, are not the common case.
    """
    schedulers = exemptions.schedulers - {DEFAULT}
    conditions = [
        f"!(request.userInfo.username in {cel.listed(sorted(exemptions.usernames))})" if exemptions.usernames else "",
        f"!(has(object.spec.runtimeClassName) && object.spec.runtimeClassName in {cel.listed(sorted(exemptions.runtime_classes))})"
        if exemptions.runtime_classes
        else "",
        f"!(has(object.spec.schedulerName) && object.spec.schedulerName in {cel.listed(sorted(schedulers))})"
        if schedulers
        else "",
    ]
    return " &&\n".join(filter(None, conditions)) or "true"


# --- variables --------------------------------------------------------------------------------------------------------


def _variables(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"name": name, "expression": expression} for name, expression in pairs]


def _facts(case: CommonCase) -> Iterator[tuple[str, str]]:
    """The pod's way, as its index, its resource, the containers that request it, as indexes, and what is denied."""
    *others, last = range(len(case.ways))
    yield "way", "".join(f"({written(case.ways[index])}) ? {index} :\n" for index in others) + str(last)
    yield "resource", _by_way(case, [cel.quoted(way.resource) for way in case.ways])
    yield (
        "gpus",
        "lists.range(size(object.spec.containers)).filter(i, has(object.spec.containers[i].resources) &&\n"
        "has(object.spec.containers[i].resources.limits) && variables.resource in object.spec.containers[i].resources.limits)",
    )
    yield (
        "counts",
        "variables.gpus.map(i, string(object.spec.containers[i].resources.limits[variables.resource]))",
    )
    yield "above", _by_way(case, [_above(way) for way in case.ways])
    yield "beyond", _beyond(case)
    yield "denials", "variables.above + variables.beyond"


def _by_way(case: CommonCase, values: Sequence[str]) -> str:
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
    count = "object.spec.containers[i].resources.limits[variables.resource]"
    said = _sentence(way.denial, "object.spec.containers[i].name", count)
    return f"variables.gpus.filter(i, int({count}) > {way.most}).map(i, {said})"


def _sentence(sentence: Sentence, name: str, count: str) -> str:
    """A sentence as CEL, with CEL in its gaps."""
    values = {"name": name, "count": count}
    texts = [*sentence.parts]
    parts = [cel.quoted(texts[0])]
    for gap, text in zip(sentence.gaps, texts[1:], strict=True):
        parts += [values[gap], cel.quoted(text)]
    return " + ".join(part for part in parts if part != "''")


def _outstanding(case: CommonCase) -> Iterator[tuple[str, str]]:
    """What the policy still adds to the pod, and all that is still to be rewritten, as ``not_rewritten`` words it."""
    plain, policy = case.ways[0], case.policy
    is_plain = "variables.way == 0" if len(case.ways) > 1 else "true"
    labels = [f"({is_plain} ? [{_label(key, value)}] : [])" for key, value in plain.selectors.items()]
    labels += [
        f"(!has(object.spec.nodeSelector) || !({cel.quoted(key)} in object.spec.nodeSelector) ? [{_label(key, value)}] : [])"
        for key, value in case.node_selector.items()
    ]
    yield "labels", _joined(labels)
    tolerations = (
        [f"({is_plain} && !{_tolerated(GPU_TOLERATION)} ? [{_toleration(GPU_TOLERATION)}] : [])"]
        if plain.renames
        else []
    )
    for own in policy.tolerations:
        already = f" && !({is_plain})" if own == GPU_TOLERATION and plain.renames else ""
        tolerations.append(f"(!{_tolerated(own)}{already} ? [{_toleration(own)}] : [])")
    yield "tolerations", _joined(tolerations)
    yield "env", _env(policy)
    yield "missing", _missing(case, is_plain)


def _joined(lists: list[str]) -> str:
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
        f"(!has(object.spec.containers[i].env) || !object.spec.containers[i].env.exists(e, e.name == {cel.quoted(name)}) ?\n"
        f"[{{'index': string(i), 'name': {cel.quoted(name)}, 'value': {cel.quoted(value)}, "
        f"'text': ': ' + {cel.quoted(str(AddEnv(_PLACE, name, value)).partition(': ')[2])}}}] : [])"
        for name, value in policy.env.items()
    )
    return f"variables.gpus.map(i, {of_container}).flatten()" if policy.env else "[]"


_PLACE = Place("containers", 0)


def _missing(case: CommonCase, is_plain: str) -> str:
    """The edits that are outstanding, as texts and in the order of the engine's."""
    plain, policy = case.ways[0], case.policy
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
    return f"size(variables.denials) > 0 ? [] :\n{_joined(texts)}"


_NO_RUNTIME_CLASS = "!has(object.spec.runtimeClassName) || object.spec.runtimeClassName == ''"


# --- the patch --------------------------------------------------------------------------------------------------------


def _patch(case: CommonCase) -> str:
    """The JSON Patch that makes all that is outstanding, as CEL; empty where a policy changes nothing."""
    plain, policy = case.ways[0], case.policy
    is_plain = "variables.way == 0" if len(case.ways) > 1 else "true"
    parts = []
    if plain.renames:
        parts.append(f"({is_plain} ? variables.gpus.map(i, [{_moves(plain)}]).flatten() : [])")
    if plain.selectors or case.node_selector:
        parts += [
            f"(size(variables.labels) > 0 && !has(object.spec.nodeSelector) ? [{_add('/spec/nodeSelector', '{}')}] : [])",
            "variables.labels.map(l, JSONPatch{op: 'add', path: '/spec/nodeSelector/' + jsonpatch.escapeKey(l.key), value: l.value})",
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
        path = "'/spec/containers/' + string(i) + '/env'"
        parts += [
            f"variables.gpus.filter(i, !has(object.spec.containers[i].env)).map(i, JSONPatch{{op: 'add', path: {path}, value: []}})",
            "variables.env.map(e, JSONPatch{op: 'add', path: '/spec/containers/' + e.index + '/env/-', "
            "value: {'name': e.name, 'value': e.value}})",
        ]
    if not parts:
        return ""
    parts.append(f"(!has(object.metadata.annotations) ? [{_add('/metadata/annotations', '{}')}] : [])")
    if plain.respells:
        requested = (
            "'{' + variables.gpus.map(i, '\"' + object.spec.containers[i].name + '\":{\"' + variables.resource + "
            "'\":\"' + string(object.spec.containers[i].resources.limits[variables.resource]) + '\"}').join(',') + '}'"
        )
        parts.append(f"({is_plain} ? [{_annotate(ORIGINAL_REQUEST, requested)}] : [])")
    parts.append(f"[{_annotate(POLICY, cel.quoted(policy.name))}]")
    return "size(variables.missing) == 0 ? [] :\n" + _joined(parts)


def _add(path: str, value: str) -> str:
    return f"JSONPatch{{op: 'add', path: {cel.quoted(path)}, value: {value}}}"


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
    return _joined(
        [
            f"(!has(object.spec.affinity) ? [{_add('/spec/affinity', '{}')}] : [])",
            f"(!has(object.spec.affinity) || !has(object.spec.affinity.nodeAffinity) ? [{_add(node, '{}')}] : [])",
            f"[{_add(f'{node}/requiredDuringSchedulingIgnoredDuringExecution', required)}]",
        ]
    )


# --- the denials ------------------------------------------------------------------------------------------------------


def _validations(case: CommonCase) -> Iterator[Json]:
    if any(way.most is not None for way in case.ways) or case.per_pod is not None:
        yield {
            "expression": "size(variables.denials) == 0",
            "reason": "Forbidden",
            "messageExpression": "variables.denials.join('; and ')",
        }
    if _patch(case):
        yield {
            "expression": "size(variables.missing) == 0",
            "reason": "Forbidden",
            "messageExpression": _not_rewritten(case.policy),
        }


def _not_rewritten(policy: Policy) -> str:
    marker = SetRuntimeClass("«missing»")
    found = not_rewritten([marker], policy)
    if found is None:  # pragma: no cover - the marker is an edit that counts
        raise NotCommonError(NOT_REWRITTEN.title)
    before, after = found.message.split(str(marker))
    shown = (
        "(size(variables.missing) <= 3 ? variables.missing.join('; ') :\n"
        "variables.missing.slice(0, 3).join('; ') + ' and ' + string(size(variables.missing) - 3) + ' more')"
    )
    return f"{cel.quoted(before)} + {shown} + {cel.quoted(after)}"


def _annotations(case: CommonCase) -> list[Json]:
    """The audit annotations of denied pods, by the names that the webhooks' have behind theirs."""
    denied = "size(variables.denials) > 0 || size(variables.missing) > 0"
    rules = [
        f"(size(variables.above) > 0 ? [{_by_way(case, [cel.quoted(way.denial.rule if way.denial else '') for way in case.ways])}] : [])",
        f"(size(variables.beyond) > 0 ? [{cel.quoted(case.per_pod.rule)}] : [])" if case.per_pod else "",
        f"(size(variables.missing) > 0 ? [{cel.quoted(NOT_REWRITTEN.id)}] : [])",
    ]
    return [
        {"key": "enforce-policy", "valueExpression": f"{denied} ? {cel.quoted(case.policy.name)} : ''"},
        {"key": "enforce-outcome", "valueExpression": f"{denied} ? 'denied' : ''"},
        {"key": "enforce-rules", "valueExpression": f"({_joined([*filter(None, rules)])}).join(',')"},
    ]

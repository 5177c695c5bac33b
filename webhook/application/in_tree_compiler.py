"""In the API server itself: the admission policies (CEL) that decide the common case of a configuration's policies.

A policy of gpuwarden becomes a MutatingAdmissionPolicy, which rewrites, a ValidatingAdmissionPolicy, which denies with the
engine's own sentences, and a second one, which warns with them. All are bound to the namespaces that it is for. What is not the
common case is left to the webhooks.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from ..engine import cel
from ..engine.common_case import BETWEEN, CommonCase, NotCommonError, common_case
from ..engine.common_case_pods import condition
from ..engine.common_case_requests import ORDINARY_BEGINNINGS
from ..engine.edits import SetRuntimeClass
from ..engine.namespace_labels import AUDIT, DOMAIN, ENFORCE, WARN
from ..engine.pods import MIRROR_ANNOTATION
from ..engine.policy import ANY, Policy
from ..engine.resources import GPU, PREFIX
from ..engine.rules.not_rewritten import NOT_REWRITTEN, not_rewritten
from ..engine.schedulers import DEFAULT
from . import in_tree_limit_ranges
from .configuration import Configuration, Exemptions, Mode
from .in_tree_changes import additions, json_patch, outstanding
from .in_tree_facts import IS_DENIED, denials, facts, may_be_denied
from .in_tree_warnings import may_be_warned, warnings
from .object_names import VALID_NAME

Json = dict[str, Any]

API_VERSION = "admissionregistration.k8s.io/v1"
ANNOTATION = f"{DOMAIN}/enforces"
"""On every object: the policy that it is made from."""
BUILT_IN = ("exclusive", "shared", "time-slicing", "mps", "none", ANY)
"""The built-in values that are compiled besides configured policies and the defaults."""
_POD_RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["pods"],
    "scope": "Namespaced",
}
_FOR_PODS = {
    "failurePolicy": "Fail",
    "matchConstraints": {"resourceRules": [_POD_RULE], "matchPolicy": "Equivalent"},
}
NAMESPACE_NAME = "kubernetes.io/metadata.name"


class LeftToWebhooks(msgspec.Struct, frozen=True):
    """A policy whose pods the webhooks decide, and why."""

    policy: str
    why: str


class CompiledPolicies(msgspec.Struct, frozen=True):
    """What a configuration becomes.

    Attributes:
        objects: the admission policies and bindings, as manifests.
        cases: the policies that they decide, each with its common case.
        left: the policies that they leave to the webhooks.
        default: the policy of namespaces without a label.
    """

    objects: tuple[Json, ...]
    cases: tuple[CommonCase, ...]
    left: tuple[LeftToWebhooks, ...]
    default: str


def compiled(
    configuration: Configuration, values: Iterable[str] = (), *, deny_others: bool = False
) -> CompiledPolicies:
    """The admission policies of a configuration.

    Args:
        configuration: the configuration.
        values: built-in policy values that namespaces are labelled with, besides ``BUILT_IN`` and the defaults.
        deny_others: whether pods that request GPUs and are not the common case are denied: no webhook decides them, nor the
            namespaces with a ``warn`` or an ``audit`` label.
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
        for each in _objects(case, configuration.exemptions, is_default=case.policy.name == default, alone=deny_others)
    ]
    if deny_others:
        objects += [
            each
            for case in cases
            if not case.policy.permits_any
            for each in _others(case, configuration.exemptions, is_default=case.policy.name == default)
        ]
    return CompiledPolicies(tuple(objects), tuple(cases), tuple(left), default)


def _case(policy: Policy, configuration: Configuration) -> CommonCase:
    if configuration.mode is Mode.AUDIT:
        raise NotCommonError("mode: audit records what would happen, and CEL can't")
    if own := [name for name in configuration.names.gpus if _is_ordinary(name)]:
        raise NotCommonError(f"resources.gpus counts {own[0]} as a GPU, and CEL does not")
    defaults = configuration.policies.defaults
    if (defaults.warn or ANY) not in (ANY, policy.name) or (defaults.audit or ANY) != ANY:
        raise NotCommonError("defaults.warn or defaults.audit names a policy, and CEL can't report what it would do")
    return common_case(policy, configuration.plugin)


def _is_ordinary(pattern: str) -> bool:
    """Whether a name, or a prefix with ``*``, may be one of those that are not checked."""
    name = pattern.removesuffix("*")
    return any(name.startswith(one) or (name != pattern and one.startswith(name)) for one in ORDINARY_BEGINNINGS)


OTHERS, WARNS, _UNLABELLED = ".others", ".warns", "-unlabelled"
"""Suffixes of names: of what denies pods that are not the common case, of what warns, and of bindings without a label."""


def object_name(policy: str) -> str:
    """The name of a policy's objects: its own where an object can have it, and otherwise a digest of it."""
    own = VALID_NAME.fullmatch(policy) and not policy.endswith((OTHERS, WARNS, _UNLABELLED))
    return f"gpuwarden-{policy if own else sha256(policy.encode()).hexdigest()[:16]}"


def _objects(case: CommonCase, exemptions: Exemptions, *, is_default: bool, alone: bool) -> Iterator[Json]:
    name = object_name(case.policy.name)
    selectors = namespace_selectors(case.policy.name, exemptions, is_default=is_default, alone=alone)
    if patch := json_patch(case.changed):
        variables = _used_by(patch, [*facts(case.changed), *additions(case.changed)])
        changing = condition(case.changed)
        if case.patterns[0].renames:
            variables += _variables(in_tree_limit_ranges.VARIABLES)
            patch = f"({in_tree_limit_ranges.IS_ASKED_AGAIN}) ?\n{in_tree_limit_ranges.DROPS} :\n{patch}"
            changing = f"({changing}) ||\n({in_tree_limit_ranges.IS_ASKED_AGAIN})"
        mutations = [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}]
        spec = {
            **_FOR_PODS,
            "matchConditions": _conditions(exemptions, {"common-case": changing}),
            "reinvocationPolicy": "IfNeeded",
            "variables": variables,
            "mutations": mutations,
        }
        yield _object("MutatingAdmissionPolicy", name, case, spec)
        for suffix, selector in selectors.items():
            bound = {"policyName": name, "matchResources": {"namespaceSelector": selector}}
            yield _object("MutatingAdmissionPolicyBinding", f"{name}{suffix}", case, bound)
    if validations := [*_validations(case)]:
        evaluated = f"({may_be_denied(case)}) &&\n{condition(case)}"
        spec = {
            **_FOR_PODS,
            "matchConditions": _conditions(exemptions, {"common-case": evaluated}),
            "variables": _variables([*facts(case), *additions(case), *outstanding(case)]),
            "validations": validations,
            "auditAnnotations": _annotations(case),
        }
        yield from _validating(name, case, spec, "Deny", selectors)
    if case.warns:
        spec = {
            **_FOR_PODS,
            "matchConditions": _conditions(
                exemptions, {"common-case": f"({may_be_warned(case)}) &&\n{condition(case)}"}
            ),
            "variables": _variables([*facts(case), *((name, said) for name, said, _ in warnings(case))]),
            "validations": [_warning(case)],
            "auditAnnotations": _annotations_of_warnings(case),
        }
        yield from _validating(f"{name}{WARNS}", case, spec, "Warn", selectors)


def _validating(name: str, case: CommonCase, spec: Json, action: str, selectors: dict[str, Json]) -> Iterator[Json]:
    """A ValidatingAdmissionPolicy and its bindings."""
    yield _object("ValidatingAdmissionPolicy", name, case, spec)
    for suffix, selector in selectors.items():
        bound = {"policyName": name, "validationActions": [action], "matchResources": {"namespaceSelector": selector}}
        yield _object("ValidatingAdmissionPolicyBinding", f"{name}{suffix}", case, bound)


def _conditions(exemptions: Exemptions, conditions: dict[str, str]) -> list[Json]:
    """An object's match conditions by name; the last one also requires that the pod is not exempt.

    The API server evaluates each condition, whatever the others are, and starts again for each.
    """
    *others, (name, last) = conditions.items()
    exempt = not_exempt(exemptions)
    whole = last if exempt == cel.ALWAYS else f"({last}) &&\n({exempt})"
    return [{"name": each, "expression": expression} for each, expression in (*others, (name, whole))]


def _others(case: CommonCase, exemptions: Exemptions, *, is_default: bool) -> Iterator[Json]:
    """The policy that denies pods that request NVIDIA's resources and are not the common case."""
    name = f"{object_name(case.policy.name)}{OTHERS}"
    conditions = _conditions(exemptions, {"not-a-mirror-pod": _NO_MIRROR_POD, "requests-nvidia-resources": _REQUESTS})
    validation = {
        "expression": condition(case),
        "reason": "Forbidden",
        "message": _denial_of_others(case.policy),
    }
    spec = {
        **_FOR_PODS,
        "matchConditions": conditions,
        "validations": [validation],
    }
    selectors = namespace_selectors(case.policy.name, exemptions, is_default=is_default, alone=True)
    yield from _validating(name, case, spec, "Deny", selectors)


def _denial_of_others(policy: Policy) -> str:
    if not policy.permitted:
        return (
            f'pod: it requests GPUs, which are not permitted under namespace policy "{policy.name}"; remove the request, or use '
            "a namespace whose policy permits GPUs"
        )
    return (
        f'pod: it requests GPUs in a way that the API server alone can\'t check against namespace policy "{policy.name}"; pods '
        f"like this one are denied, because gpuwarden's webhooks are not installed; request {GPU} in containers, not in init "
        "containers, and without selectors of GPU forms"
    )


# The annotation of a static pod, which runs already.
_NO_MIRROR_POD = (
    f"!(has(object.metadata.annotations) && {cel.quoted(MIRROR_ANNOTATION)} in object.metadata.annotations)"
)
_REQUESTS = f"""((has(object.spec.containers) ? object.spec.containers : []) +
(has(object.spec.initContainers) ? object.spec.initContainers : [])).exists(c, has(c.resources) &&
[has(c.resources.limits) ? c.resources.limits : {{}}, has(c.resources.requests) ? c.resources.requests : {{}}].exists(amounts,
amounts.exists(name, name.startsWith({cel.quoted(PREFIX)}) && string(amounts[name]) != '0')))"""


def _object(kind: str, name: str, case: CommonCase, spec: Json) -> Json:
    metadata = {
        "name": name,
        "labels": {"app.kubernetes.io/name": "gpuwarden"},
        "annotations": {ANNOTATION: case.policy.name},
    }
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def namespace_selectors(policy: str, exemptions: Exemptions, *, is_default: bool, alone: bool) -> dict[str, Json]:
    """The selectors of the namespaces that a policy decides, by a suffix for the binding's name.

    Namespaces with a ``warn`` or an ``audit`` label are left to the webhooks, which can report what a policy would do. If
    ``alone``, there are no webhooks, and the policy decides these namespaces too.
    """
    others: list[Json] = [] if alone else [{"key": key, "operator": "DoesNotExist"} for key in (WARN, AUDIT)]
    if exemptions.namespaces:
        others.append({"key": NAMESPACE_NAME, "operator": "NotIn", "values": sorted(exemptions.namespaces)})
    selectors = {"": {"matchExpressions": [{"key": ENFORCE, "operator": "In", "values": [policy]}, *others]}}
    if is_default:
        unlabelled = {"key": ENFORCE, "operator": "DoesNotExist"}
        selectors[_UNLABELLED] = {"matchExpressions": [unlabelled, *others]}
    return selectors


def not_exempt(exemptions: Exemptions) -> str:
    """CEL: whether a pod that the admission policies check is not exempt.

    ``Exemptions`` of ``webhook.application.configuration`` in the negative. Pods of HAMi's resources are not the common case.
    """
    spec = "object.spec"
    # No scheduler sees a pod that names its node. Few pods have an exempt scheduler, so that is checked first.
    is_scheduled = f"(!has({spec}.nodeName) || {spec}.nodeName == '')"
    exempt = (
        ("request.userInfo.username in %s", exemptions.usernames),
        (f"has({spec}.runtimeClassName) && {spec}.runtimeClassName in %s", exemptions.runtime_classes),
        (
            f"has({spec}.schedulerName) && {spec}.schedulerName in %s && {is_scheduled}",
            exemptions.schedulers - {DEFAULT},
        ),
    )
    return (
        " &&\n".join(f"!({condition % cel.listed(sorted(names))})" for condition, names in exempt if names)
        or cel.ALWAYS
    )


def _used_by(expression: str, pairs: Sequence[tuple[str, str]]) -> list[Json]:
    """The variables that an expression uses, and those that they use."""
    used: list[tuple[str, str]] = []
    for name, value in reversed(pairs):
        if any(f"variables.{name}" in each for each in (expression, *(text for _, text in used))):
            used.insert(0, (name, value))
    return _variables(used)


def _variables(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"name": name, "expression": expression} for name, expression in pairs]


def _validations(case: CommonCase) -> Iterator[Json]:
    if any(denials(case)):
        yield {
            "expression": "size(variables.denials) == 0",
            "reason": "Forbidden",
            "messageExpression": f"variables.denials.join({cel.quoted(BETWEEN)})",
        }
    if any(outstanding(case)):
        yield {
            "expression": "size(variables.missing) == 0",
            "reason": "Forbidden",
            "messageExpression": _not_rewritten(case.policy),
        }


def _not_rewritten(policy: Policy) -> str:
    marker = SetRuntimeClass("«missing»")
    (found,) = filter(None, [not_rewritten([marker], policy)])
    before, after = found.message.split(str(marker))
    shown = (
        "(size(variables.missing) <= 3 ? variables.missing.join('; ') :\n"
        "variables.missing.slice(0, 3).join('; ') + ' and ' + string(size(variables.missing) - 3) + ' more')"
    )
    return f"{cel.quoted(before)} + {shown} + {cel.quoted(after)}"


def _warning(case: CommonCase) -> Json:
    said = cel.joined(f"variables.{name}" for name, *_ in warnings(case))
    return {
        "expression": f"size({said}) == 0",
        "messageExpression": f"({said}).join({cel.quoted(BETWEEN)})",
    }


def _annotations_of_warnings(case: CommonCase) -> list[Json]:
    """The audit annotations of pods that users are warned of."""
    rules = [(name, rule) for name, _, rule in warnings(case)]
    warned = " || ".join(f"size(variables.{name}) > 0" for name, _ in rules)
    return [
        {"key": "enforce-policy", "valueExpression": f"{warned} ? {cel.quoted(case.policy.name)} : ''"},
        {"key": "enforce-rules", "valueExpression": _ids(rules)},
    ]


def _ids(rules: list[tuple[str, str]]) -> str:
    """The ids of the rules that have messages, each with the variable that holds them."""
    said = cel.joined(f"(size(variables.{name}) > 0 ? [{rule}] : [])" for name, rule in rules)
    return f"({said}).join(',')"


def _annotations(case: CommonCase) -> list[Json]:
    """The audit annotations of denied pods, by the part of their names that the webhooks' annotations have too."""
    rules = [(name, rule) for name, _, rule in denials(case)]
    conditions = [IS_DENIED] if rules else []
    if any(outstanding(case)):
        rules.append(("missing", cel.quoted(NOT_REWRITTEN.id)))
        conditions.append("size(variables.missing) > 0")
    denied = " || ".join(conditions)
    return [
        {"key": "enforce-policy", "valueExpression": f"{denied} ? {cel.quoted(case.policy.name)} : ''"},
        {"key": "enforce-outcome", "valueExpression": f"{denied} ? 'denied' : ''"},
        {"key": "enforce-rules", "valueExpression": _ids(rules)},
    ]

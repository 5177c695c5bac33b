"""The webhooks in addition to the admission policies: entries that leave out the common case, and no other pod."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..engine.common_case_pods import condition
from ..engine.namespace_labels import AUDIT, ENFORCE, WARN
from .in_tree_compiler import CompiledPolicies, object_name

Json = dict[str, Any]

WEBHOOK_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
SPLIT = ("mutate.gpuwarden.io", "validate.gpuwarden.io")
"""The webhooks that are called for every new pod with GPUs."""
NOT_THE_COMMON_CASE = "not-the-common-case"
"""The match condition of a part that leaves the common case to the API server."""
NOT_CALLED_YET = "not-called-yet"
"""The match condition of a part that the chart has created, and that is not called yet."""
_CREATED = "request.operation != 'CREATE'"


def beside(configuration: Mapping[str, Any], made: CompiledPolicies) -> Json:
    """A webhook configuration whose webhooks leave the common case to the admission policies.

    matchConditions can't read a namespace's labels, so each webhook becomes several that differ in the namespaces that they
    select; none is selected twice. Namespaces with a ``warn`` or ``audit`` label are left to the webhooks whole.

    Args:
        configuration: a MutatingWebhookConfiguration or a ValidatingWebhookConfiguration.
        made: the admission policies that are installed with it.
    """
    webhooks: list[Json] = []
    for webhook in configuration.get("webhooks") or ():
        webhooks += _entries(webhook, made) if webhook.get("name") in SPLIT and made.cases else [webhook]
    return {**configuration, "webhooks": webhooks}


def _entries(webhook: Json, made: CompiledPolicies) -> Iterator[Json]:
    names = sorted(case.policy.name for case in made.cases)
    no_warn, no_audit = _absent(WARN), _absent(AUDIT)
    other = [{"key": ENFORCE, "operator": "NotIn", "values": names}]
    if made.default in names:
        other.append({"key": ENFORCE, "operator": "Exists"})
    yield _entry(webhook, "", [*other, no_warn, no_audit])
    yield _entry(webhook, "warn.others", [{"key": WARN, "operator": "Exists"}])
    yield _entry(webhook, "audit.others", [no_warn, {"key": AUDIT, "operator": "Exists"}])
    for case in made.cases:
        rest = {"name": NOT_THE_COMMON_CASE, "expression": f"{_CREATED} ||\n!({condition(case)})"}
        own = {"key": ENFORCE, "operator": "In", "values": [case.policy.name]}
        part = object_name(case.policy.name).removeprefix("gpuwarden-")
        yield _entry(webhook, part, [own, no_warn, no_audit], rest)
        if case.policy.name == made.default:
            yield _entry(webhook, f"{part}-unlabelled", [_absent(ENFORCE), no_warn, no_audit], rest)


def _absent(label: str) -> Json:
    return {"key": label, "operator": "DoesNotExist"}


def _entry(webhook: Json, part: str, namespaces: list[Json], rest: Json | None = None) -> Json:
    """The part of a webhook for some namespaces, and for which of their pods it is called."""
    selector = webhook.get("namespaceSelector") or {}
    expressions = [*(selector.get("matchExpressions") or ()), *namespaces]
    return {
        **webhook,
        "name": f"{part}.{webhook['name']}" if part else webhook["name"],
        "namespaceSelector": {**selector, "matchExpressions": expressions},
        "matchConditions": [*(webhook.get("matchConditions") or ()), *([rest] if rest else ())],
    }

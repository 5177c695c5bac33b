"""The choice: which form each request of a pod gets under a policy."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from webhook.engine.forms import Form, Sharing
from webhook.engine.nodes import NodeConstraints
from webhook.engine.policy import Mismatch, Policy
from webhook.engine.requests import Amount, Ask
from webhook.engine.resources import GpuResource
from webhook.engine.rules.placement import apart
from webhook.engine.spelling import DevicePlugin
from webhook.engine.statements import Statements


class How(StrEnum):
    """How a request came to its form."""

    PLAIN = "plain"
    STATED = "stated"
    NARROWED = "narrowed"
    TRANSLATED = "translated"
    MISMATCHED = "mismatched"


class Request(msgspec.Struct, frozen=True):
    """A well-formed request, the forms that it states, and the form that it gets; ``None`` where none is permitted."""

    ask: Ask
    amount: Amount
    stated: tuple[Form, ...]
    form: Form | None
    how: How

    @property
    def replaces_spelling(self) -> bool:
        """Whether the request stated another form or platform, whose selectors have to go."""
        return self.how in (How.TRANSLATED, How.MISMATCHED)


def choose(asks: Iterable[Ask], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin) -> list[Request]:
    """The form that each well-formed request gets under a policy that permits any form at all."""
    statements = Statements(nodes)
    answers: dict[GpuResource, tuple[tuple[Form, ...], Form | None, How]] = {}
    requests = []
    for ask in asks:
        amount = ask.amounts[0]
        if amount.resource not in answers:
            answers[amount.resource] = _answer(amount.resource, statements, policy, plugin)
        requests.append(Request(ask, amount, *answers[amount.resource]))
    if all(request.stated for request in requests):
        return requests
    plain = _plain(policy, list(dict.fromkeys(request.form for request in requests if request.form)))
    return [
        request if request.stated else Request(request.ask, request.amount, (), plain, How.PLAIN)
        for request in requests
    ]


def _answer(
    resource: GpuResource, statements: Statements, policy: Policy, plugin: DevicePlugin
) -> tuple[tuple[Form, ...], Form | None, How]:
    """What a request states, the form that it gets for that, and how."""
    stated = statements.of(resource)
    if not stated:
        return (), None, How.PLAIN
    form, how = _explicit(stated, policy)
    if how is How.MISMATCHED and not plugin.rename_by_default and statements.names_only_a_partition(resource):
        # Shared slices have the same name as whole ones then, so the name alone is no statement against sharing.
        shared, narrowed = _explicit(tuple(replace(form, sharing=Sharing.ANY) for form in stated), policy)
        if narrowed is not How.MISMATCHED:
            return stated, shared, narrowed
    return stated, form, how


def _explicit(stated: tuple[Form, ...], policy: Policy) -> tuple[Form | None, How]:
    """The form that an explicit request gets, and how.

    It is a statement: taken as it is where a listed form covers it, narrowed to a listed form that is more specific, or
    translated to the same form on the other platform; otherwise refused, unless the policy rewrites.
    """
    if policy.permits_any:
        return next((form for form in stated if form.shared), stated[0]), How.STATED
    pairs = [(form, listed) for form in stated for listed in policy.forms]
    for form, listed in pairs:
        if form.meet(listed) == form:
            return form, How.STATED
    for form, listed in pairs:
        if met := form.meet(listed):
            return met, How.NARROWED
    for form, listed in pairs:
        if met := form.meet(listed, across_platforms=True):
            return met, How.TRANSLATED
    return (policy.forms[0] if policy.mismatch is Mismatch.REWRITE else None), How.MISMATCHED


def _plain(policy: Policy, explicit: list[Form]) -> Form:
    """A plain request gets the policy's first form; beside explicit ones, the first that the same node can hand out."""
    if policy.permits_any:
        return Form()
    if not explicit:
        return policy.forms[0]
    fits = (form for form in policy.forms if not any(apart(form, other) for other in explicit))
    return next(fits, policy.forms[0])

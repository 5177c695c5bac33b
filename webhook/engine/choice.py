"""The choice: which form each request of a pod gets under a policy."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from webhook.engine.forms import Form
from webhook.engine.nodes import NodeConstraints
from webhook.engine.policy import Mismatch, Policy
from webhook.engine.requests import Amount, Ask
from webhook.engine.rules.placement import apart
from webhook.engine.statements import stated_forms


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


def choose(asks: Iterable[Ask], policy: Policy, nodes: NodeConstraints) -> list[Request]:
    """The form that each well-formed request gets under a policy that permits any form at all."""
    requests = []
    for ask in asks:
        amount = ask.amounts[0]
        stated = stated_forms(amount.resource, nodes)
        form, how = _explicit(stated, policy) if stated else (None, How.PLAIN)
        requests.append(Request(ask, amount, stated, form, how))
    explicit = [request.form for request in requests if request.form]
    return [
        Request(request.ask, request.amount, (), _plain(policy, explicit), How.PLAIN) if not request.stated else request
        for request in requests
    ]


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

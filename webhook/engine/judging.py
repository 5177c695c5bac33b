"""Judging: what the rules find in a pod's requests, one by one and together, given the form that each gets."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from webhook.engine.choice import Choice
from webhook.engine.findings import Finding
from webhook.engine.forms import Form
from webhook.engine.nodes import NodeConstraints
from webhook.engine.policy import Policy
from webhook.engine.requests import Amount, Ask
from webhook.engine.rewriting import Conflict, ProductConflict, Respelling
from webhook.engine.rules import container, permission, placement, sharing
from webhook.engine.spelling import LABELS_OF_FORMS


class Request(msgspec.Struct, frozen=True):
    """A well-formed request, and the form that it gets."""

    ask: Ask
    amount: Amount
    choice: Choice


def refusal(ask: Ask, policy: Policy) -> Finding | None:
    """What denies a request before its form is looked at."""
    return container.malformed(ask) or permission.gpu_not_permitted(ask, policy)


def judge(  # noqa: PLR0913 - everything that the rules look at
    wellformed: Sequence[Ask],
    choices: Mapping[str, Choice],
    respelling: Respelling,
    policy: Policy,
    nodes: NodeConstraints,
    *,
    host_ipc: bool,
) -> list[Finding]:
    """What the rules find in well-formed requests.

    Args:
        wellformed: the requests that nothing denies already.
        choices: the form that each gets, by the resource that it names.
        respelling: what spells them.
        policy: the policy.
        nodes: what the pod says about nodes.
        host_ipc: whether the pod has the host's IPC namespace.
    """
    requests = [Request(ask, ask.amounts[0], choices[ask.amounts[0].resource.name]) for ask in wellformed]
    findings: list[Finding] = []
    if respelling.forms_apart:
        findings += _forms_apart(requests, respelling.forms_apart, policy)
    remaining = nodes.without(respelling.dropped_keys) if respelling.dropped_keys else nodes
    if conflict := respelling.conflict:
        first = next(request for request in requests if request.choice is conflict.choice)
        findings.append(_conflict(first.ask, conflict, nodes))
    elif requests and (key := remaining.contradiction(LABELS_OF_FORMS)):
        findings.append(placement.contradiction(requests[0].ask, key, remaining))
    findings += _on_requests(requests, policy)
    findings += _advice(requests, remaining, respelling, host_ipc=host_ipc)
    return findings


def _conflict(ask: Ask, conflict: Conflict | ProductConflict, nodes: NodeConstraints) -> Finding:
    if isinstance(conflict, ProductConflict):
        return placement.product_conflict(ask, conflict.form, conflict.product, conflict.why, nodes)
    return placement.selector_conflict(ask, conflict.form, conflict.need, conflict.nodes)


def _forms_apart(requests: list[Request], pairs: frozenset[tuple[Form, Form]], policy: Policy) -> Iterator[Finding]:
    """Each request whose form is on no node with that of a request before it."""
    first_of: dict[Form, Request] = {}
    for request in requests:
        form = request.choice.form
        if form is None:
            continue
        other = next((other for other in first_of if (form, other) in pairs), None)
        if other:
            yield placement.forms_apart(request.ask, form, first_of[other].ask, other, policy)
        first_of.setdefault(form, request)


def _on_requests(requests: list[Request], policy: Policy) -> Iterator[Finding]:
    """The rules that deny one request for its form or its count."""
    for request in requests:
        ask, amount, form = request.ask, request.amount, request.choice.form
        if form is None:
            yield permission.form_not_permitted(ask, amount, request.choice.stated, policy)
            continue
        found = sharing.shared_request_above_one(ask, amount, form, policy)
        found = found or permission.per_container_limit(ask, amount, policy)
        if found:
            yield found


def _advice(
    requests: list[Request], nodes: NodeConstraints, respelling: Respelling, *, host_ipc: bool
) -> Iterator[Finding]:
    """The rules that only warn, judged on the forms that result."""
    forms = [(request, request.choice.form) for request in requests if request.choice.form]
    for request, form in forms:
        if found := sharing.mig_count_above_one(request.ask, request.amount, form):
            yield found
    if not forms:
        return
    if found := placement.gke_selectors_incomplete(nodes, respelling.added_keys):
        yield found
    told = (sharing.gke_mps_needs_host_ipc(request.ask, form, host_ipc=host_ipc) for request, form in forms)
    if found := next(filter(None, told), None):
        yield found

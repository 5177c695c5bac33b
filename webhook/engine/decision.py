"""The decision: what one pod's GPU requests become under one policy, or why it is refused."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from webhook.engine.choice import Request, choose
from webhook.engine.edits import Edit
from webhook.engine.findings import Finding, Rule
from webhook.engine.forms import Form
from webhook.engine.nodes import NodeConstraints
from webhook.engine.pods import Pod, PodSpec
from webhook.engine.policy import Policy
from webhook.engine.requests import Ask, pod_count, read
from webhook.engine.rewriting import Respelling, respell
from webhook.engine.rules import container, permission, placement, sharing
from webhook.engine.settings import annotations, settings
from webhook.engine.spelling import DevicePlugin

_ORDER = {rule: number for number, rule in enumerate(Rule)}


class Outcome(StrEnum):
    """What becomes of a pod."""

    UNCHANGED = "unchanged"
    REWRITTEN = "rewritten"
    DENIED = "denied"


class Decision(msgspec.Struct, frozen=True):
    """Edits and findings for one pod under one policy.

    Attributes:
        edits: what changes; empty when anything denies.
        findings: what is wrong, in the order of the rules.
        asks: the containers that ask for GPUs; empty for a pod that is none of our business.
    """

    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    asks: tuple[Ask, ...] = ()

    @property
    def denials(self) -> tuple[Finding, ...]:
        """The findings that refuse the pod."""
        return tuple(finding for finding in self.findings if finding.denies)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that the user is only told of."""
        return tuple(finding for finding in self.findings if not finding.denies)

    @property
    def outcome(self) -> Outcome:
        """What becomes of the pod."""
        if any(finding.denies for finding in self.findings):
            return Outcome.DENIED
        return Outcome.REWRITTEN if self.edits else Outcome.UNCHANGED


UNTOUCHED = Decision()


def decide(pod: Pod, policy: Policy, plugin: DevicePlugin) -> Decision:
    """Judge a pod, or the template of one.

    Args:
        pod: the typed view of the pod as it came.
        policy: one policy of its namespace.
        plugin: the device plugin's settings, which change how forms are spelled.

    Returns:
        The decision. Deciding again on the pod with the edits applied yields no edits. A pod that asks for no GPU, and a
        mirror pod, are left untouched. Nothing is raised.
    """
    spec = pod.spec
    if spec is None or pod.is_mirror:
        return UNTOUCHED
    every = read(spec)
    if not every:
        return UNTOUCHED
    asks = [ask for ask in every if ask.amounts]
    nodes = NodeConstraints(spec)
    refused = [container.malformed(ask) or permission.gpu_not_permitted(ask, policy) for ask in asks]
    findings = [finding for finding in refused if finding]
    wellformed = [ask for ask, finding in zip(asks, refused, strict=True) if not finding]
    requests = choose(wellformed, policy, nodes, plugin)
    respelling = Respelling() if policy.permits_any else respell(spec, requests, policy, plugin)
    findings += respelling.conflicts
    findings += _on_requests(requests, policy)
    counts = {request.ask.place: request.amount.count for request in requests}
    if over := permission.per_pod_limit(pod_count(spec, counts), policy):
        findings.append(over)
    findings += _advice(spec, requests, nodes, respelling)
    findings += container.unknown_gpu_resources(every)
    findings.sort(key=lambda finding: _ORDER[finding.rule])
    if any(finding.denies for finding in findings):
        return Decision((), tuple(findings), tuple(asks))
    edits = [*respelling.edits, *settings(spec, asks, policy, respelling)]
    if edits:
        edits += annotations(asks, policy, respelling)
    return Decision(tuple(edits), tuple(findings), tuple(asks))


def _on_requests(requests: list[Request], policy: Policy) -> Iterator[Finding]:
    """The rules that refuse one request for its form or its count."""
    for request in requests:
        if request.form is None:
            yield permission.form_not_permitted(request.ask, request.amount, request.stated, policy)
            continue
        found = sharing.shared_request_above_one(request.ask, request.amount, request.form, policy)
        found = found or permission.per_container_limit(request.ask, request.amount, policy)
        if found:
            yield found


def _advice(
    spec: PodSpec, requests: list[Request], nodes: NodeConstraints, respelling: Respelling
) -> Iterator[Finding]:
    """The rules that only warn, judged on the forms that result."""
    forms: list[tuple[Request, Form]] = [(request, request.form) for request in requests if request.form]
    for request, form in forms:
        if found := sharing.mig_count_above_one(request.ask, request.amount, form):
            yield found
    if not forms:
        return
    remaining = NodeConstraints(spec, without=respelling.dropped_keys) if respelling.dropped_keys else nodes
    if found := placement.gke_selectors_incomplete(remaining, respelling.added_keys):
        yield found
    told = (sharing.gke_mps_needs_host_ipc(request.ask, form, host_ipc=bool(spec.host_ipc)) for request, form in forms)
    if found := next(filter(None, told), None):
        yield found

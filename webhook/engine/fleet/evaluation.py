"""Evaluation against the fleet: whether any node can run a pod as it will be after rewriting."""

from collections.abc import Iterator

from msgspec.structs import replace

from webhook.engine.decision import Decision, in_order
from webhook.engine.edits import (
    AddNeed,
    AddNodeSelector,
    AddToleration,
    ClaimInstead,
    DropKey,
    RenameResource,
    ReplaceProduct,
)
from webhook.engine.findings import Finding
from webhook.engine.fleet.fleet import Fleet, Wish
from webhook.engine.forms import Form
from webhook.engine.needs import Need
from webhook.engine.nodes import NodeConstraints
from webhook.engine.pods import Place, Pod, PodSpec
from webhook.engine.policy import NotOffered, Policy
from webhook.engine.products import PRODUCT, replaced
from webhook.engine.requests import Amount, Ask, pod_count
from webhook.engine.rules import fleet as rules


def against(decision: Decision, pod: Pod, policy: Policy, fleet: Fleet) -> Decision:
    """A decision with what the fleet adds to it.

    Args:
        decision: what becomes of the pod. One that is denied already is left as it is.
        pod: the pod as it came. A pod that names its node is placed by nobody, so it is left alone.
        policy: the policy that decided; its ``notOffered`` says what a finding does.
        fleet: the nodes.
    """
    spec = pod.spec
    if spec is None or spec.node_name or decision.denials or policy.fleet_response is NotOffered.IGNORE:
        return decision
    found = list(_findings(decision, spec, policy, fleet))
    if not found:
        return decision
    edits = () if any(finding.denies for finding in found) else decision.edits
    return replace(decision, edits=edits, findings=in_order([*decision.findings, *found]))


def _findings(decision: Decision, spec: PodSpec, policy: Policy, fleet: Fleet) -> Iterator[Finding]:
    for wish, requests, form in wishes(decision, spec):
        if fleet.expects(form) or (lack := fleet.lack(wish)) is None:
            continue
        ask, amount = requests[0]
        subject = ask.name if len(requests) == 1 else "pod"
        yield rules.not_offered(ask.field(amount), subject, form, wish, lack, fleet, policy)


def wishes(decision: Decision, spec: PodSpec) -> Iterator[tuple[Wish, list[tuple[Ask, Amount]], Form]]:
    """What a pod will request of its node, by GPU resource: each with the requests that lead to it, and their form."""
    renames = {(edit.place, edit.old): edit.new for edit in decision.edits if isinstance(edit, RenameResource)}
    claimed = {edit.place for edit in decision.edits if isinstance(edit, ClaimInstead)}
    requests: dict[str, list[tuple[Ask, Amount]]] = {}
    for ask in decision.asks:
        if ask.place in claimed:
            continue
        for amount in ask.amounts:
            name = amount.resource.name
            requests.setdefault(renames.get((ask.place, name), name), []).append((ask, amount))
    if not requests:
        return
    nodes, needs = _nodes(decision, spec)
    added = [edit.toleration for edit in decision.edits if isinstance(edit, AddToleration)]
    for name, each in requests.items():
        counts: dict[Place, int] = {ask.place: amount.count for ask, amount in each}
        wish = Wish(name, pod_count(spec, counts), nodes, needs, (*(spec.tolerations or ()), *added))
        # Only a request that is denied has no form.
        yield wish, each, decision.choices[each[0][1].resource.name].form or Form()


def _nodes(decision: Decision, spec: PodSpec) -> tuple[NodeConstraints, tuple[Need, ...]]:
    """What the pod will say about nodes: what it says itself and the edits leave, and what they add."""
    edits = decision.edits
    nodes = NodeConstraints(spec, without=[edit.key for edit in edits if isinstance(edit, DropKey)])
    products = {edit.old: edit.new for edit in edits if isinstance(edit, ReplaceProduct)}
    if products:
        nodes = nodes.replacing(PRODUCT, lambda operator, value: replaced(operator, value, products))
    needs = [edit.need for edit in edits if isinstance(edit, AddNeed)]
    needs += [Need(edit.key, "In", (edit.value,)) for edit in edits if isinstance(edit, AddNodeSelector)]
    return nodes, tuple(needs)

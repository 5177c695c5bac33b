"""Findings about the fleet: whether any node can run the pod that a decision results in."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ..decision import Decision, decide, in_order
from ..edits import AddNeed, AddNodeSelector, AddToleration, DropKey, ReplaceProduct
from ..findings import Finding
from ..forms import Form
from ..node_constraints import Need, NodeConstraints, constraints
from ..pods import Container, Pod, PodSpec, Resources, Toleration
from ..policy import FindingAction, Policy
from ..requests import Amount, GpuContainer, pod_count
from ..resources import GPU
from ..rewriting import with_products
from ..rules import fleet as rules
from ..spelling import LABELS_OF_FORMS, DevicePlugin
from .fleet import Fleet, NodeRequest, Unschedulable

_Requests = list[tuple[GpuContainer, Amount]]
_NodeRequest = tuple[NodeRequest, _Requests, Form]
_PLAIN = PodSpec(containers=[Container("gpu", resources=Resources(limits={GPU: 1}))])


def with_fleet_findings(
    decision: Decision, pod: Pod, policy: Policy, fleet: Fleet, tolerations: Sequence[Toleration] = ()
) -> Decision:
    """Add the findings about the fleet to a decision.

    A decision that already denies is not changed, and neither is one about a pod with ``nodeName``, which is not scheduled.
    ``tolerations`` are those that the pods of a template get when they are created.
    """
    spec = pod.spec
    if spec is None or spec.node_name or decision.denials or policy.fleet_response is FindingAction.IGNORE:
        return decision
    found = list(_findings(decision, spec, policy, fleet, tolerations))
    if not found:
        return decision
    edits = () if any(finding.denies for finding in found) else decision.edits
    return replace(decision, edits=edits, findings=in_order([*decision.findings, *found]))


def _findings(
    decision: Decision, spec: PodSpec, policy: Policy, fleet: Fleet, tolerations: Sequence[Toleration]
) -> Iterator[Finding]:
    every = [*node_requests(decision, spec, fleet.prefixes, tolerations)]
    for node_request, requests, form in every:
        if fleet.expects(form) or (unschedulable := fleet.unschedulable(node_request)) is None:
            continue
        gpu_container, amount = requests[0]
        subject = gpu_container.name if len(requests) == 1 else "pod"
        yield rules.not_offered(gpu_container.field(amount), subject, form, node_request, unschedulable, fleet, policy)
    yield from not_together(every, fleet, policy)


def not_together(every: Sequence[_NodeRequest], fleet: Fleet, policy: Policy) -> Iterator[Finding]:
    """The finding for a pod that requests several resources, where nodes offer each, and none has all of them."""
    forms = [form for _, _, form in every]
    wanted = [node_request for node_request, _, _ in every]
    if len(every) <= 1 or any(map(fleet.expects, forms)) or any(map(fleet.unschedulable, wanted)):
        return
    unschedulable = fleet.not_together(wanted)
    if unschedulable is None:
        return
    gpu_container, amount = every[0][1][0]
    yield rules.not_offered_together(gpu_container.field(amount), forms, wanted, unschedulable, fleet, policy)


def node_requests(
    decision: Decision,
    spec: PodSpec,
    prefixes: tuple[str, ...] = LABELS_OF_FORMS,
    tolerations: Sequence[Toleration] = (),
) -> Iterator[_NodeRequest]:
    """What a pod will request from its node, by GPU resource, with the original requests and their form.

    ``prefixes`` are those of the relevant node labels; ``tolerations`` are those that the pod gets when it is created.
    """
    by_resource = decision.by_resource
    if not by_resource:
        return
    nodes, needs = _nodes(decision, spec, prefixes)
    added = [edit.toleration for edit in decision.edits if isinstance(edit, AddToleration)]
    for name, requests in by_resource.items():
        count = pod_count(spec, {gpu_container.place: amount.count for gpu_container, amount in requests})
        every = (*(spec.tolerations or ()), *tolerations, *added)
        node_request = NodeRequest(name, count, nodes, needs, every, tuple(by_resource))
        yield node_request, requests, decision.form(requests[0][1])


def _nodes(decision: Decision, spec: PodSpec, prefixes: tuple[str, ...]) -> tuple[NodeConstraints, tuple[Need, ...]]:
    """Return the pod's node constraints after the edits."""
    edits = decision.edits
    dropped = [edit.key for edit in edits if isinstance(edit, DropKey)]
    nodes = NodeConstraints(spec, without=dropped) if dropped else constraints(spec, prefixes)
    products = {edit.old: edit.new for edit in edits if isinstance(edit, ReplaceProduct)}
    if products:
        nodes = with_products(nodes, products)
    needs = [edit.need for edit in edits if isinstance(edit, AddNeed)]
    needs += [Need(edit.key, "In", (edit.value,)) for edit in edits if isinstance(edit, AddNodeSelector)]
    return nodes, tuple(needs)


def plain_request_unschedulable(
    policy: Policy, plugin: DevicePlugin, fleet: Fleet
) -> tuple[NodeRequest, Unschedulable] | None:
    """Return what a plain request becomes under a policy, and what nodes lack for it; ``None`` if they offer it.

    Taints are not considered, because pods may have their own tolerations.
    """
    decision = decide(Pod(spec=_PLAIN), policy, plugin)
    for node_request, _, form in node_requests(decision, _PLAIN, fleet.prefixes):
        untainted = replace(node_request, tolerations=None)
        if not fleet.expects(form) and (unschedulable := fleet.unschedulable(untainted)):
            return untainted, unschedulable
    return None

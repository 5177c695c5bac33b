"""Rules about the fleet: whether a node offers the form and the number of GPUs that a pod requests after rewriting."""

from collections.abc import Iterator, Sequence

from ..findings import Finding, Rule, Severity
from ..fleet.fleet import Fleet, NodeRequest, Unschedulable, UnschedulableReason, selected
from ..forms import Form
from ..policy import FindingAction, Policy
from ..resources import GPU
from ..spelling import LABELS_OF_FORMS
from ..text import all_of, first_of, plural

FORM_NOT_OFFERED = Rule(
    "form-not-offered",
    Severity.WARN,
    "No node offers the form",
    "The pod stays Pending until a node offers the form: no node has the resource, or none with the labels of the form, or "
    "all of them are cordoned, not ready or tainted. Checked only if the nodes are known. Request a form that is offered, "
    "configure the device plugin of some nodes for this one, or list in `fleet.expected` what an autoscaler adds.",
    fleet=True,
)

COUNT_ABOVE_ANY_NODE = Rule(
    "count-above-any-node",
    Severity.WARN,
    "More GPUs than any one node has",
    "A pod runs on one node, and no node that offers the form has as many as the pod requests. Checked only if the nodes "
    "are known. Request fewer, or spread the work over several pods.",
    fleet=True,
)

_MOST_VALUES = 3
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def not_offered(  # noqa: PLR0913, PLR0917 - where it is written, what is wanted, what is there
    path: str,
    subject: str,
    form: Form,
    node_request: NodeRequest,
    unschedulable: Unschedulable,
    fleet: Fleet,
    policy: Policy,
) -> Finding:
    """Return the finding for a pod that no node can run.

    It denies only if the nodes are known for certain, and never if a node exists but accepts no pods now.
    """
    severity = _severity(unschedulable, fleet, policy)
    if unschedulable.reason is UnschedulableReason.COUNT:
        count = f"{node_request.resource}: {node_request.count}"
        reason = f"{subject}: {count} is more than any one node has ({unschedulable.most} at most)"
        detail = f"a pod runs on one node, so it stays Pending; request at most {unschedulable.most}{_as_of(fleet.age)}"
        return COUNT_ABOVE_ANY_NODE.found_as(severity, path, reason, detail)
    reason = f"{subject}: no node offers {form} ({requirements(node_request)})"
    return FORM_NOT_OFFERED.found_as(
        severity, path, reason, f"{missing(unschedulable, node_request)}; {_remedy(form, unschedulable, fleet)}"
    )


def not_offered_together(  # noqa: PLR0913, PLR0917 - as for one of them
    path: str,
    forms: Sequence[Form],
    node_requests: Sequence[NodeRequest],
    unschedulable: Unschedulable,
    fleet: Fleet,
    policy: Policy,
) -> Finding:
    """The finding for several resources that nodes offer, and that no node can give one pod."""
    wanted = "; ".join(f"{one.resource}: {one.count}" for one in node_requests)
    reason = f"pod: no node offers {all_of([str(form) for form in forms])} together ({wanted})"
    if unschedulable.reason is UnschedulableReason.TOGETHER:
        found = (
            "only different nodes offer them; the pod stays Pending unless an autoscaler adds a node with all of them; use a "
            f"pod for each{_as_of(fleet.age)}"
        )
    else:
        has = f"{_nodes(unschedulable.nodes)} all of them, but {', '.join(_unavailable(unschedulable))}"
        found = f"{has}; {_remedy(forms[0], unschedulable, fleet)}"
    return FORM_NOT_OFFERED.found_as(_severity(unschedulable, fleet, policy), path, reason, found)


def _severity(unschedulable: Unschedulable, fleet: Fleet, policy: Policy) -> Severity:
    denies = (
        policy.fleet_response is FindingAction.DENY
        and fleet.is_certain
        and unschedulable.reason is not UnschedulableReason.UNAVAILABLE
    )
    return Severity.DENY if denies else Severity.WARN


def no_node_offers(policy: Policy, node_request: NodeRequest, unschedulable: Unschedulable, fleet: Fleet) -> str:
    """Warn that no node can run the plain requests of a policy."""
    return (
        f"{policy_not_offered(policy, node_request, unschedulable)}; pods that request a GPU stay Pending, unless an autoscaler "
        f"adds such nodes{_as_of(fleet.age)}"
    )


def policy_not_offered(policy: Policy, node_request: NodeRequest, unschedulable: Unschedulable) -> str:
    """Return what the plain requests of a policy need, and what nodes offer."""
    needed, found = requirements(node_request), missing(unschedulable, node_request)
    return f'no node offers what policy "{policy.name}" requests: {needed} ({found})'


def requirements(node_request: NodeRequest) -> str:
    """The resource and the node labels that a pod needs."""
    needed = {need.key for need in node_request.needs}
    own = [key for key in node_request.nodes.mentioned if key.startswith(LABELS_OF_FORMS) and key not in needed]
    return "; ".join(
        [node_request.resource, *(selected(node_request.nodes, key) for key in own), *map(str, node_request.needs)]
    )


def missing(unschedulable: Unschedulable, node_request: NodeRequest) -> str:
    """Return what nodes have and what they lack, except the count, as a clause."""
    name = node_request.resource
    if unschedulable.reason is UnschedulableReason.RESOURCE:
        return f"no node has {name}"
    if unschedulable.reason is UnschedulableReason.LABELS:
        return f"{_nodes(unschedulable.nodes)} {name}, but {_labels(unschedulable)}"
    return f"{_nodes(unschedulable.nodes)} it, but {', '.join(_unavailable(unschedulable))}"


def _nodes(number: int) -> str:
    return plural(number, "node has", "nodes have")


def _labels(unschedulable: Unschedulable) -> str:
    if not unschedulable.labels:
        return "not with all of the labels together"

    def one(requirement: str, values: tuple[str, ...]) -> str:
        has = f"it is {first_of(values, _MOST_VALUES, ' or ')}" if values else "no such label"
        return f"not {requirement} ({has})"

    return ", ".join(one(*label) for label in unschedulable.labels)


def _unavailable(unschedulable: Unschedulable) -> Iterator[str]:
    for number, state in ((unschedulable.cordoned, "cordoned"), (unschedulable.not_ready, "not ready")):
        if number:
            yield f"{plural(number, 'is', 'are')} {state}"
    for taint, number in unschedulable.taints.items():
        yield f"{plural(number, 'has', 'have')} taint {taint}, which the pod does not tolerate"


def _remedy(form: Form, unschedulable: Unschedulable, fleet: Fleet) -> str:
    if unschedulable.reason is UnschedulableReason.UNAVAILABLE:
        tolerate = "add the toleration, or " if unschedulable.taints else ""
        return f"the pod stays Pending meanwhile; {tolerate}ask an administrator{_as_of(fleet.age)}"
    failed = fleet.failed_mig
    if form.partition and failed:
        nodes = plural(failed, "node")
        return f"the MIG configuration of {nodes} failed (nvidia.com/mig.config.state: failed){_as_of(fleet.age)}"
    nearest = fleet.nearest(form)
    if nearest is None:
        offered = "no node offers any GPU"
    else:
        other, number = nearest
        # Under MIG strategy single, slices of the same form have the name of whole GPUs.
        name = f"{GPU}: " if other == form and unschedulable.reason is UnschedulableReason.RESOURCE else ""
        offered = f"the nearest offer is {other} ({name}{number} node{'s' if number > 1 else ''})"
    return f"the pod stays Pending unless an autoscaler adds such a node; {offered}{_as_of(fleet.age)}"


def _as_of(age: float) -> str:
    """How old the data on nodes is, if it is old enough to mention."""
    for seconds, unit in _UNITS:
        if age >= seconds:
            return f" (nodes as of {int(age // seconds)} {unit} ago)"
    return ""

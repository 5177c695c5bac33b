"""Evaluation: what the rules find in the GPU requests of a pod, given the form that each gets."""

from collections.abc import Iterable, Iterator, Sequence

from .findings import Finding
from .form_selection import GpuRequest
from .forms import Form, Sharing
from .nodes import NOTHING_SAID, NodeConstraints
from .pods import PodSpec
from .policy import Policy
from .requests import Amount, GpuContainer
from .rewriting import ProductConflict, Respelling, Restated
from .rules import container, permission, placement, sharing
from .spelling import LABELS_OF_FORMS
from .stated import written


def wellformed(gpu_containers: Iterable[GpuContainer], policy: Policy) -> tuple[list[GpuContainer], list[Finding]]:
    """The containers whose requests get a form, and the findings that deny the others before any form is selected."""
    kept: list[GpuContainer] = []
    findings: list[Finding] = []
    permits_none = not policy.permits_any and not policy.permitted
    for gpu_container in gpu_containers:
        found = container.malformed(gpu_container)
        if found is None and permits_none:
            found = permission.gpu_not_permitted(gpu_container, policy)
        if found is None:
            kept.append(gpu_container)
        else:
            findings.append(found)
    return kept, findings


def judge(
    gpu_containers: Sequence[GpuContainer],
    respelling: Respelling,
    spec: PodSpec,
    policy: Policy,
    nodes: NodeConstraints,
) -> list[Finding]:
    """Return the findings of the rules in well-formed requests, which get the forms of ``respelling``."""
    findings: list[Finding] = []
    requests: list[GpuRequest] = []
    for gpu_container in gpu_containers:
        amount = gpu_container.amounts[0]
        requests.append(GpuRequest(gpu_container, amount, respelling.choices[amount.resource.name]))
    # Most pods say nothing about the nodes of forms, and then only their forms can be apart from each other.
    if nodes is not NOTHING_SAID or respelling.conflict or respelling.forms_apart:
        findings += _on_nodes(requests, respelling, policy, nodes)
    for request in requests:
        if respelling.mps or request.choice.form is None or request.amount.count > 1:
            findings += _on_request(request, nodes, policy)
    if respelling.mps and not spec.host_ipc:
        findings += sharing.gke_mps_needs_host_ipc(requests)
    if requests and policy.max_per_pod is not None:
        findings += permission.per_pod_limit(spec, gpu_containers, policy, policy.max_per_pod)
    return findings


def _on_nodes(
    requests: Sequence[GpuRequest], respelling: Respelling, policy: Policy, nodes: NodeConstraints
) -> Iterator[Finding]:
    """The rules of the node that all of them run on."""
    if respelling.forms_apart:
        yield from _forms_apart(requests, respelling.forms_apart, policy)
    remaining = nodes.without(respelling.dropped_keys) if respelling.dropped_keys else nodes
    if conflict := respelling.conflict:
        gpu_container = next(request.gpu_container for request in requests if request.choice is conflict.choice)
        keys = respelling.in_the_way
        if isinstance(conflict, ProductConflict):
            yield placement.product_conflict(gpu_container, conflict.form, conflict.product, conflict.why, nodes, keys)
        elif isinstance(conflict, Restated):
            yield placement.restated(gpu_container, conflict.form, nodes, keys)
        else:
            yield placement.selector_conflict(gpu_container, conflict.form, conflict.need, conflict.nodes, keys)
    elif requests and (key := remaining.contradiction(LABELS_OF_FORMS)):
        yield placement.contradiction(requests[0].gpu_container, key, remaining, policy)
    elif (
        requests
        and requests[0].choice.form
        and (warning := placement.unknown_strategy(requests[0].gpu_container, remaining))
    ):
        yield warning
    found = placement.gke_selectors_incomplete(remaining, respelling.added_keys)
    if found and any(request.choice.form for request in requests):
        yield found


def _forms_apart(
    requests: Sequence[GpuRequest], pairs: frozenset[tuple[Form, Form]], policy: Policy
) -> Iterator[Finding]:
    """Each request whose form is on no node with that of a request before it."""
    first_of: dict[Form, GpuRequest] = {}
    for request in requests:
        form = request.choice.form
        if form is None:
            continue
        other = next((other for other in first_of if (form, other) in pairs), None)
        if other:
            yield placement.forms_apart(request.gpu_container, form, first_of[other].gpu_container, other, policy)
        first_of.setdefault(form, request)


def _on_request(request: GpuRequest, nodes: NodeConstraints, policy: Policy) -> Iterator[Finding]:
    """The rules of one request, of its form and its count."""
    gpu_container, amount, form = request.gpu_container, request.amount, request.choice.form
    if form is None:
        yield permission.form_not_permitted(gpu_container, amount, request.choice.stated, nodes, policy)
        return
    if amount.count > 1:
        stated = request.choice.stated
        yield from _of_several(gpu_container, amount, form, policy, selects=bool(stated and written(stated, nodes)))
    if form.sharing is Sharing.MPS:
        yield from sharing.mps_shm_mounts(gpu_container, form)


def _of_several(
    gpu_container: GpuContainer, amount: Amount, form: Form, policy: Policy, *, selects: bool
) -> Iterator[Finding]:
    """The rules of a count above one, which every policy permits; ``selects`` says whether labels of the pod name the form."""
    if found := sharing.shared_request_above_one(
        gpu_container, amount, form, policy, selects=selects
    ) or permission.per_container_limit(gpu_container, amount, policy):
        yield found
    if found := sharing.mig_count_above_one(gpu_container, amount, form):
        yield found

"""The decision about one pod under one policy: what its GPU requests become, or the findings that deny it.

Code for rare cases is called only for pods with the fields that it reads.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from . import claim_rewriting, guard
from .claims import NO_CLAIMS, Claims, Resolved
from .edits import Annotate, ClaimInstead, Edit, RenameResource
from .findings import Finding
from .form_names import written
from .form_selection import Choice, GpuRequest
from .forms import Form, Sharing
from .limit_range_defaults import ANNOTATION as LIMIT_RANGER
from .limit_range_defaults import Additions, LimitRangeDefault, additions_in, without_defaults
from .namespace_labels import DOMAIN
from .node_constraints import NOTHING_SAID, NodeConstraints, constraints
from .other_gpus import BUILT_IN, GpuNames
from .pods import Pod, PodSpec
from .policy import NO_ADDITIONS, Policy
from .policy_additions import additions
from .quantity import COUNTS, shown
from .requests import Amount, GpuContainer, pod_count, read
from .rewriting import ProductConflict, Respelling, Restated, respelling
from .rules import claims as claiming
from .rules import container, gpu_memory, limit_ranges, outside_containers, permission, placement, sharing
from .rules.catalog import RULES
from .spelling import LABELS_OF_FORMS, DevicePlugin

ORIGINAL_REQUEST = f"{DOMAIN}/original-request"
POLICY = f"{DOMAIN}/policy"
"""Annotations of a rewritten pod: the original requests of its containers, as JSON, and the policy."""
_ENCODER = msgspec.json.Encoder()
_NOTHING: Resolved = {}
_ADDED_NONE = Additions()
_ORDER = {rule.id: number for number, rule in enumerate(RULES)}


class Outcome(StrEnum):
    """The outcome for a pod."""

    UNCHANGED = "unchanged"
    REWRITTEN = "rewritten"
    DENIED = "denied"


# In Python 3.11, looking up an enum member costs as much as a call, and the outcome of every decision is read several times.
UNCHANGED, REWRITTEN, DENIED = Outcome


class Decision(msgspec.Struct, frozen=True, gc=False):
    """Edits and findings for one pod under one policy.

    Attributes:
        edits: what changes; empty when anything denies.
        findings: the findings of the rules, in their order.
        gpu_containers: the containers that request GPUs, by any name; empty if the pod is not checked.
        choices: the form that each well-formed request gets, by the resource that it names.
    """

    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    gpu_containers: tuple[GpuContainer, ...] = ()
    choices: Mapping[str, Choice] = {}

    @property
    def denials(self) -> tuple[Finding, ...]:
        """The findings that deny the pod."""
        return tuple(finding for finding in self.findings if finding.denies)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that only warn."""
        return tuple(finding for finding in self.findings if not finding.denies)

    @property
    def outcome(self) -> Outcome:
        """The outcome for the pod."""
        if self.findings and any(finding.denies for finding in self.findings):
            return DENIED
        return REWRITTEN if self.edits else UNCHANGED

    @property
    def by_resource(self) -> dict[str, list[tuple[GpuContainer, Amount]]]:
        """The requests that are not for claims, by the resource that they will name."""
        renames = {edit.old: edit.new for edit in self.edits if isinstance(edit, RenameResource)}
        claimed = {edit.place for edit in self.edits if isinstance(edit, ClaimInstead)}
        found: dict[str, list[tuple[GpuContainer, Amount]]] = {}
        for gpu_container in self.gpu_containers:
            if gpu_container.place not in claimed:
                for amount in gpu_container.amounts:
                    name = amount.resource.name
                    found.setdefault(renames.get(name, name), []).append((gpu_container, amount))
        return found

    def form(self, amount: Amount) -> Form:
        """The form that a request gets. For a denied request, the form that its resource names."""
        choice, resource = self.choices.get(amount.resource.name), amount.resource
        named = Form(resource.partition, Sharing.ANY if resource.shared else Sharing.NONE)
        return (choice and choice.form) or named

    def requested(self, spec: PodSpec) -> Iterator[tuple[Form, int]]:
        """The form and count that a pod will request from its node, by GPU resource. ``spec`` is the original."""
        for requests in self.by_resource.values():
            counts = {gpu_container.place: amount.count for gpu_container, amount in requests}
            yield self.form(requests[0][1]), pod_count(spec, counts)


UNTOUCHED = Decision()


def decide(  # noqa: PLR0913 - everything that decides
    pod: Pod,
    policy: Policy,
    plugin: DevicePlugin,
    *,
    names: GpuNames = BUILT_IN,
    guarded: bool = True,
    found: list[GpuContainer] | None = None,
    claims: Claims = NO_CLAIMS,
    resolved: Resolved = _NOTHING,
) -> Decision:
    """Decide about a pod or a pod template.

    Args:
        pod: the typed view of the original pod.
        policy: one policy of its namespace.
        plugin: the device plugin's settings, which change how forms are spelled.
        names: the resources that provide GPUs in addition to those of forms.
        guarded: whether to check for GPUs that are reached without a request, which is only useful for the final pod.
        found: the result of ``requests.read``, if it is known, because several policies are applied to one pod.
        claims: the result of ``claims.read``, as far as claims were looked up.
        resolved: the templates of ``claim_rewriting.references``, as far as they were looked up.

    Returns:
        The decision. Deciding again on the pod with the edits applied yields no edits. A pod that requests no GPU and
        reaches none, and a mirror pod, are left untouched. Nothing is raised.
    """
    spec = pod.spec
    if spec is None or pod.is_mirror:
        return UNTOUCHED
    every = read(spec, names) if found is None else found
    strange = [gpu_container for gpu_container in every if gpu_container.unknown or gpu_container.others]
    # All others have amounts.
    asking = [one for one in every if one.amounts or one.others] if strange else every
    annotated = (pod.metadata and pod.metadata.annotations) or {}
    added = additions_in(annotated[LIMIT_RANGER]) if LIMIT_RANGER in annotated else _ADDED_NONE
    dropped: list[LimitRangeDefault] = []
    if added.entries and not policy.permits_any:
        asking, dropped = without_defaults(added, asking)
    gpu_containers = [one for one in asking if one.amounts] if strange else asking
    beside = _beside_requests(pod, spec, asking, policy, claims, guarded=guarded)
    if not every:
        return Decision((), in_order(beside)) if beside else UNTOUCHED
    of_memory: list[Finding] = []
    if gpu_memory.ANNOTATION in annotated:
        policy, of_memory = gpu_memory.by_memory(annotated[gpu_memory.ANNOTATION], policy, plugin)
    nodes = constraints(spec, LABELS_OF_FORMS) if spec.node_selector or spec.affinity else NOTHING_SAID
    asked, findings = _wellformed(gpu_containers, policy)
    findings += of_memory
    edits: list[Edit] = []
    if policy.plain_claim:
        claimed = claim_rewriting.rewritten(asked, spec, policy, policy.plain_claim, nodes, plugin, resolved)
        findings += claimed.findings
        edits += claimed.edits
        asked = [*claimed.others]
    spelled = respelling([gpu_container.amounts[0].resource for gpu_container in asked], policy, nodes, plugin)
    findings += _evaluated(asked, spelled, spec, policy, nodes)
    if added.entries:
        findings = limit_ranges.naming_limit_ranges(findings, gpu_containers, added)
        findings += [limit_ranges.limit_range_default(one) for one in dropped]
    if strange:
        findings += container.unknown_gpu_resources(strange, policy)
        findings += permission.other_gpu_resources(asking, policy, claims.by_resource)
    if policy.permits_any:
        findings += container.absent_gpu_resources(gpu_containers, plugin)
    told = in_order(findings + beside) if findings or beside else ()
    if told and any(finding.denies for finding in told):
        return Decision((), told, tuple(asking), spelled.choices)
    edits += spelled.applied(spec, gpu_containers)
    respelled = bool(edits)
    edits += [one.edit for one in dropped]
    return Decision(
        tuple(_with_additions(edits, spec, gpu_containers, policy, plugin, spelled, respelled=respelled)),
        told,
        tuple(asking),
        spelled.choices,
    )


def _with_additions(  # noqa: PLR0913, PLR0917 - everything that decides
    edits: list[Edit],
    spec: PodSpec,
    gpu_containers: list[GpuContainer],
    policy: Policy,
    plugin: DevicePlugin,
    spelled: Respelling,
    *,
    respelled: bool,
) -> list[Edit]:
    """The edits, with the policy's additions and the annotations that record the change."""
    if gpu_containers and policy.additions != NO_ADDITIONS:
        edits += additions(spec, gpu_containers, policy, plugin, spelled, edits)
    if edits:
        edits += _annotations(gpu_containers, policy, respelled=respelled)
    return edits


def _annotations(gpu_containers: list[GpuContainer], policy: Policy, *, respelled: bool) -> list[Edit]:
    """Return the annotations of a changed pod: the policy and, where requests were respelled, the original ones."""
    told: list[Edit] = []
    if respelled:
        original: dict[str, dict[str, str]] = {}
        for gpu_container in gpu_containers:
            written = original[gpu_container.container.name] = {}
            for amount in gpu_container.amounts:
                written[amount.resource.name] = amount.written if amount.written in COUNTS else shown(amount.written)
        told.append(Annotate(ORIGINAL_REQUEST, _json(original)))
    told.append(Annotate(POLICY, policy.name))
    return told


def _json(value: object) -> str:
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate, which YAML can hold: the standard library escapes it
        return json.dumps(value, separators=(",", ":"))


def _beside_requests(  # noqa: PLR0913 - what the guard knows
    pod: Pod, spec: PodSpec, asking: list[GpuContainer], policy: Policy, claims: Claims, *, guarded: bool
) -> list[Finding]:
    """The findings about everything except the containers' requests."""
    found: list[Finding] = []
    if spec.resources or spec.ephemeral_containers:
        found += outside_containers.gpu_outside_containers(spec)
    if claims is not NO_CLAIMS:
        found += claiming.findings(spec, claims, asking, policy)
    if guarded:
        found += guard.findings(pod, asking, policy)
    return found


def _wellformed(gpu_containers: Iterable[GpuContainer], policy: Policy) -> tuple[list[GpuContainer], list[Finding]]:
    """The containers whose requests get a form, and the findings that deny the others before any form is selected."""
    kept: list[GpuContainer] = []
    findings: list[Finding] = []
    permits_none = not (policy.permits_any or policy.forms or policy.claim_forms)
    for gpu_container in gpu_containers:
        found = None if gpu_container.is_wellformed else container.malformed(gpu_container)
        if found is None and permits_none:
            found = permission.gpu_not_permitted(gpu_container, policy)
        if found is None:
            kept.append(gpu_container)
        else:
            findings.append(found)
    return kept, findings


def _evaluated(
    gpu_containers: Sequence[GpuContainer],
    respelling: Respelling,
    spec: PodSpec,
    policy: Policy,
    nodes: NodeConstraints,
) -> list[Finding]:
    """Return the findings about well-formed requests, which get the forms of ``respelling``."""
    findings: list[Finding] = []
    requests: list[GpuRequest] = []
    for gpu_container in gpu_containers:
        amount = gpu_container.amounts[0]
        requests.append(GpuRequest(gpu_container, amount, respelling.choices[amount.resource.name]))
    # Most pods have no selectors of forms. Then only the forms of two requests can be incompatible.
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
    """Findings about the node on which all requests have to run."""
    permitted = next((request for request in requests if request.choice.form), None)
    if respelling.forms_apart:
        yield from _forms_apart(requests, respelling.forms_apart, policy)
    remaining = nodes.without(respelling.dropped_keys) if respelling.dropped_keys else nodes
    if conflict := respelling.conflict:
        gpu_container = next(request.gpu_container for request in requests if request.choice is conflict.choice)
        keys = respelling.conflicting_keys
        if isinstance(conflict, ProductConflict):
            yield placement.product_conflict(gpu_container, conflict.form, conflict.product, conflict.why, nodes, keys)
        elif isinstance(conflict, Restated):
            yield placement.restated(gpu_container, conflict.form, nodes, keys)
        else:
            yield placement.selector_conflict(gpu_container, conflict.form, conflict.need, conflict.nodes, keys)
    elif requests and (key := remaining.contradiction(LABELS_OF_FORMS)):
        yield placement.contradiction(requests[0].gpu_container, key, remaining, policy)
    elif permitted and (warning := placement.unknown_strategy(permitted.gpu_container, remaining)):
        yield warning
    found = placement.gke_selectors_incomplete(remaining, respelling.added_keys)
    if found and permitted:
        yield found


def _forms_apart(
    requests: Sequence[GpuRequest], pairs: frozenset[tuple[Form, Form]], policy: Policy
) -> Iterator[Finding]:
    """A finding for each request whose form is never on the same node as that of an earlier request."""
    first_of: dict[Form, GpuRequest] = {}
    for request in requests:
        form = request.choice.form
        if form is None:
            continue
        other = next((other for other in first_of if (form, other) in pairs), None)
        if other:
            yield placement.incompatible_forms(
                request.gpu_container, form, first_of[other].gpu_container, other, policy
            )
        first_of.setdefault(form, request)


def _on_request(request: GpuRequest, nodes: NodeConstraints, policy: Policy) -> Iterator[Finding]:
    gpu_container, amount = request.gpu_container, request.amount
    form, stated = request.choice.form, request.choice.stated
    if form is None:
        yield permission.form_not_permitted(gpu_container, amount, stated, nodes, policy)
        return
    if amount.count > 1:
        selects = bool(stated and written(stated, nodes))
        several = sharing.shared_request_above_one(gpu_container, amount, form, policy, selects=selects)
        if found := several or permission.per_container_limit(gpu_container, amount, policy):
            yield found
        if found := sharing.mig_count_above_one(gpu_container, amount, form):
            yield found
    if form.sharing is Sharing.MPS:
        yield from sharing.mps_shm_mounts(gpu_container, form)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of the rules."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.rule.id]))

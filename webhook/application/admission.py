"""Admission: a review in, a review out. ``/mutate`` and ``/validate`` are two views of one decision.

A pod that was rewritten is updated in one case only: a manifest is applied to it again (``webhook.engine.reapplied``).
"""

import msgspec

from webhook.application import response_messages, review
from webhook.application.claims import ClaimSource, ClaimUnavailable, NoClaims, claims_of
from webhook.application.configuration import Configuration, Mode
from webhook.application.fleet import FleetSource, NoFleet
from webhook.application.label_wait import Given, Labels, Wanted, answered
from webhook.application.namespaces import Namespaces
from webhook.application.recorder import Recorded, Recorder
from webhook.application.review import Answering, Envelope, Request, ReviewError
from webhook.engine import claim_rewriting, guard, requests, updates
from webhook.engine.claims import NO_CLAIMS, Claims, Reference, Resolved, references
from webhook.engine.decision import DENIED, UNCHANGED, Decision, decide
from webhook.engine.fleet.evaluation import against, preferring, settled
from webhook.engine.labels import NamespaceLabels
from webhook.engine.patch import patch
from webhook.engine.pods import Pod
from webhook.engine.policy import ANY_POLICY, NamespacePolicies, NotOffered, Policy
from webhook.engine.reapplied import restored
from webhook.engine.requests import GpuContainer
from webhook.engine.rules.not_rewritten import not_rewritten
from webhook.engine.text import Name

MOST_ASKING = 1000
"""Containers with GPUs in a pod that is judged: more than a node can have GPUs or slots for (16 GPUs with 48 clients each).

It bounds for how long one review keeps all others waiting."""

MOST_CLAIMS = 128
"""Claims of a pod that is judged: each is read from the API server."""


class _PodObject(Pod):
    """The object of a request, which may name its kind."""

    kind: Name = "Pod"


class _PodRequest(Envelope, rename="camel"):
    """``request`` with the pod read."""

    object: _PodObject | None = None


class _PodReview(msgspec.Struct, rename="camel", gc=False):
    """A review with the pod read."""

    api_version: Name = ""
    kind: Name = ""
    request: _PodRequest | None = None


_POD = msgspec.json.Decoder(_PodObject)
_POD_REVIEW = msgspec.json.Decoder(_PodReview)
_NOT_YET = NamespacePolicies(ANY_POLICY, ANY_POLICY, ANY_POLICY, ANY_POLICY)


class _Case(msgspec.Struct, gc=False):
    """A request whose pod requests GPUs, or may reach them otherwise, and is not exempt, with everything that decides it."""

    request: Envelope
    pod: Pod
    gpu_containers: list[GpuContainer]
    configuration: Configuration
    final: bool
    """Whether the pod is what all webhooks have made of it together."""
    before: Pod | None = None
    """The pod as it is, where an update changes it or gives it ephemeral containers."""
    policies: NamespacePolicies = _NOT_YET
    """Those of its namespace, once they are known."""
    names_claims: bool = False
    """Whether it is a pod that is created, and names claims, which are judged when it is final."""
    claims: Claims = NO_CLAIMS
    """What the pod claims, as far as it was looked up."""
    resolved: Resolved = {}
    """What its claims name, and the templates that its requests become claims of, as far as they were looked up."""

    def decide(self, policy: Policy) -> Decision:
        """The decision on the pod as it arrives, which others may still change: how it reaches GPUs is judged later."""
        claims = self.claims if self.claims is NO_CLAIMS else self.claims.of_resources
        return decide(
            self.pod,
            policy,
            self.configuration.plugin,
            guarded=False,
            found=self.gpu_containers,
            claims=claims,
            resolved=self.resolved,
        )

    @property
    def debugs(self) -> bool:
        """Whether the pod only gets ephemeral containers."""
        return bool(self.request.sub_resource)

    def decide_finally(self, policy: Policy, *, acts: bool = False) -> Decision:
        """The decision on the final pod, on what an update changes in it, or on the ephemeral containers that it gets."""
        policy = settled(self.before or self.pod, policy, self.configuration.plugin)
        if self.before is None:
            return decide(
                self.pod,
                policy,
                self.configuration.plugin,
                found=self.gpu_containers,
                claims=self.claims,
                resolved=self.resolved,
            )
        if self.debugs:
            return Decision((), tuple(guard.of_new_ephemeral_containers(self.pod, self.before, policy)))
        return updates.worsened(
            self.pod, self.before, policy, self.configuration.plugin, self.configuration.names, rewrites=acts
        )

    def unheard(self, decision: Decision, policy: Policy) -> Decision:
        """The part of a decision by a policy that ``mutate`` has not told: an update is never asked about there."""
        if self.before is not None and not self.debugs:
            return decision
        if not self.names_claims:
            return _reached(decision)
        told = self.decide(policy).findings
        return Decision(
            (), tuple(f for f in decision.findings if f.rule.access or f not in told), decision.gpu_containers
        )


class Admission:
    """The answers to admission reviews of pods.

    Every method raises ``ReviewError`` for a review that can't be read, ``NamespaceUnavailable`` or
    ``NamespaceNotFound`` where the namespace's labels are not available, and ``ClaimUnavailable`` for claims. The HTTP side
    answers these with HTTP errors, so that the webhook's failurePolicy decides; a verdict is always a review.
    """

    def __init__(
        self,
        configuration: Configuration,
        namespaces: Namespaces,
        recorder: Recorder,
        claims: ClaimSource = NoClaims(),  # noqa: B008 - it has no state
        nodes: FleetSource = NoFleet(),  # noqa: B008 - it has no state
    ) -> None:
        """Decide by a configuration, which may be replaced whole at any time, the labels of namespaces, claims, and nodes."""
        self.configuration = configuration
        self._namespaces = namespaces
        self._recorder = recorder
        self._claims = claims
        self._nodes = nodes

    def mutate(self, body: bytes) -> Answering:
        """The patch of the enforce policy, and what the warn and audit policies say of the pod as it arrives.

        Never denies: that is ``validate``'s, on the pod that all webhooks have made together. An update of a pod gets a
        patch only where that makes its requests what they are.
        """
        return self._answer(body, final=False)

    def validate(self, body: bytes) -> Answering:
        """Denies what the enforce policy denies, and what it would still have to rewrite; of an update, what it makes worse."""
        return self._answer(body, final=True)

    def _answer(self, body: bytes, *, final: bool) -> Answering:
        configuration = self.configuration
        return answered(
            self._namespaces, lambda given: self._answer_with(body, configuration, given, final=final), self._claims
        )

    def _answer_with(self, body: bytes, configuration: Configuration, given: Given, *, final: bool) -> bytes | Wanted:
        """The answer by what is given, or else by the labels that are cached; or what it needs."""
        request = _decoded(body)
        if not _is_judged(request, final=final):
            return review.allowed(request)
        exemptions = configuration.exemptions
        # Before the pod is read: where everything is exempt, not even a pod that can't be read is denied.
        if exempt := exemptions.of_request(request.namespace, request.user_info.username):
            return review.allowed(request, annotations={"exempt": exempt})
        pod = _pod(request, body)
        before = _before(request, pod) if request.operation == "UPDATE" else None
        if before is not None and final and not request.sub_resource and not updates.matters(pod, before):
            return review.allowed(request)
        namespace = request.namespace or (pod.metadata and pod.metadata.namespace) or ""
        if not namespace:
            raise ReviewError("request.namespace", "is missing")
        gpu_containers = requests.read(pod.spec, configuration.names) if pod.spec else []
        names_claims = bool(final and before is None and pod.spec and pod.spec.resource_claims)
        if not gpu_containers and not names_claims and not (final and guard.sees(pod)):
            return review.allowed(request)
        if len(gpu_containers) > MOST_ASKING:
            raise ReviewError(
                "request.object.spec",
                f"{len(gpu_containers)} containers request GPUs; more than {MOST_ASKING} are not supported, "
                "and no node has GPUs for them",
            )
        if exempt := exemptions.of_request(namespace, request.user_info.username) or exemptions.of_pod(pod):
            return review.allowed(request, annotations={"exempt": exempt})
        case = _Case(request, pod, gpu_containers, configuration, final, before, names_claims=names_claims)
        labels = given.labels or self._namespaces.cached(namespace)
        return Wanted(namespace) if labels is None else self._judge(case, namespace, labels, given)

    def _judge(self, case: _Case, namespace: str, labels: Labels, given: Given) -> bytes | Wanted:
        if not isinstance(labels, NamespaceLabels):
            return _without_labels(case, labels)
        case.policies = case.configuration.policies.select(labels)
        if wanted := _looked_up(case):
            if given.claims is None:
                return Wanted(namespace, wanted)
            case.resolved = _resolved(case, given.claims)
        if case.pod.spec is not None and case.before is None:
            named = self._nodes.class_forms
            case.claims = claims_of(case.pod.spec, case.gpu_containers, case.resolved, case.configuration, named)
        if case.final:
            return self._validate(case)
        return self._mutate(case) if case.before is None else self._restore(case, case.before)

    def _restore(self, case: _Case, before: Pod) -> bytes:
        """The patch that keeps a rewritten pod as it is when its manifest is applied again."""
        policy, configuration = case.policies.enforce, case.configuration
        acts = configuration.mode is Mode.ENFORCE
        # Nodes may have changed since the pod was rewritten.
        every = (
            restored(case.pod, before, order, configuration.plugin, configuration.names)
            for order in (policy.orders if acts else ())
        )
        operations = next(filter(None, every), [])
        if not operations:
            return review.allowed(case.request)
        patched = review.to_json(operations).encode()
        return review.allowed(case.request, patched, annotations={"restored-by-policy": policy.name})

    def _mutate(self, case: _Case) -> bytes:
        policies = case.policies
        decided, decision = self._decide(case, policies.enforce)
        annotations: dict[str, str] = {}
        warnings: list[str] = []
        outcome = decision.outcome
        acts = case.configuration.mode is Mode.ENFORCE
        if not acts or outcome is not UNCHANGED or decision.findings:
            response_messages.annotate(annotations, "enforce", policies.enforce, decision)
        if not acts:
            annotations["mode"] = Mode.AUDIT.value
            response_messages.annotate_patch(annotations, "enforce", patch(case.pod, decided.edits))
            warnings += response_messages.would_be(decision, policies.enforce)
        elif outcome is not DENIED:
            warnings += response_messages.advice(decision)
        self._record("mutate", "enforce", policies.enforce, decision, case, acted=acts)
        warnings += self._warn(case)
        self._audit(case, annotations)
        if policies.problems:
            warnings += [f"namespace {problem.path}: {problem.message}" for problem in policies.problems]
        # Whatever the nodes offer: they may have changed when ``validate`` is asked, and it expects the pod rewritten.
        made = review.to_json(patch(case.pod, decided.edits)).encode() if acts and decided.edits else b""
        return review.allowed(case.request, made, response_messages.within_budget(warnings), annotations)

    def _warn(self, case: _Case) -> list[str]:
        """What the warn policy would do, unless it is what the enforce policy does anyway."""
        policy = case.policies.warn
        if policy is ANY_POLICY or policy == case.policies.enforce:
            return []
        _, decision = self._decide(case, policy)
        self._record("mutate", "warn", policy, decision, case, acted=False)
        return response_messages.would_be(decision, policy)

    def _audit(self, case: _Case, annotations: dict[str, str]) -> None:
        """What the audit policy would do, in full."""
        policy = case.policies.audit
        if policy is ANY_POLICY:
            return
        decided, decision = self._decide(case, policy)
        response_messages.annotate(annotations, "audit", policy, decision)
        response_messages.annotate_patch(annotations, "audit", patch(case.pod, decided.edits))
        self._record("mutate", "audit", policy, decision, case, acted=False)

    def _validate(self, case: _Case) -> bytes:
        policy = case.policies.enforce
        acts = case.configuration.mode is Mode.ENFORCE
        decision = case.decide_finally(policy, acts=acts)
        # In a dry run nothing is rewritten, so that a rewrite is still to be made means nothing.
        if acts and (outstanding := not_rewritten(decision.edits, policy)):
            decision = Decision((), (outstanding, *decision.findings), decision.gpu_containers)
        elif acts and case.before is None and policy.fleet_response is NotOffered.DENY:
            # Of what only warns ``mutate`` has told.
            fleet = self._nodes.fleet
            on_nodes = against(decision, case.pod, policy, fleet) if fleet else decision
            decision = on_nodes if on_nodes.denials else decision
        annotations: dict[str, str] = {}
        if decision.gpu_containers or decision.findings:
            self._record("validate", "enforce", policy, decision, case, acted=acts)
        if acts and decision.denials:
            response_messages.annotate(annotations, "enforce", policy, decision)
            response_messages.annotate_claims(annotations, case.pod, case.claims)
            return review.denied(case.request, decision.denials, annotations)
        unheard = case.unheard(decision, policy)
        if unheard.findings:
            response_messages.annotate(annotations, "enforce", policy, unheard)
        if acts:
            warnings = response_messages.advice(decision)
        else:
            # Of everything else the answer of ``mutate`` has told.
            warnings = response_messages.would_be(unheard, policy)
            annotations |= {"mode": Mode.AUDIT.value} if unheard.findings else {}
        warnings += self._tell_unheard(case, annotations)
        response_messages.annotate_claims(annotations, case.pod, case.claims)
        return review.allowed(case.request, warnings=response_messages.within_budget(warnings), annotations=annotations)

    def _tell_unheard(self, case: _Case, annotations: dict[str, str]) -> list[str]:
        """What the warn and audit policies say beyond what ``mutate`` has told."""
        policies = case.policies
        warnings: list[str] = []
        for mode, policy in (("warn", policies.warn), ("audit", policies.audit)):
            if policy is ANY_POLICY or (mode == "warn" and policy == policies.enforce):
                continue
            unheard = case.unheard(case.decide_finally(policy), policy)
            if not unheard.findings:
                continue
            self._record("validate", mode, policy, unheard, case, acted=False)
            if mode == "audit":
                response_messages.annotate(annotations, mode, policy, unheard)
            else:
                warnings += response_messages.would_be(unheard, policy)
        return warnings

    def _decide(self, case: _Case, policy: Policy) -> tuple[Decision, Decision]:
        """The decision on the pod as it arrives, and the same with what the nodes add to it, if they are known."""
        fleet = self._nodes.fleet
        if fleet is None:
            decision = case.decide(policy)
            return decision, decision
        decision = case.decide(preferring(policy, case.configuration.plugin, fleet))
        return decision, against(decision, case.pod, policy, fleet)

    def _record(  # noqa: PLR0913 - the fields of one value
        self, path: str, mode: str, policy: Policy, decision: Decision, case: _Case, *, acted: bool
    ) -> None:
        self._recorder.decided(Recorded(mode, policy, decision, acted, path, case.request, case.pod))


def _without_labels(case: _Case, error: Exception) -> bytes:
    """The answer where the namespace's labels are not available.

    Raises:
        NamespaceUnavailable, NamespaceNotFound: ``error``, where they matter.
    """
    restores = case.before is not None and not case.final
    gpu_containers = (case.gpu_containers and not (case.debugs or restores)) or case.names_claims
    if gpu_containers or (case.configuration.policies.denies_reaching and not restores):
        raise error
    # There would be no more than a warning, or what the API server decides by itself, and for that nobody need wait.
    return review.allowed(case.request, annotations={"error": str(error)})


def _reached(decision: Decision) -> Decision:
    """What a decision says of GPUs that are reached without a request."""
    return Decision((), tuple(finding for finding in decision.findings if finding.rule.access), decision.gpu_containers)


def _looked_up(case: _Case) -> tuple[Reference, ...]:
    """The objects that a new pod's claims name, where they matter: under ``any`` only beside a request by resource name.

    And the templates that its requests become claims of.

    Raises:
        ReviewError: there are too many.
    """
    enforce, warn, audit = policies = (case.policies.enforce, case.policies.warn, case.policies.audit)
    # Most pods name no claim, and get none.
    if not (case.names_claims or enforce.plain_claim or warn.plain_claim or audit.plain_claim):
        return ()
    if case.pod.spec is None or case.before is not None:
        return ()
    found = tuple(claim_rewriting.references(policies)) if case.gpu_containers else ()
    if case.names_claims and (case.gpu_containers or any(policy.judges_claims for policy in policies)):
        found = (*references(case.pod.spec), *found)
    if len(found) > MOST_CLAIMS:
        raise ReviewError(
            "request.object.spec.resourceClaims",
            f"name {len(found)} claims and templates; more than {MOST_CLAIMS} are not judged",
        )
    return found


def _resolved(case: _Case, found: Resolved | ClaimUnavailable) -> Resolved:
    """What the claims are.

    Raises:
        ClaimUnavailable: that can't be said, and it matters to the enforce policy.
    """
    if not isinstance(found, ClaimUnavailable):
        policies = (case.policies.enforce, case.policies.warn, case.policies.audit)
        # A cluster that does not serve claims has no templates either.
        return {**dict.fromkeys(claim_rewriting.references(policies)), **found}
    if case.policies.enforce.judges_claims and (case.names_claims or case.policies.enforce.plain_claim):
        raise found
    return {}


def _is_judged(request: Envelope, *, final: bool) -> bool:
    """Whether a request makes a pod or changes one; ephemeral containers only matter for what the pod is in the end."""
    if request.operation == "CREATE":
        return not request.sub_resource
    is_pod = request.kind is not None and request.kind.kind == "Pod"
    changes = request.sub_resource == "" and (final or request.has_old_object)
    debugs = request.sub_resource == "ephemeralcontainers" and final
    return is_pod and request.operation == "UPDATE" and (changes or debugs)


def _before(request: Envelope, pod: Pod) -> Pod:
    """The pod as it is, before the update. In both, the node that the scheduler has chosen since is no choice of the user's.

    Raises:
        ReviewError: it can't be read.
    """
    before = review.decode_json(_POD, request.old_object, "request.oldObject") if request.has_old_object else Pod()
    for each in (pod, before):
        if each.spec is not None:
            each.spec.node_name = None
    return review.sized(before, "request.oldObject")


def _decoded(body: bytes) -> Request | _PodRequest:
    """The request, with its pod where that can be read: reading a review in one pass takes two thirds of the time.

    Where it can't, or is not to be, the envelope says whether that matters: the pod of an exempt namespace may be anything.

    Raises:
        ReviewError: the envelope can't be read.
    """
    if review.elements(body) > review.MOST_ELEMENTS:
        return review.decode(body)
    try:
        read = _POD_REVIEW.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return review.decode(body)
    return review.checked(read.api_version, read.kind, read.request)


def _pod(request: Request | _PodRequest, body: bytes) -> Pod:
    """The pod that is made or changed.

    Raises:
        ReviewError: where there is none, or it can't be read as one.
    """
    if request.kind and (request.kind.kind != "Pod" or request.kind.group):
        raise ReviewError("request.kind", f'must be a core "Pod", not "{request.kind.group}/{request.kind.kind}"')
    if isinstance(request, Request):
        # It could not be read, and this says why; or there is none.
        review.bound(body)
        pod = review.decode_json(_POD, request.object, "request.object") if request.has_object else None
    else:
        pod = request.object
    if pod is None:
        raise ReviewError("request.object", "is missing; a review carries the object that is created or changed")
    if pod.kind != "Pod":
        raise ReviewError("request.object.kind", f'must be "Pod", not "{pod.kind}"')
    return review.sized(pod, "request.object")

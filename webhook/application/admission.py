"""Admission: a review in, a review out. ``/mutate`` and ``/validate`` are two views of one decision.

A pod that was rewritten is updated in one case only: a manifest is applied to it again (``webhook.engine.reapplied``).
"""

from functools import partial

from ..engine import guard, requests, updates
from ..engine.decision import DENIED, UNCHANGED, Decision
from ..engine.fleet.fleet_findings import with_fleet_findings
from ..engine.namespace_labels import NamespaceLabels
from ..engine.patch import patch
from ..engine.pods import Pod
from ..engine.policy import ANY_POLICY, WITHOUT_PARAMETERS, FindingAction
from ..engine.reapplied import restored
from ..engine.rewriting import plain_respelling
from ..engine.rules.not_rewritten import not_rewritten
from . import pod_review, response_messages, review
from .claims import ClaimSource, NoClaims
from .configuration import Configuration, Mode
from .decision_cache import NOTHING_SAID, AdmissionResult, DecisionCache, key_of
from .fleet import FleetSource, NoFleet
from .lookups import NOTHING, Labels, LookupRequest, LookupResults, fetched
from .namespaces import Namespaces
from .pod_case import PodCase
from .pod_review import MOST_GPU_CONTAINERS
from .recorder import RecordedDecision, Recorder
from .review import Answering, Envelope, ReviewError


class Admission:
    """The answers to admission reviews of pods.

    Every method raises ``ReviewError`` for a review that can't be read, ``NamespaceUnavailable`` or
    ``NamespaceNotFound`` if the namespace's labels are not available, and ``ClaimUnavailable`` for claims. The HTTP side
    answers these with HTTP errors, so that the webhook's failurePolicy decides; a result is always a review.
    """

    def __init__(
        self,
        configuration: Configuration,
        namespaces: Namespaces,
        recorder: Recorder,
        claims: ClaimSource = NoClaims(),  # noqa: B008 - it has no state
        nodes: FleetSource = NoFleet(),  # noqa: B008 - it has no state
    ) -> None:
        """Take the configuration, which can be replaced at any time, and the sources of labels, claims and nodes."""
        self.use(configuration)
        self._namespaces = namespaces
        self._recorder = recorder
        self._claims = claims
        self._nodes = nodes
        self._decision_cache = DecisionCache(nodes)

    def use(self, configuration: Configuration) -> None:
        """Decide by a configuration from now on.

        Also decides what a plain request becomes under each policy in a pod without node constraints, so that the first pods
        after the start, or after a change of the file, wait no longer than others. It takes 0.1 ms for each policy.
        """
        policies = configuration.policies
        for name in (*policies.configured, *WITHOUT_PARAMETERS):
            policy = policies.select(NamespaceLabels(enforce=name)).enforce
            if policy.forms:
                plain_respelling(policy, configuration.plugin)
        self.configuration = configuration

    def mutate(self, body: bytes) -> Answering:
        """Answer with the patch of the enforce policy, and with what the warn and audit policies find in the pod as it arrives.

        Never denies: ``validate`` does, after all webhooks have changed the pod. An update of a pod gets a
        patch only to restore its requests.
        """
        return self._answer(body, final=False)

    def validate(self, body: bytes) -> Answering:
        """Deny a pod that the enforce policy denies or would still rewrite; an update only for findings that are new."""
        return self._answer(body, final=True)

    def _answer(self, body: bytes, *, final: bool) -> Answering:
        configuration = self.configuration
        found = self._answer_with(body, configuration, NOTHING, final=final)
        if isinstance(found, bytes):
            return found
        answer = partial(self._answer_with, body, configuration, final=final)
        return fetched(self._namespaces, self._claims, found, answer)

    def _answer_with(
        self, body: bytes, configuration: Configuration, given: LookupResults, *, final: bool
    ) -> bytes | LookupRequest:
        """The answer from the look-ups given and the cached labels, or the next look-up that it needs."""
        request = pod_review.decoded(body, final=final)
        if not pod_review.is_evaluated(request, final=final):
            return review.allowed(request)
        # Before the pod is read: where everything is exempt, not even a pod that can't be read is denied.
        if exempt := configuration.exemptions.of_request(request.namespace, request.user_info.username):
            return review.allowed(request, annotations={"exempt": exempt})
        if isinstance(request, pod_review.GpulessRequest):
            return review.allowed(request)
        pod = pod_review.pod_of(request, body)
        namespace = request.namespace or (pod.metadata and pod.metadata.namespace) or ""
        labels = given.labels or self._namespaces.cached(namespace)
        key = result = None
        # A namespace that only the pod names may be exempt.
        if request.operation == "CREATE" and request.namespace and isinstance(labels, NamespaceLabels):
            key = key_of(pod, labels, final=final)
            result = self._decision_cache.find(key, configuration) if key else None
        if result is None:
            made = self._verdict(request, pod, configuration, given, namespace=namespace, labels=labels, final=final)
            if isinstance(made, LookupRequest):
                return made
            # The look-up may have another result for the next pod.
            if key and given.claims is None:
                self._decision_cache.keep(key, configuration, made)
            result = made
        for evaluated in result.evaluated:
            self._recorder.decided(RecordedDecision(evaluated, request, pod.metadata))
        return review.answer(request, result.response)

    def _verdict(  # noqa: PLR0913 - everything that decides
        self,
        request: Envelope,
        pod: Pod,
        configuration: Configuration,
        given: LookupResults,
        *,
        namespace: str,
        labels: Labels | None,
        final: bool,
    ) -> AdmissionResult | LookupRequest:
        """The result on a pod that is not in the cache, or the look-ups that it needs."""
        pod_review.read_environments(pod, "request.object")
        pod_review.sized(pod, "request.object")
        before = pod_review.before_update(request, pod) if request.operation == "UPDATE" else None
        if before is not None and final and not request.sub_resource and not updates.matters(pod, before):
            return NOTHING_SAID
        if not namespace:
            raise ReviewError("request.namespace", "is missing")
        gpu_containers = requests.read(pod.spec, configuration.names) if pod.spec else []
        names_claims = bool(final and before is None and pod.spec and pod.spec.resource_claims)
        if not gpu_containers and not names_claims and not (final and guard.sees(pod)):
            return NOTHING_SAID
        if len(gpu_containers) > MOST_GPU_CONTAINERS:
            raise ReviewError(
                "request.object.spec",
                f"{len(gpu_containers)} containers request GPUs; more than {MOST_GPU_CONTAINERS} are not supported, "
                "and no node has GPUs for them",
            )
        exemptions = configuration.exemptions
        if exempt := exemptions.of_request(namespace, request.user_info.username) or exemptions.of_pod(pod):
            return AdmissionResult(review.allowance(annotations={"exempt": exempt}))
        case = PodCase(
            request, pod, gpu_containers, configuration, self._nodes, final, before, names_claims=names_claims
        )
        return LookupRequest(namespace) if labels is None else self._evaluate(case, namespace, labels, given)

    def _evaluate(
        self, case: PodCase, namespace: str, labels: Labels, given: LookupResults
    ) -> AdmissionResult | LookupRequest:
        if not isinstance(labels, NamespaceLabels):
            if case.needs_labels():
                raise labels
            return AdmissionResult(review.allowance(annotations={"error": str(labels)}))
        case.policies = case.configuration.policies.select(labels)
        if wanted := case.wanted():
            if given.claims is None:
                return LookupRequest(namespace, wanted)
            case.resolve(given.claims)
        case.read_claims()
        if case.final:
            response = self._validate(case)
        else:
            response = self._mutate(case) if case.before is None else self._restore(case, case.before)
        return AdmissionResult(response, tuple(case.evaluated))

    def _restore(self, case: PodCase, before: Pod) -> bytes:
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
            return review.ALLOWED
        patched = review.to_json(operations).encode()
        return review.allowance(patched, annotations={"restored-by-policy": policy.name})

    def _mutate(self, case: PodCase) -> bytes:
        policies = case.policies
        decided, decision = case.decide(policies.enforce)
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
            # ``validate`` reports the others, or an admission policy, if the pod is the common case in the end.
            warnings += [one.message for one in decision.warnings if not one.rule.final]
        case.record("mutate", "enforce", policies.enforce, decision, acted=acts)
        warnings += self._warn(case)
        self._audit(case, annotations)
        if policies.problems:
            warnings += [f"namespace {problem.path}: {problem.message}" for problem in policies.problems]
        # Regardless of the nodes: they may have changed when ``validate`` is called, and it expects the pod rewritten.
        made = review.to_json(patch(case.pod, decided.edits)).encode() if acts and decided.edits else b""
        return review.allowance(made, response_messages.within_budget(warnings), annotations)

    def _warn(self, case: PodCase) -> list[str]:
        """Return the warnings of the warn policy, unless it is the enforce policy."""
        policy = case.policies.warn
        if policy is ANY_POLICY or policy == case.policies.enforce:
            return []
        _, decision = case.decide(policy)
        case.record("mutate", "warn", policy, decision, acted=False)
        return response_messages.would_be(decision, policy)

    def _audit(self, case: PodCase, annotations: dict[str, str]) -> None:
        """Add the annotations of the audit policy: its decision in full."""
        policy = case.policies.audit
        if policy is ANY_POLICY:
            return
        decided, decision = case.decide(policy)
        response_messages.annotate(annotations, "audit", policy, decision)
        response_messages.annotate_patch(annotations, "audit", patch(case.pod, decided.edits))
        case.record("mutate", "audit", policy, decision, acted=False)

    def _validate(self, case: PodCase) -> bytes:
        policy = case.policies.enforce
        acts = case.configuration.mode is Mode.ENFORCE
        decision = case.decide_finally(policy, acts=acts)
        # In audit mode nothing is rewritten, so an outstanding rewrite is not an error.
        if acts and (outstanding := not_rewritten(decision.edits, policy)):
            decision = Decision((), (outstanding, *decision.findings), decision.gpu_containers)
        elif acts and case.before is None and policy.fleet_response is FindingAction.DENY:
            # ``mutate`` has reported what only warns.
            fleet = self._nodes.fleet
            on_nodes = with_fleet_findings(decision, case.pod, policy, fleet) if fleet else decision
            decision = on_nodes if on_nodes.denials else decision
        annotations: dict[str, str] = {}
        if decision.gpu_containers or decision.findings:
            case.record("validate", "enforce", policy, decision, acted=acts)
        if acts and decision.denials:
            response_messages.annotate(annotations, "enforce", policy, decision)
            response_messages.annotate_claims(annotations, case.pod, case.claims)
            return review.denial(decision.denials, annotations)
        unheard = case.unheard(decision, policy)
        if unheard.findings:
            response_messages.annotate(annotations, "enforce", policy, unheard)
        if acts:
            warnings = response_messages.advice(decision)
        else:
            # ``mutate`` has reported everything else.
            warnings = response_messages.would_be(unheard, policy)
            annotations |= {"mode": Mode.AUDIT.value} if unheard.findings else {}
        warnings += self._report_unheard(case, annotations)
        response_messages.annotate_claims(annotations, case.pod, case.claims)
        return review.allowance(warnings=response_messages.within_budget(warnings), annotations=annotations)

    def _report_unheard(self, case: PodCase, annotations: dict[str, str]) -> list[str]:
        """Report the parts of the warn and audit decisions that ``mutate`` has not reported."""
        policies = case.policies
        warnings: list[str] = []
        for mode, policy in (("warn", policies.warn), ("audit", policies.audit)):
            if policy is ANY_POLICY or (mode == "warn" and policy == policies.enforce):
                continue
            unheard = case.unheard(case.decide_finally(policy), policy)
            if not unheard.findings:
                continue
            case.record("validate", mode, policy, unheard, acted=False)
            if mode == "audit":
                response_messages.annotate(annotations, mode, policy, unheard)
            else:
                warnings += response_messages.would_be(unheard, policy)
        return warnings

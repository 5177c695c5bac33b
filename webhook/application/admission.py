"""Admission: a review in, a review out. ``/mutate`` and ``/validate`` are two views of one decision."""

from collections.abc import Callable

import msgspec

from webhook.application import review, telling
from webhook.application.configuration import Configuration, Mode
from webhook.application.namespaces import Namespaces
from webhook.application.recorder import Recorded, Recorder
from webhook.application.review import Request, ReviewError
from webhook.engine import requests
from webhook.engine.decision import Decision, Outcome, decide
from webhook.engine.patch import patch
from webhook.engine.pods import Pod
from webhook.engine.policy import ANY_POLICY, NamespacePolicies, Policy
from webhook.engine.rules.outstanding import not_rewritten


class _PodObject(Pod):
    """The object of a request, which may name its kind."""

    kind: str = "Pod"


_POD = msgspec.json.Decoder(_PodObject)


class _Case(msgspec.Struct):
    """A request whose pod asks for GPUs and is not exempt, with everything that decides it."""

    request: Request
    pod: Pod
    policies: NamespacePolicies
    configuration: Configuration

    def decide(self, policy: Policy) -> Decision:
        return decide(self.pod, policy, self.configuration.plugin)


class Admission:
    """The answers to admission reviews of pods.

    Every method raises ``ReviewError`` for a review that can't be read, and ``NamespaceUnavailable`` or
    ``NamespaceNotFound`` where the namespace's labels can't be had. The HTTP side answers these with HTTP errors, so that
    the webhook's failurePolicy decides; a verdict is always a review.
    """

    def __init__(self, configuration: Configuration, namespaces: Namespaces, recorder: Recorder) -> None:
        """Decide by a configuration, which may be replaced whole at any time, and the labels of namespaces."""
        self.configuration = configuration
        self._namespaces = namespaces
        self._recorder = recorder

    async def mutate(self, body: bytes) -> bytes:
        """The patch of the enforce policy, and what the warn and audit policies say of the pod as it arrives.

        Never refuses: that is ``validate``'s, on the pod that all webhooks have made together.
        """
        return await self._answer(body, self._mutate)

    async def validate(self, body: bytes) -> bytes:
        """Refuses what the enforce policy refuses, and what it would still have to rewrite."""
        return await self._answer(body, self._validate)

    async def _answer(self, body: bytes, judge: Callable[[_Case], bytes]) -> bytes:
        configuration = self.configuration
        request = review.decode(body)
        if request.operation != "CREATE" or request.sub_resource:
            return review.allowed(request)
        exemptions = configuration.exemptions
        # Before the pod is read: where everything is exempt, not even a pod that can't be read is refused.
        if exempt := exemptions.of_request(request.namespace, request.user_info.username):
            return review.allowed(request, annotations={"exempt": exempt})
        pod = _pod(request)
        namespace = request.namespace or (pod.metadata and pod.metadata.namespace) or ""
        if not namespace:
            raise ReviewError("request.namespace", "is missing")
        if pod.spec is None or not requests.read(pod.spec):
            return review.allowed(request)
        if exempt := exemptions.of_request(namespace, request.user_info.username) or exemptions.of_pod(pod):
            return review.allowed(request, annotations={"exempt": exempt})
        labels = self._namespaces.cached(namespace)
        if labels is None:
            labels = await self._namespaces.fetch(namespace)
        return judge(_Case(request, pod, configuration.policies.select(labels), configuration))

    def _mutate(self, case: _Case) -> bytes:
        policies = case.policies
        decision = case.decide(policies.enforce)
        operations = patch(case.pod, decision.edits)
        annotations: dict[str, str] = {}
        warnings: list[str] = []
        acts = case.configuration.mode is Mode.ENFORCE
        if not acts or decision.outcome is not Outcome.UNCHANGED or decision.findings:
            telling.annotate(annotations, "enforce", policies.enforce, decision)
        if not acts:
            annotations["mode"] = Mode.AUDIT.value
            telling.annotate_patch(annotations, "enforce", operations)
            warnings += telling.would_be(decision, policies.enforce)
        elif decision.outcome is not Outcome.DENIED:
            warnings += telling.advice(decision)
        self._record("mutate", "enforce", policies.enforce, decision, case, acted=acts)
        warnings += self._warn(case)
        self._audit(case, annotations)
        warnings += [f"namespace {problem.path}: {problem.message}" for problem in policies.problems]
        return review.allowed(case.request, operations if acts else None, telling.within_budget(warnings), annotations)

    def _warn(self, case: _Case) -> list[str]:
        """What the warn policy would do, unless it is what the enforce policy does anyway."""
        policy = case.policies.warn
        if policy is ANY_POLICY or policy == case.policies.enforce:
            return []
        decision = case.decide(policy)
        self._record("mutate", "warn", policy, decision, case, acted=False)
        return telling.would_be(decision, policy)

    def _audit(self, case: _Case, annotations: dict[str, str]) -> None:
        """What the audit policy would do, in full."""
        policy = case.policies.audit
        if policy is ANY_POLICY:
            return
        decision = case.decide(policy)
        telling.annotate(annotations, "audit", policy, decision)
        telling.annotate_patch(annotations, "audit", patch(case.pod, decision.edits))
        self._record("mutate", "audit", policy, decision, case, acted=False)

    def _validate(self, case: _Case) -> bytes:
        policy = case.policies.enforce
        decision = case.decide(policy)
        acts = case.configuration.mode is Mode.ENFORCE
        # In a dry run nothing is rewritten, so that a rewrite is still to be made means nothing.
        if acts and (outstanding := not_rewritten(decision.edits, policy)):
            decision = Decision((), (outstanding, *decision.findings), decision.asks)
        self._record("validate", "enforce", policy, decision, case, acted=acts)
        if not acts:
            return review.allowed(case.request)
        if decision.denials:
            annotations: dict[str, str] = {}
            telling.annotate(annotations, "enforce", policy, decision)
            return review.denied(case.request, decision.denials, annotations)
        return review.allowed(case.request, warnings=telling.within_budget(telling.advice(decision)))

    def _record(  # noqa: PLR0913 - the fields of one value
        self, path: str, mode: str, policy: Policy, decision: Decision, case: _Case, *, acted: bool
    ) -> None:
        self._recorder.decided(Recorded(mode, policy, decision, acted, path, case.request, case.pod))


def _pod(request: Request) -> Pod:
    """The pod of a CREATE.

    Raises:
        ReviewError: where there is none, or it can't be read as one.
    """
    if request.kind and (request.kind.kind != "Pod" or request.kind.group):
        raise ReviewError("request.kind", f'must be a core "Pod", not "{request.kind.group}/{request.kind.kind}"')
    if not request.has_object:
        raise ReviewError("request.object", "is missing; a CREATE carries the object that is created")
    pod = review.decode_json(_POD, request.object, "request.object")
    if pod.kind != "Pod":
        raise ReviewError("request.object.kind", f'must be "Pod", not "{pod.kind}"')
    return pod

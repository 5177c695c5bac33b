"""Advising: what will become of a workload's pods, said when its template is applied. Never a change, never a denial."""

from collections.abc import Callable
from functools import cache

import msgspec

from webhook.application import response_messages, review
from webhook.application.configuration import Configuration, Mode
from webhook.application.label_wait import Labels, Wanted, answered
from webhook.application.namespaces import Namespaces
from webhook.application.recorder import Recorded, Recorder
from webhook.application.review import Request
from webhook.application.workload_kinds import WorkloadKind, WorkloadPod
from webhook.application.workload_views import pods, view
from webhook.application.workloads import workload_of
from webhook.engine import guard, requests
from webhook.engine.decision import Decision, Outcome, decide
from webhook.engine.labels import NamespaceLabels
from webhook.engine.patch import patch
from webhook.engine.pods import Metadata, Pod
from webhook.engine.policy import ANY_POLICY, Policy


class _Case(msgspec.Struct):
    """A request whose template requests GPUs, or may reach them otherwise, and is not exempt, with everything that decides it."""

    request: Request
    where: WorkloadPod
    pod: Pod
    configuration: Configuration


class Advising:
    """The answers to admission reviews of workloads that hold the template of pods.

    Raises ``ReviewError`` for a review that can't be read. Where the namespace's labels are not available the workload passes,
    with an audit annotation that says so: its pods will be judged when they are created.
    """

    def __init__(self, configuration: Callable[[], Configuration], namespaces: Namespaces, recorder: Recorder) -> None:
        """Decide by the configuration of the moment and the labels of namespaces."""
        self._configuration = configuration
        self._namespaces = namespaces
        self._recorder = recorder

    async def advise(self, body: bytes) -> bytes:
        """Warnings by the policy that advises, audit annotations by the audit policy."""
        configuration = self._configuration()
        answer = answered(self._namespaces, lambda given: self._answer_with(body, configuration, given.labels))
        return answer if isinstance(answer, bytes) else await answer

    def _answer_with(self, body: bytes, configuration: Configuration, labels: Labels | None) -> bytes | Wanted:
        """The answer by the labels that are given, or else by those that are cached; or whose labels it needs."""
        request = review.decode(body)
        if request.operation not in ("CREATE", "UPDATE") or request.sub_resource or request.kind is None:
            return review.allowed(request)
        kind = request.kind
        workload = workload_of(f"{kind.group}/{kind.version}" if kind.group else kind.version, kind.kind)
        if workload is None or not workload.is_built_in or not request.has_object:
            return review.allowed(request)
        review.bound(body)
        read = review.decode_json(_decoder(workload), request.object, "request.object")
        where, pod = next(pods(workload, read), (None, None))
        if where is None or pod is None or pod.spec is None:
            return review.allowed(request)
        review.sized(pod, f"request.object.{where.field('')}".rstrip("."))
        if not (requests.read(pod.spec, configuration.names) or guard.sees(pod)):
            return review.allowed(request)
        if not request.name:
            # A name that the API server is yet to make: what is recorded says at least how it begins.
            request.name = (read.metadata and read.metadata.generate_name) or ""
        exemptions = configuration.exemptions
        exempt = exemptions.of_request(request.namespace, request.user_info.username) or exemptions.of_pod(pod)
        if exempt:
            return review.allowed(request, annotations={"exempt": exempt})
        labels = labels or self._namespaces.cached(request.namespace)
        return (
            Wanted(request.namespace)
            if labels is None
            else self._advice(_Case(request, where, pod, configuration), labels)
        )

    def _advice(self, case: _Case, labels: Labels) -> bytes:
        if not isinstance(labels, NamespaceLabels):
            return review.allowed(case.request, annotations={"error": str(labels)})
        policies = case.configuration.policies.select(labels)
        annotations: dict[str, str] = {}
        dry_run = case.configuration.mode is Mode.AUDIT
        policy = policies.enforce if dry_run and policies.advise is ANY_POLICY else policies.advise
        decision = self._decide(case, "warn", policy)
        if decision.outcome is Outcome.REWRITTEN and policy is policies.enforce and not dry_run:
            # Rewriting is what an enforced policy is for; only what goes wrong is worth a word at every apply.
            warnings = response_messages.advice(decision)
        else:
            warnings = response_messages.would_be(decision, policy)
        if policies.audit is not ANY_POLICY:
            audited = self._decide(case, "audit", policies.audit)
            response_messages.annotate(annotations, "audit", policies.audit, audited)
            response_messages.annotate_patch(annotations, "audit", patch(case.pod, audited.edits, case.where.pointer))
        response_messages.annotate_claims(annotations, case.pod)
        warnings += [f"namespace {problem.path}: {problem.message}" for problem in policies.problems]
        return review.allowed(case.request, warnings=response_messages.within_budget(warnings), annotations=annotations)

    def _decide(self, case: _Case, mode: str, policy: Policy) -> Decision:
        decision = decide(case.pod, policy, case.configuration.plugin, names=case.configuration.names)
        recorded = Recorded(mode, policy, decision, False, "advise", case.request, case.pod)  # noqa: FBT003 - acted: never
        self._recorder.decided(recorded)
        return decision


class _Workload(msgspec.Struct):
    """What is read of objects of every kind; ``view`` adds what leads to their pods."""

    metadata: Metadata | None = None


@cache
def _decoder(kind: WorkloadKind) -> msgspec.json.Decoder[_Workload]:
    return msgspec.json.Decoder(view(kind, _Workload))

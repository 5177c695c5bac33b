"""Advising: the effect of policies on a workload's pods, reported when its template is applied. Changes and denies nothing."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from ..engine import guard, requests
from ..engine.decision import UNTOUCHED, Decision, Outcome
from ..engine.fleet.fleet_findings import with_fleet_findings
from ..engine.fleet.prefer_offered import preferring
from ..engine.namespace_labels import NamespaceLabels
from ..engine.patch import patch
from ..engine.pods import Metadata, Pod
from ..engine.policy import ANY_POLICY, Policy, Prefer
from . import pod_review, response_messages, review
from .claims import decide_by_names
from .configuration import Configuration, Mode
from .evaluation import EvaluatedPod
from .kind_lookup import workload_of
from .lookups import Labels, LookupRequest, LookupResults
from .manifest_labels import gives_pods_no_annotations, labels_and_annotations, unread_memory
from .namespaced_reviews import NamespacedReviews
from .operator_objects import pods_in, requesting, title
from .operator_traps import OperatorObject, traps
from .pod_counts import pod_count
from .recorder import DecisionSummary, RecordedDecision
from .review import AdmissionRequest, Answering
from .workload_kinds import WorkloadKind, WorkloadPod
from .workload_views import pods, view


class _Case(msgspec.Struct):
    """A request whose pods request GPUs, or may reach them otherwise, and are not exempt, with everything that decides it."""

    request: AdmissionRequest
    workload: WorkloadKind
    pods: list[EvaluatedPod]  # not evaluated yet
    data: Mapping[str, Any]
    configuration: Configuration


class Advising(NamespacedReviews):
    """The answers to admission reviews of workloads that hold the template of pods.

    Raises ``ReviewError`` for a review that can't be read. If the namespace's labels are not available, the workload passes,
    with an audit annotation that records it: its pods will be evaluated when they are created.
    """

    def advise(self, body: bytes) -> Answering:
        """Answer with warnings by the policy that advises, and audit annotations by the audit policy."""
        return self._answered(body)

    def _answer(self, body: bytes, configuration: Configuration, given: LookupResults) -> bytes | LookupRequest:
        request = review.decode(body)
        if request.operation not in ("CREATE", "UPDATE") or request.sub_resource or request.kind is None:
            return review.allowed(request)
        kind = request.kind
        workload = workload_of(
            f"{kind.group}/{kind.version}" if kind.group else kind.version, kind.kind, configuration.kinds
        )
        if workload is None or workload.is_pod or workload.cluster_scoped or not request.has_object:
            return review.allowed(request)
        review.bound(body)
        data, found = (_of_built_in if workload.is_built_in else _of_operator)(workload, request)
        described = [
            one
            for one in found
            if one.pod.spec and (requests.read(one.pod.spec, configuration.names) or guard.sees(one.pod))
        ]
        if not described:
            return review.allowed(request)
        exemptions = configuration.exemptions
        of_request = exemptions.of_request(request.namespace, request.user_info.username)
        exempt = [of_request or exemptions.of_pod(one.pod) for one in described]
        if all(exempt):
            return review.allowed(request, annotations={"exempt": exempt[0] or ""})
        described = [one for one, why in zip(described, exempt, strict=True) if not why]
        labels = given.labels or self._namespaces.cached(request.namespace)
        return (
            LookupRequest(request.namespace)
            if labels is None
            else self._advice(_Case(request, workload, described, data, configuration), labels)
        )

    def _advice(self, case: _Case, labels: Labels) -> bytes:
        if not isinstance(labels, NamespaceLabels):
            return review.allowed(case.request, annotations={"error": str(labels)})
        policies = case.configuration.policies.select(labels)
        annotations: dict[str, str] = {}
        dry_run = case.configuration.mode is Mode.AUDIT
        policy = policies.enforce if dry_run and policies.advise is ANY_POLICY else policies.advise
        warnings: list[str] = []
        evaluated = self._evaluated(case, "warn", policy)
        for one in evaluated:
            if one.decision.outcome is Outcome.REWRITTEN and policy is policies.enforce and not dry_run:
                # Rewriting is what an enforced policy is for; only problems are reported at every apply.
                sentences = response_messages.advice(one.decision)
            else:
                sentences = response_messages.would_be(one.decision, policy)
            warnings += [f"{one.title}{sentence}" for sentence in sentences]
        applied = OperatorObject(case.data, evaluated, lambda pod: self._decision(case, pod, policy))
        warnings += [trap.message for trap in traps(case.workload, applied)]
        if policies.audit is not ANY_POLICY:
            audited = self._evaluated(case, "audit", policies.audit)
            edits = tuple(edit for one in audited for edit in one.decision.edits)
            findings = tuple(finding for one in audited for finding in one.decision.findings)
            response_messages.annotate(annotations, "audit", policies.audit, Decision(edits, findings))
            if case.workload.is_built_in:
                first = audited[0]
                operations = patch(first.pod, first.decision.edits, first.where.pointer)
                response_messages.annotate_patch(annotations, "audit", operations)
        for one in evaluated:
            response_messages.annotate_claims(annotations, one.pod)
        if policy.prefer is Prefer.MEMORY and gives_pods_no_annotations(case.workload):
            _, annotations_of_object = labels_and_annotations(case.data)
            warnings += [f"{one.path}: {one.message}" for one in unread_memory(annotations=annotations_of_object)]
        warnings += [f"namespace {problem.path}: {problem.message}" for problem in policies.problems]
        return review.allowed(case.request, warnings=response_messages.within_budget(warnings), annotations=annotations)

    def _evaluated(self, case: _Case, mode: str, policy: Policy) -> list[EvaluatedPod]:
        """The pods with the decisions of a mode's policy, which are recorded."""
        evaluated = []
        for one in case.pods:
            decision, pod = self._decision(case, one.pod, policy), one.pod
            made = DecisionSummary.of(
                "advise", mode, policy, decision, operation=case.request.operation, spec=pod.spec, acted=False
            )
            self._recorder.decided(RecordedDecision(made, case.request, pod.metadata))
            evaluated.append(msgspec.structs.replace(one, decision=decision))
        return evaluated

    def _decision(self, case: _Case, pod: Pod, policy: Policy) -> Decision:
        plugin, fleet = case.configuration.plugin, self._nodes.fleet
        acting = preferring(policy, plugin, fleet) if fleet else policy
        decision = decide_by_names(pod, acting, case.configuration)
        return with_fleet_findings(decision, pod, policy, fleet, case.workload.tolerations) if fleet else decision


def _of_built_in(workload: WorkloadKind, request: AdmissionRequest) -> tuple[Mapping[str, Any], list[EvaluatedPod]]:
    """The labels and annotations of an object of a built-in kind, and the pod that it describes."""
    read = review.decode_json(_decoder(workload), request.object, _ROOT)
    metadata = read.metadata or _Metadata()
    _name(request, metadata.generate_name or "")
    found = [EvaluatedPod(where, _sized(pod, where), UNTOUCHED) for where, pod in pods(workload, read)]
    return {"metadata": {"labels": metadata.labels, "annotations": metadata.annotations}}, found


def _of_operator(workload: WorkloadKind, request: AdmissionRequest) -> tuple[Mapping[str, Any], list[EvaluatedPod]]:
    """An object of an operator's kind; the pods that it describes, and what it requests outside of pod templates."""
    read = review.decode_json(_OBJECT, request.object, _ROOT)
    metadata = read.get("metadata")
    _name(request, str(metadata.get("generateName") or "") if isinstance(metadata, dict) else "")
    found = [
        EvaluatedPod(where, _sized(pod, where), UNTOUCHED, title(workload, where, pod_count(workload, read, where)))
        for where, pod in pods_in(workload, read)
    ]
    outside = requesting(workload, read)
    return read, [*found, EvaluatedPod(WorkloadPod(()), outside, UNTOUCHED, _OUTSIDE)]


def _sized(pod: Pod, where: WorkloadPod) -> Pod:
    return pod_review.sized(pod, f"{_ROOT}.{where.field('')}".rstrip("."))


def _name(request: AdmissionRequest, begins: str) -> None:
    """Record the prefix of a name that the API server will generate."""
    request.name = request.name or begins


_ROOT = "request.object"
_OUTSIDE = "its pods, when they are created: "
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class _Metadata(Metadata, rename="camel"):
    labels: dict[str, str] | None = None


class _Workload(msgspec.Struct):
    """The fields of objects of every built-in kind; ``view`` adds those that lead to their pods."""

    metadata: _Metadata | None = None


@cache
def _decoder(kind: WorkloadKind) -> msgspec.json.Decoder[_Workload]:
    return msgspec.json.Decoder(view(kind, _Workload))

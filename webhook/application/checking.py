"""Checking: what admission would make of objects in manifests, without a cluster or a review."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..engine import claim_rewriting, requests
from ..engine.claim_objects import Claim
from ..engine.claims import CLAIM, NO_CLAIMS, Claims, Reference, Resolved, of_object, references
from ..engine.claims import read as read_claims
from ..engine.decision import Decision, decide
from ..engine.findings import Finding
from ..engine.fleet.fleet import Fleet
from ..engine.fleet.fleet_findings import with_fleet_findings
from ..engine.fleet.prefer_offered import preferring
from ..engine.namespace_labels import NamespaceLabels
from ..engine.patch import patch
from ..engine.pods import Pod
from ..engine.policy import Policy
from ..engine.rules import claim_objects
from . import field_paths, operator_objects, unevaluated_requests
from .claim_admission import ClaimMetadata
from .claims import (
    GROUP,
    KnownClaims,
    claim_in,
    decide_by_names,
    described,
    not_looked_up,
    template_not_looked_up,
)
from .configuration import Configuration
from .evaluation import EvaluatedPod, Evaluation
from .field_paths import mapping
from .kind_lookup import identity, not_served, workload_of
from .manifest_labels import is_namespace, label_problems, labels_and_annotations
from .operator_traps import OperatorObject, traps
from .pod_counts import Autoscalers, PlannedPods, pod_count
from .type_mismatches import TypeMismatch, TypeMismatchError, convert
from .unevaluated import Unevaluated, unevaluated
from .unevaluated_parts import UnevaluatedPart
from .workload_kinds import WorkloadKind, WorkloadPod
from .workload_pods import pods_of


def is_of_one_pod(manifest: Mapping[str, Any]) -> bool:
    """Whether an object is a ResourceClaim that Kubernetes made for one pod."""
    try:
        return manifest.get("kind") == CLAIM and convert(manifest.get("metadata"), ClaimMetadata).is_of_one_pod
    except TypeMismatchError:
        return False


class Checker:
    """Evaluates objects by the policies of their namespaces, as the webhook would."""

    def __init__(  # noqa: PLR0913 - everything that decides
        self,
        configuration: Configuration,
        namespaces: Mapping[str, NamespaceLabels],
        *,
        namespace: str | None = None,
        policy: Policy | None = None,
        claims: KnownClaims | None = None,
        fleet: Fleet | None = None,
        autoscalers: Autoscalers | None = None,
    ) -> None:
        """Take what decides.

        ``namespaces`` are the labels of those that are known; others have none. ``namespace`` is that of objects that name none,
        as with kubectl's ``--namespace``. ``policy`` is one for every object, instead of its namespace's. Claims that are not
        among ``claims`` are not evaluated. ``autoscalers`` count the pods.
        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._namespace = namespace or "default"
        self._policy = policy
        self._claims = claims or {}
        self._fleet = fleet
        self._autoscalers = autoscalers or {}

    def evaluate(self, manifest: Mapping[str, Any]) -> Evaluation:
        """Evaluate an object.

        Raises:
            UnreadablePodError: the object is a workload whose pod can't be read.
        """
        known = self.identify(manifest)
        workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"), self._configuration.kinds)
        if workload is None and (kept := claim_in(manifest)):
            return self._of_claim(known, kept, of_one_pod=is_of_one_pod(manifest))
        if workload is None or not workload.is_built_in:
            return self._of_operator(known, workload, manifest)
        found = next(pods_of(workload, manifest), None)
        if found is None:
            return known
        where, pod = found
        if pod.spec and workload.is_pod and mapping(manifest.get("metadata")).get("uid"):
            # A pod from a cluster: its scheduler has placed it.
            pod.spec.node_name = None
        known = self._with_beside(known, where, pod, next(field_paths.find(manifest, where.place))[1])
        known, decision, exempt = self._decided(known, workload, where, pod)
        count = self._count(known, workload, manifest, where)
        evaluated = EvaluatedPod(where, pod, decision, is_exempt=bool(exempt), count=count)
        known = msgspec.structs.replace(known, pods=(evaluated,), exempt=exempt)
        if exempt:
            return known
        findings = tuple(msgspec.structs.replace(f, path=where.field(f.path)) for f in decision.findings)
        operations = tuple(patch(pod, decision.edits, where.pointer))
        findings += self._traps(workload, manifest, known.policy, [evaluated])
        notes = tuple(not_served(workload, manifest.get("apiVersion"))) if decision.gpu_containers else ()
        return msgspec.structs.replace(known, operations=operations, findings=findings, notes=notes)

    def evaluate_claim(self, namespace: str, name: Reference, kept: Claim) -> Evaluation:
        """Evaluate a ResourceClaim that is not of one pod, or a ResourceClaimTemplate, from the fields that are kept."""
        metadata = {"name": name.name, "namespace": namespace}
        known = self.identify({"apiVersion": f"{GROUP}/v1", "kind": name.kind, "metadata": metadata})
        return self._of_claim(known, kept, of_one_pod=False)

    def _of_claim(self, known: Evaluation, kept: Claim, *, of_one_pod: bool) -> Evaluation:
        name = Reference(known.kind, known.name)
        configuration = self._configuration
        requested = tuple(described(Claims(of_object(name, kept, configuration.classes, shared=False))))
        if not requested:
            return known
        exempt = configuration.exemptions.of_request(known.namespace, "")
        found = claim_objects.findings(name, kept, known.policy, configuration.classes, of_one_pod=of_one_pod)
        return msgspec.structs.replace(
            known, unevaluated=None, other_requests=requested, exempt=exempt, findings=() if exempt else tuple(found)
        )

    def _decided(
        self, known: Evaluation, workload: WorkloadKind | None, where: WorkloadPod, pod: Pod
    ) -> tuple[Evaluation, Decision, str | None]:
        """Return the evaluation with a pod's claims, the decision (if exempt, only its requests), and why it is exempt."""
        configuration = self._configuration
        gpu_containers = requests.read(pod.spec, configuration.names) if pod.spec else []
        resolved = self._resolved(known, pod)
        claims = read_claims(pod.spec, gpu_containers, resolved, configuration.classes) if pod.spec else NO_CLAIMS
        policy = preferring(known.policy, configuration.plugin, self._fleet) if self._fleet else known.policy
        decision = decide(pod, policy, configuration.plugin, found=gpu_containers, claims=claims, resolved=resolved)
        exemptions = configuration.exemptions
        exempt = exemptions.of_request(known.namespace, "") or exemptions.of_pod(pod)
        unknown = (
            ()
            if exempt
            else (
                *not_looked_up(claims.unknown, where.field, known.namespace),
                *template_not_looked_up(decision, known.policy, resolved, where.field, known.namespace),
            )
        )
        known = msgspec.structs.replace(
            known,
            claims=(*known.claims, *(claim.name for claim in (pod.spec and pod.spec.resource_claims) or ())),
            claims_unknown=(*known.claims_unknown, *unknown),
            other_requests=(*known.other_requests, *described(claims)),
        )
        if exempt:
            return known, Decision(gpu_containers=decision.gpu_containers), exempt
        if self._fleet:
            tolerations = workload.tolerations if workload else ()
            decision = with_fleet_findings(decision, pod, known.policy, self._fleet, tolerations)
        return known, decision, None

    def _resolved(self, known: Evaluation, pod: Pod) -> Resolved:
        """Return what a pod's claims name, and the template that its requests become claims of, if they are among the objects."""
        named = claim_rewriting.references([known.policy])
        named += references(pod.spec) if pod.spec else []
        keys = {one: (known.namespace, one) for one in named}
        return {one: self._claims[key] for one, key in keys.items() if key in self._claims}

    def _of_operator(self, known: Evaluation, workload: WorkloadKind | None, manifest: Mapping[str, Any]) -> Evaluation:
        """Evaluate the pods of an operator's kind: each template as the pods created from it will be."""
        pods: list[EvaluatedPod] = []
        findings: list[Finding] = []
        vendors: list[UnevaluatedPart] = []
        exempt = None
        for where, pod in operator_objects.pods_in(workload, manifest):
            known, decision, why = self._decided(known, workload, where, pod)
            exempt = exempt or why
            count = self._count(known, workload, manifest, where)
            title = operator_objects.title(workload, where, count)
            pods.append(EvaluatedPod(where, pod, decision, title, is_exempt=bool(why), count=count))
            vendors += unevaluated_requests.sentences(
                where, unevaluated_requests.other_vendors(pod, self._configuration.names), ()
            )
            findings += (
                msgspec.structs.replace(f, path=where.field(f.path), reason=f"{where.field('')}: {f.reason}")
                for f in decision.findings
            )
        asking = [one for one in pods if one.decision.gpu_containers]
        exempt = exempt if all(one.is_exempt for one in asking) and not findings else None
        notes: tuple[str, ...] = ()
        found = known.findings
        if workload and asking:
            found = (*self._traps(workload, manifest, known.policy, asking), *found)
            notes = tuple(operator_objects.notes(workload, manifest, trapped=bool(found)))
        return msgspec.structs.replace(
            known,
            pods=tuple(pods),
            findings=() if exempt else (*findings, *found),
            beside=tuple(vendors),
            exempt=exempt,
            notes=notes,
        )

    def _count(
        self, known: Evaluation, workload: WorkloadKind | None, manifest: Mapping[str, Any], where: WorkloadPod
    ) -> PlannedPods:
        name = known.namespace, identity(known.api_version, known.kind), known.name
        return pod_count(workload, manifest, where, self._autoscalers.get(name))

    def _left(
        self, workload: WorkloadKind | None, manifest: Mapping[str, Any], policy: Policy
    ) -> tuple[Unevaluated | None, tuple[Finding, ...]]:
        """Evaluate an object of another kind without the pods in it, which are evaluated separately.

        Returns:
            Its requests outside of those pods, if there are any, and the findings of the rule ``operator-trap``.
        """
        # The claims of these pods are reported with them.
        pods = operator_objects.pods_in(workload, manifest)
        names = self._configuration.names
        left = unevaluated(operator_objects.without(manifest, [where for where, _ in pods]), names)
        if workload is None:
            return (left if left or not pods else None), ()
        pod = operator_objects.requesting(workload, manifest)
        if workload.implicit and not (
            left.traces.requests
            or left.traces.claims
            or any(one.spec and requests.read(one.spec, names) for _, one in pods)
        ):
            pod = operator_objects.IMPLICIT
            left = msgspec.structs.replace(left, implicit=True)
        decision = decide_by_names(pod, policy, self._configuration)
        if not left:
            return None, ()
        found = self._traps(workload, manifest, policy, [EvaluatedPod(WorkloadPod(()), pod, decision)])
        notes = tuple(operator_objects.notes(workload, manifest, trapped=bool(found)))
        return msgspec.structs.replace(left, decision=decision, notes=notes), found

    def _traps(
        self, workload: WorkloadKind, manifest: Mapping[str, Any], policy: Policy, pods: Sequence[EvaluatedPod]
    ) -> tuple[Finding, ...]:
        configuration = self._configuration
        applied = OperatorObject(manifest, pods, lambda pod: decide_by_names(pod, policy, configuration))
        return tuple(traps(workload, applied))

    def unreadable(self, manifest: Mapping[str, Any], mismatches: Sequence[TypeMismatch]) -> Evaluation:
        """The evaluation of an object with fields of the wrong type: only its name is known."""
        known = self.identify(manifest)
        return msgspec.structs.replace(
            known, unevaluated=None, findings=(), label_problems=(), mismatches=tuple(mismatches)
        )

    def _with_beside(self, known: Evaluation, where: WorkloadPod, pod: Pod, template: Mapping[str, Any]) -> Evaluation:
        labels, _ = labels_and_annotations(template)
        names = self._configuration.names
        shares = unevaluated_requests.shares(pod, labels)
        annotations = (pod.metadata and pod.metadata.annotations) or {}
        beside = (
            *unevaluated_requests.sentences(where, unevaluated_requests.other_vendors(pod, names), shares),
            *unevaluated_requests.in_metadata(where, annotations, labels, names),
            *known.beside,
        )
        of_kai = (f"{section.removesuffix('s')} {key}: {value}" for section, key, value in shares)
        return msgspec.structs.replace(
            known, beside=beside, other_requests=(*of_kai, *unevaluated_requests.misspelt(pod, names))
        )

    def identify(self, manifest: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation of an object without its pod: whether it is evaluated, and what is wrong with its labels."""
        metadata = mapping(manifest.get("metadata"))
        api_version, kind = str(manifest.get("apiVersion") or ""), str(manifest.get("kind", ""))
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        namespace = name if is_namespace(manifest) else str(metadata.get("namespace") or self._namespace)
        workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"), self._configuration.kinds)
        is_built_in = workload is not None and workload.is_built_in
        elsewhere: list[UnevaluatedPart] = []
        if workload and is_built_in:
            names = self._configuration.names
            elsewhere += unevaluated_requests.misplaced(workload, manifest, names)
            if not workload.is_pod:
                labels, annotations = labels_and_annotations(manifest)
                elsewhere += unevaluated_requests.in_metadata(WorkloadPod(()), annotations, labels, names)
        policy = self._policy_of(namespace)
        left, found = (None, ()) if is_built_in else self._left(workload, manifest, policy)
        return Evaluation(
            api_version,
            kind,
            namespace,
            name,
            policy,
            findings=found,
            unevaluated=left,
            beside=tuple(elsewhere),
            label_problems=tuple(label_problems(manifest, self._configuration)),
        )

    def _policy_of(self, namespace: str) -> Policy:
        if self._policy is not None:
            return self._policy
        labels = self._namespaces.get(namespace, NamespaceLabels())
        return self._configuration.policies.select(labels).enforce

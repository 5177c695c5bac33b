"""Admission of ResourceClaims and ResourceClaimTemplates (DRA): one for GPUs that no pod of its namespace may use is denied.

A pod is evaluated when it is created, with the claims that exist then. Claims that replace them later are evaluated here. Specs
can't change (ValidateResourceClaimUpdate), so an update matters only if it gives an existing claim to a pod: by its metadata,
or, if the policy has limits, by its status (``reservation_admission``).
"""

from typing import Any

import msgspec

from ..engine.claim_objects import Claim, ClaimObject, ClaimTemplateObject, claim
from ..engine.claims import CLAIM, TEMPLATE, Reference, of_object
from ..engine.decision import Decision
from ..engine.namespace_labels import NamespaceLabels
from ..engine.pods import Metadata
from ..engine.policy import ANY_POLICY, Policy
from ..engine.rules import claim_objects
from ..engine.text import Name
from . import reservation_admission, response_messages, review
from .claims import GROUP, OF_RESOURCES
from .configuration import Configuration, Mode
from .lookups import Labels, LookupRequest, LookupResults
from .namespaced_reviews import NamespacedReviews
from .recorder import DecisionSummary, RecordedDecision
from .review import AdmissionRequest, Answering, ReviewError

CONTROLLERS = (
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:serviceaccount:kube-system:resource-claim-controller",
)
"""The users that create claims for pods, which were evaluated: from templates (kube-controller-manager, with its own account or
with one for each controller), and for extended resources (the scheduler). These claims are never denied, even if the policy has
changed. Claims that they create for a PodGroup (``DRAWorkloadResourceClaims``) are evaluated: the group was not, and its pods
name the template, not the claim."""

OF_PODS = ("resource.kubernetes.io/pod-claim-name", OF_RESOURCES)
"""Annotations by which a claim that a pod owns is taken as the pod's (resourceclaim/controller.go ``findPodResourceClaim``,
dynamicresources/extendeddynamicresources.go ``findExtendedResourceClaim``)."""


class _Owner(msgspec.Struct):
    kind: Name = ""
    uid: Name = ""
    controller: bool | None = None


class ClaimMetadata(Metadata, rename="camel"):
    """``metadata`` of a claim or template, with whose it is."""

    name: Name = ""
    owner_references: list[_Owner] | None = None

    @property
    def owners(self) -> set[str]:
        """The controllers that the object belongs to: for a ResourceClaim, at most one pod or PodGroup."""
        return {one.uid for one in self.owner_references or () if one.controller}

    @property
    def marks(self) -> dict[str, str]:
        """Its annotations of ``OF_PODS``."""
        annotations = self.annotations or {}
        return {key: annotations[key] for key in OF_PODS if key in annotations}

    @property
    def is_given(self) -> bool:
        """Whether it is the claim of a pod or a PodGroup."""
        return bool(self.owners and self.marks)

    @property
    def is_of_one_pod(self) -> bool:
        """Whether it is the claim of one pod."""
        return self.is_given and not self.is_of_a_group

    @property
    def is_of_a_group(self) -> bool:
        """Whether it belongs to something other than a pod: to a PodGroup, all of whose pods use it."""
        return any(one.controller and one.kind != "Pod" for one in self.owner_references or ())


class _Claim(ClaimObject):
    metadata: ClaimMetadata = msgspec.field(default_factory=ClaimMetadata)


class _Template(ClaimTemplateObject):
    metadata: ClaimMetadata = msgspec.field(default_factory=ClaimMetadata)


class _Made(msgspec.Struct):
    """A claim or template, of which only its owner is read."""

    metadata: ClaimMetadata = msgspec.field(default_factory=ClaimMetadata)


_CLAIM, _MADE = msgspec.json.Decoder(_Claim), msgspec.json.Decoder(_Made)
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {CLAIM: _CLAIM, TEMPLATE: msgspec.json.Decoder(_Template)}


class _Case(msgspec.Struct, gc=False):
    """A claim or template for GPUs that is not exempt, with everything that decides it."""

    request: AdmissionRequest
    name: Reference
    claim: Claim
    of_one_pod: bool
    configuration: Configuration

    def decide(self, policy: Policy) -> Decision:
        """The decision by a policy: findings only, nothing is ever changed."""
        found = claim_objects.findings(
            self.name, self.claim, policy, self.configuration.classes, of_one_pod=self.of_one_pod
        )
        return Decision((), tuple(found))


class ClaimAdmission(NamespacedReviews):
    """The answers to admission reviews of ResourceClaims and ResourceClaimTemplates.

    Raises ``ReviewError`` for a review that can't be read, ``NamespaceUnavailable`` or ``NamespaceNotFound`` where the
    namespace's labels are not available, and ``PodUnavailable`` for a pod that is given a claim.
    """

    def validate(self, body: bytes) -> Answering:
        """Deny what the enforce policy does not permit; the warn and audit policies only report it."""
        return self._answered(body)

    def _answer(self, body: bytes, configuration: Configuration, given: LookupResults) -> bytes | LookupRequest:
        request = review.decode(body)
        if request.operation == "UPDATE" and request.sub_resource == "status":
            return self._reserved(request, body, configuration, given)
        if request.operation not in {"CREATE", "UPDATE"} or request.sub_resource:
            return review.allowed(request)
        if exempt := _exempt(request, configuration):
            return review.allowed(request, annotations={"exempt": exempt})
        review.bound(body)
        case = _read(request, configuration)
        if case is None:
            return review.allowed(request)
        labels = given.labels or self._namespaces.cached(request.namespace)
        return LookupRequest(request.namespace) if labels is None else self._evaluate(case, labels)

    def _reserved(
        self, request: AdmissionRequest, body: bytes, configuration: Configuration, given: LookupResults
    ) -> bytes | LookupRequest:
        if not configuration.policies.has_limits:
            return review.allowed(request)
        review.bound(body)
        found = reservation_admission.read(request, configuration)
        if isinstance(found, bytes):
            return found
        labels = given.labels or self._namespaces.cached(request.namespace)
        return LookupRequest(request.namespace) if labels is None else found.answer(labels, given.pods, self._recorder)

    def _evaluate(self, case: _Case, labels: Labels) -> bytes:
        """The answer for an object that claims GPUs.

        Raises:
            NamespaceUnavailable, NamespaceNotFound: there are no labels.
        """
        if not isinstance(labels, NamespaceLabels):
            raise labels
        policies = case.configuration.policies.select(labels)
        acts = case.configuration.mode is Mode.ENFORCE
        annotations: dict[str, str] = {}
        enforced = self._decide(case, "enforce", policies.enforce, acted=acts)
        if enforced.denials:
            response_messages.annotate(annotations, "enforce", policies.enforce, enforced)
            if acts:
                return review.denied(case.request, enforced.denials, annotations)
            annotations["mode"] = Mode.AUDIT.value
        warnings = response_messages.would_be(enforced, policies.enforce)
        if policies.warn is not ANY_POLICY and policies.warn != policies.enforce:
            warnings += response_messages.would_be(self._decide(case, "warn", policies.warn), policies.warn)
        if policies.audit is not ANY_POLICY:
            audited = self._decide(case, "audit", policies.audit)
            response_messages.annotate(annotations, "audit", policies.audit, audited)
        return review.allowed(case.request, warnings=response_messages.within_budget(warnings), annotations=annotations)

    def _decide(self, case: _Case, mode: str, policy: Policy, *, acted: bool = False) -> Decision:
        decision = case.decide(policy)
        made = DecisionSummary.of(
            "validate-claim", mode, policy, decision, operation=case.request.operation, spec=None, acted=acted
        )
        self._recorder.decided(RecordedDecision(made, case.request))
        return decision


def _exempt(request: AdmissionRequest, configuration: Configuration) -> str | None:
    """Why a request is exempt.

    Raises:
        ReviewError: the metadata of a controller's object can't be read.
    """
    username = request.user_info.username
    if username in CONTROLLERS and not _is_of_a_group(request):
        return "controller"
    return configuration.exemptions.of_request(request.namespace, username)


def _is_of_a_group(request: AdmissionRequest) -> bool:
    if not request.has_object:
        return False
    return review.decode_json(_MADE, request.object, "request.object").metadata.is_of_a_group


def _read(request: AdmissionRequest, configuration: Configuration) -> _Case | None:
    """The claim or template of a request; ``None`` if it is not for GPUs, or can't affect a pod.

    Raises:
        ReviewError: it can't be read.
    """
    kind = request.kind
    if kind is None or kind.group != GROUP or kind.kind not in _DECODERS:
        got = f"{kind.group}/{kind.kind}" if kind else ""
        raise ReviewError("request.kind", f'must be a ResourceClaim or ResourceClaimTemplate of {GROUP}, not "{got}"')
    if not request.has_object:
        raise ReviewError("request.object", "is missing; a CREATE or UPDATE carries the object")
    read: _Claim | _Template = review.decode_json(_DECODERS[kind.kind], request.object, "request.object")
    metadata, is_claim = read.metadata, kind.kind == CLAIM
    if request.operation == "UPDATE" and not (is_claim and _is_given_to_a_pod(request, metadata)):
        return None
    kept = claim(read.claimed)
    if kept is None:
        raise ReviewError("request.object.spec", f"is not of {GROUP}/v1alpha3 to v1; other versions can't be evaluated")
    request.name = request.name or metadata.name or metadata.generate_name or ""
    name = Reference(kind.kind, request.name)
    if not of_object(name, kept, configuration.classes, shared=False):
        return None
    return _Case(request, name, kept, is_claim and metadata.is_of_one_pod, configuration)


def _is_given_to_a_pod(request: AdmissionRequest, metadata: ClaimMetadata) -> bool:
    """Whether an update gives a claim to a pod or a PodGroup that did not have it."""
    if not metadata.is_given or metadata.deletion_timestamp:
        return False
    is_old = request.has_old_object
    before = review.decode_json(_CLAIM, request.old_object, "request.oldObject").metadata if is_old else ClaimMetadata()
    return not (metadata.owners <= before.owners and metadata.marks.items() <= before.marks.items())

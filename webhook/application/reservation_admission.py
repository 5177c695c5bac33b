"""Admission of reservations (DRA): the status of a ResourceClaim gives it to a pod. Checked if the namespace's policy has limits.

Claims that are replaced while their pod waits are evaluated one by one when they are created. Here the limits hold for all claims
that the pod has by then. The last claim is given when all others are in their final state: a claim that is reserved has a
finalizer, and its spec can't change. If two are given at once, each review was sent before its own write and reads the other
claim afterwards, so at least one of the reads sees the other write.
"""

from collections.abc import Mapping

import msgspec

from ..engine import requests
from ..engine.claim_objects import Claim, ClaimObject, claim
from ..engine.claims import CLAIM, Reference, of_object, references
from ..engine.claims import read as read_claims
from ..engine.decision import Decision
from ..engine.findings import Finding
from ..engine.namespace_labels import NamespaceLabels
from ..engine.pods import Metadata, PodResourceClaim
from ..engine.policy import Policy
from ..engine.rules import claims as rules
from ..engine.text import Name
from . import response_messages, review
from .claims import GROUP, OF_RESOURCES
from .configuration import Configuration, Mode
from .lookups import Labels, LookupRequest
from .pod_review import MOST_HOLDERS
from .recorder import DecisionSummary, RecordedDecision, Recorder
from .reservations import ClaimHolder, ClaimHolders, PodReference, PodUnavailable
from .review import AdmissionRequest, ReviewError

_NOT_EVALUATED = {"not-evaluated": "status.reservedFor"}


class _Consumer(msgspec.Struct, rename="camel"):
    """An entry of ``status.reservedFor``: a pod, or an object of another group."""

    api_group: Name = ""
    resource: Name = ""
    name: Name = ""
    uid: Name = ""

    @property
    def is_pod(self) -> bool:
        return not self.api_group and self.resource == "pods"


class _Status(msgspec.Struct, rename="camel"):
    reserved_for: list[_Consumer] | None = None


class _Claim(ClaimObject):
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    status: _Status | None = None

    @property
    def consumers(self) -> list[_Consumer]:
        """The pods and others that the claim is reserved for."""
        return (self.status and self.status.reserved_for) or []


_DECODER = msgspec.json.Decoder(_Claim)


class Reservation(msgspec.Struct, gc=False):
    """A claim for GPUs that is given to consumers that did not have it, by their places in ``status.reservedFor``."""

    request: AdmissionRequest
    claim: Claim
    of_resources: bool
    """Whether it is the claim of a pod's extended resources, which count by what the containers request."""
    consumers: dict[int, _Consumer]
    configuration: Configuration

    @property
    def pods(self) -> dict[int, PodReference]:
        """The consumers, which must be pods. Kubernetes treats an entry with a pod's uid as that pod, whatever else it names.

        That is ``IsReservedForPod`` of dynamic-resource-allocation/resourceclaim.

        Raises:
            ReviewError: one of them is not a pod.
        """
        for place, one in self.consumers.items():
            if not one.is_pod:
                what = f'{one.resource}.{one.api_group} "{one.name}"'
                raise ReviewError(
                    f"request.object.status.reservedFor[{place}]",
                    f"names {what}; if the policy has limits, only pods get claims for GPUs",
                )
        return {place: PodReference(one.name, one.uid) for place, one in self.consumers.items()}

    def answer(
        self, labels: Labels, holders: ClaimHolders | PodUnavailable | None, recorder: Recorder
    ) -> bytes | LookupRequest:
        """The answer, or the pods that it needs.

        Raises:
            NamespaceUnavailable, NamespaceNotFound: there are no labels.
            PodUnavailable: a pod can't be evaluated.
            ReviewError: a pod does not exist, or a consumer is not a pod.
        """
        if not isinstance(labels, NamespaceLabels):
            raise labels
        policy = self.configuration.policies.select(labels).enforce
        if not policy.has_limits:
            return review.allowed(self.request)
        pods = self.pods
        if holders is None:
            return LookupRequest(self.request.namespace, pods=tuple(pods.values()))
        if isinstance(holders, PodUnavailable):
            raise holders
        return self._evaluate(policy, pods, holders, recorder)

    def _evaluate(
        self, policy: Policy, pods: Mapping[int, PodReference], holders: ClaimHolders, recorder: Recorder
    ) -> bytes:
        known = {place: one for place, one in pods.items() if one in holders}
        found = tuple(
            finding for place, one in known.items() for finding in self._findings(place, one, holders[one], policy)
        )
        annotations = {} if len(known) == len(pods) else dict(_NOT_EVALUATED)
        if not known:
            return review.allowed(self.request, annotations=annotations)
        decision, acts = Decision((), found), self.configuration.mode is Mode.ENFORCE
        made = DecisionSummary.of(
            "validate-claim", "enforce", policy, decision, operation="UPDATE", spec=None, acted=acts
        )
        recorder.decided(RecordedDecision(made, self.request))
        if decision.denials:
            response_messages.annotate(annotations, "enforce", policy, decision)
            if acts:
                return review.denied(self.request, decision.denials, annotations)
            annotations["mode"] = Mode.AUDIT.value
        return review.allowed(self.request, annotations=annotations)

    def _findings(self, place: int, pod: PodReference, holder: ClaimHolder | None, policy: Policy) -> list[Finding]:
        """Return why one pod may not get the claim."""
        field = f"status.reservedFor[{place}]"
        if holder is None:
            raise ReviewError(f"request.object.{field}", f'names {pod} with uid "{pod.uid}", which does not exist')
        spec, exemptions = holder.pod.spec, self.configuration.exemptions
        if spec is None or exemptions.of_pod(holder.pod):
            return []
        containers = requests.read(spec, self.configuration.names)
        # What is written is this claim, whatever was read under its name meanwhile. It counts even if the pod does not name it.
        reference = Reference(CLAIM, self.request.name)
        if reference not in references(spec) and not self.of_resources:
            unnamed = PodResourceClaim(self.request.name, self.request.name)
            spec = msgspec.structs.replace(spec, resource_claims=[*(spec.resource_claims or ()), unnamed])
        resolved = {**holder.claims, reference: self.claim}
        claims = read_claims(spec, containers, resolved, self.configuration.classes)
        return [
            msgspec.structs.replace(one, path=field, reason=f"{pod}: {one.reason.removeprefix('pod: ')}")
            for one in rules.of_holder(spec, claims, containers, policy)
        ]


def read(request: AdmissionRequest, configuration: Configuration) -> Reservation | bytes:
    """Return the reservation that a write of a claim's status makes, or the answer if there is none to evaluate.

    The writer, usually the scheduler, did not create the pod: users are not exempt here.

    Raises:
        ReviewError: it can't be read, or is for too many pods.
    """
    kind = request.kind
    if kind is None or (kind.group, kind.kind) != (GROUP, CLAIM):
        got = f"{kind.group}/{kind.kind}" if kind else ""
        raise ReviewError("request.kind", f'must be a ResourceClaim of {GROUP}, not "{got}"')
    if exempt := configuration.exemptions.of_request(request.namespace, ""):
        return review.allowed(request, annotations={"exempt": exempt})
    if not request.has_object:
        raise ReviewError("request.object", "is missing; an UPDATE carries the object")
    new = review.decode_json(_DECODER, request.object, "request.object")
    had: set[str] = set()
    if request.has_old_object:
        had = {one.uid for one in review.decode_json(_DECODER, request.old_object, "request.oldObject").consumers}
    added = {place: one for place, one in enumerate(new.consumers) if one.uid not in had}
    if not added:
        return review.allowed(request)
    if len(added) > MOST_HOLDERS:
        raise ReviewError(
            "request.object.status.reservedFor",
            f"gives the claim to {len(added)} consumers at once; more than {MOST_HOLDERS} are not evaluated",
        )
    kept = claim(new.claimed)
    if kept is None:
        raise ReviewError("request.object.spec", f"is not of {GROUP}/v1alpha3 to v1; other versions can't be evaluated")
    if not of_object(Reference(CLAIM, request.name), kept, configuration.classes, shared=False):
        return review.allowed(request)
    of_resources = OF_RESOURCES in (new.metadata.annotations or ())
    return Reservation(request, kept, of_resources, added, configuration)

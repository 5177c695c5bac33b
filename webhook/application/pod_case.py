"""One pod that is evaluated: the look-ups that it needs, and the decisions on it as it arrives and as it finally is."""

import msgspec

from ..engine import claim_rewriting, guard, updates
from ..engine.claims import NO_CLAIMS, Claims, Reference, Resolved, references
from ..engine.claims import read as read_claims
from ..engine.decision import Decision, decide
from ..engine.fleet.fleet_findings import with_fleet_findings
from ..engine.fleet.prefer_offered import preferring, settled
from ..engine.pods import Pod
from ..engine.policy import ANY_POLICY, NamespacePolicies, Policy
from ..engine.requests import GpuContainer
from .claims import ClaimUnavailable
from .configuration import Configuration
from .fleet import FleetSource
from .pod_review import MOST_CLAIMS
from .recorder import DecisionSummary
from .review import Envelope, ReviewError

_NOT_YET = NamespacePolicies(ANY_POLICY, ANY_POLICY, ANY_POLICY, ANY_POLICY)


class PodCase(msgspec.Struct, gc=False):
    """A request whose pod requests GPUs, or may reach them otherwise, and is not exempt, with everything that decides it."""

    request: Envelope
    pod: Pod
    gpu_containers: list[GpuContainer]
    configuration: Configuration
    nodes: FleetSource
    final: bool
    """Whether the pod is final, because all mutating webhooks have changed it."""
    before: Pod | None = None
    """The existing pod, if an update changes it or adds ephemeral containers."""
    policies: NamespacePolicies = _NOT_YET
    """The policies of its namespace, once they are known."""
    names_claims: bool = False
    """Whether it is a pod that is created, and names claims, which are evaluated when it is final."""
    claims: Claims = NO_CLAIMS
    """What the pod claims, as far as it was looked up."""
    resolved: Resolved = {}
    """What its claims name, and the templates that its requests become claims of, as far as they were looked up."""
    evaluated: list[DecisionSummary] = []
    """Its decisions, as they are recorded."""

    @property
    def debugs(self) -> bool:
        """Whether the pod only gets ephemeral containers."""
        return bool(self.request.sub_resource)

    def needs_labels(self) -> bool:
        """Whether the answer depends on the namespace's labels.

        If it does not, the labels could only add a warning, or the API server decides by itself.
        """
        restores = self.before is not None and not self.final
        requests_gpus = (self.gpu_containers and not (self.debugs or restores)) or self.names_claims
        return bool(requests_gpus or (self.configuration.policies.denies_reaching and not restores))

    def wanted(self) -> tuple[Reference, ...]:
        """The objects to look up: those that a new pod's claims name, and the templates that its requests become claims of.

        Under ``any``, claims matter only in addition to a request by resource name.

        Raises:
            ReviewError: there are too many.
        """
        looks = self.names_claims or self.policies.plain_claims
        if not looks or self.pod.spec is None or self.before is not None:
            return ()
        policies = self._evaluating
        found = tuple(claim_rewriting.references(policies)) if self.gpu_containers else ()
        if self.names_claims and (self.gpu_containers or any(policy.evaluates_claims for policy in policies)):
            found = (*references(self.pod.spec), *found)
        if len(found) > MOST_CLAIMS:
            raise ReviewError(
                "request.object.spec.resourceClaims",
                f"name {len(found)} claims and templates; more than {MOST_CLAIMS} are not evaluated",
            )
        return found

    def resolve(self, found: Resolved | ClaimUnavailable) -> None:
        """Take the results of looking up the wanted objects.

        Raises:
            ClaimUnavailable: they could not be looked up, and the enforce policy needs them.
        """
        if not isinstance(found, ClaimUnavailable):
            # A cluster that does not serve claims has no templates either.
            self.resolved = {**dict.fromkeys(claim_rewriting.references(self._evaluating)), **found}
        elif self.policies.enforce.evaluates_claims and (self.names_claims or self.policies.enforce.plain_claim):
            raise found

    def read_claims(self) -> None:
        """Read a new pod's claims from the results of the look-up."""
        spec = self.pod.spec
        if spec is None or self.before is not None:
            return
        if spec.resource_claims or any(gpu_container.others for gpu_container in self.gpu_containers):
            self.claims = read_claims(spec, self.gpu_containers, self.resolved, self.configuration.classes)

    @property
    def _evaluating(self) -> tuple[Policy, Policy, Policy]:
        return self.policies.enforce, self.policies.warn, self.policies.audit

    def decide(self, policy: Policy) -> tuple[Decision, Decision]:
        """The decision on the pod as it arrives, and the same decision with findings about nodes, if nodes are known."""
        fleet = self.nodes.fleet
        if fleet is None:
            decision = self._decide(policy)
            return decision, decision
        decision = self._decide(preferring(policy, self.configuration.plugin, fleet))
        return decision, with_fleet_findings(decision, self.pod, policy, fleet)

    def _decide(self, policy: Policy) -> Decision:
        """The decision on the pod as it arrives, which others may still change: its access to GPUs is evaluated later."""
        return decide(
            self.pod,
            policy,
            self.configuration.plugin,
            guarded=False,
            found=self.gpu_containers,
            claims=self.claims if self.claims is NO_CLAIMS else self.claims.of_resources,
            resolved=self.resolved,
        )

    def decide_finally(self, policy: Policy, *, acts: bool = False) -> Decision:
        """The decision on the final pod, on what an update changes in it, or on the ephemeral containers that it gets."""
        plugin = self.configuration.plugin
        policy = settled(self.before or self.pod, policy, plugin, self.nodes.fleet)
        if self.before is None:
            return decide(
                self.pod, policy, plugin, found=self.gpu_containers, claims=self.claims, resolved=self.resolved
            )
        if self.debugs:
            return Decision((), tuple(guard.of_new_ephemeral_containers(self.pod, self.before, policy)))
        return updates.decide_update(self.pod, self.before, policy, plugin, self.configuration.names, rewrites=acts)

    def unheard(self, decision: Decision, policy: Policy) -> Decision:
        """The part of a decision that ``mutate`` has not reported: an update is never sent there."""
        if self.before is not None and not self.debugs:
            return decision
        reported = self._decide(policy).findings if self.names_claims else decision.findings
        left = tuple(one for one in decision.findings if one.rule.access or one not in reported)
        return Decision((), left, decision.gpu_containers)

    def record(self, path: str, mode: str, policy: Policy, decision: Decision, *, acted: bool) -> None:
        """Record a decision."""
        self.evaluated.append(
            DecisionSummary.of(
                path, mode, policy, decision, operation=self.request.operation, spec=self.pod.spec, acted=acted
            )
        )

"""Resource claims (DRA): where their objects come from, and what a pod claims by them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ..engine import claim_rewriting, claims, requests
from ..engine.claim_objects import Claim, ClaimObject, ClaimTemplateObject, claim
from ..engine.claims import CLAIM, TEMPLATE, ClaimEntry, Claims, Reference, Resolved
from ..engine.decision import UNTOUCHED, Decision, decide
from ..engine.edits import ClaimInstead
from ..engine.pods import Pod
from ..engine.policy import Policy
from ..engine.text import cut, first_of
from .configuration import Configuration
from .kind_lookup import group_of
from .type_mismatches import TypeMismatchError, convert
from .unevaluated_parts import UnevaluatedPart

GROUP = "resource.k8s.io"
PLURALS = {CLAIM: "resourceclaims", TEMPLATE: "resourceclaimtemplates"}
OF_RESOURCES = "resource.kubernetes.io/extended-resource-claim"
"""The annotation of a claim that the scheduler made for the extended resources of a pod."""
_LONGEST_REASON = 1024

KnownClaims = Mapping[tuple[str, Reference], Claim]
"""The claims and templates that are known, by namespace."""


class ClaimUnavailable(Exception):  # noqa: N818 - named after what happened, as the HTTP status is
    """A reference could not be resolved. This is never treated as if the object did not exist."""

    def __init__(self, reference: Reference, reason: str) -> None:
        self.reason = cut(reason, _LONGEST_REASON)
        super().__init__(f"{reference} could not be read: {self.reason}")


class ClaimSource(Protocol):
    """Where admission looks up claims and templates."""

    async def fetch(self, namespace: str, references: Sequence[Reference]) -> Resolved:
        """Look references up, as they are now.

        Returns:
            What they refer to; empty if the cluster does not serve claims.

        Raises:
            ClaimUnavailable: one of them could not be read in time.
        """


class NoClaims:
    """No source of claims: what a pod claims is not evaluated."""

    async def fetch(self, _namespace: str, _references: Sequence[Reference]) -> Resolved:
        """Return nothing."""
        return {}


def decide_by_names(pod: Pod, policy: Policy, configuration: Configuration) -> Decision:
    """Evaluate a pod, or the template of one, by the resources that it requests: claims that it names are not looked up."""
    if pod.spec is None:
        return UNTOUCHED
    found = requests.read(pod.spec, configuration.names)
    claimed = claims.read(pod.spec, found, {}, configuration.classes).of_resources
    return decide(pod, policy, configuration.plugin, found=found, claims=claimed)


def resource_names(manifests: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the resource names of the DeviceClasses among objects, by class; those that can't be read are left out."""
    found: dict[str, str] = {}
    for manifest in manifests:
        if manifest.get("kind") != "DeviceClass" or group_of(manifest.get("apiVersion")) != GROUP:
            continue
        metadata, spec = manifest.get("metadata"), manifest.get("spec")
        resource = spec.get("extendedResourceName") if isinstance(spec, Mapping) else None
        if isinstance(resource, str) and resource and isinstance(metadata, Mapping):
            found[str(metadata.get("name"))] = resource
    return found


def known_claims(manifests: Iterable[Mapping[str, Any]], namespace: str) -> dict[tuple[str, Reference], Claim]:
    """Return the claims and templates among objects; those that can't be read are left out.

    ``namespace`` is that of objects that name none.
    """
    found: dict[tuple[str, Reference], Claim] = {}
    for manifest in manifests:
        kind, metadata = manifest.get("kind"), manifest.get("metadata")
        kept = claim_in(manifest) if kind in PLURALS and isinstance(metadata, Mapping) else None
        if kept is not None and isinstance(metadata, Mapping):
            reference = Reference(str(kind), str(metadata.get("name")))
            found[str(metadata.get("namespace") or namespace), reference] = kept
    return found


def claim_in(manifest: Mapping[str, Any]) -> Claim | None:
    """Return the parts of a claim or template that are kept; ``None`` for any other object, or if it can't be read."""
    if group_of(manifest.get("apiVersion")) != GROUP:
        return None
    try:
        match manifest.get("kind"):
            case "ResourceClaim":
                return claim(convert(manifest, ClaimObject).claimed)
            case "ResourceClaimTemplate":
                return claim(convert(manifest, ClaimTemplateObject).claimed)
            case _:
                return None
    except TypeMismatchError:
        return None


def not_looked_up(
    entries: Iterable[ClaimEntry], field: Callable[[str], str], namespace: str
) -> Iterator[UnevaluatedPart]:
    """Yield sentences that claims of a pod are not evaluated; none if it has no such claims.

    ``field`` gives the path in the object of a path in the pod.
    """
    listed = [*entries]
    if not listed:
        return
    first, names = listed[0], first_of([one.name for one in listed], 1)
    path = field(first.field)
    yield UnevaluatedPart(
        path,
        f"{path}: claim {names} not evaluated; {first.reference} of namespace {namespace} was not found and may be for "
        "GPUs (DRA); check it together with what uses it",
    )


def template_not_looked_up(
    decision: Decision, policy: Policy, resolved: Resolved, field: Callable[[str], str], namespace: str
) -> Iterator[UnevaluatedPart]:
    """Yield sentences that requests become claims of a template that was not looked up; none if there are no such requests.

    ``field`` gives the path in the object of a path in the pod.
    """
    made = [edit for edit in decision.edits if isinstance(edit, ClaimInstead)]
    unknown = [one for one in claim_rewriting.references([policy]) if one not in resolved]
    if made and unknown:
        path = field(made[0].place.field)
        yield UnevaluatedPart(
            path,
            f"{path}: {made[0].resource} becomes a claim, but {unknown[0]} of namespace {namespace}, which "
            "sets the number of GPUs, was not found; check both together",
        )


def described(claimed: Claims) -> list[str]:
    """Return each request for GPUs by claims, for reports: who requests, and which classes how often."""
    return [
        f"{one.subject.replace(chr(34), '')}: "
        + " or ".join(
            f"{way.device.device_class}: {'all' if way.device.count is None else way.device.count}"
            for way in one.alternatives
        )
        for one in claimed.gpus
        if not one.by_name
    ]

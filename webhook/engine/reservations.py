"""Reservations (DRA): the status of a ResourceClaim reserves it for pods. Reads such a pod and its claims."""

import msgspec

from .pods import Metadata, Pod, PodResourceClaim, PodSpec
from .text import Name


class GeneratedClaim(msgspec.Struct, rename="camel", gc=False):
    """The claim that was created from a template for an entry of ``spec.resourceClaims``, if one is needed."""

    name: Name = ""
    resource_claim_name: Name | None = None


class HolderStatus(msgspec.Struct, rename="camel", gc=False):
    """``status`` of a pod."""

    resource_claim_statuses: list[GeneratedClaim] | None = None


class HolderMetadata(Metadata):
    """``metadata`` of a pod."""

    uid: Name = ""


class Holder(Pod):
    """The current state of a pod for which a claim is reserved."""

    metadata: HolderMetadata | None = None
    status: HolderStatus | None = None


def with_its_claims(holder: Holder) -> PodSpec:
    """Return the spec of a pod with the names of its ResourceClaims instead of those of the templates.

    Entries without a claim are left out. The claim of the pod's extended resources is not among them: its requests are the
    containers' (dynamicresources ``createRequestsAndMappings``), and the scheduler deletes one that it has not just created
    (``filterExtendedResources``).
    """
    held = [PodResourceClaim(one.name, claim) for one, claim in _entries(holder) if claim]
    return msgspec.structs.replace(holder.spec or PodSpec(), resource_claims=held)


def not_made_yet(holder: Holder) -> list[str]:
    """Return the names of claims that are not created yet. Claims are reserved for a pod only after all are created."""
    return [one.name for one, claim in _entries(holder) if claim == ""]


def _entries(holder: Holder) -> list[tuple[PodResourceClaim, str | None]]:
    """Each entry of ``spec.resourceClaims`` with its claim: "" if it is not created yet, ``None`` if none is needed."""
    status = holder.status or HolderStatus()
    made = {one.name: one.resource_claim_name for one in status.resource_claim_statuses or ()}
    entries = (holder.spec and holder.spec.resource_claims) or []
    return [(one, one.resource_claim_name or made.get(one.name, "")) for one in entries]

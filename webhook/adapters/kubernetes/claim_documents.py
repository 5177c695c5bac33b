"""ResourceClaims and ResourceClaimTemplates as the API server lists them: the fields that are read, and in which version."""

import msgspec

from ...application.claim_admission import ClaimMetadata
from ...application.claims import GROUP
from ...engine.claim_objects import Claim, ClaimObject, ClaimTemplateObject, claim
from ...engine.claims import CLAIM, TEMPLATE, Reference
from ...engine.text import Name
from .api_request import ApiRequest, path_of
from .documents import decode

VERSIONS = ("v1", "v1beta2", "v1beta1", "v1alpha3")
"""The versions that can be read, best first: of Kubernetes 1.34, 1.33, 1.32 and 1.31."""
SERVED = ApiRequest("GET", path_of("apis", GROUP))
"""The request for the versions that the cluster serves."""


class _Version(msgspec.Struct):
    version: str = ""


class _Group(msgspec.Struct):
    versions: list[_Version] | None = None


def readable_versions(body: bytes) -> list[str]:
    """Return the versions that can be read, best first, from the answer to ``SERVED``.

    Raises:
        ApiError: the answer is not that of an API server.
    """
    served = {one.version for one in decode(body, _Group, str(SERVED)).versions or ()}
    return [version for version in VERSIONS if version in served]


class _Metadata(ClaimMetadata):
    namespace: Name = ""


class Listed(msgspec.Struct, frozen=True):
    """A claim or template of a list: its namespace and name, the parts that are kept, and whether it is the claim of one pod."""

    key: tuple[str, Reference]
    claim: Claim
    of_one_pod: bool


class ClaimItem(ClaimObject):
    """A ResourceClaim."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class ClaimTemplateItem(ClaimTemplateObject):
    """A ResourceClaimTemplate."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


Item = ClaimItem | ClaimTemplateItem
ITEMS: dict[str, type[Item]] = {CLAIM: ClaimItem, TEMPLATE: ClaimTemplateItem}


def listed(item: Item) -> Listed | None:
    """Return the parts of an object that are kept; ``None`` if it can't be read."""
    kept, metadata = claim(item.claimed), item.metadata
    if kept is None:
        return None
    is_claim = isinstance(item, ClaimItem)
    reference = Reference(CLAIM if is_claim else TEMPLATE, metadata.name)
    return Listed((metadata.namespace, reference), kept, is_claim and metadata.is_of_one_pod)

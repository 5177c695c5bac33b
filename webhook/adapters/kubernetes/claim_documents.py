"""ResourceClaims and ResourceClaimTemplates as the API server lists them: the fields that are read."""

import msgspec

from webhook.application.claim_admission import ClaimMetadata
from webhook.engine.claim_objects import Claim, ClaimObject, ClaimTemplateObject, claim
from webhook.engine.claims import CLAIM, TEMPLATE, Reference
from webhook.engine.text import Name


class _Metadata(ClaimMetadata):
    namespace: Name = ""


class Listed(msgspec.Struct, frozen=True):
    """A claim or template of a list: its namespace and name, what is kept of it, and whether it is the claim of one pod."""

    key: tuple[str, Reference]
    claim: Claim
    of_one_pod: bool


class ClaimItem(ClaimObject):
    """A ResourceClaim."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)

    @property
    def listed(self) -> Listed | None:
        """What is kept of it; ``None`` where that can't be read."""
        return _listed(CLAIM, self)


class ClaimTemplateItem(ClaimTemplateObject):
    """A ResourceClaimTemplate."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)

    @property
    def listed(self) -> Listed | None:
        """As of a claim."""
        return _listed(TEMPLATE, self)


Item = ClaimItem | ClaimTemplateItem
ITEMS: dict[str, type[Item]] = {CLAIM: ClaimItem, TEMPLATE: ClaimTemplateItem}


def _listed(kind: str, item: Item) -> Listed | None:
    kept, metadata = claim(item.claimed), item.metadata
    if kept is None:
        return None
    return Listed((metadata.namespace, Reference(kind, metadata.name)), kept, kind == CLAIM and metadata.is_of_one_pod)

"""ResourceClaims and ResourceClaimTemplates as the API server lists them: the fields that are read."""

import msgspec

from webhook.engine.claim_objects import Claim, ClaimObject, ClaimTemplateObject, claim
from webhook.engine.claims import CLAIM, TEMPLATE, Reference
from webhook.engine.text import Name


class _Metadata(msgspec.Struct):
    name: Name = ""
    namespace: Name = ""


class ClaimItem(ClaimObject):
    """A ResourceClaim."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)

    @property
    def entry(self) -> tuple[tuple[str, Reference], Claim] | None:
        """Its namespace and name, and what is kept of it; ``None`` where that can't be read."""
        return _entry(CLAIM, self)


class ClaimTemplateItem(ClaimTemplateObject):
    """A ResourceClaimTemplate."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)

    @property
    def entry(self) -> tuple[tuple[str, Reference], Claim] | None:
        """As of a claim."""
        return _entry(TEMPLATE, self)


Item = ClaimItem | ClaimTemplateItem
ITEMS: dict[str, type[Item]] = {CLAIM: ClaimItem, TEMPLATE: ClaimTemplateItem}


def _entry(kind: str, item: Item) -> tuple[tuple[str, Reference], Claim] | None:
    kept = claim(item.claimed)
    return None if kept is None else ((item.metadata.namespace, Reference(kind, item.metadata.name)), kept)

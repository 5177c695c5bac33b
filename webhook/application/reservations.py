"""Where the pods that a ResourceClaim is given to come from, with all the claims that they have."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ..engine.claims import Resolved
from ..engine.pods import Pod
from ..engine.text import cut

_LONGEST_REASON = 1024


class PodReference(msgspec.Struct, frozen=True):
    """A pod among the consumers of a claim."""

    name: str
    uid: str

    def __str__(self) -> str:
        return f'pod "{self.name}"'


class ClaimHolder(msgspec.Struct, frozen=True):
    """A pod as it is now.

    Attributes:
        pod: each entry of its ``resourceClaims`` names a ResourceClaim, not a template (``reservations.with_its_claims``).
        claims: the parts of these claims that are kept; ``None`` for one that does not exist.
    """

    pod: Pod
    claims: Resolved


ClaimHolders = Mapping[PodReference, ClaimHolder | None]
"""The pods that were looked up; ``None`` for one that does not exist. A pod that is not in it was not looked up."""


class PodUnavailable(Exception):  # noqa: N818 - named after what happened, as the HTTP status is
    """A pod or one of its claims could not be read. This is never treated as if it did not exist."""

    def __init__(self, reference: PodReference, reason: str) -> None:
        super().__init__(f"{reference} and its claims could not be read: {cut(reason, _LONGEST_REASON)}")


class PodSource(Protocol):
    """Where admission looks up such pods."""

    async def fetch(self, namespace: str, pods: Sequence[PodReference]) -> ClaimHolders:
        """Look pods up, and their claims, as they are now: nothing that was read before the call.

        Raises:
            PodUnavailable: one of them could not be read in time.
        """


class NoPods:
    """No source of pods: no limit is checked where claims are given to them."""

    async def fetch(self, _namespace: str, _pods: Sequence[PodReference]) -> ClaimHolders:
        """Return nothing."""
        return {}

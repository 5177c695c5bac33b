"""The claims (DRA) of pods, read from the API server for each review, without a cache that could be out of date."""

from collections.abc import Callable, Sequence

from ...application.claims import GROUP, ClaimUnavailable
from ...engine.claim_objects import Claim
from ...engine.claims import Reference
from .claim_documents import VERSIONS
from .claim_reader import ClaimReader, NotServedError
from .client import ApiServer
from .live_reads import FETCH_TIMEOUT, LiveReads


class LiveClaims:
    """Reads the claims and templates that pods name.

    Args:
        not_served: called once, with a message, if the cluster does not serve claims.
        timeout: seconds for all the claims of a pod.
    """

    def __init__(self, api: ApiServer, not_served: Callable[[str], None], *, timeout: float = FETCH_TIMEOUT) -> None:
        self._not_served = not_served
        self._told = False
        reader = ClaimReader(api)
        self._reads: LiveReads[tuple[str, Reference], Claim | None] = LiveReads(
            lambda key: reader.get(*key, timeout=timeout),
            lambda key, reason: ClaimUnavailable(key[1], reason),
            timeout=timeout,
        )

    async def fetch(self, namespace: str, references: Sequence[Reference]) -> dict[Reference, Claim | None]:
        """Read the objects of references; see ``ClaimSource``."""
        try:
            found = await self._reads.read_all((namespace, one) for one in references)
        except NotServedError:
            self._tell_once()
            return {}
        return dict(zip(references, found, strict=True))

    def close(self) -> None:
        """Start no more reads."""
        self._reads.close()

    def _tell_once(self) -> None:
        if not self._told:
            self._told = True
            self._not_served(
                f"the API server does not serve {GROUP} in a version of {', '.join(VERSIONS)}: the claims (DRA) of pods are not "
                "evaluated"
            )

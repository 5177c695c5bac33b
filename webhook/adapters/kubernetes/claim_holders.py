"""The pods for which a ResourceClaim (DRA) is reserved, with all their claims, read live from the API server."""

import itertools
import time
from collections.abc import Callable, Sequence

import msgspec

from ...application.object_names import VALID_NAME
from ...application.pod_review import MOST_CLAIMS
from ...application.reservations import ClaimHolder, PodReference, PodUnavailable
from ...engine.claims import references
from ...engine.pods import Pod
from ...engine.reservations import Holder, not_made_yet, with_its_claims
from .api_request import ApiRequest, object_path
from .claim_reader import ClaimReader, NotServedError
from .client import ApiServer
from .documents import decode
from .errors import ApiError, Fault
from .live_reads import FETCH_TIMEOUT, LiveReads


class _Key(msgspec.Struct, frozen=True):
    """The key of a read. Each has its own number, because an earlier read may have seen a claim that was replaced since then."""

    number: int
    namespace: str
    pod: PodReference


class LiveClaimHolders:
    """Reads pods and their claims.

    Args:
        timeout: seconds for a pod and its claims.
    """

    def __init__(
        self, api: ApiServer, *, timeout: float = FETCH_TIMEOUT, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._claims = ClaimReader(api)
        self._timeout = timeout
        self._monotonic = monotonic
        self._numbers = itertools.count()
        self._reads: LiveReads[_Key, ClaimHolder | None] = LiveReads(
            self._get, lambda key, reason: PodUnavailable(key.pod, reason), timeout=timeout
        )

    async def fetch(self, namespace: str, pods: Sequence[PodReference]) -> dict[PodReference, ClaimHolder | None]:
        """Read pods; see ``PodSource``."""
        found = await self._reads.read_all(_Key(next(self._numbers), namespace, one) for one in pods)
        return dict(zip(pods, found, strict=True))

    def close(self) -> None:
        """Start no more reads."""
        self._reads.close()

    def _get(self, key: _Key) -> ClaimHolder | None:
        until = self._monotonic() + self._timeout
        holder = self._pod(key, until)
        if holder is None:
            return None
        if lacking := not_made_yet(holder):
            raise ApiError(Fault.REJECTED, f"{', '.join(lacking)} of spec.resourceClaims: the claim is not created yet")
        spec = with_its_claims(holder)
        named = references(spec)
        if len(named) > MOST_CLAIMS:
            raise ApiError(Fault.REJECTED, f"it has {len(named)} claims; more than {MOST_CLAIMS} are not checked")
        try:
            claims = {one: self._claims.get(key.namespace, one, timeout=self._left(until)) for one in named}
        except NotServedError as error:
            raise ApiError(Fault.NOT_FOUND, "the API server does not serve claims") from error
        return ClaimHolder(Pod(holder.metadata, spec), claims)

    def _pod(self, key: _Key, until: float) -> Holder | None:
        """The pod; ``None`` if no pod has that name and uid."""
        if not VALID_NAME.fullmatch(key.pod.name):
            return None  # no object can have this name
        request = ApiRequest("GET", object_path("", "v1", "pods", key.namespace, key.pod.name))
        try:
            holder = decode(self._api.call(request, timeout=self._left(until)), Holder, str(request))
        except ApiError as error:
            if error.missing == key.pod.name:
                return None
            raise
        return holder if holder.metadata and holder.metadata.uid == key.pod.uid else None

    def _left(self, until: float) -> float:
        left = until - self._monotonic()
        if left <= 0:
            raise ApiError(Fault.SILENT, f"the API server did not answer within {self._timeout:g} s")
        return left

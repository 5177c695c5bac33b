"""The claims (DRA) of pods, read from the API server when a pod is judged, without a cache that could be out of date."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...application.claims import GROUP, PLURALS, ClaimUnavailable
from ...engine.claim_objects import Claim, claim
from ...engine.claims import Reference
from .claim_documents import ITEMS, SERVED, VERSIONS, Item, best_version
from .documents import decode
from .errors import ApiError, Fault
from .live_reads import LiveReads
from .request import ApiRequest, path_of

if TYPE_CHECKING:
    from .client import ApiServer

FETCH_TIMEOUT = 1.0  # seconds for all the claims of a pod
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
)  # RFC 1123 subdomain


class _NotServedError(Exception):
    """The cluster has no API of claims in a version that is read."""


class LiveClaims:
    """Reads the claims and templates that pods name.

    Args:
        not_served: called once, with a sentence, when the cluster has no API of claims.
        timeout: seconds for all the claims of a pod.
    """

    def __init__(self, api: "ApiServer", not_served: Callable[[str], None], *, timeout: float = FETCH_TIMEOUT) -> None:
        self._api = api
        self._not_served = not_served
        self._timeout = timeout
        self._told = False
        self._version = VERSIONS[0]
        self._reads: LiveReads[tuple[str, Reference], Claim | None] = LiveReads(
            self._get, lambda key, reason: ClaimUnavailable(key[1], reason), timeout=timeout
        )

    async def fetch(self, namespace: str, references: Sequence[Reference]) -> dict[Reference, Claim | None]:
        """Read what references lead to; see ``ClaimSource``."""
        read = await asyncio.gather(*(self._reads.read((namespace, one)) for one in references), return_exceptions=True)
        found: dict[Reference, Claim | None] = {}
        for reference, one in zip(references, read, strict=True):
            if isinstance(one, _NotServedError):
                self._tell_once()
                return {}
            if isinstance(one, BaseException):
                raise one
            found[reference] = one
        return found

    def close(self) -> None:
        """Start no more reads."""
        self._reads.close()

    def _tell_once(self) -> None:
        if not self._told:
            self._told = True
            self._not_served(
                f"the API server does not serve {GROUP} in a version of {', '.join(VERSIONS)}: the claims (DRA) of pods are not "
                "judged"
            )

    def _get(self, key: tuple[str, Reference]) -> Claim | None:
        namespace, reference = key
        if not _NAME.fullmatch(reference.name):
            return None  # nor can there be
        version = self._version
        path = path_of("apis", GROUP, version, "namespaces", namespace, PLURALS[reference.kind], reference.name)
        request = ApiRequest("GET", path)
        body = self._call(request)
        if body is None:
            # The server answers 404 to an object that is not there, and to a version or an API that is not there.
            self._version = self._best_version()
            return None if self._version == version else self._get(key)
        item: Item = decode(body, ITEMS[reference.kind], str(reference))
        if item.metadata.name != reference.name:
            raise ApiError(Fault.GARBAGE, f'{request} gave "{item.metadata.name}"')
        return claim(item.claimed)

    def _best_version(self) -> str:
        served = self._call(SERVED)
        version = best_version(served) if served is not None else None
        if version is None:
            raise _NotServedError
        return version

    def _call(self, request: ApiRequest) -> bytes | None:
        """The answer; ``None`` where there is no such thing."""
        try:
            return self._api.call(request, timeout=self._timeout)
        except ApiError as error:
            if error.fault is not Fault.NOT_FOUND:
                raise
            return None

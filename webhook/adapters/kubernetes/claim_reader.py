"""Reads one claim or template (DRA) from the API server, in the best version that it currently serves."""

from ...application.claims import GROUP, PLURALS
from ...application.object_names import VALID_NAME
from ...engine.claim_objects import Claim, claim
from ...engine.claims import Reference
from .api_request import ApiRequest, object_path
from .claim_documents import ITEMS, SERVED, VERSIONS, Item, readable_versions
from .client import ApiServer
from .documents import decode
from .errors import ApiError, Fault


class NotServedError(Exception):
    """The cluster does not serve claims in a version that can be read."""


class ClaimReader:
    """Reads claims and templates. Safe to use from several threads.

    While API servers are upgraded or rolled back, they serve different versions. So a 404 means that an object does not exist
    only if it names the object. Otherwise the server does not serve the version, and another one is tried.
    """

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._version = VERSIONS[0]
        self._was_served = False

    def get(self, namespace: str, reference: Reference, *, timeout: float) -> Claim | None:
        """Read the object of a reference.

        Args:
            namespace: where it is.
            reference: the claim or template.
            timeout: seconds for each request.

        Returns:
            The parts of it that are kept; ``None`` if there is no such object, or it can't be read.

        Raises:
            ApiError: it could not be read, or the API servers do not agree on the versions that they serve.
            NotServedError: none of the versions is served, and none ever was.
        """
        if not VALID_NAME.fullmatch(reference.name):
            return None  # no object can have this name
        version, tried = self._version, set[str]()
        for _ in VERSIONS:
            request = ApiRequest("GET", object_path(GROUP, version, PLURALS[reference.kind], namespace, reference.name))
            try:
                body = self._api.call(request, timeout=timeout)
            except ApiError as error:
                if error.fault is not Fault.NOT_FOUND:
                    raise
                if error.missing != reference.name:
                    tried.add(version)
                    version = self._other(tried, timeout)
                    continue
                body = None
            self._version, self._was_served = version, True
            return None if body is None else _claim_in(body, reference, request)
        raise ApiError(
            Fault.NOT_FOUND, f"{reference}: the API servers do not agree on the versions of {GROUP}; try again"
        )

    def _other(self, tried: set[str], timeout: float) -> str:
        """The best version that is served, or one that was not tried yet, because another server may have answered."""
        try:
            served = readable_versions(self._api.call(SERVED, timeout=timeout))
        except ApiError as error:
            if error.fault is not Fault.NOT_FOUND:
                raise
            served = []
        if served:
            return next((version for version in served if version not in tried), served[0])
        if self._was_served:
            raise ApiError(Fault.NOT_FOUND, f"{SERVED}: no version that is read is served any more")
        raise NotServedError


def _claim_in(body: bytes, reference: Reference, request: ApiRequest) -> Claim | None:
    item: Item = decode(body, ITEMS[reference.kind], str(reference))
    if item.metadata.name != reference.name:
        raise ApiError(Fault.GARBAGE, f'{request} gave "{item.metadata.name}"')
    return claim(item.claimed)

"""Whole lists from the API server, page by page.

Every list is requested without ``resourceVersion``, because only then do all servers honour ``limit``. With
``resourceVersion=0``, servers before 1.34 answer from the watch cache and leave the limit out
(k8s.io/apiserver/pkg/storage/cacher: ``shouldDelegateList``), which for 100,000 pods is one answer of some 800 MB, made in the
server's memory at once. A list without it is read from etcd in pages, as ``kubectl get --chunk-size=500`` does, and all its
pages show one moment. No field selector either: with one, the server leaves out ``remainingItemCount``, the only measure of
progress.
"""

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from .api_request import ApiRequest
from .client import ApiServer
from .documents import decode
from .errors import ApiError, Fault

PAGE = 500  # objects, as kubectl asks for
STARTS = 3  # attempts per list; tokens are valid for five minutes or more, so a third expiry is not a coincidence

I = TypeVar("I")  # noqa: E741 - an item; T is the part of it that is kept
T = TypeVar("T")


class Api(Protocol):
    """The API server as ``Lister`` uses it: a ``RetryingApi`` or a ``Deadline``."""

    def call(self, request: ApiRequest) -> bytes:
        """Make a request and return the answer's body.

        Raises:
            ApiError: it failed.
        """


class Deadline:
    """An API server with a timeout for every request.

    Args:
        api: the API server.
        left: returns the seconds that a request may take.
    """

    def __init__(self, api: ApiServer, left: Callable[[], float]) -> None:
        self._api = api
        self._left = left

    def call(self, request: ApiRequest) -> bytes:
        """Make a request once.

        Raises:
            ApiError: it failed, or there is no time left.
        """
        if (left := self._left()) <= 0:
            raise ApiError(Fault.SILENT, f"{request}: out of time")
        return self._api.call(request, timeout=left)


def get(api: Api, path: str, kind: type[T]) -> T:
    """Read one object.

    Raises:
        ApiError: it can't be read.
    """
    request = ApiRequest("GET", path)
    return decode(api.call(request), kind, str(request))


class Progress(Protocol):
    """Receives the progress of a list."""

    def read(self, what: str, done: int, total: int | None) -> None:
        """Report how many objects were read, of how many (``None``: the server doesn't report it)."""


class PageMetadata(msgspec.Struct, rename={"next_page": "continue", "remaining": "remainingItemCount"}):
    """A list's metadata: the token for its next page, and how many objects follow this one, if the server says."""

    next_page: str = ""
    remaining: int | None = None


class Page(msgspec.Struct, Generic[I]):
    """One page of a list."""

    metadata: PageMetadata
    items: list[I] | None = None


class Bound(msgspec.Struct, frozen=True):
    """Limits for a list: after this many objects or bytes, no further page is read."""

    objects: int
    size: int


class Lister:
    """Reads lists.

    Args:
        api: the API server.
        progress: receives the progress of a list, if given.
        limit: objects per page.
        bound: the limits for each list; ``None`` reads all of it.
        starts: how often a list may be started.
    """

    def __init__(
        self,
        api: Api,
        progress: Progress | None = None,
        *,
        limit: int = PAGE,
        bound: Bound | None = None,
        starts: int = STARTS,
    ) -> None:
        self._api = api
        self._limit = limit
        self._starts = starts
        self._progress = progress
        self._bound = bound
        self.counts: dict[str, int] = {}
        """How many objects were read, by the names of the lists."""
        self.cut: dict[str, int | None] = {}
        """How many objects of the truncated lists were not read; ``None`` if the server doesn't report it."""

    def all(
        self,
        what: str,
        path: str,
        page: type[Page[I]],
        keep: Callable[[I], T | None],
        selector: Mapping[str, str] | None = None,
    ) -> list[T]:
        """Return the results of ``keep`` for every object, ``None`` left out; starts again when a token has expired.

        ``keep`` is called for each object (again if the list starts over), so that only one page is in memory. ``what`` names
        the list.

        Raises:
            ApiError: the list is not available.
        """
        query = {"limit": str(self._limit), **(selector or {})}
        for _ in range(self._starts - 1):
            try:
                return self._pages(what, path, page, keep, query)
            except ApiError as error:
                if error.fault is not Fault.EXPIRED:
                    raise
        return self._pages(what, path, page, keep, query)

    def _pages(
        self,
        what: str,
        path: str,
        page: type[Page[I]],
        keep: Callable[[I], T | None],
        query: Mapping[str, str],
    ) -> list[T]:
        kept: list[T] = []
        done, size, token = 0, 0, ""
        while True:
            request = ApiRequest("GET", path, {**query, "continue": token} if token else query)
            body = self._api.call(request)
            size += len(body)
            got = decode(body, page, f"the list of {what}")
            items = got.items or []
            kept.extend(one for item in items if (one := keep(item)) is not None)
            done += len(items)
            token = got.metadata.next_page
            remaining = got.metadata.remaining if token else 0
            if self._progress:
                self._progress.read(what, done, None if remaining is None else done + remaining)
            is_cut = bool(token and self._bound and (done >= self._bound.objects or size >= self._bound.size))
            if is_cut:
                before = self.cut.get(what, 0)
                self.cut[what] = None if before is None or remaining is None else before + remaining
            if is_cut or not token:
                self.counts[what] = self.counts.get(what, 0) + done
                return kept

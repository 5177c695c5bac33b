"""Whole lists from the API server, page by page.

Every list is asked for without ``resourceVersion``: only then does every server honour ``limit``. With
``resourceVersion=0``, servers before 1.34 answer from the watch cache and leave the limit out
(k8s.io/apiserver/pkg/storage/cacher: ``shouldDelegateList``), which for 100,000 pods is one answer of some 800 MB, made in
the server's memory at once. A list without it is read from etcd in pages, as ``kubectl get --chunk-size=500`` does, and
all its pages show one moment. No field selector either: with one, the server leaves out ``remainingItemCount``, the only
measure of progress.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from webhook.adapters.kubernetes.documents import decode
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.kubernetes.request import Request

if TYPE_CHECKING:
    from webhook.adapters.kubernetes.client import ApiServer

PAGE = 500  # objects, as kubectl asks for
STARTS = 3  # of one list; a token is good for five minutes at least, so that a third that expires is no bad luck

I = TypeVar("I")  # noqa: E741 - an item; T is what is kept of it
T = TypeVar("T")


class Api(Protocol):
    """What lists are asked of: ``RetryingApi`` for a program that has time."""

    def call(self, request: Request) -> bytes:
        """Make a request and return the answer's body.

        Raises:
            ApiError: it failed.
        """
        ...


class Deadline:
    """An API server whose every answer has the same time.

    Args:
        api: the API server.
        seconds: the time for an answer.
    """

    def __init__(self, api: "ApiServer", seconds: float) -> None:
        self._api = api
        self._seconds = seconds

    def call(self, request: Request) -> bytes:
        """Make a request once.

        Raises:
            ApiError: it failed.
        """
        return self._api.call(request, timeout=self._seconds)


class Progress(Protocol):
    """Who is told how far a list is."""

    def read(self, what: str, done: int, total: int | None) -> None:
        """So many objects are read, of so many (``None``: the server doesn't say)."""
        ...


class ListMetadata(msgspec.Struct, rename={"next_page": "continue", "remaining": "remainingItemCount"}):
    """A list's metadata: the token for its next page, and how many objects follow this one, if the server says."""

    next_page: str = ""
    remaining: int | None = None


class Page(msgspec.Struct, Generic[I]):
    """One page of a list."""

    metadata: ListMetadata
    items: list[I] | None = None


class Lister:
    """Reads lists.

    Args:
        api: the API server.
        progress: receives the progress of a list, if anyone.
        limit: objects per page.
        starts: how often a list is begun at most.
    """

    def __init__(self, api: Api, progress: Progress | None = None, *, limit: int = PAGE, starts: int = STARTS) -> None:
        self._api = api
        self._limit = limit
        self._starts = starts
        self._progress = progress
        self.counts: dict[str, int] = {}
        """How many objects the lists had, by what they were called."""

    def all(
        self,
        what: str,
        path: str,
        page: type[Page[I]],
        keep: Callable[[I], T | None],
        selector: Mapping[str, str] | None = None,
    ) -> list[T]:
        """What ``keep`` makes of every object, ``None`` left out; from the beginning again when a token has expired.

        Args:
            what: what to call it.
            path: the list's.
            page: what its pages are.
            keep: is given each object (again, should the list start over), so that only one page is held at a time.
            selector: parameters of the query.

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
        done, token = 0, ""
        while True:
            request = Request("GET", path, {**query, "continue": token} if token else query)
            got = decode(self._api.call(request), page, f"the list of {what}")
            items = got.items or []
            kept.extend(one for item in items if (one := keep(item)) is not None)
            done += len(items)
            token = got.metadata.next_page
            remaining = got.metadata.remaining if token else 0
            if self._progress:
                self._progress.read(what, done, None if remaining is None else done + remaining)
            if not token:
                self.counts[what] = self.counts.get(what, 0) + done
                return kept

"""The known objects of one list, at one resource version, and how old that is. No I/O.

One thread (the watch) writes, and others read, without locks: a read is one lookup in a dict, a list replaces the dict as a
whole, and an event replaces one value of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar


class _Metadata(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


class Versioned(Protocol):
    """An object, or a bookmark (which has only a resource version)."""

    @property
    def metadata(self) -> _Metadata:
        """Its name and resource version."""


O = TypeVar("O", bound=Versioned)  # noqa: E741 - an object
K = TypeVar("K")  # the part of it that is kept


def order_of(revision: str) -> int | None:
    """Return a resource version as a number for comparison, or ``None`` if it is not a number.

    Kubernetes' resource versions are decimal numbers that grow with each write (etcd's revisions), which is guaranteed from
    1.35 on (KEP-5504). Versions that are not numbers (from other servers with this API) are never compared.
    """
    return int(revision) if revision.isdecimal() else None


class Store(ABC, Generic[O, K]):
    """The kept part of each object of a list, by name.

    Attributes:
        revision: the resource version of the known objects, from which a watch continues; empty before the first list.
        changes: how often kept parts changed. Most updates of an object do not change them.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._by_name: dict[str, K] = {}
        self._alive_at: float | None = None
        self._synced = False
        self._order: int | None = None
        self.revision = ""
        self.changes = 0

    @abstractmethod
    def keep(self, item: O) -> K:
        """Return the part of an object to keep."""

    def synced(self) -> bool:
        """Whether all objects have been listed once."""
        return self._synced

    def age(self) -> float | None:
        """Seconds since the last data from the API server; ``None`` before the first."""
        return None if self._alive_at is None else max(self._monotonic() - self._alive_at, 0.0)

    def values(self) -> dict[str, K]:
        """A copy of the kept parts, by name."""
        return self._by_name.copy()

    # For the watch's thread.

    def alive(self) -> None:
        """Record that the API server sent data."""
        self._alive_at = self._monotonic()

    def older(self, revision: str) -> bool:
        """Whether a resource version is known to be older than what the store shows."""
        order = order_of(revision)
        return order is not None and self._order is not None and order < self._order

    def replace(self, kept: Mapping[str, K], revision: str) -> None:
        """Replace everything by a complete list."""
        self._by_name = dict(kept)
        self.changes += 1
        self._advance(revision)
        self._synced = True

    def put(self, item: O) -> None:
        """Store an object that was added or changed, unless a newer version is known."""
        if not self.older(item.metadata.resource_version):
            name, kept = item.metadata.name, self.keep(item)
            if self._by_name.get(name) is not kept:
                self._by_name[name] = kept
                self.changes += 1
            self._advance(item.metadata.resource_version)

    def drop(self, item: O) -> None:
        """Remove an object that was deleted, unless a newer version is known."""
        if not self.older(item.metadata.resource_version):
            self._by_name.pop(item.metadata.name, None)
            self.changes += 1
            self._advance(item.metadata.resource_version)

    def bookmark(self, revision: str) -> None:
        """Record that nothing changed up to this resource version."""
        if not self.older(revision):
            self._advance(revision)

    def _advance(self, revision: str) -> None:
        # After the objects: a reader that sees the new order must find what belongs to it.
        self.revision = revision
        self._order = order_of(revision)

"""The cache of namespaces' labels, and its age. No I/O.

One thread writes (the watch), the event loop's thread reads, and there are no locks: a read is one look into a dict, a
list replaces the dict as a whole, an event replaces one value of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from webhook.adapters.kubernetes.documents import Namespace
from webhook.engine.labels import UNLABELLED, NamespaceLabels

# Seconds for which the answer of a live read stands in for what the watch has not brought yet. It spares the API server
# one read per pod while the watch is behind, and is as old as a label may be when a pod is judged by it.
FETCHED_LIFE = 1.0
_DISTINCT_LABELS = 1024


def order_of(revision: str) -> int | None:
    """Give a resource version its place, or ``None`` if it has none that we can know.

    Kubernetes' resource versions are decimal numbers that grow with each write (etcd's revisions), and from 1.35 on that
    is a promise (KEP-5504). What is not a number (another server that speaks the API) is never compared.
    """
    return int(revision) if revision.isdecimal() else None


@dataclass(frozen=True, slots=True)
class _Fetched:
    labels: NamespaceLabels
    order: int
    until: float


class NamespaceCache:
    """The labels of all namespaces at one resource version.

    Args:
        monotonic: seconds of a clock that only goes forward.

    Attributes:
        revision: the resource version of what is known, from which a watch goes on; empty before the first list.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._labels: dict[str, NamespaceLabels] = {}
        self._fetched: dict[str, _Fetched] = {}  # the event loop's alone
        self._alive_at: float | None = None
        self._synced = False
        self._order: int | None = None
        # Thousands of namespaces have a handful of different labels: one object for each, not one for each namespace.
        # Bounded, because whoever may label a namespace could otherwise fill it.
        self._shared = lru_cache(maxsize=_DISTINCT_LABELS)(NamespaceLabels)
        self.revision = ""

    # For the event loop.

    def cached(self, name: str) -> NamespaceLabels | None:
        """What is known of a namespace; ``None`` when it is not known."""
        fetched = self._fetched.get(name)
        if fetched is not None and not self._passed(fetched.order) and self._monotonic() < fetched.until:
            return fetched.labels
        return self._labels.get(name)

    def remember(self, namespace: Namespace) -> NamespaceLabels:
        """Take the answer of a live read, and return its labels.

        It is remembered apart from what the watch brings, for a moment, and counts only while it is newer than all of
        that (see ``cached``): the object's resource version is compared with the whole cache's, not with the namespace's
        own. So it can't hide anything that the watch brought later, nor can the watch, catching up, take the namespace
        back to a state from before the read; nor can a read from before a deletion revive what was seen deleted.
        """
        labels = self.labels_of(namespace)
        order = order_of(namespace.metadata.resource_version)
        now = self._monotonic()
        self._fetched = {name: kept for name, kept in self._fetched.items() if now < kept.until}
        if order is not None:
            self._fetched[namespace.metadata.name] = _Fetched(labels, order, now + FETCHED_LIFE)
        return labels

    def synced(self) -> bool:
        """Whether all namespaces have been listed once."""
        return self._synced

    def age(self) -> float | None:
        """Seconds since the API server last gave a sign of life; ``None`` before the first one."""
        return None if self._alive_at is None else max(self._monotonic() - self._alive_at, 0.0)

    # For the watch's thread.

    def labels_of(self, namespace: Namespace) -> NamespaceLabels:
        """Pick a namespace's labels, as an object that is shared by all namespaces with the same."""
        labels = namespace.metadata.labels
        if labels is None or labels.enforce is labels.warn is labels.audit is None:
            return UNLABELLED
        return self._shared(labels.enforce, labels.warn, labels.audit)

    def alive(self) -> None:
        """Note a sign of life."""
        self._alive_at = self._monotonic()

    def older(self, revision: str) -> bool:
        """Whether a resource version is known to be older than what the cache shows."""
        order = order_of(revision)
        return order is not None and self._order is not None and order < self._order

    def replace(self, labels: Mapping[str, NamespaceLabels], revision: str) -> None:
        """Take a whole list as what is known from now on."""
        self._labels = dict(labels)
        self._advance(revision)
        self._synced = True

    def put(self, namespace: Namespace) -> None:
        """Take a namespace that was added or changed, unless more recent things are known."""
        if not self.older(namespace.metadata.resource_version):
            self._labels[namespace.metadata.name] = self.labels_of(namespace)
            self._advance(namespace.metadata.resource_version)

    def drop(self, namespace: Namespace) -> None:
        """Forget a namespace that was deleted, unless more recent things are known."""
        if not self.older(namespace.metadata.resource_version):
            self._labels.pop(namespace.metadata.name, None)
            self._advance(namespace.metadata.resource_version)

    def bookmark(self, revision: str) -> None:
        """Note that nothing changed up to this resource version."""
        if not self.older(revision):
            self._advance(revision)

    def _advance(self, revision: str) -> None:
        # After the labels: a reader that sees the new order must find the labels that belong to it.
        self.revision = revision
        self._order = order_of(revision)

    def _passed(self, order: int) -> bool:
        """Whether the watch has been there; after a list without a number nobody can say, and that counts as yes."""
        return self._synced and (self._order is None or self._order >= order)

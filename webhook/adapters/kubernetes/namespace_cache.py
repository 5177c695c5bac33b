"""The known labels of namespaces: from the watch, and for a short time from live reads. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ...engine.namespace_labels import UNLABELLED, NamespaceLabels
from .documents import Namespace
from .object_store import Store, order_of

# Seconds for which the result of a live read is used while the watch has not delivered the namespace: the API server then gets
# one read per second instead of one per pod, and pods are decided by labels that are at most this old.
FETCHED_LIFE = 1.0
_DISTINCT_LABELS = 1024


@dataclass(frozen=True, slots=True)
class _Fetched:
    labels: NamespaceLabels
    order: int
    until: float


class NamespaceCache(Store[Namespace, NamespaceLabels]):
    """The labels of all namespaces at one resource version."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__(monotonic)
        self._fetched: dict[str, _Fetched] = {}  # used only by the event loop
        # Thousands of namespaces have a handful of different labels: one object for each, not one for each namespace.
        # Bounded, because anyone who may label a namespace could otherwise fill it.
        self._shared = lru_cache(maxsize=_DISTINCT_LABELS)(NamespaceLabels)

    def cached(self, name: str) -> NamespaceLabels | None:
        """Return the labels of a namespace; ``None`` if it is not known."""
        fetched = self._fetched.get(name)
        if fetched is not None and not self._passed(fetched.order) and self._monotonic() < fetched.until:
            return fetched.labels
        return self._by_name.get(name)

    def remember(self, namespace: Namespace) -> NamespaceLabels:
        """Store the result of a live read, and return its labels.

        It is remembered separately from the watch's state, for a moment, and counts only while it is newer than all of that
        state (see ``cached``): the object's resource version is compared with the whole cache's, not with the namespace's own.
        So it can't hide anything that the watch delivers later. A watch that is catching up can't take the namespace back to a
        state from before the read, and a read from before a deletion can't revive a deleted namespace.
        """
        labels = self.keep(namespace)
        order = order_of(namespace.metadata.resource_version)
        now = self._monotonic()
        self._fetched = {name: kept for name, kept in self._fetched.items() if now < kept.until}
        if order is not None:
            self._fetched[namespace.metadata.name] = _Fetched(labels, order, now + FETCHED_LIFE)
        return labels

    def keep(self, item: Namespace) -> NamespaceLabels:
        """Return a namespace's labels, as an object that all namespaces with equal labels share."""
        labels = item.metadata.labels
        if labels is None or labels.enforce is labels.warn is labels.audit is None:
            return UNLABELLED
        return self._shared(labels.enforce, labels.warn, labels.audit)

    def _passed(self, order: int) -> bool:
        """Whether the watch has reached this version; if the list had no numeric version, this is assumed."""
        return self._synced and (self._order is None or self._order >= order)

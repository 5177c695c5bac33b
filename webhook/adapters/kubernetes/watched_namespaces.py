"""The watched labels of namespaces, for admission and readiness (``webhook.application.namespaces``)."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from ...application.namespaces import NamespaceNotFound, NamespaceUnavailable
from ...application.object_names import VALID_NAMESPACE
from ...engine.namespace_labels import NamespaceLabels
from .api_request import ApiRequest, path_of
from .backoff import Backoff
from .client import ApiServer
from .documents import Namespace, ObjectList, decode
from .errors import ApiError, Fault
from .live_reads import FETCH_TIMEOUT, LiveReads
from .namespace_cache import NamespaceCache
from .watch import GRACE, WATCH_SECONDS, Objects, Watch, WatchObserver

# Seconds without data from the API server after which the cache is stale. A healthy connection delivers data every minute (a
# bookmark, or the next watch, see watch.WATCH_SECONDS). The limit allows for one minute without data, 10 s until that is noticed,
# and half a minute of attempts to reconnect.
FRESHNESS_BOUND = 150.0
_NAMESPACES = Objects("namespace", "/api/v1/namespaces", Namespace, ObjectList[Namespace], {})


class Observer(WatchObserver, Protocol):
    """Receives events of the cache; misses are reported from the event loop's thread."""

    def missed(self, outcome: str) -> None:
        """A namespace was not cached and was read live: ``found``, ``not-found`` or ``unavailable``."""


class WatchedNamespaces:
    """All namespaces' labels from a watch, and a live read for one that the watch has not delivered yet.

    Args:
        fetch_timeout: seconds for a live read.
        watch_silence: as ``silence`` of ``Watch``.
    """

    def __init__(  # noqa: PLR0913 - the times it waits have good defaults
        self,
        api: ApiServer,
        observer: Observer,
        *,
        fetch_timeout: float = FETCH_TIMEOUT,
        watch_silence: float = WATCH_SECONDS + GRACE,
        monotonic: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
    ) -> None:
        self._observer = observer
        self._cache = NamespaceCache(monotonic)
        self._api = api
        self._fetch_timeout = fetch_timeout
        self._reads = LiveReads(self._get, NamespaceUnavailable, timeout=fetch_timeout)
        self._watch = Watch(
            api,
            _NAMESPACES,
            self._cache,
            observer,
            backoff=backoff or Backoff(random.random),
            monotonic=monotonic,
            silence=watch_silence,
        )

    def start(self) -> None:
        """Start to list and watch, once; return immediately."""
        self._watch.start()

    def stop(self) -> None:
        """End the watch; wait a moment for it."""
        self._watch.stop()
        self._reads.close()

    def cached(self, name: str) -> NamespaceLabels | None:
        """Return the cached state of a namespace, without I/O; ``None`` if it is not known."""
        return self._cache.cached(name)

    def labels(self) -> Mapping[str, NamespaceLabels]:
        """Return the labels of all known namespaces."""
        return self._cache.values()

    async def fetch(self, name: str) -> NamespaceLabels:
        """Read a namespace that is not cached from the API server; concurrent callers share the read.

        Raises:
            NamespaceNotFound: there is no such namespace.
            NamespaceUnavailable: the API server did not answer in time; this is not cached.
        """
        if (labels := self._cache.cached(name)) is not None:
            return labels
        try:
            namespace = await self._reads.read(name)
        except NamespaceNotFound:
            self._observer.missed("not-found")
            raise
        except NamespaceUnavailable:
            self._observer.missed("unavailable")
            raise
        self._observer.missed("found")
        return self._cache.remember(namespace)

    def _get(self, name: str) -> Namespace:
        if not VALID_NAMESPACE.fullmatch(name):
            raise NamespaceNotFound(name)  # no namespace can have this name
        request = ApiRequest("GET", path_of("api", "v1", "namespaces", name))
        try:
            body = self._api.call(request, timeout=self._fetch_timeout)
        except ApiError as error:
            if error.fault is Fault.NOT_FOUND:
                raise NamespaceNotFound(name) from error
            raise
        namespace = decode(body, Namespace, f'namespace "{name}"')
        if namespace.metadata.name != name:
            raise ApiError(Fault.GARBAGE, f'{request} gave the namespace "{namespace.metadata.name}"')
        return namespace

    def age(self) -> float | None:
        """Seconds since the last data from the API server (an event, a bookmark, a list, a new watch)."""
        return self._cache.age()

    def freshness(self, bound: float = FRESHNESS_BOUND) -> tuple[bool, str]:
        """Whether the namespaces are synced and were updated less than ``bound`` seconds ago, with a message."""
        age = self._cache.age()
        problem = f"; last problem: {self._watch.problem}" if self._watch.problem else ""
        if age is None or not self._cache.synced():
            return False, f"namespaces have not been listed yet{problem}"
        if age > bound:
            return (
                False,
                f"namespaces may be stale: nothing from the API server for {age:.0f} s (bound {bound:g} s){problem}",
            )
        return True, f"namespaces are synced, last heard of {age:.0f} s ago (bound {bound:g} s)"

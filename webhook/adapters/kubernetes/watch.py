"""Keeps a store of objects up to date in a thread: lists, watches, lists again when necessary, and always retries."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol

from .api_request import ApiRequest
from .backoff import Backoff
from .client import ApiServer
from .documents import ErrorStatus, Event, ObjectList, decode
from .errors import ApiError, Fault, fault_of
from .object_store import K, O, Store
from .transport import Stream

PAGE = 500  # objects a page, as kubectl lists
LIST_TIMEOUT = 30.0  # seconds for a page
LOOK_TIMEOUT = 5.0  # seconds for a page of one

# Seconds after which the server ends a watch, and we begin the next one where it ended (which costs it next to nothing).
# A minute and not client-go's five to ten: every server answers the next watch, with or without bookmarks,
# and a connection that has died silently (a frozen server, a lost route) is noticed as soon as a healthy one
# would have been renewed. A server that knows bookmarks also sends one 2 s before the end (cacher.go, nextBookmarkTime).
WATCH_SECONDS = 60
# Additional seconds until a silent connection counts as dead, because the server starts counting later than we do.
GRACE = 10.0
# A watch that ends sooner counts as failed (as in client-go's reflector: "very short watch").
_SHORTEST = 1.0
_STOP_TIMEOUT = 2.0
# If this many lists in a row are older than known data, etcd was restored from a backup.
_BELIEVED = 3

# After these, it is not certain what the watch has missed, and only a new list shows the state.
_RELIST = frozenset({Fault.EXPIRED, Fault.GARBAGE, Fault.SERVER_ERROR, Fault.REJECTED, Fault.STALE, Fault.BUG})
# After these, other kept-alive connections have probably failed too.
_DEAD = frozenset({Fault.SILENT, Fault.CUT, Fault.UNREACHABLE})


class WatchObserver(Protocol):
    """Receives events of a watch (metrics, log); called from the watch's thread."""

    def listed(self, number: int) -> None:
        """All objects were listed: at the start, and whenever the watch lost its place."""

    def watch_failed(self, fault: Fault, detail: str, retry_in: float) -> None:
        """List or watch failed; it is retried after this many seconds."""


@dataclass(frozen=True)
class Objects(Generic[O]):
    """The objects of a watch."""

    name: str
    path: str
    item: type[O]
    page: type[ObjectList[O]]
    selector: Mapping[str, str]
    limit: int = PAGE


class Watch(Generic[O, K]):
    """Lists and watches objects into a store until it is stopped.

    Args:
        silence: seconds without a byte after which the connection of a watch counts as dead.
    """

    def __init__(  # noqa: PLR0913 - what it works on, and how it waits
        self,
        api: ApiServer,
        objects: Objects[O],
        store: Store[O, K],
        observer: WatchObserver,
        *,
        backoff: Backoff,
        monotonic: Callable[[], float],
        silence: float = WATCH_SECONDS + GRACE,
    ) -> None:
        self._api = api
        self._objects = objects
        self._store = store
        self._observer = observer
        self._backoff = backoff
        self._monotonic = monotonic
        self._silence = silence
        self._must_list = True
        self._followed = False  # whether a watch continued from the last list
        self._rewound = 0
        self._stopping = threading.Event()
        self._relisting = threading.Event()
        self._stream: Stream | None = None
        self.problem = ""
        """The last problem, as a message; empty if there is none."""
        # A thread, because urllib3's connections block; a daemon, so that the process can end while one of them waits.
        self._thread = threading.Thread(target=self._run, name=f"{objects.name}-watch", daemon=True)

    def start(self) -> None:
        """Start to list and watch, once; return immediately."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._relisting.is_set():
                self._relisting.clear()
                self._must_list = True
            try:
                if self._must_list:
                    self._list()
                else:
                    self._look_for_a_restored_backup()
                self._watch()
            except ApiError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, a watch that ended in silence would be worse
                self._failed(ApiError(Fault.BUG, f"{type(error).__name__}: {error}"))

    def stop(self) -> None:
        """End the watch, and wait a moment for its thread."""
        self._stopping.set()
        if stream := self._stream:
            stream.shutdown()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)

    def relist(self) -> None:
        """Read everything again, because other parts of the objects are to be kept now; from any thread."""
        self._relisting.set()
        if stream := self._stream:
            stream.shutdown()

    def _failed(self, error: ApiError) -> None:
        if self._stopping.is_set() or self._relisting.is_set():
            return
        self._must_list |= error.fault in _RELIST
        if error.fault in _DEAD:
            self._api.drop_connections()
        self.problem = error.detail
        # If a watch lost its place (every restart of an API server may cause this), the list need not wait, unless the watch
        # after the previous list failed too.
        at_once = error.fault is Fault.EXPIRED and self._followed
        delay = 0.0 if at_once else self._backoff.delay(error.retry_after)
        self._observer.watch_failed(error.fault, error.detail, delay)
        self._stopping.wait(delay)

    def _list(self) -> None:
        kept: dict[str, K] = {}
        query = first = {"limit": str(self._objects.limit), **self._objects.selector}
        while True:
            # No resourceVersion: such a list is read from etcd's majority and is never older than the question.
            body = self._api.call(ApiRequest("GET", self._objects.path, query), timeout=LIST_TIMEOUT)
            page = decode(body, self._objects.page, f"the list of {self._objects.name}s")
            for item in page.items:
                _require(item.metadata.name, f"a {self._objects.name} without a name")
                kept[item.metadata.name] = self._store.keep(item)
            if not page.metadata.next_page:
                break
            # A token that expires meanwhile is a 410 like any other: the list starts over.
            query = {**first, "continue": page.metadata.next_page}
        revision = page.metadata.resource_version
        _require(revision, "a list without a resource version")
        self._check_age(revision)
        self._store.replace(kept, revision)
        self._store.alive()
        self._must_list = self._followed = False
        self._observer.listed(len(kept))

    def _look_for_a_restored_backup(self) -> None:
        """Check, before a watch is resumed, that its resource version is not in the future.

        After etcd was restored from a backup, it may be in the future. kube-apiserver then sends nothing, not even bookmarks,
        until its revisions have reached it, which may take days: its watch cache leaves out everything that is not newer than
        the requested version (cacher, cache_watcher.go: ``process``). That would look like a quiet cluster, and old labels
        would continue to decide. A list of one object, read from etcd's majority, shows where etcd is. The list has no
        selector: to find a selected object, etcd might have to read all others.
        """
        timeout = min(LOOK_TIMEOUT, self._silence)
        body = self._api.call(ApiRequest("GET", self._objects.path, {"limit": "1"}), timeout=timeout)
        what = f"the list of one {self._objects.name}"
        revision = decode(body, self._objects.page, what).metadata.resource_version
        if self._store.older(revision):
            raise ApiError(
                Fault.STALE, f"the API server is at {revision}, before what was seen at {self._store.revision}"
            )

    def _check_age(self, revision: str) -> None:
        """Reject a list that is older than known data, unless the server repeats it.

        The list is read from etcd's majority. So an older one comes either from a proxy that answers from memory, or from an
        etcd that was restored from a backup, which repeats the same answer.
        """
        if not self._store.older(revision):
            self._rewound = 0
            return
        self._rewound += 1
        if self._rewound < _BELIEVED:
            raise ApiError(Fault.STALE, f"a list at {revision} is older than what was seen at {self._store.revision}")
        self._rewound = 0

    def _watch(self) -> None:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._store.revision,
            "timeoutSeconds": str(WATCH_SECONDS),
            **self._objects.selector,
        }
        with self._api.stream(ApiRequest("GET", self._objects.path, query), silence=self._silence) as stream:
            began = self._monotonic()
            self._stream = stream
            if self._stopping.is_set() or self._relisting.is_set():  # stopped before there was a stream to end
                return
            self._store.alive()
            self.problem = ""
            try:
                for line in stream.lines():
                    self._apply(decode(line, Event, "a watch event"))
                    self._progressed()
            finally:
                self._stream = None
        if self._monotonic() - began < _SHORTEST:
            raise ApiError(Fault.SHORT, f"a watch of {WATCH_SECONDS} s ended within {_SHORTEST:g} s")
        self._progressed()

    def _progressed(self) -> None:
        self._store.alive()
        self._backoff.reset()
        self._followed = True

    def _apply(self, event: Event) -> None:
        match event.type:
            case "ADDED" | "MODIFIED":
                self._store.put(self._newer(self._named(event)))
            case "DELETED":
                self._store.drop(self._newer(self._named(event)))
            case "BOOKMARK":
                bookmark = decode(event.object, self._objects.item, "a bookmark")
                _require(bookmark.metadata.resource_version, "a bookmark without a resource version")
                self._store.bookmark(self._newer(bookmark).metadata.resource_version)
            case "ERROR":
                status = decode(event.object, ErrorStatus, "an error event")
                raise ApiError(fault_of(status.code), f"watch: {status.code} {status.message}".rstrip())
            case _:
                raise ApiError(Fault.GARBAGE, f'a watch event of the unknown type "{event.type[:40]}"')

    def _newer(self, seen: O) -> O:
        """Return the object.

        Raises:
            ApiError: it is older than known data, and only a list can show which state is current.
        """
        revision = seen.metadata.resource_version
        if self._store.older(revision):
            raise ApiError(
                Fault.STALE, f"a watch event at {revision} is older than what was seen at {self._store.revision}"
            )
        return seen

    def _named(self, event: Event) -> O:
        name = self._objects.name
        item = decode(event.object, self._objects.item, f"a watch event's {name}")
        _require(item.metadata.name, f"a watch event without a {name}'s name")
        _require(item.metadata.resource_version, "a watch event without a resource version")
        return item


def _require(value: str, otherwise: str) -> None:
    if not value:
        raise ApiError(Fault.GARBAGE, otherwise)

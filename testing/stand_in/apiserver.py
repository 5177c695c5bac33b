"""A stand-in API server: real HTTP on loopback, namespaces that can be listed and watched, objects, and faults on demand.

It does what kube-apiserver does as far as the adapter can see it: pages with tokens, events after a resource version, 410
for one that is too old, 409 for a write from an old state. Everything else is asked for by a test, one request at a time
(``script``) or as a state (``freeze``).
"""

import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from testing.stand_in.documents import event, namespace, node
from testing.stand_in.http_side import CLASSES, PATIENCE, Behaviour, Handler, Seen, Server


class StandIn:
    """The server. Use it as a context manager, which starts and stops it."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.changed = threading.Condition()
        self.requests: list[Seen] = []
        self.running = threading.Event()
        self.running.set()
        self.stopping = False
        self.bookmarks = True
        self.authorize: Callable[[str | None], bool] = lambda _: True
        self.objects: dict[str, dict[str, Any]] = {}
        self.errors: list[str] = []
        self._namespaces: dict[str, dict[str, Any]] = {}
        self._nodes: dict[str, dict[str, Any]] = {}
        self._events: list[tuple[int, bytes]] = []
        self._node_events: list[tuple[int, bytes, Mapping[str, str]]] = []
        self._revision = 100
        self._oldest = 0
        self._scripts: dict[str, deque[Behaviour]] = {}
        self._always: dict[str, Behaviour] = {}
        self._watches = 0
        self._epoch = 0
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.stand_in = self
        if tls is not None:
            # Handshakes are made by the handler's thread, not by the one that accepts.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and cut every connection."""
        with self.changed:
            self.stopping = True
            self.running.set()
            self.changed.notify_all()
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()
        self._server.cut_all()
        self._server.join_all()
        assert not self.errors, self.errors

    # The cluster's state, as its users change it.

    @property
    def revision(self) -> str:
        return str(self._revision)

    def set_classes(self, **names: str) -> None:
        """Set the DeviceClasses (DRA): the resource name of each."""
        items = [{"metadata": {"name": name}, "spec": {"extendedResourceName": its}} for name, its in names.items()]
        with self.changed:
            self._revision += 1
            self.objects[CLASSES] = {"metadata": {"resourceVersion": self.revision}, "items": items}
            self.changed.notify_all()

    def other_classes(self, revision: str, until: float) -> bool:
        """Wait until the DeviceClasses are others than at a revision; say whether they are by then."""

        def others() -> bool:
            return self.stopping or self.objects[CLASSES]["metadata"]["resourceVersion"] != revision

        with self.changed:
            return self.changed.wait_for(others, max(until - time.monotonic(), 0.0)) and not self.stopping

    def set_namespace(self, name: str, /, annotations: Mapping[str, str] | None = None, **labels: str) -> str:
        """Create or relabel a namespace (``enforce="mps"`` is our label); give its resource version."""
        with self.changed:
            kind = "MODIFIED" if name in self._namespaces else "ADDED"
            self._revision += 1
            self._namespaces[name] = namespace(name, self.revision, **labels)
            if annotations:
                self._namespaces[name]["metadata"]["annotations"] = dict(annotations)
            self._emit(kind, self._namespaces[name])
            return self.revision

    def annotate_namespace(self, name: str, annotations: dict[str, str]) -> None:
        with self.changed:
            self._namespaces[name]["metadata"]["annotations"] = annotations

    def delete_namespace(self, name: str) -> str:
        with self.changed:
            self._revision += 1
            gone = self._namespaces.pop(name)
            gone["metadata"]["resourceVersion"] = self.revision
            self._emit("DELETED", gone)
            return self.revision

    def fill(self, count: int, **labels: str) -> None:
        """Have so many namespaces, without events for them."""
        with self.changed:
            for number in range(count):
                self._revision += 1
                name = f"team-{number:05}"
                self._namespaces[name] = namespace(name, self.revision, **labels)
            self._oldest = self._revision

    def set_node(self, name: str, /, **fields: Any) -> None:
        """Create or change a node; ``fields`` as ``documents.node`` takes them."""
        with self.changed:
            kind = "MODIFIED" if name in self._nodes else "ADDED"
            self._revision += 1
            self._nodes[name] = node(name, self.revision, **fields)
            self._emit_node(kind, self._nodes[name])

    def forget_node_events(self) -> None:
        """Forget what happened to nodes so far, as a server does that was just started."""
        with self.changed:
            self._node_events.clear()
            self._oldest = self._revision

    def delete_node(self, name: str) -> None:
        with self.changed:
            self._revision += 1
            gone = self._nodes.pop(name)
            gone["metadata"]["resourceVersion"] = self.revision
            self._emit_node("DELETED", gone)

    def bookmark(self) -> None:
        """Send every watch a bookmark."""
        with self.changed:
            self._revision += 1
            self._emit("BOOKMARK", {"kind": "Namespace", "metadata": {"resourceVersion": self.revision}})

    def emit(self, line: bytes) -> None:
        """Send every watch a line as it is."""
        with self.changed:
            self._revision += 1
            self._events.append((self._revision, line))
            self.changed.notify_all()

    def compact(self) -> None:
        """Forget the past: a watch from any earlier resource version, and any continue token, is too old from now on."""
        with self.changed:
            self._revision += 1
            self._oldest = self._revision

    def restore(self, revision: int) -> None:
        """Go back in time, as after the restoration of a backup of etcd."""
        with self.changed:
            self._revision = self._oldest = revision
            self._events.clear()

    def end_watches(self) -> None:
        """End every watch in the orderly way, as the server does after timeoutSeconds."""
        with self.changed:
            self._epoch += 1
            self.changed.notify_all()

    def cut(self) -> None:
        """Reset every connection."""
        self._server.cut_all()

    # Faults.

    def script(self, kind: str, *behaviours: Behaviour) -> None:
        """Answer the next requests of a kind (``list``, ``watch``, ``get``, ``object``) so."""
        with self.changed:
            self._scripts.setdefault(kind, deque()).extend(behaviours)

    def always(self, kind: str, behaviour: Behaviour | None) -> None:
        """Answer every request of a kind so, until told otherwise (with ``None``)."""
        with self.changed:
            self._always.pop(kind, None)
            if behaviour is not None:
                self._always[kind] = behaviour

    def freeze(self) -> None:
        """Say nothing more on any connection, as a stopped process: connections are accepted, and that is all."""
        self.running.clear()

    def thaw(self) -> None:
        self.running.set()
        with self.changed:
            self.changed.notify_all()

    # What was asked.

    def count(self, kind: str) -> int:
        with self.changed:
            return sum(seen.kind == kind for seen in self.requests)

    def seen(self, kind: str) -> list[Seen]:
        with self.changed:
            return [seen for seen in self.requests if seen.kind == kind]

    def wait_for_requests(self, kind: str, count: int) -> None:
        """Wait until so many requests of a kind have come."""
        with self.changed:
            came = self.changed.wait_for(lambda: sum(s.kind == kind for s in self.requests) >= count, PATIENCE)
        assert came, f"{self.count(kind)} of {count} {kind} requests came"

    def wait_for_watches(self, count: int = 1) -> None:
        """Wait until so many watches have been opened since the start."""
        with self.changed:
            assert self.changed.wait_for(lambda: self._watches >= count, PATIENCE), f"{self._watches} were opened"

    # For the handler.

    def behaviour(self, seen: Seen) -> Behaviour | None:
        with self.changed:
            self.requests.append(seen)
            self.changed.notify_all()
            scripted = self._scripts.get(seen.kind)
            return scripted.popleft() if scripted else self._always.get(seen.kind)

    def page(self, query: Mapping[str, str], *, nodes: bool = False) -> dict[str, Any] | None:
        """Make a page of the list; ``None`` when the token is too old."""
        with self.changed:
            limit = int(query.get("limit", "0"))
            start, revision = 0, self._revision
            if token := query.get("continue"):
                revision, start = map(int, token.split("-"))
                if revision < self._oldest:
                    return None
            selector = query.get("labelSelector", "")
            every = (self._nodes if nodes else self._namespaces).values()
            items = [one for one in every if selects(selector, one["metadata"].get("labels", {}))]
            end = start + limit if limit else len(items)
            metadata = {"resourceVersion": str(revision)}
            if end < len(items):
                metadata["continue"] = f"{revision}-{end}"
            kind = "NodeList" if nodes else "NamespaceList"
            return {"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items[start:end]}

    def find(self, name: str) -> dict[str, Any] | None:
        with self.changed:
            return self._namespaces.get(name)

    def expired(self, revision: str) -> bool:
        with self.changed:
            return int(revision) < self._oldest

    def store(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Keep an object under the next resource version."""
        with self.changed:
            self._revision += 1
            document.setdefault("metadata", {})["resourceVersion"] = self.revision
            self.objects[path] = document
            return document

    def open_watch(self, *, nodes: bool = False) -> int:
        """Count a watch, if of namespaces; give what tells it from those that ``end_watches`` ended before."""
        with self.changed:
            self._watches += not nodes
            self.changed.notify_all()
            return self._epoch

    def events_after(
        self, revision: int, epoch: int, until: float, *, nodes: bool = False, selector: str = ""
    ) -> Iterator[bytes]:
        """Give the lines after a resource version as they happen, until the watch is to end."""
        sent = 0
        events = self._node_events if nodes else self._events
        while True:
            with self.changed:
                while len(events) <= sent and not self.stopping and self._epoch == epoch:
                    if (left := until - time.monotonic()) <= 0:
                        return
                    self.changed.wait(left)
                if self.stopping or len(events) <= sent:
                    return
                due = [line for at, line, *labels in events[sent:] if at > revision and selects(selector, *labels)]
                sent = len(events)
            yield from due

    def _emit(self, kind: str, document: dict[str, Any]) -> None:
        if kind != "BOOKMARK" or self.bookmarks:
            self._events.append((self._revision, json.dumps({"type": kind, "object": document}).encode() + b"\n"))
        self.changed.notify_all()

    def _emit_node(self, kind: str, document: dict[str, Any]) -> None:
        self._node_events.append((self._revision, event(kind, document), document["metadata"]["labels"]))
        self.changed.notify_all()


def selects(selector: str, labels: Mapping[str, str] | None = None) -> bool:
    """Whether a label selector of one equality, or of one key that must be there, selects an object."""
    key, equals, value = selector.partition("=")
    return not key or (labels is not None and key in labels and (not equals or labels[key] == value))

"""The stand-in's HTTP: connections that can be cut, and each request answered from the state or by a fault."""

import contextlib
import json
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonpatch

from testing.stand_in.documents import event, status

if TYPE_CHECKING:
    from testing.stand_in.apiserver import StandIn

PATIENCE = 60.0  # seconds until a test that waits for something gives up

NODES = "/api/v1/nodes"
CLASSES = "/apis/resource.k8s.io/v1/deviceclasses"

Behaviour = Callable[["Handler"], None]
"""What to do with one request instead of answering it."""


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    kind: str  # list, look (a list of one), watch, get (a namespace), object; nodes-list, nodes-look, nodes-watch; classes
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    connection: int  # the client's port


class Server(ThreadingHTTPServer):
    """Knows its connections, so that it can cut them and wait for their threads."""

    stand_in: "StandIn"
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)

    def handle_error(self, *_: object) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):  # a client that goes away is no error
            self.stand_in.errors.append(repr(error))

    def cut_all(self) -> None:
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            reset(connection)

    def join_all(self) -> None:
        with self._lock:
            threads = list(self._open.values())
        for thread in threads:
            thread.join(PATIENCE)


def reset(connection: socket.socket) -> None:
    """Make the other side see a reset; the thread that reads here wakes up."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        # On the bare socket: an SSLSocket's own shutdown would drop its state under the thread that uses it.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True  # or every second answer would wait 40 ms for an acknowledgement
    server: Server

    def setup(self) -> None:
        super().setup()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is the base's
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - the base calls them so

    def _serve(self) -> None:
        stand_in = self.server.stand_in
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = unquote(url.path)
        seen = Seen(
            kind_of(self.command, path, query),
            self.command,
            url.path,
            query,
            dict(self.headers),
            body,
            self.client_address[1],
        )
        behaviour = stand_in.behaviour(seen)
        stand_in.running.wait()
        if stand_in.stopping:
            self.close_connection = True
        elif not stand_in.authorize(self.headers.get("Authorization")):
            self.say(401, status(401, "Unauthorized"))
        elif behaviour is not None:
            behaviour(self)
        else:
            getattr(self, f"_{seen.kind.removeprefix('nodes-')}")(path, seen)

    def _list(self, path: str, seen: Seen) -> None:
        page = self.server.stand_in.page(seen.query, nodes=path == NODES)
        if page is None:
            self.say(410, status(410, "The provided continue parameter is too old"))
        else:
            self.say(200, page)

    _look = _list

    def _get(self, path: str, _: Seen) -> None:
        name = path.rpartition("/")[2]
        found = self.server.stand_in.find(name)
        self.say(*((200, found) if found else (404, status(404, f'namespaces "{name}" not found'))))

    def _watch(self, path: str, seen: Seen) -> None:
        stand_in = self.server.stand_in
        self.begin()
        if stand_in.expired(seen.query["resourceVersion"]):
            # kube-apiserver says so inside the stream when its watch cache is asked, and by the HTTP status elsewhere.
            self.chunk(event("ERROR", status(410, "too old resource version")))
            self.chunk(b"")
            return
        until = time.monotonic() + float(seen.query["timeoutSeconds"])
        revision, selector = int(seen.query["resourceVersion"]), seen.query.get("labelSelector", "")
        epoch = stand_in.open_watch(nodes=path == NODES)
        for line in stand_in.events_after(revision, epoch, until, nodes=path == NODES, selector=selector):
            stand_in.running.wait()
            self.chunk(line)
        stand_in.running.wait()
        if stand_in.stopping:
            self.close_connection = True
        else:
            self.chunk(b"")

    def _classes(self, path: str, seen: Seen) -> None:
        """A list of DeviceClasses; a watch of them ends, so that they are listed again, when ``set_classes`` sets others."""
        stand_in = self.server.stand_in
        if "watch" not in seen.query:
            return self._object(path, seen)
        self.begin()
        if stand_in.other_classes(
            seen.query["resourceVersion"], time.monotonic() + float(seen.query["timeoutSeconds"])
        ):
            self.chunk(event("ERROR", status(410, "too old resource version")))
        if stand_in.stopping:
            self.close_connection = True
        else:
            self.chunk(b"")
        return None

    def _object(self, path: str, seen: Seen) -> None:  # noqa: PLR0911 - one for each answer
        stand_in = self.server.stand_in
        if seen.method == "POST":
            document = json.loads(seen.body)
            where = f"{path}/{document['metadata']['name']}"
            if where in stand_in.objects:
                return self.say(409, status(409, f"{where} already exists"))
            return self.say(201, stand_in.store(where, document))
        stored = stand_in.objects.get(path)
        if stored is None and path == NODES:
            return self._list(path, seen)
        if stored is None:
            return self.say(404, status(404, f"{path} not found"))
        if seen.method == "GET":
            return self.say(200, stored)
        if seen.method == "PUT":
            document = json.loads(seen.body)
        else:
            assert seen.headers["Content-Type"] == "application/json-patch+json"
            try:
                document = jsonpatch.apply_patch(stored, json.loads(seen.body))
            except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPatchTestFailed) as error:
                return self.say(422, status(422, f"the server rejected our request: {error}"))
        if document["metadata"].get("resourceVersion") not in {None, stored["metadata"]["resourceVersion"]}:
            return self.say(409, status(409, "the object has been modified; please apply your changes to the latest"))
        return self.say(200, stand_in.store(path, document))

    def say(self, code: int, document: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a document, or with bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(code)
        for key, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        """Begin an answer that goes on."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        """Go on with it; an empty chunk ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def kind_of(method: str, path: str, query: Mapping[str, str]) -> str:
    """Name what is asked."""
    if path == "/api/v1/namespaces" and method == "GET":
        return _of_list(query)
    # Those that are watched; a list of all nodes is an object like any other.
    if path == NODES and method == "GET" and ("labelSelector" in query or query.get("limit") == "1"):
        return f"nodes-{_of_list(query)}"
    if path == CLASSES:
        return "classes"
    if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
        return "get"
    return "object"


def _of_list(query: Mapping[str, str]) -> str:
    return "watch" if "watch" in query else "look" if query.get("limit") == "1" else "list"

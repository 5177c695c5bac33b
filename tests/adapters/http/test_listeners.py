"""Listeners: where they listen, how long they keep connections, and how they end."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trustme

from tests.adapters.http.support import GOOD, Serving, answer_of, running
from tests.wire import PATIENCE, request
from webhook.adapters.asgi.operations_listener import OperationsListener
from webhook.adapters.http.connection import Port
from webhook.adapters.http.connection_limiter import ConnectionLimiter, Rejections
from webhook.adapters.http.limits import Limits
from webhook.adapters.http.listeners import GRACE_SECONDS, AdmissionListener
from webhook.adapters.http.request_queue import RequestQueue

Listener = AdmissionListener | OperationsListener


async def app(scope: object, receive: object, send: object) -> None:
    raise AssertionError("nobody asks")


def limiter(connections: int = 3) -> ConnectionLimiter:
    return ConnectionLimiter(Limits(connections=connections), Rejections("test", lambda _port, _reason: None))


def admission(host: str, port: int) -> Listener:
    return AdmissionListener(Port(lambda _path: None, limiter(), RequestQueue()), host, port)


def operations(host: str, port: int) -> Listener:
    return OperationsListener(app, host, port, limiter())


Make = Callable[[str, int], Listener]
either = pytest.mark.parametrize("make", [admission, operations])


async def ended(listener: Listener) -> None:
    """Let a listener that was never meant to serve go through its life."""
    listener.stop()
    await listener.serve()


async def served(*listeners: Listener) -> None:
    """Serve as ``gpuwarden serve`` does."""
    async with asyncio.TaskGroup() as group:
        for listener in listeners:
            group.create_task(listener.serve())


def test_connections_are_kept_longer_than_the_api_server_keeps_them() -> None:
    """net/http DefaultTransport keeps idle connections for 90 s; who closes first loses a POST."""
    assert Limits().idle_seconds >= 120


@either
async def test_port_0_takes_a_free_one_and_a_port_that_is_taken_is_known_at_once(make: Make) -> None:
    listener = make("127.0.0.1", 0)
    assert listener.port > 0
    with pytest.raises(OSError, match="in use"):
        make("127.0.0.1", listener.port)
    await ended(listener)


@either
@pytest.mark.parametrize(
    ("host", "reached"), [("", ["127.0.0.1", "::1"]), ("127.0.0.1", ["127.0.0.1"]), ("::1", ["::1"])]
)
async def test_it_listens_on_the_address_it_is_given_or_on_all(make: Make, host: str, reached: list[str]) -> None:
    listener = make(host, 0)

    for address in reached:
        socket.create_connection((address, listener.port), timeout=PATIENCE).close()
    for address in {"127.0.0.1", "::1"} - set(reached):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, listener.port), timeout=PATIENCE)
    await ended(listener)


async def test_when_one_listener_fails_the_others_stop() -> None:
    good, bad = operations("127.0.0.1", 0), admission("127.0.0.1", 0)
    socket.close(bad._socket.fileno())  # the kernel takes it away

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ExceptionGroup):
            await served(good, bad)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", good.port), timeout=PATIENCE)


def test_answers_have_the_date(authority: trustme.CA) -> None:
    with running(authority, {"/mutate": lambda body: body}) as server:
        date = server.ask(request("/mutate", GOOD)).headers["date"]
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)


def test_what_is_under_way_is_answered_before_the_end_and_idle_connections_are_closed(authority: trustme.CA) -> None:
    asked, go_on = threading.Event(), threading.Event()

    async def slow(body: bytes) -> bytes:
        asked.set()
        await asyncio.to_thread(go_on.wait, PATIENCE)
        return b"{}"

    with running(authority, {"/slow": slow}) as server, server.connect() as idle, server.connect() as busy:
        busy.send(request("/slow", GOOD))
        assert asked.wait(PATIENCE)
        server.stop()
        assert idle.ended()
        go_on.set()

        reply = busy.reply()
        assert reply.code == 200
        assert reply.headers["connection"] == "close"
        assert busy.ended()


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00half a hello"])
def test_a_handshake_that_does_not_end_is_not_waited_for_at_the_end(authority: trustme.CA, said: bytes) -> None:
    with (
        running(authority, {"/mutate": lambda _: b"{}"}) as server,
        socket.create_connection(("127.0.0.1", server.listener.port), timeout=GRACE_SECONDS / 2) as raw,
    ):
        raw.sendall(said)
        server.ask(request("/mutate", GOOD))  # by now it has been accepted
        server.stop()
        with suppress(ConnectionResetError):
            assert raw.recv(1) == b""


def test_an_answer_that_is_being_read_at_the_end_is_read_to_its_end(authority: trustme.CA) -> None:
    size = 200_000  # more than the kernel takes, and less than what makes the server wait
    with running(authority, {"/mutate": lambda _: b"x" * size}) as server:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", server.listener.port))
        with server.context().wrap_socket(raw, server_hostname="localhost") as wire:
            wire.settimeout(GRACE_SECONDS)
            wire.sendall(request("/mutate", GOOD))
            read = wire.recv(100)
            server.stop()
            while piece := wire.recv(65_536):
                read += piece
    assert len(read.partition(b"\r\n\r\n")[2]) == size


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, as soon as the port accepts any."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(ConnectionRefusedError):
                return await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.01)


async def test_on_the_operations_port_what_is_under_way_is_answered_before_the_end() -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def slow(_scope: object, _receive: object, send: Any) -> None:
        begun.set()
        await over.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = OperationsListener(slow, "127.0.0.1", 0, limiter())
    serving = asyncio.create_task(listener.serve())
    reader, writer = await connected(listener.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n")
    await begun.wait()
    listener.stop()
    await asyncio.sleep(0.3)  # it looks for the end ten times a second
    over.set()
    assert (await reader.read()).endswith(b"\r\n\r\nok")
    await serving
    writer.close()


@pytest.mark.parametrize("headers", [b"", b"content-length: 100000\r\n", b"transfer-encoding: chunked\r\n"])
async def test_on_the_operations_port_each_answer_ends_its_connection_and_bodies_are_not_read(headers: bytes) -> None:
    async def answering(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = OperationsListener(answering, "127.0.0.1", 0, limiter())
    serving = asyncio.create_task(listener.serve())
    reader, writer = await connected(listener.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: here\r\n%b\r\n" % headers)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nok")
    writer.close()
    listener.stop()
    await serving


async def test_a_handshake_that_fails_while_it_is_dropped_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    connections = ConnectionLimiter(Limits(), Rejections("test", lambda _port, reason: noted.append(reason)))
    listener = AdmissionListener(Port(lambda _path: None, connections, RequestQueue()), "127.0.0.1", 0)

    async def fail(protocol_of: Callable[[], Any], *_: object, **_options: object) -> None:
        connections.drop(protocol_of(), "connections")
        raise ConnectionResetError

    monkeypatch.setattr(asyncio.get_running_loop(), "connect_accepted_socket", fail)
    serving = asyncio.create_task(listener.serve())
    reader, writer = await connected(listener.port)
    assert await reader.read() == b""
    writer.close()
    listener.stop()
    await serving
    assert noted == ["connections"]


def test_while_the_last_answers_are_waited_for_new_clients_are_refused_at_once(authority: trustme.CA) -> None:
    """In the kernel's queue, they would wait as long as one slow client takes, up to the end."""
    with running(authority, {"/mutate": lambda _: b"{}"}) as server, server.connect() as idle, server.connect() as slow:
        slow.send(request("/mutate", GOOD)[:-10])
        server.ask(request("/mutate", GOOD))  # by now the piece has been read
        server.stop()
        assert idle.ended()
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        slow.send(request("/mutate", GOOD)[-10:])
        assert slow.reply().code == 200


def test_what_has_begun_to_come_is_answered_before_the_end(authority: trustme.CA) -> None:
    with (
        running(authority, {"/mutate": lambda _: b"{}"}) as server,
        server.connect() as idle,
        server.connect() as wire,
    ):
        sent = request("/mutate", GOOD)
        wire.send(sent[:-10])
        server.ask(request("/mutate", GOOD))  # by now the piece has been read
        server.stop()
        assert idle.ended()
        wire.send(sent[-10:])

        reply = wire.reply()
        assert (reply.code, reply.headers["connection"]) == (200, "close")
        assert wire.ended()


def test_while_draining_answers_are_given_and_ask_for_another_connection(
    serving: Serving, authority: trustme.CA
) -> None:
    def answered(body: bytes) -> bytes:
        return b"{}"

    with running(authority, {"/drained": answered}) as server:
        assert "connection" not in server.ask(request("/drained", GOOD)).headers
        server.shared.draining = True

        for sent, code in ((request("/drained", GOOD), 200), (request("/drained", method="GET"), 405)):
            with server.connect() as wire:
                wire.send(sent)
                reply = wire.reply()
                assert (reply.code, reply.headers["connection"]) == (code, "close")
                assert wire.ended()
    answer_of(serving.ask(request("/mutate", GOOD)))

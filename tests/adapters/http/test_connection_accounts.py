"""What connections are counted with: when all have gone, however they went, nothing is left of them."""

import asyncio
import gc
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import trustme

from tests.adapters.http.support import GOOD, Serving, running
from tests.wire import PATIENCE, request
from webhook.adapters.http.connection import Connection
from webhook.application.review import Answering

Answer = Callable[[bytes], Answering]

HALF = request("/mutate", content_length="300000") + b" " * 200_000
WAYS = {
    "answered": request("/mutate", GOOD),
    "half a head": GOOD[:20],
    "half a body": HALF,
    "malformed": b"\0noise\r\n\r\n",
    "too large": request("/mutate", content_length="100000000") + b" " * 100_000,
    "head too large": request("/mutate", x="y" * 100_000),
    "pipelined": request("/mutate", GOOD) * 20,
    "too many pipelined": request("/mutate", method="GET") * 200,
    "half a body behind others": request("/mutate", GOOD) * 3 + HALF,
    "broken chunks": request("/mutate", content_length="", transfer_encoding="chunked") + b"4\r\n{}  \r\nzz\r\n",
    "closing": request("/mutate", GOOD, connection="close"),
    "unknown path": request("/nothing", GOOD),
}


def at_once(_body: bytes) -> bytes:
    return b"{}"


async def after_a_while(_body: bytes) -> bytes:
    return b"{}"


either = pytest.mark.parametrize("answer", [at_once, after_a_while])


def left(server: Serving) -> tuple[int, int, int]:
    """Connections, bytes that they hold, and tasks."""
    limiter = server.shared.limiter
    return len(list(limiter)), limiter.held, len(asyncio.all_tasks(server.loop))


def wait_until_nothing_is_left(server: Serving, tasks: int) -> None:
    until = time.monotonic() + PATIENCE
    while left(server) != (0, 0, tasks):
        assert time.monotonic() < until, left(server)
        time.sleep(0.02)


@either
@pytest.mark.parametrize("secure", [True, False], ids=["TLS", "plain"])
def test_when_all_have_gone_nothing_is_left(authority: trustme.CA, answer: Answer, *, secure: bool) -> None:
    with running(authority if secure else None, {"/mutate": answer}) as server:
        server.ask(request("/mutate", GOOD))
        tasks = 1  # the listener's
        wait_until_nothing_is_left(server, tasks)
        for sent in WAYS.values():
            for _ in range(3):
                with server.connect() as wire, suppress(OSError):
                    wire.send(sent)
        for said in (b"", b"\x16", b"noise"):
            with socket.create_connection(("127.0.0.1", server.listener.port), timeout=PATIENCE) as raw:
                raw.sendall(said)
        wait_until_nothing_is_left(server, tasks)


@either
def test_what_is_under_way_is_counted(authority: trustme.CA, answer: Answer) -> None:
    """The control: what is sent of a body is held, and let go when it is answered."""
    with running(authority, {"/mutate": answer}) as server, server.connect() as wire:
        wire.send(HALF)
        until = time.monotonic() + PATIENCE
        while left(server)[1] < 200_000:
            assert time.monotonic() < until, left(server)
            time.sleep(0.02)
        wire.send(b" " * 100_000)
        assert wire.reply().code == 200
        while (
            left(server)[1] >= 200_000
        ):  # until it is no more than TLS keeps room for, which is counted after the answer
            assert time.monotonic() < until, left(server)
            time.sleep(0.02)
        assert left(server)[0] == 1


def test_who_has_shaken_hands_and_sends_nothing_holds_nothing(authority: trustme.CA) -> None:
    """The API server dials ahead: a handshake's memory that stayed counted would keep others out."""
    with running(authority, {"/mutate": at_once}) as server, server.connect():
        until = time.monotonic() + PATIENCE
        while left(server) != (1, 0, 1):
            assert time.monotonic() < until, left(server)
            time.sleep(0.02)


def connections() -> int:
    """Objects, not those that are open."""
    return sum(isinstance(one, Connection) for one in gc.get_objects())


@contextmanager
def none_is_left() -> Iterator[None]:
    """After a block, no connection is left, without the help of the collector, which does not see what uvloop holds."""
    before = connections()
    gc.disable()
    try:
        yield
        until = time.monotonic() + PATIENCE
        while connections() > before:
            assert time.monotonic() < until, connections()
            time.sleep(0.1)
    finally:
        gc.enable()


def test_of_connections_that_are_gone_no_object_is_left(authority: trustme.CA) -> None:
    with running(authority, {"/mutate": after_a_while}) as server, none_is_left():
        for sent in (*WAYS.values(), request("/mutate", GOOD)):
            with server.connect() as wire, suppress(OSError):
                wire.send(sent)


@pytest.mark.parametrize("said", [b"", b"\x16", b"noise\r\n\r\n"])
def test_of_a_handshake_that_fails_no_object_is_left(authority: trustme.CA, said: bytes) -> None:
    with (
        running(authority, {"/mutate": at_once}) as server,
        none_is_left(),
        socket.create_connection(("127.0.0.1", server.listener.port), timeout=PATIENCE) as raw,
    ):
        raw.sendall(said)


def test_of_a_handshake_that_is_dropped_no_object_is_left(authority: trustme.CA) -> None:
    def drop_all() -> None:
        for connection in server.shared.limiter:
            server.shared.limiter.drop(connection, "connections")

    with (
        running(authority, {"/mutate": at_once}) as server,
        none_is_left(),
        socket.create_connection(("127.0.0.1", server.listener.port), timeout=PATIENCE) as raw,
    ):
        while not list(server.shared.limiter):
            time.sleep(0.01)
        server.loop.call_soon_threadsafe(drop_all)
        with suppress(ConnectionResetError):
            assert raw.recv(1) == b""

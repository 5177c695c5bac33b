"""Listeners: where they listen, how long they keep connections, and how they end."""

import asyncio
import socket
import threading

import pytest
import trustme

from tests.adapters.http.support import GOOD, Serving, answer_of, running
from tests.wire import request
from webhook.adapters.http.listeners import Listener, serve_all


async def answer(scope: object, receive: object, send: object) -> None:
    raise AssertionError("nobody asks")


@pytest.fixture
def listener() -> Listener:
    return Listener(answer, "127.0.0.1", 0)


async def ended(listener: Listener) -> None:
    """Let a listener that was never meant to serve go through its life."""
    listener.stop()
    await listener.serve()


async def test_connections_are_kept_longer_than_the_api_server_keeps_them(listener: Listener) -> None:
    """net/http DefaultTransport keeps idle connections for 90 s; who closes first loses a POST."""
    assert listener._server.config.timeout_keep_alive >= 120
    await ended(listener)


async def test_port_0_takes_a_free_one_and_a_port_that_is_taken_is_known_at_once(listener: Listener) -> None:
    assert listener.port > 0
    with pytest.raises(OSError, match="in use"):
        Listener(answer, "127.0.0.1", listener.port)
    await ended(listener)


@pytest.mark.parametrize(
    ("host", "reached"), [("", ["127.0.0.1", "::1"]), ("127.0.0.1", ["127.0.0.1"]), ("::1", ["::1"])]
)
async def test_it_listens_on_the_address_it_is_given_or_on_all(host: str, reached: list[str]) -> None:
    listener = Listener(answer, host, 0)

    for address in reached:
        socket.create_connection((address, listener.port), timeout=5).close()
    for address in {"127.0.0.1", "::1"} - set(reached):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, listener.port), timeout=5)
    await ended(listener)


async def test_when_one_listener_fails_the_others_stop() -> None:
    good, bad = Listener(answer, "127.0.0.1", 0), Listener(answer, "127.0.0.1", 0)
    bad.socket.close()

    async with asyncio.timeout(20):
        with pytest.raises(ExceptionGroup):
            await serve_all([good, bad])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", good.port), timeout=5)


def test_what_is_under_way_is_answered_before_the_end_and_idle_connections_are_closed(authority: trustme.CA) -> None:
    asked, go_on = threading.Event(), threading.Event()

    async def slow(body: bytes) -> bytes:
        asked.set()
        await asyncio.to_thread(go_on.wait, 20)
        return b"{}"

    with running(authority, {"/slow": slow}) as server, server.connect() as idle, server.connect() as busy:
        busy.send(request("/slow", GOOD))
        assert asked.wait(20)
        server.listener.stop()
        assert idle.ended()
        go_on.set()

        reply = busy.reply()
        assert reply.code == 200
        assert reply.headers["connection"] == "close"
        assert busy.ended()


def test_what_has_begun_to_come_is_answered_before_the_end(authority: trustme.CA) -> None:
    with (
        running(authority, {"/mutate": lambda _: b"{}"}) as server,
        server.connect() as idle,
        server.connect() as wire,
    ):
        sent = request("/mutate", GOOD)
        wire.send(sent[:-10])
        server.ask(request("/mutate", GOOD))  # by now the piece has been read
        server.listener.stop()
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

    with running(authority, {"/drained": answered, "/other": answered}) as server:
        server.endpoints["/drained"].drain()

        for sent, code in ((request("/drained", GOOD), 200), (request("/drained", method="GET"), 405)):
            with server.connect() as wire:
                wire.send(sent)
                reply = wire.reply()
                assert (reply.code, reply.headers["connection"]) == (code, "close")
                assert wire.ended()
        assert "connection" not in server.ask(request("/other", GOOD)).headers
    answer_of(serving.ask(request("/mutate", GOOD)))

"""Clients that are slow, stop halfway, or send too much: each is cut off in time, and nobody else notices."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from testing.reviews import a_gpu_container, a_pod, a_review, encode
from tests.cli.serving import Served
from tests.load.process import (
    GOOD,
    HALF_A_HELLO,
    answers,
    descriptors,
    raw,
    refused,
    seconds_until_hung_up,
    tls,
    wait_until_descriptors,
    wait_until_refused,
)
from tests.wire import Wire, request

HEAD, REQUEST = 1.0, 1.5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose limits are short enough to wait for, and which ends with as many files open as it began with."""
    config = tmp_path_factory.mktemp("slow") / "config.yaml"
    config.write_text("apiVersion: gpuwarden.io/v1\nkind: Configuration\ndefaults: {enforce: mps}\n")
    limits = ("--head-timeout", str(HEAD), "--request-timeout", str(REQUEST))
    with Served("--tls-self-signed", "--config", config, *limits) as served:
        answers(served)
        before = descriptors(served)
        yield served
        answers(served)
        wait_until_descriptors(served, before)


@pytest.mark.parametrize("said", [b"", HALF_A_HELLO], ids=["silent", "half a hello"])
def test_a_handshake_that_does_not_end_is_cut_off(server: Served, said: bytes) -> None:
    before = refused(server, "handshake-timeout")
    with raw(server) as connection:
        connection.sendall(said)
        answers(server)
        assert HEAD - 0.5 < seconds_until_hung_up(connection) < HEAD + 8
    wait_until_refused(server, "handshake-timeout", before)


def test_a_head_that_drips_is_cut_off_however_busily_it_drips(server: Served) -> None:
    before = refused(server, "head-timeout")
    with tls(server) as connection:
        connection.sendall(GOOD[:10])
        assert HEAD - 0.5 < seconds_until_hung_up(connection, b"a" * 1000) < HEAD + 8
    assert refused(server, "head-timeout") == before + 1


@pytest.mark.parametrize("drip", [b"", b" " * 1000], ids=["stopped", "dripping"])
def test_a_body_that_does_not_end_is_cut_off(server: Served, drip: bytes) -> None:
    before = refused(server, "request-timeout")
    with tls(server) as connection:
        connection.sendall(request("/mutate", content_length="100000"))
        assert REQUEST - 0.5 < seconds_until_hung_up(connection, drip) < REQUEST + 8
    assert refused(server, "request-timeout") == before + 1


def test_a_client_that_does_not_read_its_answers_is_cut_off(server: Served) -> None:
    """Its answers are more than the two kernels buffer: several hundred kilobytes each, sixty times."""
    pod = a_pod(*(a_gpu_container(name=f"c{number}") for number in range(400)))
    asked = request("/mutate", encode(a_review(pod, namespace="team")))
    before = refused(server, "request-timeout")
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(20)
    plain.connect(("127.0.0.1", server.said["port"]))
    with server.context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.settimeout(0.5)
        try:
            for _ in range(60):
                connection.sendall(asked)
        except TimeoutError:  # the server reads no more, as it should
            pass
        wait_until_refused(server, "request-timeout", before)


def test_who_is_merely_idle_is_not_cut_off(server: Served) -> None:
    """The control of the tests above; the API server keeps connections for 90 s, used before or not."""
    with server.connect() as used, server.connect() as fresh:
        used.send(GOOD)
        used.reply()
        time.sleep(REQUEST + 1)
        for wire in (used, fresh):
            wire.send(GOOD)
            assert wire.reply().code == 200


def test_two_hundred_slow_clients_at_once_keep_nobody_waiting(server: Served) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(raw(server))
            slow = stack.enter_context(tls(server))
            slow.sendall(GOOD[:30])
        began = time.monotonic()
        answers(server)
        assert time.monotonic() - began < 5


def test_a_head_without_end_is_refused_by_its_size(server: Served) -> None:
    before = refused(server, "head-size")
    many = b"\r\nX: " + b"\r\nX: ".join([b"y" * 100] * 1000) + b"\r\n\r\n"
    for head, code in (
        (request("/mutate", x="y" * 100_000), 431),
        (request("/" + "a" * 100_000), 414),
        (request("/mutate").replace(b"\r\n\r\n", many), 431),
        (b"POST /mutate HTTP/1.1\r\nX: " + b"y" * 100_000, 431),
    ):
        with server.connect() as wire:
            wire.send(head)
            reply = wire.reply()
            assert reply.code == code
            assert reply.headers["connection"] == "close"
            assert wire.ended()
    assert refused(server, "head-size") == before + 4
    with server.connect() as wire:
        wire.send(request("/mutate", encode(a_review(a_pod())), x="y" * 60_000))
        assert wire.reply().code == 200


def test_many_requests_at_once_on_one_connection_are_not_queued_without_end(server: Served) -> None:
    before = refused(server, "pipelined")
    with server.connect() as wire:
        wire.flood(request("/mutate", method="GET") * 1000, 3)
        assert ended_at_last(wire)
    assert refused(server, "pipelined") == before + 1


def ended_at_last(wire: Wire) -> bool:
    while True:
        try:
            wire.reply()
        except (EOFError, OSError, ValueError):
            return True

"""Hostile input at the socket: each gets its status or a closed connection, and the server goes on."""

import asyncio
import contextlib
import socket
import ssl

import pytest

from testing.reviews import a_pod, a_review, encode, read_answer
from tests.adapters.http.support import GOOD, Serving, answer_of
from tests.logged import Logged
from tests.wire import PATIENCE, Wire, chunked, request

HEAD = b"POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def lines(*extra: bytes) -> bytes:
    """The head of a good request, with more lines, and its end."""
    return HEAD + b"".join(line + b"\r\n" for line in extra) + b"\r\n"


BROKEN = {
    "noise": bytes(range(256)) * 4,
    "zeros": b"\0" * 4096,
    "no request line": b"\r\n\r\nhello\r\n\r\n",
    "HTTP/0.9": b"GET /mutate\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": b"POST /mutate HTTP/9.9\r\nHost: a\r\n\r\n",
    "method of our own": b"GRILL /mutate HTTP/1.1\r\nHost: a\r\n\r\n",
    "method in lower case": b"post /mutate HTTP/1.1\r\nHost: a\r\n\r\n",
    "path outside ASCII": "POST /mutäte HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "space in a header's name": lines(b"Content Length: 0"),
    "NUL in a header": lines(b"X: a\0b", b"Content-Length: 0"),
    "header folded over lines": lines(b"X: a", b" b: c\0", b"Content-Length: 0"),
    "header without a colon": lines(b"Content-Length 0"),
    "length that is no number": lines(b"Content-Length: seven"),
    "length below zero": lines(b"Content-Length: -1"),
    "length beyond all numbers": lines(b"Content-Length: " + b"9" * 40),
    "lengths that differ": lines(b"Content-Length: 2", b"Content-Length: 20") + b"{}",
    "length and chunks": lines(b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "unknown transfer encoding": lines(b"Transfer-Encoding: gzip") + b"{}",
    "chunk size that is no number": lines(b"Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
    "chunk longer than it says": lines(b"Transfer-Encoding: chunked") + b"1\r\n{}\r\n0\r\n\r\n",
    "chunk size beyond all numbers": lines(b"Transfer-Encoding: chunked") + b"f" * 40 + b"\r\n",
}


@pytest.mark.parametrize("bytes_", BROKEN.values(), ids=BROKEN)
def test_what_is_no_http_is_refused_and_the_connection_closed(serving: Serving, bytes_: bytes) -> None:
    with serving.connect() as wire:
        wire.send(bytes_)
        reply = wire.reply()

        assert reply.code in (400, 405)
        if reply.code == 400:
            assert wire.ended()
    serving.still_answers()


STRANGE = {
    # What a server may make of a request that is strange and yet HTTP.
    "absolute form": (b"POST http://localhost/mutate HTTP/1.1\r\nHost: a\r\n\r\n", {415, 400}),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404, 405}),
    "CONNECT": (b"CONNECT localhost:443 HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404, 405}),
    "path of noise": (b"POST /%ff%00%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n", {404}),
    "path out of the root": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", {404}),
    "long path": (b"POST /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", {414}),
    "no host": (b"POST /mutate HTTP/1.1\r\n\r\n", {415, 400}),
    "a thousand headers": (lines(*(b"X-%d: y" % n for n in range(1000)), b"Content-Length: 0"), {431}),
    "large header": (lines(b"X: " + b"y" * 200_000, b"Content-Length: 0"), {400, 431}),
    "web socket": (lines(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 2") + b"{}", {400}),
    "HTTP/2 over this connection": (
        lines(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 2") + b"{}",
        {400},
    ),
    "trailer": (lines(b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX: y\r\n\r\n", {400}),
    "chunk extension": (lines(b"Transfer-Encoding: chunked") + b"2;a=b\r\n{}\r\n0\r\n\r\n", {400}),
    "neither length nor chunks": (lines(), {400}),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_what_is_strange_is_answered(serving: Serving, strange: tuple[bytes, set[int]]) -> None:
    sent, expected = strange

    assert serving.ask(sent).code in expected
    serving.still_answers()


ABANDONED = {
    "nothing": b"",
    "half a line": b"POST /mut",
    "half a head": HEAD,
    "a head": lines(b"Content-Length: 100"),
    "half a body": lines(b"Content-Length: 100") + b"{",
    "half a chunk": lines(b"Transfer-Encoding: chunked") + b"64\r\n{",
    "a head that waits to go on": lines(b"Content-Length: 100", b"Expect: 100-continue"),
}


@pytest.mark.parametrize("started", ABANDONED.values(), ids=ABANDONED)
def test_a_client_that_hangs_up_halfway_harms_nobody(serving: Serving, started: bytes, logged: Logged) -> None:
    before = len(serving.answers)

    with serving.connect() as wire:
        wire.send(started)
    serving.still_answers()

    serving.answers.wait_for("/mutate", 200, before)
    assert len(serving.answers) == before + 1
    assert not [line for line in logged() if line["level"] in ("error", "critical")]


@pytest.mark.parametrize("started", ABANDONED.values(), ids=ABANDONED)
def test_a_client_that_stops_halfway_keeps_nobody_waiting(serving: Serving, started: bytes) -> None:
    with serving.connect() as wire:
        wire.send(started)
        serving.still_answers()


def test_a_client_that_resets_its_connection_harms_nobody(serving: Serving) -> None:
    raw = socket.create_connection(("127.0.0.1", serving.listener.port), timeout=PATIENCE)
    with serving.context().wrap_socket(raw, server_hostname="localhost") as connection:
        connection.sendall(lines(b"Content-Length: 100") + b"{")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    serving.still_answers()


@pytest.mark.parametrize("sent", [b"POST /mutate HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x07garbage", b"\x80" * 600])
def test_what_is_no_tls_is_hung_up_on(serving: Serving, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", serving.listener.port), timeout=PATIENCE) as raw:
        raw.sendall(sent)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := raw.recv(4096):
                received += piece

    assert not received.startswith(b"HTTP")
    serving.still_answers()


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00half a hello"])
def test_a_client_that_never_shakes_hands_keeps_nobody_waiting(serving: Serving, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", serving.listener.port), timeout=PATIENCE) as raw:
        raw.sendall(sent)
        serving.still_answers()


def test_a_request_may_come_byte_by_byte(serving: Serving) -> None:
    sent = request("/mutate", GOOD)

    with serving.connect() as wire, serving.connect() as other:
        for number, byte in enumerate(sent):
            wire.send(bytes([byte]))
            if number % 20 == 0:  # until it has read them: hundreds in one read are cut off (reason "records")
                other.send(sent)
                answer_of(other.reply())
        answer_of(wire.reply())


def test_a_request_may_come_in_chunks_of_a_byte(serving: Serving) -> None:
    head = request("/mutate", content_length="", transfer_encoding="chunked")

    answer_of(serving.ask(head + b"".join(chunked(GOOD, 1))))


def test_pipelined_requests_are_answered_in_their_order(serving: Serving) -> None:
    bodies = [encode(a_review(a_pod(), uid=f"uid-{number}")) for number in range(20)]

    with serving.connect() as wire:
        wire.send(b"".join(request("/mutate", body) for body in bodies))
        for number in range(20):
            assert read_answer(wire.reply().body, f"uid-{number}").allowed


def test_pipelined_requests_keep_their_order_also_where_one_must_be_waited_for(serving: Serving) -> None:
    """A namespace that is not known is asked for; another method, or another path, is answered by uvicorn alone."""
    waited_for = request("/mutate", encode(a_review(a_pod(), namespace="dark")))
    others = [request("/mutate", method="GET"), request("/nothing", GOOD), waited_for, request("/mutate", GOOD)]

    with serving.connect() as wire:
        wire.send(request("/mutate", GOOD) + waited_for + b"".join(others))
        assert [wire.reply().code for _ in range(6)] == [200, 503, 405, 404, 503, 200]
    serving.still_answers()


def test_noise_after_a_good_request_does_not_cost_it_its_answer(serving: Serving) -> None:
    with serving.connect() as wire:
        wire.send(request("/mutate", GOOD))
        answer_of(wire.reply())
        wire.send(b"\0noise\r\n\r\n")
        assert wire.reply().code == 400
        assert wire.ended()
    serving.still_answers()


def test_http_1_0_is_answered_and_its_connection_closed(serving: Serving) -> None:
    sent = request("/mutate", GOOD).replace(b"HTTP/1.1", b"HTTP/1.0", 1)

    with serving.connect() as wire:
        wire.send(sent)
        reply = wire.reply()
        assert answer_of(reply).allowed
        assert reply.headers["connection"] == "close"
        assert wire.ended()


def test_a_client_that_asks_first_is_told_to_go_on(serving: Serving) -> None:
    sent = request("/mutate", GOOD, expect="100-continue")

    with serving.connect() as wire:
        wire.send(sent.removesuffix(GOOD))
        assert wire.reply().code == 100
        wire.send(GOOD)
        answer_of(wire.reply())


def test_a_client_that_asks_first_is_refused_before_it_sends_too_much(serving: Serving) -> None:
    with serving.connect() as wire:
        wire.send(request("/mutate", content_length="100000000", expect="100-continue"))
        assert wire.reply().code == 413
    serving.still_answers()


async def test_a_hundred_clients_at_once_are_all_answered_with_their_own(serving: Serving) -> None:
    context = serving.context()

    async def ask(number: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", serving.listener.port, ssl=context, server_hostname="localhost"
        )
        for turn in range(3):
            uid = f"{number}-{turn}"
            writer.write(request("/mutate", encode(a_review(a_pod(), uid=uid))))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            assert read_answer(await reader.readexactly(length), uid).patch is not None
        writer.close()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(ask(number))


def test_only_who_trusts_the_authority_and_means_this_name_comes_in(serving: Serving) -> None:
    stranger = ssl.create_default_context()

    serving.still_answers()
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get|self-signed"):
        Wire(serving.listener.port, stranger)
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'elsewhere'"):
        Wire(serving.listener.port, serving.context(), "elsewhere")
    serving.still_answers()


@pytest.mark.parametrize(("version", "served"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_is_1_2_or_newer(serving: Serving, version: str, *, served: bool) -> None:
    context = serving.context()
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that the client at least would speak 1.1
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

    if not served:
        with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version|EOF"):  # asyncio hangs up before its alert
            Wire(serving.listener.port, context)
        return
    with Wire(serving.listener.port, context) as wire:
        wire.send(request("/mutate", GOOD))
        answer_of(wire.reply())

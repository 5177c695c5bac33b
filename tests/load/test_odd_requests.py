"""One connection, two requests: each answer is that of its request, or the connection ends with an answer.

Never is a connection mute, and never is a body taken for a request.
"""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest

from testing.reviews import a_gpu_container, a_pod, a_review, encode, read_answer
from tests.cli.serving import Served
from tests.load.process import answers
from tests.wire import Reply, Wire, chunked, request

PATIENCE = 8.0  # less than the server gives a client for the head of a request


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served("--tls-self-signed") as served:
        yield served


def body(uid: str, count: str = "1") -> bytes:
    return encode(a_review(a_pod(a_gpu_container(count)), uid=uid))


FIRST = body("the-first")
SECOND = request("/mutate", body("the-second"))
PIECES = b"".join(chunked(FIRST))
UPGRADE: Any = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABkAAQAAP__"}


def in_pieces(end: bytes = b"0\r\n\r\n", **headers: Any) -> bytes:
    """The first review in chunks, with headers, and another end."""
    headers = {"content_length": "", "transfer_encoding": "chunked"} | headers
    return request("/mutate", **headers) + PIECES.removesuffix(b"0\r\n\r\n") + end


# What is sent, and the codes that its answer may have.
ODD: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "ordinary": (request("/mutate", FIRST), (200,)),
    "in chunks": (in_pieces(), (200,)),
    "upgrade to h2c": (request("/mutate", FIRST, **UPGRADE), (200, 400, 501)),
    "upgrade to h2c, in chunks": (in_pieces(**UPGRADE), (200, 400, 501)),
    "upgrade to websocket": (
        request("/mutate", FIRST, connection="Upgrade", upgrade="websocket"),
        (200, 400, 426, 501),
    ),
    "upgrade that is not asked for": (request("/mutate", FIRST, upgrade="h2c"), (200, 400, 501)),
    "CONNECT with a body": (request("/mutate", FIRST, method="CONNECT"), (400, 404, 405, 501)),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 404, 405, 501, 505)),
    "close in a trailer": (in_pieces(b"0\r\nconnection: close\r\n\r\n"), (200, 400)),
    "length in a trailer": (in_pieces(b"0\r\ncontent-length: 5\r\n\r\n"), (200, 400)),
    "upgrade in a trailer": (in_pieces(b"0\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"), (200, 400)),
    "chunked in a trailer": (in_pieces(b"0\r\ntransfer-encoding: chunked\r\n\r\n"), (200, 400)),
    "gzip, chunked": (in_pieces(transfer_encoding="gzip, chunked"), (400, 415, 501)),
    "gzip in a header of its own": (in_pieces(transfer_encoding="gzip\r\ntransfer-encoding: chunked"), (400, 415, 501)),
    "identity, chunked": (in_pieces(transfer_encoding="identity, chunked"), (200, 400, 415, 501)),
    "chunked twice": (in_pieces(transfer_encoding="chunked, chunked"), (400, 501)),
    "chunked, gzip": (in_pieces(transfer_encoding="chunked, gzip"), (400, 415, 501)),
    "gzip alone": (request("/mutate", FIRST, content_length="", transfer_encoding="gzip"), (400, 411, 415, 501)),
    "chunked with a length": (in_pieces(content_length="5"), (400,)),
    "two lengths": (request("/mutate", FIRST, content_length=f"{len(FIRST)}\r\ncontent-length: 5"), (400,)),
    "a length with a sign": (request("/mutate", FIRST, content_length=f"+{len(FIRST)}"), (400,)),
    "a length in hex": (request("/mutate", FIRST, content_length=f"{len(FIRST):#x}"), (400,)),
    "a chunk with an extension": (in_pieces(b"0;" + b"x" * 1000 + b"\r\n\r\n"), (200, 400)),
    "a chunk without a length": (in_pieces(b"\r\n\r\n"), (400,)),
    "HTTP/1.0": (request("/mutate", FIRST).replace(b"HTTP/1.1", b"HTTP/1.0"), (200, 400, 505)),
    "HTTP/1.0, kept": (request("/mutate", FIRST, connection="keep-alive").replace(b"/1.1", b"/1.0"), (200, 400, 505)),
    "Expect": (request("/mutate", FIRST, expect="100-continue"), (100, 200)),
    "an expectation that nobody meets": (request("/mutate", FIRST, expect="tea"), (200, 400, 417)),
    "HEAD": (request("/mutate", method="HEAD"), (405,)),
    "GET with a body": (request("/mutate", FIRST, method="GET"), (405,)),
    "another path, with a body": (request("/nothing", FIRST), (404, 405)),
    "compressed": (request("/mutate", FIRST, content_encoding="gzip"), (415,)),
    "no host": (request("/mutate", FIRST, host=""), (200, 400)),
    "an asterisk": (request("*", FIRST, method="OPTIONS"), (200, 400, 404, 405)),
    "an absolute target": (request("https://localhost/mutate", FIRST), (200, 400, 404)),
}


@pytest.mark.parametrize("together", [True, False], ids=["in one go", "after the answer"])
@pytest.mark.parametrize("odd", ODD)
def test_what_follows_is_answered_or_the_connection_ends_with_an_answer(
    server: Served, odd: str, *, together: bool
) -> None:
    said, codes = ODD[odd]
    with Wire(server.said["port"], server.context, patience=PATIENCE) as wire:
        wire.send(said + SECOND if together else said)
        first = an_answer(wire, to_head=odd == "HEAD")
        assert first.code in codes
        if first.code == 100:
            first = wire.reply()
        if first.code == 200:
            read_answer(first.body, "the-first")
        with suppress(OSError):  # it has hung up, as its answer said
            wire.send(b"" if together else SECOND)
        second = next_answer(wire)
        if second is None:
            # HTTP/1.0 closes unless it is asked; a client of HTTP/1.1 must be told (RFC 9112, 9.6).
            assert first.headers.get("connection", "").lower() == "close" or odd == "HTTP/1.0" or first.code == 400
        else:
            assert second.code == 200
            read_answer(second.body, "the-second")
            assert wire.ended() if first.headers.get("connection") == "close" else nothing_more(wire)
    answers(server)


def an_answer(wire: Wire, *, to_head: bool) -> Reply:
    """The first answer: there must be one, soon."""
    try:
        return wire.reply(to_head=to_head)
    except TimeoutError:
        pytest.fail("the connection is mute")
    except (EOFError, ConnectionError, ssl.SSLError) as error:
        pytest.fail(f"the connection ended without an answer: {error}")


def next_answer(wire: Wire) -> Reply | None:
    """The second answer; ``None`` where the server has hung up instead."""
    try:
        return wire.reply()
    except TimeoutError:
        pytest.fail("the connection is mute after the first answer")
    except (EOFError, ConnectionError, ssl.SSLError):
        return None


def nothing_more(wire: Wire) -> bool:
    """Whether nothing is sent that nobody asked for: one more request is answered by what answers it."""
    wire.send(request("/mutate", body("the-third")))
    read_answer(wire.reply().body, "the-third")
    return True


def test_the_body_of_an_upgrade_is_no_request(server: Served) -> None:
    """A request that is smuggled as the body of another is not answered."""
    smuggled = request("/mutate", body("smuggled"))
    with Wire(server.said["port"], server.context, patience=PATIENCE) as wire:
        wire.send(request("/mutate", smuggled, **UPGRADE) + SECOND)
        uids = [reply.json()["response"]["uid"] for reply in islice(replies(wire), 3) if reply.code == 200]
    assert uids in ([], ["the-second"])


def replies(wire: Wire) -> Iterator[Reply]:
    """All answers that come, until the server hangs up or says nothing."""
    with suppress(EOFError, OSError, ValueError):
        while True:
            yield wire.reply()

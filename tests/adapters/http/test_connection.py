"""A connection: what it answers at once, what it leaves to uvicorn, and what it takes before it refuses."""

import gc
import weakref
from typing import Any

import pytest

from tests.adapters.http.port import Port, in_halves, turn
from tests.adapters.http.support import GOOD
from tests.logged import Logged
from tests.wire import request
from webhook.adapters.http.limits import Limits
from webhook.application.review import Answering


def never(_body: bytes) -> bytes:
    raise AssertionError("it was read")


async def test_a_request_is_answered_at_the_end_of_the_turn_without_uvicorn() -> None:
    port = Port()
    port.sends(*in_halves(request("/mutate?timeout=10s", b"one")))
    assert port.client.written == []
    assert not port.connection.waits, "its turn will come; nobody may cut it off meanwhile"
    await turn()

    assert (port.bodies, port.asgi) == ([b"one"], [])
    assert len(port.client.written) == 1
    assert port.connection.waits
    assert port.crowd.held == 0
    assert port.connection.server_state.total_requests == 1


async def test_until_its_answer_is_sent_nobody_cuts_it_off() -> None:
    port = Port()
    port.sends(request("/mutate", b"one"))
    port.connection.answer()
    assert not port.connection.waits
    port.connection.send_answers()
    assert port.connection.waits


async def test_pipelined_requests_are_answered_one_by_one() -> None:
    port = Port()
    port.sends(request("/mutate", b"one") + request("/mutate", b"two") + request("/mutate", b"three"))
    assert port.bodies == [b"one", b"two"], "so that a client that does not read is felt at once"
    await turn()
    assert port.bodies == [b"one", b"two", b"three"]


async def test_who_hangs_up_half_gets_an_answer() -> None:
    port = Port()
    port.sends(request("/mutate", b"one"))
    port.connection.eof_received()
    assert port.bodies == [b"one"]


async def test_what_must_be_waited_for_goes_to_uvicorn_as_it_came_whatever_comes_behind_it() -> None:
    async def waiting(body: bytes) -> bytes:
        return body

    def answer(body: bytes) -> Answering:
        return waiting(body) if body == b"wait" else body

    port = Port(answer)
    port.sends(request("/mutate", b"one") + request("/mutate", b"wait") + request("/mutate", method="GET"))
    await turn()

    assert port.bodies[0] == b"one"
    assert port.asgi == ["POST /mutate wait", "GET /mutate "]


async def test_to_a_client_that_does_not_read_uvicorn_answers_and_waits() -> None:
    port = Port()
    port.connection.pause_writing()
    port.sends(request("/mutate", b"one"))
    await turn()

    assert (port.asgi, port.client.written) == (["POST /mutate one"], [])
    port.connection.resume_writing()
    await turn()
    assert port.bodies == [b""]


async def test_who_has_gone_is_not_answered() -> None:
    port = Port(never)
    port.sends(request("/mutate", b"one"))
    port.client.closing = True
    await turn()
    assert port.client.written == []

    port = Port()
    port.sends(request("/mutate", b"one"))
    port.connection.answer()
    port.client.closing = True
    port.connection.send_answers()
    assert port.client.written == []


async def test_a_server_that_stops_answers_what_is_here_and_lets_uvicorn_answer_what_is_coming() -> None:
    port = Port()
    port.sends(request("/mutate", b"one"))
    port.connection.shutdown()
    assert (port.bodies, port.client.closing) == ([b"one"], True)

    port = Port()
    first, rest = in_halves(request("/mutate", b"halves"))
    port.sends(first)
    port.connection.shutdown()
    assert not port.client.closing
    port.sends(rest)
    await turn()
    assert (port.asgi, port.client.closing) == (["POST /mutate halves"], True)


async def test_a_body_that_stops_coming_is_a_request_that_takes_too_long() -> None:
    port = Port(limits=Limits(head_seconds=1, request_seconds=10, idle_seconds=100))
    port.sends(request("/mutate", GOOD)[:-5])

    assert port.connection.waits
    assert port.connection.overdue(port.connection.since + 9) == ""
    assert port.connection.overdue(port.connection.since + 11) == "request-timeout"


async def test_noise_right_behind_a_request_does_not_cost_it_its_answer() -> None:
    port = Port()
    port.sends(request("/mutate", b"one") + b"\0noise\r\n\r\n")

    assert port.client.written[0].endswith(b"\r\n\r\none")
    assert port.client.written[1].startswith(b"HTTP/1.1 400 ")
    assert port.client.closing


async def test_a_body_without_room_is_refused_and_what_was_asked_before_is_answered() -> None:
    port = Port(limits=Limits(memory=100))
    port.sends(request("/mutate", b"one") + request("/mutate", content_length="300") + b" " * 200)
    await turn()

    assert port.client.written[0].startswith(b"HTTP/1.1 200 ")
    assert port.client.written[1].startswith(b"HTTP/1.1 503 ")
    assert port.client.closing
    assert port.crowd.held == 0


async def test_a_request_that_has_half_come_behind_another_waits_for_its_end() -> None:
    port = Port()
    first, rest = in_halves(request("/mutate", b"0123456789"))
    port.sends(request("/mutate", b"one") + first)
    await turn()
    assert port.bodies == [b"one"]
    port.sends(rest)
    await turn()
    assert port.bodies == [b"one", b"0123456789"]


async def test_who_reads_again_is_still_counted_with_what_it_sends() -> None:
    port = Port()
    port.connection.pause_writing()
    port.sends(request("/mutate", content_length="5000000") + b" " * 60_000)
    port.connection.resume_writing()
    assert port.crowd.held == 60_000


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (Limits(memory=100), request("/mutate", content_length="3000000") + b" " * 60_000),
        (Limits(head_bytes=100), request("/mutate", GOOD, x="y" * 200)),
        (Limits(pipelined=1), request("/mutate", method="GET") * 5),
    ],
    ids=["memory", "head", "pipelined"],
)
async def test_who_was_refused_is_forgotten(limits: Limits, refused: bytes) -> None:
    def refuse() -> weakref.ref[Any]:
        port = Port(limits=limits)
        port.sends(refused)
        assert port.client.closing
        port.connection.connection_lost(None)
        return weakref.ref(port.connection)

    refusals = [refuse() for _ in range(3)]
    await turn()
    gc.collect()
    assert [one() for one in refusals] == [None] * 3


CHUNKED = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_trailers_are_not_kept_and_are_limited_like_a_head() -> None:
    port = Port()
    port.sends(CHUNKED % b"/mutate" + b"3\r\none\r\n0\r\n", b"x: y\r\n" * 1000, b"x: z\r\n\r\n")
    assert list(port.connection.headers) == []
    await turn()
    assert (port.asgi, port.client.closing) == (["POST /mutate one"], False)

    for endless in (b"x: y\r\n" * 5000, b"y" * 30_000):
        port = Port()
        port.sends(CHUNKED % b"/mutate" + b"0\r\nx: ", *[endless] * 4)
        assert port.client.closing
        assert port.client.written[0].startswith(b"HTTP/1.1 431 ")


async def test_a_large_body_in_chunks_is_no_trailer() -> None:
    port = Port()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    port.sends(CHUNKED % b"/mutate", *[chunk[:7], chunk[7:30_000], chunk[30_000:]] * 3, b"0\r\n\r\n")
    await turn()
    assert (len(port.asgi), port.client.closing) == (1, False)


@pytest.mark.parametrize("header", [b"Proxy-Connection: close", b"Connection: close"])
async def test_who_asks_for_the_end_of_its_connection_gets_it(header: bytes) -> None:
    port = Port()
    port.sends(request("/mutate", b"one").replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n", 1))
    await turn()
    assert (port.asgi, port.client.closing) == (["POST /mutate one"], True)


async def test_a_head_behind_a_large_request_is_counted_by_itself() -> None:
    port = Port()
    head, rest = in_halves(request("/mutate", b"two"))
    port.sends(request("/mutate", b"x" * 200_000) + head)
    assert not port.client.closing
    port.sends(rest)
    await turn()
    assert [len(body) for body in port.bodies] == [200_000, 3]

    port = Port()
    port.sends(request("/mutate", b"x" * 200_000) + request("/mutate", b"two", x="y" * 70_000))
    assert port.client.closing, "but a large one is refused there too"


async def test_a_body_in_very_many_pieces_is_as_large_as_it_says() -> None:
    port = Port()
    sent = request("/mutate", bytes(range(256)) * 20)
    port.sends(*(sent[at : at + 2] for at in range(0, len(sent), 2)))
    assert isinstance(port.connection._body, bytearray)
    await turn()
    assert port.bodies == [bytes(range(256)) * 20]


async def test_of_a_request_that_was_answered_unread_nothing_is_kept() -> None:
    async def unread(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    port = Port(never)
    port.connection.app = unread
    port.connection.pause_writing()
    port.sends(request("/mutate", b" " * 60_000))
    await turn()
    assert port.crowd.held == 60_000
    port.connection.resume_writing()
    await turn()
    assert port.connection.cycle is not None
    assert port.connection.cycle.response_complete
    assert (len(port.connection.cycle.body), port.crowd.held) == (0, 0)


async def test_a_bug_in_handing_one_request_over_costs_others_nothing(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, other = Port(), Port()
    other.connection._prompt = port.connection._prompt

    def fail() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(port.connection, "_leave_to_uvicorn", fail)
    port.connection.pause_writing()
    port.sends(request("/mutate", b"one"))
    other.sends(request("/mutate", b"two"))
    await turn()

    assert (port.client.written, port.client.closing) == ([], True)
    assert other.bodies == [b"two"]
    assert any("a bug" in str(line) for line in logged())
    assert port.refused == ["failed"]

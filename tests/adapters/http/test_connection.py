"""A connection: what it answers and in which order, what it counts, and what it takes before it refuses."""

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import httptools
import pytest

from tests.adapters.http.port import Port, in_halves, turn
from tests.adapters.http.support import GOOD
from tests.logged import Logged
from tests.wire import request
from webhook.adapters.http import connection
from webhook.adapters.http.answers import failure
from webhook.adapters.http.limits import MAXIMUM_BODY, Limits
from webhook.adapters.http.request_queue import Asker, RequestQueue
from webhook.application.review import Answering

CHUNKED = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = request("/mutate", method="GET")


def never(_body: bytes) -> bytes:
    raise AssertionError("it was read")


def later(body: bytes) -> Answering:
    """Answers at once, but for one that must be waited for."""

    async def wait() -> bytes:
        await asyncio.sleep(0)
        return body

    return wait() if body == b"wait" else body


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is given the time to hang up by itself."""
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.0)


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_a_request_is_answered_at_the_end_of_the_turn_and_counted_until_then() -> None:
    port = Port()
    port.busy()
    port.sends(*in_halves(request("/mutate?timeout=10s", b"one")))
    assert port.client.written == []
    assert port.limiter.held > 3
    assert not port.connection.waits, "its turn will come; nobody may cut it off meanwhile"
    await turn()

    assert port.bodies == [b"one"]
    assert len(port.client.written) == 1
    assert port.connection.waits
    assert port.limiter.held == 0


async def test_until_its_answer_is_sent_nobody_cuts_it_off() -> None:
    port = Port()
    port.busy()
    port.sends(request("/mutate", b"one"))
    port.connection.answer(late=False)
    assert not port.connection.waits
    port.connection.send()
    assert port.connection.waits


async def test_pipelined_requests_are_answered_in_their_order_whatever_must_be_waited_for() -> None:
    port = Port(later)
    port.sends(request("/mutate", b"one") + request("/mutate", b"wait") + GET + request("/mutate", b"four"))
    assert not port.client.read, "who sends one behind another waits until they are answered"
    for _ in range(5):
        await turn()
    assert port.codes == [200, 200, 405, 200]
    assert b"".join(port.client.written).index(b"wait") < b"".join(port.client.written).index(b"four")
    assert port.client.read
    assert port.limiter.held == 0


async def test_who_hangs_up_half_is_answered_no_sooner_than_others() -> None:
    """All who do it at once would else be answered in one go, whatever it costs and however late it gets for the rest."""
    port = Port(later)
    port.busy()
    port.sends(request("/mutate", b"one") + request("/mutate", b"two"))
    assert not port.connection.eof_received()
    port.client.closing = True
    await turn()
    assert port.bodies == []
    port.connection.connection_lost(None)
    assert port.limiter.held == 0


@pytest.mark.parametrize("blocked", [False, True])
async def test_who_is_gone_when_its_turn_comes_is_no_error(*, blocked: bool) -> None:
    """An error there would cost all others in the turn their answers."""
    failed: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(context))
    port = Port()
    port.busy()
    port.sends(request("/mutate", b"one") * 3)
    assert not port.client.read
    if blocked:
        port.connection.pause_writing()
    port.connection.connection_lost(None)
    await turn()
    assert (port.client.written, failed) == ([], [])


async def test_who_is_gone_when_the_answer_is_there_is_no_error() -> None:
    port = Port(later)
    port.sends(request("/mutate", b"wait"))
    await asyncio.sleep(0)
    port.client.closing = True
    port.connection.connection_lost(None)
    await turn()
    assert port.client.written == []
    assert len(asyncio.all_tasks()) == 1, "what is waited for for nobody is waited for no more"


async def test_to_a_client_that_does_not_read_one_answer_is_held_and_counted_and_no_more_is_read() -> None:
    port = Port()
    port.busy()
    large = b"x" * 1_000_000
    port.sends(request("/mutate", large) + GET)
    port.connection.pause_writing()
    await turn()
    assert port.client.written == []
    assert not port.client.read
    assert port.connection.waits, "it may be cut off"
    assert port.limiter.held > 1_000_000

    port.connection.resume_writing()
    await turn()
    assert port.codes == [200, 405]
    assert max(map(len, port.client.written)) <= 65_536, "so that what is not read is felt"
    assert port.client.read
    assert port.limiter.held == 4 * 65_536, "what TLS keeps room for, having read so much at once"


async def test_who_stops_reading_in_the_middle_of_an_answer_gets_the_rest_later() -> None:
    port = Port()
    written = port.client.write

    def one_piece(data: bytes) -> None:
        written(data)
        port.connection.pause_writing()

    port.client.write = one_piece  # type: ignore[method-assign]
    port.sends(request("/mutate", b"x" * 150_000))
    await turn()
    assert len(port.client.written) == 1
    port.connection.resume_writing()
    port.connection.resume_writing()
    assert port.bodies == [b"x" * 150_000]


async def test_who_is_late_is_told_so_unread() -> None:
    clock = iter(range(1000))
    port = Port(never, turns=RequestQueue(0.5, lambda: float(next(clock))))
    port.busy()
    port.sends(request("/mutate", b"one"))
    await turn()
    assert (port.codes, port.refused, port.counted.codes) == ([503], ["overload"], [503])
    assert not port.hung_up


async def test_its_turn_comes_by_the_weight_of_its_body() -> None:
    weights = []

    class Weighing(RequestQueue):
        def add(self, asker: Asker, weight: Callable[[], int]) -> None:
            weights.append(weight())
            super().add(asker, weight)

    port = Port(turns=Weighing())
    port.sends(request("/mutate", b"xxxx"), request("/mutate", b"[,,]"))
    await turn()
    assert weights == [4, 4 + 3 * 150]


# --- the end of a connection -----------------------------------------------------------------------------------------


async def test_a_server_that_stops_answers_what_is_here_and_what_is_coming_and_hangs_up() -> None:
    for pieces in ([request("/mutate", b"one")], in_halves(request("/mutate", b"one"))):
        first, *rest = pieces
        port = Port()
        port.busy()
        port.sends(first)
        port.shared.draining = True
        port.keeps_nobody_idle()
        assert not port.hung_up
        port.sends(*rest)
        await turn()
        assert (port.bodies, port.hung_up) == ([b"one"], True)
        assert b"connection: close" in port.client.written[0]

    port = Port()
    assert not port.hung_up
    port.keeps_nobody_idle()
    assert port.hung_up


@pytest.mark.parametrize("header", [b"Proxy-Connection: close", b"Connection: close", b"Connection: keep-alive, close"])
async def test_who_asks_for_the_end_of_its_connection_gets_it(header: bytes) -> None:
    port = Port()
    port.sends(request("/mutate", b"one").replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n", 1))
    await turn()
    assert (port.bodies, port.hung_up) == ([b"one"], True)


async def test_who_asks_for_it_in_a_trailer_is_not_left_without_an_answer() -> None:
    port = Port()
    port.sends(CHUNKED % b"/mutate" + b"3\r\none\r\n0\r\nConnection: close\r\n\r\n")
    await turn()
    assert port.bodies == [b"one"]
    port.sends(request("/mutate", b"two"))
    await turn()
    assert port.hung_up or port.bodies == [b"one", b"two"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"POST /mutate HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\none", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (CHUNKED.replace(b": chunked", b": gzip, chunked") % b"/mutate" + b"3\r\none\r\n0\r\n\r\n", 501),
        (CHUNKED.replace(b": chunked", b": gzip\r\nTransfer-Encoding: chunked") % b"/mutate" + b"0\r\n\r\n", 501),
    ],
)  # fmt: skip
async def test_what_is_not_understood_is_refused_and_nothing_behind_it_is_taken_for_a_request(
    sent: bytes, code: int
) -> None:
    port = Port(never)
    port.sends(sent + request("/mutate", b"smuggled"))
    port.sends(request("/mutate", b"smuggled"))
    await turn()
    assert (port.codes, port.hung_up) == ([code], True)


async def test_noise_right_behind_a_request_does_not_cost_it_its_answer() -> None:
    port = Port()
    port.sends(request("/mutate", b"one") + b"\0noise\r\n\r\n")
    for _ in range(2):
        await turn()
    assert (port.codes, port.bodies[0][:3], port.hung_up) == ([200, 400], b"one", True)
    assert port.refused == ["malformed"]


async def test_a_caller_that_may_not_call_is_told_so_and_hung_up_on() -> None:
    port = Port(never)
    port.connection._unwelcome = failure(403, "no", closes=True)
    port.sends(request("/mutate", b"x" * 200_000))
    await turn()
    assert (port.codes, port.limiter.held, port.hung_up) == ([403], 4 * 65_536, True)


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_who_is_too_slow_is_told_apart() -> None:
    limits = Limits(head_seconds=1, request_seconds=10, idle_seconds=100)
    for sent, after, reason in (
        (b"", 100.1, "idle"),
        (request("/mutate")[:20], 1.1, "head-timeout"),
        (request("/mutate", GOOD)[:-5], 10.1, "request-timeout"),
    ):
        port = Port(limits=limits)
        port.sends(sent)
        assert port.connection.waits
        assert port.connection.overdue(port.connection.since + after - 0.2) == ""
        assert port.connection.overdue(port.connection.since + after) == reason


async def test_a_body_without_room_is_refused_and_what_was_asked_before_is_answered() -> None:
    port = Port(limits=Limits(memory=1000))
    port.sends(request("/mutate", b"one") + request("/mutate", content_length="3000") + b" " * 2000)
    for _ in range(2):
        await turn()
    assert port.codes == [200, 503]
    assert port.limiter.held < 1000
    assert port.refused == ["memory"]


async def test_what_comes_after_a_refusal_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 1.0)
    port = Port(limits=Limits(memory=1000))
    port.sends(request("/mutate", content_length="3000000") + b" " * 2000, *[b" " * 60_000] * 10)
    await turn()
    assert (port.codes, port.limiter.held) == ([503], 4 * 60_000), "what TLS keeps room for"
    assert not port.hung_up, "it is given the time to read why"


async def test_who_goes_on_sending_after_its_last_answer_is_given_no_more_time() -> None:
    port = Port()
    port.sends(b"noise\r\n\r\n")
    await turn()
    since = port.connection.since
    port.sends(*[b" " * 60_000] * 3)
    assert port.codes == [400]
    assert port.connection.since == since
    assert port.connection.overdue(since + 0.1) == "idle"


async def test_who_reads_its_last_answer_slowly_is_given_time_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 1.0)
    port = Port()
    written = port.client.write

    def one_piece(data: bytes) -> None:
        written(data)
        port.connection.pause_writing()

    port.client.write = one_piece  # type: ignore[method-assign]
    port.sends(request("/mutate", b"x" * 100_000, connection="close"))
    for _ in range(2):
        port.connection.since -= 5.0
        port.connection.resume_writing()
    assert (port.bodies, port.hung_up) == ([b"x" * 100_000], False)


async def test_a_request_without_room_that_was_told_to_go_on_is_answered_once() -> None:
    port = Port(limits=Limits(memory=100))
    port.sends(request("/mutate", content_length="3", expect="100-continue"), b"one")
    await turn()
    assert (port.codes, port.refused, port.hung_up) == ([100, 503], ["memory"], True)


async def test_without_memory_each_request_is_answered_once() -> None:
    """A second answer, behind that of a request that was here already, would be taken for that of the next one."""
    for ahead in (0, 1, 3):
        port = Port(limits=Limits(memory=100))
        port.busy()
        port.sends(request("/mutate", b"one") * ahead + request("/mutate", b"x" * 20_000))
        for _ in range(ahead + 1):
            await turn()
        assert (port.codes, port.refused) == ([200] * ahead + [503], ["memory"])
        assert port.hung_up


async def test_without_memory_nobody_is_answered_who_has_asked_nothing() -> None:
    port = Port(limits=Limits(memory=100))
    port.sends(request("/mutate", b"x" * 60_000))
    await turn()
    assert (port.codes, port.refused, port.hung_up) == ([200], [], False)


@pytest.mark.parametrize("size", [10, 4_000, 15_000, 40_000, 200_000])
async def test_a_body_that_waits_for_its_turn_is_counted_whole(size: int) -> None:
    port = Port()
    port.busy()
    port.sends(request("/mutate", b"x" * size))
    kept = 4 * min(65_536, size) if size > 16_384 else 0
    assert 0 <= port.limiter.held - kept - size - 512 < 1_000
    await turn()


async def test_what_tls_keeps_of_a_large_read_is_counted_though_it_was_answered_at_once() -> None:
    """500 clients that each asked once held 64 MiB, which were not counted."""
    port = Port()
    port.sends(request("/mutate", b"x" * 60_000))
    assert len(port.bodies) == 1
    assert port.limiter.held > 4 * 60_000


async def test_who_has_hung_up_while_it_waits_for_its_turn_makes_room_for_others() -> None:
    port = Port()
    port.busy()
    port.sends(request("/mutate", b"one"))
    assert not port.connection.waits
    port.client.close()
    assert port.connection.waits


async def test_a_body_that_is_refused_unread_is_not_kept() -> None:
    port = Port(never)
    sent = request("/nothing", content_length="3000000") + b" " * 60_000
    port.sends(sent)
    assert port.limiter.held == 4 * len(sent) + 512 + len(sent) - 60_000, "and its head"
    port.sends(*[b" " * 60_000] * 49)
    await turn()
    assert port.codes == [404]
    port.sends(request("/mutate", method="PUT", content_length="9000000"), *[b" " * 60_000] * 140)
    await turn()
    assert port.codes == [404, 405], "nor is it taken without end"


async def test_a_head_is_counted_as_it_comes_and_with_all_that_it_costs() -> None:
    port = Port()
    head = b"POST /mutate HTTP/1.1\r\n" + b"a:" + b"b" * 9000 + b"\r\n"
    port.sends(head)
    assert port.limiter.held == len(head) + 512, (
        "of headers that are not needed nothing is kept but what may not be complete"
    )
    port.sends(b"\r\n")
    await turn()
    assert port.codes == [415]
    assert port.limiter.held == 0


async def test_a_head_that_is_too_large_is_refused_also_behind_a_large_request() -> None:
    for before in (b"", request("/mutate", b"x" * 200_000)):
        port = Port()
        port.sends(before + request("/mutate", b"two", x="y" * 100_000))
        for _ in range(2):
            await turn()
        assert port.codes[-1] == 431
        assert port.hung_up

    port = Port()
    head, rest = in_halves(request("/mutate", b"two", x="y" * 40_000))
    port.sends(request("/mutate", b"x" * 200_000) + head)
    port.sends(rest)
    for _ in range(2):
        await turn()
    assert [len(body) for body in port.bodies] == [200_000, 3]


async def test_zeros_before_a_length_are_no_bug_of_ours(logged: Logged) -> None:
    """Python reads no number of more than 4,300 digits; each such request was a traceback in the log."""
    port = Port()
    port.sends(request("/mutate", b"one", content_length="0" * 5000 + "3") + request("/mutate", b"two"))
    await turn()
    assert (port.bodies, port.refused) == ([b"one", b"two"], [])
    assert not [line for line in logged() if line["level"] == "error"]


async def test_between_chunks_there_is_little_but_trailers() -> None:
    for endless in (b"3;" + b"x" * 30_000, b"0" * 30_000):
        port = Port()
        port.sends(CHUNKED % b"/mutate" + b"3\r\none\r\n", *[endless[:1], endless[1:], *[endless[2:]] * 3])
        assert port.limiter.held <= 4 * 65_536 + 100_000
        await turn()
        assert (port.codes, port.hung_up) == ([431], True)


async def test_trailers_are_not_kept_and_are_limited_like_a_head() -> None:
    port = Port()
    port.sends(CHUNKED % b"/mutate" + b"3\r\none\r\n0\r\n", b"x: y\r\n" * 90, b"content-type: text/plain\r\n\r\n")
    await turn()
    assert (port.bodies, port.hung_up) == ([b"one"], False)

    for endless in (b"x: y\r\n" * 101, b"y" * 30_000):
        port = Port()
        port.sends(CHUNKED % b"/mutate" + b"0\r\nx: ", *[endless] * 4)
        await turn()
        assert port.codes == [431]


async def test_a_target_is_short() -> None:
    for length, code, refused in ((1024, 404, ["path"]), (1025, 414, ["head-size"])):
        port = Port()
        path = b"/mutate" + b"x" * (length - 7)
        port.sends(b"POST " + path[:600], path[600:] + b" HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        await turn()
        assert (port.codes, port.hung_up, port.refused) == ([code], code == 414, refused)


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        (request("/nothing", content_length="3", expect="100-continue"), 404, "path"),
        (request("/nothing", content_length="100000000"), 404, "path"),
        (request("/nothing", b"", **{f"x-{number}": "y" for number in range(20)}), 431, "head-size"),
        (CHUNKED % b"/nothing" + b"10000\r\n" + b" " * 0x10000, 404, "path"),
    ],
    ids=["asks first", "long", "many headers", "half a body"],
)
async def test_a_request_is_counted_once_whatever_is_wrong_with_it(sent: bytes, code: int, reason: str) -> None:
    port = Port(never, limits=Limits(headers=10))
    port.sends(sent, *[b"\r\n10000\r\n" + b" " * 0x10000] * 120)
    await turn()
    assert (port.codes, port.refused) == ([code], [reason])


async def test_headers_and_chunks_are_counted_because_each_takes_its_time() -> None:
    port = Port()
    port.sends(b"POST /mutate HTTP/1.1\r\n" + b"a:b\r\n" * 102)
    await turn()
    assert (port.codes, port.hung_up, port.refused) == ([431], True, ["head-size"])

    for chunks, code in ((2000, 200), (2100, 400)):
        port = Port()
        port.sends(CHUNKED % b"/mutate" + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n")
        await turn()
        assert port.codes == [code]


async def test_a_large_body_in_chunks_is_no_trailer() -> None:
    port = Port()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    port.sends(CHUNKED % b"/mutate", *[chunk[:7], chunk[7:30_000], chunk[30_000:]] * 3, b"0\r\n\r\n")
    await turn()
    assert (port.codes, port.hung_up) == ([200], False)


async def test_a_body_in_very_many_pieces_is_as_large_as_it_says() -> None:
    port = Port()
    sent = request("/mutate", bytes(range(256)) * 20)
    port.sends(*(sent[at : at + 2] for at in range(0, len(sent), 2)))
    await turn()
    assert port.bodies == [bytes(range(256)) * 20]


async def test_very_many_requests_at_once_are_hung_up_on() -> None:
    port = Port(limits=Limits(pipelined=3))
    port.sends(request("/mutate", b"x") * 10)
    assert port.hung_up
    assert port.refused == ["pipelined"]
    await turn()


@pytest.mark.parametrize("length", [1, MAXIMUM_BODY])
async def test_who_asks_first_is_told_to_go_on_once(length: int) -> None:
    port = Port()
    port.sends(request("/mutate", content_length=str(length), expect="100-continue"))
    assert port.codes == [100]
    port.sends(*[b" " * min(length, 65_536)] * max(1, length // 65_536))
    await turn()
    assert port.codes == [100, 200]


@pytest.mark.parametrize("body", [b"", b"one"])
async def test_who_asks_first_and_has_sent_all_is_answered_at_once(body: bytes) -> None:
    """RFC 9110, 10.1.1 permits to omit the interim answer if there is no body, or if it has begun to arrive."""
    port = Port()
    port.sends(request("/mutate", body, expect="100-continue"))
    assert (port.codes, port.bodies) == ([200], [body])


async def test_who_asks_first_behind_another_request_is_told_to_go_on_after_its_answer() -> None:
    """A client that waits for it would otherwise wait until its connection is closed."""
    port = Port(later)
    port.sends(request("/mutate", b"wait") + request("/mutate", content_length="3", expect="100-continue"))
    assert port.codes == []
    for _ in range(3):
        await turn()
    assert port.codes == [200, 100]
    port.sends(b"two")
    await turn()
    assert port.codes == [200, 100, 200]
    assert port.bodies[1] == b"two"


async def test_who_asks_first_behind_the_last_answer_is_told_nothing() -> None:
    port = Port(later)
    closing = request("/mutate", b"wait", connection="close")
    port.sends(closing + request("/mutate", content_length="3", expect="100-continue"))
    for _ in range(3):
        await turn()
    assert (port.codes, port.hung_up) == ([200], True)


async def test_who_asks_first_while_the_server_drains_is_still_told_to_go_on() -> None:
    port = Port(later)
    port.shared.draining = True
    port.sends(request("/mutate", b"wait") + request("/mutate", content_length="3", expect="100-continue"))
    for _ in range(3):
        await turn()
    port.sends(b"two")
    await turn()
    assert (port.codes, port.hung_up) == ([200, 100, 200], True)


async def test_a_client_of_http_1_0_is_sent_no_interim_answer() -> None:
    port = Port()
    head = request("/mutate", content_length="3", expect="100-continue").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    port.sends(head)
    assert port.codes == []
    port.sends(b"one")
    await turn()
    assert (port.codes, port.bodies) == ([200], [b"one"])


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (Limits(memory=100), request("/mutate", content_length="3000000") + b" " * 60_000),
        (Limits(head_bytes=100), request("/mutate", GOOD, x="y" * 40_000)),
        (Limits(pipelined=1), GET * 5),
    ],
    ids=["memory", "head", "pipelined"],
)
async def test_who_was_refused_is_forgotten(limits: Limits, refused: bytes) -> None:
    async def refuse() -> weakref.ref[Any]:
        port = Port(limits=limits)
        port.sends(refused)
        await turn()
        assert port.refused
        port.connection.connection_lost(None)
        return weakref.ref(port.connection)

    rejections = [await refuse() for _ in range(3)]
    await asyncio.sleep(1.2)  # the time that the refused are given to read why
    gc.collect()
    assert [one() for one in rejections] == [None] * 3


async def test_what_tls_has_of_who_hangs_up_after_its_last_answer_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the time is over that it was given: a thousand a second would leave 100 MiB that nobody counts."""
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.1)
    port = Port()
    port.sends(request("/mutate", b"one", connection="close"))
    port.connection.connection_lost(None)
    transport = weakref.ref(port.client)
    del port.client
    assert transport() is None
    await asyncio.sleep(0.2)  # nor does it matter that the time is over


async def test_who_does_not_hang_up_after_its_last_answer_is_cut_off() -> None:
    """By a close, uvloop decrypts what comes after it; of records of one byte each a second's worth is minutes."""
    for sent in (b"noise\r\n\r\n", request("/mutate", b"one", connection="close")):
        port = Port()
        ends: list[str] = []
        port.client.close = lambda ends=ends: ends.append("close")  # type: ignore[method-assign, misc]
        port.client.abort = lambda ends=ends: ends.append("abort")  # type: ignore[method-assign, misc]
        port.sends(sent)
        await turn()
        port.limiter.sweep()
        assert ends == ["abort"]


@pytest.mark.parametrize(
    ("target", "certificate", "stranger"),
    [
        ("/mutate/token", None, False),
        ("/mutate", {"subject": ()}, False),
        ("/mutate", None, True),
        ("/%6dutate", None, True),
        ("/nothing", None, True),
    ],
)
async def test_a_stranger_whose_records_take_long_to_decrypt_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, target: str, certificate: Any, *, stranger: bool
) -> None:
    """A connection that has presented neither a token nor a client certificate is one, even after an answered review."""
    now = worked = 0.0
    monkeypatch.setattr(connection, "perf_counter", lambda: now)
    monkeypatch.setattr(connection, "thread_time", lambda: worked)
    quick, slow, interrupted = (0.19e-3, 0.19e-3, 10), (0.22e-3, 0.22e-3, 10), (1.0, 0.0, 10)
    for reads, cut_off in (
        ((quick,) * 50, False),
        ((slow, slow, *(quick,) * 16, slow, *(quick,) * 16, slow), False),
        ((slow, slow, *((0.22e-3, 0.22e-3, 10_000),) * 16, slow), False),
        ((interrupted,) * 50, False),
        ((quick, slow, slow, slow), True),
        (((1.0, 1.0, 10), slow, slow), True),
        ((interrupted, slow, slow), True),
        ((slow, slow, quick, slow), True),
        ((slow, quick, quick, slow, quick, quick, slow), True),
    ):
        port = Port(certificate=certificate, suffix="/token")
        port.sends(request(target, b"one"))
        await turn()
        port.sends(request("/mutate", content_length="900000"))
        for seconds, of_processor, size in reads:
            port.connection.get_buffer(-1)
            now += seconds
            worked += of_processor
            port.connection.buffer_updated(size)
        assert port.hung_up == (cut_off and stranger)
        assert [reason for reason in port.refused if reason != "path"] == ["records"] * (cut_off and stranger)


@pytest.mark.parametrize(("suffix", "closes"), [("", True), ("/token", False)])
async def test_a_stranger_that_sends_only_control_records_is_disconnected(suffix: str, *, closes: bool) -> None:
    """TLS key updates never become data: 24,000 of them were decrypted, and neither counted nor limited."""
    port = Port(suffix="/token")
    port.sends(request(f"/mutate{suffix}", b"one"))
    await turn()
    for _ in range(62):
        port.connection.get_buffer(-1)
    port.sends(request("/mutate", b"two"))
    await turn()
    assert (len(port.bodies), port.hung_up) == (2, False), "a large record arrives in many reads"
    for _ in range(200):
        port.connection.get_buffer(-1)
    await turn()
    assert (port.hung_up, port.refused) == (closes, ["records"] * closes)


async def test_a_certificate_with_another_name_is_a_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(connection, "perf_counter", lambda: now)
    monkeypatch.setattr(connection, "thread_time", lambda: now)
    port = Port(certificate={"subject": ((("commonName", "somebody"),),)}, names=frozenset({"kube-apiserver"}))
    for _ in range(3):
        port.connection.get_buffer(-1)
        now += 1.0
        port.connection.buffer_updated(0)
    assert port.refused == ["common-name", "records"]


@pytest.mark.parametrize("path", ["/mutate", "/nothing"])
async def test_headers_are_released_as_soon_as_they_are_read(path: str) -> None:
    """500 clients that never send their bodies held 60 KB each, which was not counted."""
    port = Port()
    head = request(path, content_length="10", expect="x" * 60_000)
    tracemalloc.start()
    try:
        port.sends(head)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 20_000
    assert not port.codes


async def test_who_was_answered_a_review_is_known_and_may_send_much_at_once() -> None:
    port = Port()
    widened = port.client.get_extra_info("socket").setsockopt
    for sent, known in ((request("/nothing"), False), (GET, False), (request("/mutate", b"one"), True), (GET, True)):
        port.sends(sent)
        await turn()
        assert (port.connection.known, widened.called) == (known, known)
    assert widened.call_count <= 2, "once is enough"


async def test_a_bug_in_reading_one_request_costs_others_nothing(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, other = Port(), Port()

    def fail(_path: str) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(port.shared, "find", fail)
    port.sends(request("/mutate", b"one"))
    other.sends(request("/mutate", b"two"))
    await turn()

    assert (port.client.written, port.hung_up) == ([], True)
    assert other.bodies == [b"two"]
    assert any("a bug" in str(line) for line in logged())
    assert port.refused == ["failed"]


def test_httptools_tells_a_bug_of_ours_from_what_is_no_http() -> None:
    """What ``Connection`` relies on: an exception of a callback is the context of its own error."""

    class Failing:
        def on_message_begin(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(httptools.HttpParserCallbackError) as caught:
        httptools.HttpRequestParser(Failing()).feed_data(GET)
    assert isinstance(caught.value.__context__, ZeroDivisionError)

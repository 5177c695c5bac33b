"""Answers at once: which requests get them, in which order they go out, and when they are left to uvicorn."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from tests.adapters.http.support import GOOD
from tests.adapters.http.test_endpoint import Counted
from tests.wire import request
from webhook.adapters.http import failures
from webhook.adapters.http.connection import Connection
from webhook.adapters.http.crowd import Crowd
from webhook.adapters.http.endpoint import MAXIMUM_BODY, Answer, Endpoint, plain
from webhook.adapters.http.failures import JSON, RETRY, Headers
from webhook.adapters.http.limits import Limits
from webhook.adapters.http.pace import Pace
from webhook.adapters.http.prompt import Prompt, as_bytes
from webhook.adapters.http.refusals import Refusals
from webhook.application.namespaces import NamespaceUnavailable
from webhook.application.review import Answering, ReviewError

BODY = b'{"kind":"AdmissionReview"}'


@dataclass
class Client:
    """The other end of a transport."""

    written: list[bytes] = field(default_factory=list)
    closing: bool = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, _name: str) -> None:
        return None

    def resume_reading(self) -> None:
        """There is nothing that could be read."""

    pause_reading = resume_reading


# --- what goes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "headers"), [(200, [JSON]), (503, [JSON, RETRY])])
async def test_it_is_byte_by_byte_what_uvicorn_writes(code: int, headers: Headers) -> None:
    client = Client()
    default: Headers = [(b"date", b"today")]
    cycle = RequestResponseCycle(
        scope=cast("Any", {"type": "http", "method": "POST"}),
        transport=cast("Any", client),
        flow=FlowControl(cast("Any", client)),
        logger=cast("Any", None),
        access_logger=cast("Any", None),
        access_log=False,
        default_headers=default,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=lambda: None,
    )
    length = (b"content-length", b"%d" % len(BODY))
    await cycle.send({"type": "http.response.start", "status": code, "headers": [*headers, length]})
    await cycle.send({"type": "http.response.body", "body": BODY, "more_body": False})

    assert as_bytes(Answer(code, headers, BODY), default) == b"".join(client.written)


# --- which requests --------------------------------------------------------------------------------------------------

LENGTH = (b"content-length", b"2")


@pytest.mark.parametrize(
    ("headers", "is_plain"),
    [
        ([(b"host", b"gpuwarden"), JSON, LENGTH, (b"accept-encoding", b"gzip")], True),
        ([JSON, (b"content-length", b"%d" % MAXIMUM_BODY)], True),
        ([JSON, (b"content-length", b"%d" % (MAXIMUM_BODY + 1))], False),
        ([JSON], False),
        ([LENGTH], False),
        ([(b"content-type", b"application/json; charset=utf-8"), LENGTH], False),
        ([JSON, (b"transfer-encoding", b"chunked")], False),
        *(
            ([JSON, LENGTH, (name, b"x")], False)
            for name in (b"connection", b"content-encoding", b"expect", b"upgrade")
        ),
    ],
)
def test_what_the_api_server_sends_is_plain_and_everything_else_is_left_to_uvicorn(
    headers: Headers, *, is_plain: bool
) -> None:
    assert plain(headers) is is_plain


def test_an_endpoint_is_found_by_its_path_whatever_the_query() -> None:
    endpoint = Endpoint("/mutate", lambda body: body, Counted())
    prompt = Prompt([endpoint])

    assert prompt.find(b"/mutate") is prompt.find(b"/mutate?timeout=10s") is endpoint
    assert [prompt.find(target) for target in (b"/", b"/mutate/", b"/validate", b"http://x/mutate", b"*")] == [None] * 5
    assert Prompt().find(b"/mutate") is None


# --- which answers ---------------------------------------------------------------------------------------------------


def answering(error: Exception) -> Any:
    def answer(_body: bytes) -> bytes:
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ReviewError("kind", "is odd"), failures.bad_request("kind", "is odd")),
        (NamespaceUnavailable("dark", "no"), failures.unavailable(str(NamespaceUnavailable("dark", "no")))),
        (ValueError("a bug"), failures.internal_error()),
    ],
)
def test_a_failure_is_answered_as_by_asgi_and_counted_once(error: Exception, failure: failures.Failure) -> None:
    counted = Counted()
    answer = Endpoint("/mutate", answering(error), counted).at_once(BODY)

    assert answer == Answer(failure.code, [JSON, *failure.headers], failure.body())
    assert counted.codes == [failure.code]


def test_a_request_that_comes_too_late_is_shed_unread() -> None:
    pace = Pace(most=0.5)
    pace.turn = 0.0
    answer = Endpoint("/mutate", answering(AssertionError("it was read")), Counted(), pace).at_once(BODY)

    assert answer is not None
    assert (answer.code, RETRY in answer.headers) == (503, True)


def test_what_must_be_waited_for_is_not_answered_nor_counted() -> None:
    async def waiting(body: bytes) -> bytes:
        return body

    counted = Counted()
    assert Endpoint("/mutate", waiting, counted).at_once(BODY) is None
    assert counted.codes == []


def test_while_draining_uvicorn_answers_which_closes_connections() -> None:
    endpoint = Endpoint("/mutate", lambda body: body, Counted())
    assert endpoint.at_once(BODY) == Answer(200, [JSON], BODY)
    endpoint.drain()
    assert endpoint.at_once(BODY) is None


# --- when ------------------------------------------------------------------------------------------------------------


@dataclass
class Asker:
    name: int
    said: list[str]

    def answer(self) -> None:
        self.said.append(f"answer {self.name}")

    def send_answers(self) -> None:
        self.said.append(f"send {self.name}")


def asked(prompt: Prompt, count: int) -> list[str]:
    said: list[str] = []
    for number in range(count):
        prompt.add(Asker(number, said))
    return said


async def test_at_the_end_of_a_turn_all_are_answered_and_then_all_are_sent() -> None:
    prompt = Prompt()
    for _ in range(2):
        said = asked(prompt, 3)
        assert said == []
        await asyncio.sleep(0)
        assert said == [*(f"answer {number}" for number in range(3)), *(f"send {number}" for number in range(3))]


async def test_many_do_not_wait_for_the_end_of_the_turn() -> None:
    said = asked(Prompt(), 20)
    assert [word for word in said if word.startswith("send")] == [f"send {number}" for number in range(16)]
    await asyncio.sleep(0)
    assert len(said) == 40


# --- connections -----------------------------------------------------------------------------------------------------


class Port:
    """A port with one endpoint, which answers with what it is asked, and a connection to it."""

    def __init__(self, answer: Any = lambda body: body, limits: Limits | None = None) -> None:
        self.asgi: list[str] = []
        self.crowd = Crowd(limits or Limits(), Refusals("admission", lambda _port, _reason: None))
        self.client = Client()
        config = uvicorn.Config(
            self._app, interface="asgi3", lifespan="off", ws="none", access_log=False, log_config=None
        )
        prompt = Prompt([Endpoint("/mutate", answer, Counted())])
        self.connection = Connection(self.crowd, None, prompt, config=config, server_state=ServerState(), app_state={})
        self.connection.connection_made(self.client)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.asgi.append(f"{scope['method']} {scope['path']} {(await receive())['body'].decode()}")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def sends(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)

    @property
    def bodies(self) -> list[bytes]:
        """What was sent, without heads."""
        return [
            answer.partition(b"\r\n\r\n")[2] for answer in b"".join(self.client.written).split(b"HTTP/1.1 200 ")[1:]
        ]


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def in_halves(text: bytes) -> Iterable[bytes]:
    return text[:-3], text[-3:]


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
    port = Port(answering(AssertionError("it was read")))
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

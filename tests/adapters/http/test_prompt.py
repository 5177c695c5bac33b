"""Answers at once: which requests get them, in which order they go out, and when they are left to uvicorn."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tests.adapters.http.port import Client
from tests.adapters.http.test_endpoint import Counted
from webhook.adapters.http import failures
from webhook.adapters.http.endpoint import MAXIMUM_BODY, Answer, Endpoint, plain
from webhook.adapters.http.failures import JSON, RETRY, Headers
from webhook.adapters.http.pace import Pace
from webhook.adapters.http.prompt import Prompt, as_bytes
from webhook.application.namespaces import NamespaceUnavailable
from webhook.application.review import ReviewError

BODY = b'{"kind":"AdmissionReview"}'


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

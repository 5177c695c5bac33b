"""A whole answer in one write: what goes out, and when it leaves the answer to uvicorn."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from webhook.adapters.http.failures import CLOSE, JSON, Headers
from webhook.adapters.http.whole import Whole

BODY = b'{"kind":"AdmissionReview"}'
HEADERS: Headers = [JSON, (b"content-length", b"%d" % len(BODY))]


@dataclass
class Client:
    """The other end of a transport."""

    written: list[bytes] = field(default_factory=list)
    closed: bool = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


def a_cycle(client: Client, **fields: Any) -> RequestResponseCycle:
    """A request that waits for its answer; the server adds one header of its own."""
    cycle = RequestResponseCycle(
        scope=cast("Any", {"type": "http", "method": "POST"}),
        transport=cast("Any", client),
        flow=FlowControl(cast("Any", client)),
        logger=cast("Any", None),
        access_logger=cast("Any", None),
        access_log=False,
        default_headers=[(b"date", b"today")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=fields.pop("keep_alive", True),
        on_response=lambda: client.written.append(b"on_response"),
    )
    for name, value in fields.items():
        setattr(cycle, name, value)
    return cycle


async def by_two_messages(headers: Headers, *, keep_alive: bool) -> Client:
    """What uvicorn itself makes of the same answer."""
    client = Client()
    cycle = a_cycle(client, keep_alive=keep_alive)
    await cycle.send({"type": "http.response.start", "status": 200, "headers": headers})
    await cycle.send({"type": "http.response.body", "body": BODY, "more_body": False})
    return client


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("headers", [HEADERS, [*HEADERS, CLOSE]])
async def test_it_is_byte_by_byte_what_uvicorn_writes_but_in_one_piece(headers: Headers, *, keep_alive: bool) -> None:
    client, theirs = Client(), await by_two_messages(headers, keep_alive=keep_alive)
    cycle = a_cycle(client, keep_alive=keep_alive)
    assert Whole(cycle)(200, headers, BODY)
    assert client.written == [b"".join(theirs.written[:-1]), b"on_response"]
    assert len(theirs.written) == 3
    assert client.closed == theirs.closed == (not keep_alive or CLOSE in headers)
    assert cycle.response_complete
    assert cycle.message_event.is_set()


async def test_what_would_have_to_wait_is_left_to_uvicorn() -> None:
    client = Client()
    cycle = a_cycle(client)
    cycle.flow.write_paused = True
    assert not Whole(cycle)(200, HEADERS, BODY)
    assert client.written == []
    assert not cycle.response_started


async def test_an_answer_that_has_begun_is_left_to_whoever_began_it() -> None:
    client = Client()
    assert not Whole(a_cycle(client, response_started=True))(200, HEADERS, BODY)
    assert client.written == []


async def test_nobody_is_answered_who_has_gone() -> None:
    client = Client()
    assert Whole(a_cycle(client, disconnected=True))(200, HEADERS, BODY)
    assert client.written == []

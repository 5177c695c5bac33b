"""The endpoint whose answer is told how long the API server waits."""

import asyncio
from typing import Any

import pytest

from tests.adapters.http.test_endpoint import Counted, body
from webhook.adapters.http.endpoint import Message
from webhook.adapters.http.timed import DEFAULT_SECONDS, MOST_SECONDS, TimedEndpoint, allowed_seconds


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        (b"timeout=2s", 2.0),
        (b"timeout=4.999986723s", 4.999986723),
        (b"timeout=999.5ms", 0.9995),
        (b"timeout=1m30s", 30.0),
        (b"timeout=10s&x=y", 10.0),
        ("timeout=250µs".encode(), DEFAULT_SECONDS),  # a query is ASCII; so it arrives escaped
        (b"timeout=250%C2%B5s", 0.00025),
        (b"timeout=1h", MOST_SECONDS),
        (b"timeout=0s", 0.0),
        (b"", DEFAULT_SECONDS),
        (b"timeout=", DEFAULT_SECONDS),
        (b"timeout=soon", DEFAULT_SECONDS),
        (b"timeout=5", DEFAULT_SECONDS),
        (b"timeout=-5s", DEFAULT_SECONDS),
        (b"timeout=5s later", DEFAULT_SECONDS),
    ],
)
def test_the_time_is_a_go_duration_and_otherwise_what_the_api_server_waits_by_default(
    query: bytes, seconds: float
) -> None:
    assert allowed_seconds(query) == pytest.approx(seconds)


async def exchange(endpoint: TimedEndpoint, query: bytes | None, *received: Message) -> list[Message]:
    sent: list[Message] = []
    unread = list(received)
    scope: dict[str, Any] = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    if query is not None:
        scope["query_string"] = query

    async def receive() -> Message:
        await asyncio.sleep(0)
        return unread.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await endpoint(scope, receive, send)
    return sent


async def test_requests_at_the_same_time_each_have_their_own_time() -> None:
    told: dict[bytes, float] = {}

    async def answer(body: bytes, seconds: float) -> bytes:
        await asyncio.sleep(0)
        told[body] = seconds
        return body

    counted = Counted()
    endpoint = TimedEndpoint("/validate-namespace", answer, counted)
    sent = await asyncio.gather(
        exchange(endpoint, b"timeout=20s", body(b"a", more=True), body(b"")),
        exchange(endpoint, b"timeout=3s", body(b"b")),
        exchange(endpoint, None, body(b"c")),
    )
    assert [messages[1]["body"] for messages in sent] == [b"a", b"b", b"c"]
    assert counted.codes == [200] * 3
    # What the reading took is gone from it, so it is less, by as much as a busy machine may take.
    assert 15 < told[b"a"] < 20
    assert 0 < told[b"b"] < 3
    assert 5 < told[b"c"] < DEFAULT_SECONDS


async def test_time_that_is_over_is_none_at_all() -> None:
    async def answer(body: bytes, seconds: float) -> bytes:
        return str(seconds).encode()

    sent = await exchange(TimedEndpoint("/n", answer, Counted()), b"timeout=1ns", body(b"x"))
    assert sent[1]["body"] == b"0.0"


async def test_it_drains_as_the_others_do() -> None:
    async def answer(body: bytes, seconds: float) -> bytes:
        return body

    endpoint = TimedEndpoint("/n", answer, Counted())
    endpoint.drain()
    sent = await exchange(endpoint, b"", body(b"x"))
    assert (b"connection", b"close") in sent[0]["headers"]

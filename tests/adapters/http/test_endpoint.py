"""The endpoint by itself, as ASGI: what a real server never or hardly sends, and may."""

import json
from collections.abc import Callable
from typing import Any

from webhook.adapters.http.endpoint import MAXIMUM_BODY, Endpoint, Message
from webhook.application.review import Answering

SCOPE = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}


class Counted:
    def __init__(self) -> None:
        self.codes: list[int] = []

    def answered(self, path: str, code: int, seconds: float) -> None:
        self.codes.append(code)


async def echo(body: bytes) -> bytes:
    return body


async def exchange(
    *received: Message, answer: Callable[[bytes], Answering] = echo, drained: bool = False
) -> tuple[list[Message], list[int], list[Message]]:
    """Send messages to an endpoint: what it sends, what it counts, and what it left unread."""
    sent: list[Message] = []
    unread = list(received)
    counted = Counted()
    endpoint = Endpoint("/mutate", answer, counted)
    if drained:
        endpoint.drain()

    async def receive() -> Message:
        return unread.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await endpoint(SCOPE, receive, send)
    return sent, counted.codes, unread


def body(text: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": text, "more_body": more}


GONE: dict[str, Any] = {"type": "http.disconnect"}


async def test_a_body_may_come_in_any_number_of_pieces() -> None:
    for pieces in ([body(b"ab")], [body(b"a", more=True), body(b""), GONE], [body(b"", more=True), body(b"ab")]):
        sent, codes, _ = await exchange(*pieces)

        assert codes == [200]
        assert sent[0]["status"] == 200
        assert (b"content-length", b"%d" % len(sent[1]["body"])) in sent[0]["headers"]


async def test_a_body_that_comes_whole_and_too_large_is_refused() -> None:
    sent, codes, _ = await exchange(body(b" " * (MAXIMUM_BODY + 1)), GONE)

    assert codes == [413]
    assert json.loads(sent[1]["body"])["code"] == 413
    assert (await exchange(body(b" " * MAXIMUM_BODY)))[1] == [200]


async def test_what_is_still_coming_of_a_refused_body_is_thrown_away_before_the_answer_ends() -> None:
    piece = body(b" " * MAXIMUM_BODY, more=True)

    sent, codes, unread = await exchange(piece, piece, piece, piece, body(b""), body(b"the next request's"))

    assert codes == [413]
    assert [message.get("more_body", False) for message in sent] == [False, True, False]
    assert sent[2]["body"] == b""
    assert len(unread) == 1


async def test_who_hangs_up_before_the_body_has_come_gets_no_answer_and_is_not_counted() -> None:
    for messages in ([GONE], [body(b"{", more=True), GONE]):
        assert (await exchange(*messages))[:2] == ([], [])


async def test_while_draining_failures_ask_for_another_connection_too() -> None:
    async def fail(_: bytes) -> bytes:
        raise ValueError("a bug")

    sent, codes, _ = await exchange(body(b"{}"), answer=fail, drained=True)

    assert codes == [500]
    assert (b"connection", b"close") in sent[0]["headers"]

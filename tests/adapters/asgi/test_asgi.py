"""Admission as ASGI: the same answers from the application under httpx, mounted in another, and served by a stock uvicorn."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from starlette.types import Message

from testing.reviews import TEAM, KnownNamespaces, Notes
from tests.adapters.http.support import GOOD, answer_of, status_of
from tests.adapters.http.test_endpoint import Counted
from tests.wire import PATIENCE, Reply, Wire, chunked, request
from webhook.adapters.asgi.application import AsgiEndpoint, application
from webhook.adapters.http.endpoint import AdmissionEndpoint
from webhook.adapters.http.limits import MAXIMUM_BODY
from webhook.application.admission import Admission
from webhook.application.configuration import Configuration
from webhook.application.namespaces import NamespaceUnavailable
from webhook.engine.namespace_labels import NamespaceLabels


def whole_app(counted: Counted) -> FastAPI:
    namespaces = KnownNamespaces({TEAM: NamespaceLabels("mps")})
    namespaces.unknown["dark"] = NamespaceUnavailable("dark", "the API server did not answer in 2 s")
    admission = Admission(Configuration(), namespaces, Notes())
    return application(list, lambda: b"up 1\n", [AdmissionEndpoint("/mutate", admission.mutate, counted.answered)])


@pytest.mark.parametrize("mounted_at", ["", "/gpuwarden"])
async def test_it_answers_under_httpx_by_itself_and_mounted(mounted_at: str) -> None:
    counted = Counted()
    app = whole_app(counted)
    if mounted_at:
        outer = FastAPI()
        outer.mount(mounted_at, app)
        app = outer
    async with AsyncClient(transport=ASGITransport(app), base_url="http://here") as client:
        answer = await client.post(
            f"{mounted_at}/mutate?timeout=5s", content=GOOD, headers={"content-type": "application/json"}
        )
        refused = await client.get(f"{mounted_at}/mutate")
        alive = await client.get(f"{mounted_at}/healthz")
    assert answer_of(Reply("", answer.status_code, dict(answer.headers), answer.content)).patch is not None
    assert (refused.status_code, refused.headers["allow"], refused.json()["kind"]) == (405, "POST", "Status")
    assert alive.text == "ok"
    assert counted.codes == [200, 405]


@contextmanager
def by_uvicorn(app: Any) -> Iterator[int]:
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + PATIENCE
        while not server.started:
            assert time.monotonic() < until
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


def test_it_answers_under_uvicorn() -> None:
    with by_uvicorn(whole_app(Counted())) as port, Wire(port) as wire:
        wire.send(request("/mutate?timeout=5s", GOOD))
        assert answer_of(wire.reply()).patch is not None
        wire.send(request("/mutate", content_length="", transfer_encoding="chunked"), *chunked(GOOD, 100))
        assert answer_of(wire.reply()).patch is not None
        wire.send(request("/mutate", b"{}"))
        assert status_of(wire.reply())["message"].startswith("kind: ")
        wire.send(request("/mutate", content_length=str(MAXIMUM_BODY + 1)))
        reply = wire.reply()
        assert (reply.code, reply.headers["connection"]) == (413, "close")


async def exchange(*received: Message) -> tuple[list[Message], list[int]]:
    sent: list[Message] = []
    unread = list(received)
    counted = Counted()

    async def echo(body: bytes) -> bytes:
        await asyncio.sleep(0)
        return body

    async def receive() -> Message:
        return unread.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"Content-Type", b"application/json")]}
    await AsgiEndpoint(AdmissionEndpoint("/mutate", echo, counted.answered))(scope, receive, send)
    return sent, counted.codes


def body(text: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": text, "more_body": more}


GONE: dict[str, Any] = {"type": "http.disconnect"}


async def test_a_body_may_come_in_any_number_of_pieces() -> None:
    for pieces in ([body(b"ab")], [body(b"a", more=True), body(b"b"), GONE], [body(b"", more=True), body(b"ab")]):
        sent, codes = await exchange(*pieces)
        assert codes == [200]
        assert sent[0]["status"] == 200
        assert (b"content-length", b"2") in sent[0]["headers"]
        assert sent[1]["body"] == b"ab"


async def test_a_body_that_turns_out_too_large_is_refused_while_it_comes() -> None:
    most = body(b" " * MAXIMUM_BODY, more=True)
    assert (await exchange(most, body(b"")))[1] == [200]
    sent, codes = await exchange(most, body(b" ", more=True))
    assert codes == [413]
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_who_hangs_up_before_the_body_has_come_gets_no_answer_and_is_not_counted() -> None:
    for messages in ([GONE], [body(b"{", more=True), GONE]):
        assert await exchange(*messages) == ([], [])

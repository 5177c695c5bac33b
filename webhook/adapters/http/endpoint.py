"""The hot path: one admission endpoint, which answers at once where it can (see ``prompt``), and as plain ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import structlog

from webhook.adapters.http import failures
from webhook.adapters.http.failures import Failure, Headers
from webhook.adapters.http.pace import Pace
from webhook.application.namespaces import NamespaceNotFound, NamespaceUnavailable
from webhook.application.review import Answering, ReviewError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# A review carries at most two objects, each at most etcd's and the API server's 3 MiB, and 1 MiB of envelope
# (controller-runtime pkg/webhook/admission/http.go derives the same).
MAXIMUM_BODY = 7 * 1024 * 1024
# What is still coming of a body that was refused is thrown away for so long, so that the client can read why: closing a
# socket with unread data resets the connection, and the answer is lost with it.
_LINGER_SECONDS = 1.0

_log = structlog.get_logger("gpuwarden.http")


class Observer(Protocol):
    """Who is told how each request went."""

    def answered(self, path: str, code: int, seconds: float) -> None:
        """A request to ``path`` was answered with an HTTP status code after so many seconds."""
        ...


class _Gone(Exception):  # noqa: N818 - the client hung up; nobody is left to answer
    pass


class Answer(NamedTuple):
    """An HTTP answer; its headers are all but Content-Length."""

    code: int
    headers: Headers
    body: bytes


class Endpoint:
    """Answers POSTed AdmissionReviews by a function from bytes to bytes, and everything else by a clear failure."""

    def __init__(
        self, path: str, answer: Callable[[bytes], Answering], observer: Observer, pace: Pace | None = None
    ) -> None:
        """Serve ``path`` with an answer that raises ``ReviewError`` or a namespace's error, and nothing else on purpose.

        Args:
            path: of the URL.
            answer: a review's bytes to its answer's.
            observer: who is told.
            pace: sheds what comes too late; without it nothing is shed.
        """
        self.path = path
        self._answer = answer
        self._observer = observer
        self._pace = pace or Pace()
        self._head: Headers = [failures.JSON]

    def drain(self) -> None:
        """Ask clients, from now on, to take their next request to another connection."""
        self._head = [failures.JSON, failures.CLOSE]

    def at_once(self, body: bytes) -> Answer | None:
        """The answer to a ``plain`` POST that is here in full.

        Returns:
            What ``__call__`` would answer; ``None`` where something must be waited for, or the connection must end with it.
        """
        if failures.CLOSE in self._head:
            return None
        started = perf_counter()
        try:
            self._pace.keep(started)
            text = self._answer(body)
            if not isinstance(text, bytes):
                text.close()
                return None
            answer = Answer(200, self._head, text)
        except Exception as error:  # noqa: BLE001 - as in __call__
            answer = self._failed(error)
        self._observer.answered(self.path, answer.code, perf_counter() - started)
        return answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        started = perf_counter()
        try:
            self._pace.keep(started)
            text = self._answer(await _read(scope, receive))
            answer = Answer(200, self._head, text if isinstance(text, bytes) else await text)
        except _Gone:
            return
        except Exception as error:  # noqa: BLE001 - every way to fail has an answer; an unknown one is counted as 500 and logged
            answer = self._failed(error)
        code, headers, body = answer
        headers = [*headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        if code in failures.BODY_UNREAD:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await _discard(receive)
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.body", "body": body})
        self._observer.answered(self.path, code, perf_counter() - started)

    def _failed(self, error: Exception) -> Answer:
        failure = self._failure(error)
        return Answer(failure.code, [*self._head, *failure.headers], failure.body())

    def _failure(self, error: Exception) -> Failure:
        """The answer that an exception gets."""
        match error:
            case Failure():
                return error
            case ReviewError():
                return failures.bad_request(error.field, error.message)
            case NamespaceUnavailable() | NamespaceNotFound():
                return failures.unavailable(str(error))
        # The traceback names code, not data: the review may hold secrets and is never logged.
        _log.error("request failed", path=self.path, exc_info=error)
        return failures.internal_error()


# What is answered by itself in uvicorn, or here before the body is read.
_UNUSUAL = frozenset({b"connection", b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"})


def plain(headers: Headers) -> bool:
    """Whether a POST is as the API server sends it, by its headers: JSON of a length that is read, and nothing asked besides."""
    length, content_type = MAXIMUM_BODY + 1, b""
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"content-type":
            content_type = value
        elif name in _UNUSUAL:
            return False
    return length <= MAXIMUM_BODY and content_type == b"application/json"


async def _read(scope: Scope, receive: Receive) -> bytes:
    """The body of a request that is worth reading, or a ``Failure`` before it is read."""
    if scope["method"] != "POST":
        raise failures.method_not_allowed(scope["method"])
    content_type = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length" and int(value) > MAXIMUM_BODY:
            raise failures.too_large(MAXIMUM_BODY)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise failures.unsupported_media_type("Content-Encoding is not supported; send plain JSON")
    if content_type != b"application/json" and content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise failures.unsupported_media_type("Content-Type must be application/json")
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return _within_limit(message.get("body", b""))
    return await _rest(message, receive)


async def _rest(message: Message, receive: Receive) -> bytes:
    """A body that comes in pieces."""
    pieces: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise _Gone
        piece = message.get("body", b"")
        size += len(piece)
        if size > MAXIMUM_BODY:
            raise failures.too_large(MAXIMUM_BODY)
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()


async def _discard(receive: Receive) -> None:
    """Throw away what is left of a body, for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


def _within_limit(body: bytes) -> bytes:
    if len(body) > MAXIMUM_BODY:
        raise failures.too_large(MAXIMUM_BODY)
    return body

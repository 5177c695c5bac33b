"""A request that an ASGI application answers: those of the operations port. Its body is not read."""

from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import ASGIApp, Message

from .messages import INTERNAL_ERROR, Answer, Failure

_log = structlog.get_logger("gpuwarden.http")


class AsgiRequest:
    """A request for a path of an application, which knows its paths and their methods."""

    reads_body = False

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self.path = path
        self._method = ""

    def refusal(self, method: bytes, headers: Mapping[bytes, bytes], length: int) -> Failure | None:  # noqa: ARG002 - as every endpoint
        """Take the method; nothing is refused here."""
        self._method = method.decode()
        return None

    def refuse(self, failure: Failure) -> Answer:
        """The answer to a request that is no plain HTTP/1.1."""
        return failure.answer()

    def answer(self, body: bytes, query: bytes = b"") -> Coroutine[Any, Any, Answer]:  # noqa: ARG002 - likewise
        """The application's answer, to be waited for."""
        return self._ask(query)

    async def _ask(self, query: bytes) -> Answer:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": query,
            "headers": [],
        }
        said: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            said.append(message)

        try:
            await self._app(scope, receive, send)
            start, *bodies = said
            status = HTTPStatus(start["status"])
            lines = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode())]
            lines += [b"%b: %b" % (name, value) for name, value in start["headers"] if name != b"content-length"]
        except Exception:  # noqa: BLE001 - a bug of the application must not leave a client without an answer
            _log.exception("request failed", path=self.path)
            return INTERNAL_ERROR.answer()
        return Answer(status, b"".join(each.get("body", b"") for each in bodies), b"\r\n".join([*lines, b""]))

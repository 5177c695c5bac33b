"""An admission endpoint as plain ASGI, for whichever server the FastAPI application is served by or mounted in."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from webhook.adapters.http import failures
from webhook.adapters.http.endpoint import Endpoint, refusal
from webhook.adapters.http.failures import Failure
from webhook.adapters.http.limits import MAXIMUM_BODY
from webhook.adapters.http.responses import CLOSE, JSON, Answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiEndpoint:
    """Answers as our own protocol does. The limits on connections, time and memory are the server's."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Serve an endpoint."""
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        body = await _read(scope, receive)
        if body is None:
            return
        closes = isinstance(body, Failure) and body.closes
        if isinstance(body, Failure):
            answer = self._endpoint.refuse(body)
        else:
            made = self._endpoint.answer(body, scope.get("query_string", b""))
            answer = made if isinstance(made, Answer) else await made
        headers = [JSON, *answer.headers, (b"content-length", b"%d" % len(answer.body)), *([CLOSE] if closes else [])]
        await send({"type": "http.response.start", "status": answer.code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


async def _read(scope: Scope, receive: Receive) -> bytes | Failure | None:
    """The body, or why it is refused; ``None`` when the client hangs up before it is complete."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    kind, encoding = headers.get(b"content-type", b""), headers.get(b"content-encoding", b"")
    if failure := refusal(scope["method"], kind.strip(), encoding, int(headers.get(b"content-length", b"0"))):
        return failure
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAXIMUM_BODY:
            return failures.TOO_LARGE
        if not message.get("more_body"):
            return bytes(body)

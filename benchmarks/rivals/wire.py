"""The wire: reads the body and answers a constant, so that what is left is uvicorn's, TLS's and the kernel's."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


def wire_app(sizes: list[int]) -> Callable[..., Awaitable[None]]:
    """An ASGI application that answers ``/<size>`` with so many bytes."""
    answers = {f"/{size}": b"x" * size for size in sizes}

    async def answer(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        pieces = []
        while True:
            message = await receive()
            pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        b"".join(pieces)
        body = answers[scope["path"]]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer

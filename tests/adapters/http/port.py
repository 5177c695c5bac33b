"""A connection by itself, over a transport that is none: each read and each write of it can be seen."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from tests.adapters.http.test_endpoint import Counted
from webhook.adapters.http.connection import Connection
from webhook.adapters.http.crowd import Crowd
from webhook.adapters.http.endpoint import Endpoint
from webhook.adapters.http.limits import Limits
from webhook.adapters.http.prompt import Prompt
from webhook.adapters.http.refusals import Refusals
from webhook.application.review import Answering


@dataclass
class Client:
    """The other end of a transport."""

    written: list[bytes] = field(default_factory=list)
    closing: bool = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, _name: str) -> None:
        return None

    def resume_reading(self) -> None:
        """There is nothing that could be read."""

    pause_reading = resume_reading


class Port:
    """A port with one endpoint, which answers with what it is asked, and a connection to it."""

    def __init__(
        self,
        answer: Callable[[bytes], Answering] = lambda body: body,
        limits: Limits | None = None,
    ) -> None:
        self.asgi: list[str] = []
        self.refused: list[str] = []
        self.crowd = Crowd(limits or Limits(), Refusals("admission", lambda _port, reason: self.refused.append(reason)))
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

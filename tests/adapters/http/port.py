"""A connection by itself, over a transport that is none: each read and each write of it can be seen."""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import Mock

from tests.adapters.http.test_endpoint import Counted
from webhook.adapters.http import connection
from webhook.adapters.http.connection_limiter import ConnectionLimiter, Rejections
from webhook.adapters.http.endpoint import AdmissionEndpoint
from webhook.adapters.http.limits import Limits
from webhook.adapters.http.request_queue import RequestQueue
from webhook.application.review import Answering


@dataclass
class Client:
    """The other end of a transport."""

    written: list[bytes] = field(default_factory=list)
    closing: bool = False
    read: bool = True
    socket: Mock = field(default_factory=Mock)
    certificate: dict[str, Any] | None = None

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str) -> Any:
        return {"socket": self.socket, "peercert": self.certificate}.get(name)

    def resume_reading(self) -> None:
        assert not self.read
        self.read = True

    def set_write_buffer_limits(self, high: int) -> None:
        assert high <= 1 << 17, "what is in there is not counted"

    def pause_reading(self) -> None:
        assert self.read
        self.read = False


class Nobody:
    """Somebody else."""

    def answer(self, *, late: bool) -> None:
        """Nothing is asked."""

    def send(self) -> None:
        """Nothing is answered."""


class Port:
    """A port with one endpoint, which answers with what it is asked, and a connection to it.

    What ends in ``suffix`` leads to the endpoint too.
    """

    def __init__(  # noqa: PLR0913 - what a port consists of
        self,
        answer: Callable[[bytes], Answering] = lambda body: body,
        limits: Limits | None = None,
        turns: RequestQueue | None = None,
        *,
        suffix: str = "",
        names: frozenset[str] = frozenset(),
        certificate: dict[str, Any] | None = None,
    ) -> None:
        self.refused: list[str] = []
        self.limiter = ConnectionLimiter(
            limits or Limits(), Rejections("admission", lambda _port, reason: self.refused.append(reason))
        )
        self.counted = Counted()
        endpoint = AdmissionEndpoint("/mutate", answer, self.counted.answered)
        paths = {"/mutate": endpoint, f"/mutate{suffix}": endpoint}
        self.shared = connection.Port(paths.get, self.limiter, turns or RequestQueue(), names)
        self.client = Client(certificate=certificate)
        self.connection = connection.Connection(self.shared)
        self.connection.connection_made(self.client)  # type: ignore[arg-type]  # as much of one as is needed

    def busy(self) -> None:
        """Let somebody else have been answered in this turn of the event loop, so that all others wait for its end."""
        self.shared.turns.add(Nobody(), int)

    def sends(self, *pieces: bytes) -> None:
        for piece in pieces:
            rest = piece
            while rest:
                buffer = self.connection.get_buffer(-1)
                count = min(len(buffer), len(rest))
                buffer[:count], rest = rest[:count], rest[count:]
                self.connection.buffer_updated(count)

    def keeps_nobody_idle(self) -> None:
        """Stop, as the listener does."""
        self.limiter.limits = replace(self.limiter.limits, idle_seconds=0.0)

    @property
    def hung_up(self) -> bool:
        """Whether the connection is closed, once those are swept out that have waited too long."""
        self.limiter.sweep()
        return self.client.closing

    @property
    def codes(self) -> list[int]:
        """What was answered."""
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", b"".join(self.client.written))]

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

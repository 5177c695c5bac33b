"""The operations port: uvicorn, without TLS, with the one bound that it lacks."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from webhook.adapters.http.answers import CLOSE
from webhook.adapters.http.crowd import Crowd, Guest
from webhook.adapters.http.listeners import GRACE_SECONDS, bind

# Those who ask are probes, Prometheus and people: a kilobyte or two, and cookies. h11 needs fifty times as much for them.
_HEAD_BYTES = 8 * 1024
# Longer than the time between two scrapes, so that Prometheus keeps its connection.
_KEEP_ALIVE_SECONDS = 65


def _visitors(crowd: Crowd) -> type[asyncio.Protocol]:
    """The protocol of connections of which there may be so many: for one more, the one goes that has been silent longest."""

    class Visitor(H11Protocol, Guest):  # its way to end is uvicorn's
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
            super().connection_made(transport)
            crowd.has_room()
            self.since = crowd.clock()
            crowd.add(self)

        def data_received(self, data: bytes) -> None:
            self.since = crowd.clock()
            if len(data) > _HEAD_BYTES:  # no head; and a body in small chunks would take h11 long
                self.transport.abort()
            else:
                super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            crowd.discard(self)
            super().connection_lost(exc)

        def drop(self) -> None:
            self.transport.abort()

    return Visitor


def _without_bodies(app: Any) -> Any:
    """The application; whoever sends a body, which nobody reads, is answered and hung up on."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])

        async def sending(message: Any) -> None:
            if has_body and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], CLOSE]
            await send(message)

        await app(scope, receive, sending)

    return served


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class OperationsListener:
    """The operations port."""

    def __init__(self, app: Any, host: str, port: int, crowd: Crowd) -> None:
        """Bind the port now, so that a port that is taken is known at once (``OSError``)."""
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            _without_bodies(app),
            http=_visitors(crowd),
            h11_max_incomplete_event_size=_HEAD_BYTES,
            ws="none",
            lifespan="off",
            access_log=False,
            server_header=False,
            log_config=None,
            log_level=logging.ERROR,  # every request that is no HTTP would be a warning
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = _Server(config)

    def stop(self) -> None:
        """Begin to stop."""
        self._server.should_exit = True

    async def serve(self) -> None:
        """Serve until stopped; answers under way are finished."""
        try:
            await self._server.serve([self._socket])
        finally:
            self._socket.close()

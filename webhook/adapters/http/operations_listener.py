"""The operations port: uvicorn, without TLS, with the one bound that it lacks."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .connection_limiter import ConnectionLimiter, TrackedConnection
from .listeners import GRACE_SECONDS, bind

# Requests of probes, Prometheus and people have a kilobyte or two. h11 needs fifty times as much memory for a head.
_HEAD_BYTES = 8 * 1024


def _visitors(limiter: ConnectionLimiter) -> type[asyncio.Protocol]:
    """The protocol of a limited number of connections: the oldest is closed for one more."""

    class Visitor(H11Protocol, TrackedConnection):  # its way to end is uvicorn's
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
            super().connection_made(transport)
            limiter.has_room()
            self.since = limiter.clock()
            limiter.add(self)

        def data_received(self, data: bytes) -> None:
            if len(data) > _HEAD_BYTES:  # no head; and a body in small chunks would take h11 long
                self.transport.abort()
            else:
                super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            limiter.discard(self)
            super().connection_lost(exc)

        def drop(self) -> None:
            self.transport.abort()

    return Visitor


class OperationsListener(uvicorn.Server):
    """The operations port. It is bound at once, so that a port that is taken is known (``OSError``)."""

    def __init__(self, app: Any, host: str, port: int, limiter: ConnectionLimiter) -> None:
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=_visitors(limiter),
            h11_max_incomplete_event_size=_HEAD_BYTES,
            # After its answer a connection ends, and what else may come, such as a body that nobody reads, is not parsed.
            headers=[("connection", "close")],
            ws="none",
            lifespan="off",
            access_log=False,
            server_header=False,
            log_config=None,
            log_level=logging.ERROR,  # every request that is not HTTP would be a warning
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller, which runs both ports."""
        yield

    def stop(self) -> None:
        """Begin to stop."""
        self.should_exit = True

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped; answers under way are finished."""
        try:
            await super().serve(sockets or [self._socket])
        finally:
            self._socket.close()

"""The operations port: uvicorn without TLS, with a limit on connections that uvicorn lacks."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .connection_limiter import ConnectionLimiter, TrackedConnection
from .listeners import GRACE_SECONDS, bind

# Requests of probes, Prometheus and users have one or two kilobytes. h11 needs fifty times as much memory for a head.
_HEAD_BYTES = 8 * 1024


class _Visitor(asyncio.Protocol, TrackedConnection):
    """A connection that uvicorn serves. Their number is limited: if there are too many, the oldest is closed.

    Args:
        served: uvicorn's protocol for the connection.
        limiter: counts the connections.
    """

    def __init__(self, served: asyncio.Protocol, limiter: ConnectionLimiter) -> None:
        self._served, self._limiter = served, limiter
        self.eof_received = served.eof_received  # type: ignore[method-assign]
        self.pause_writing, self.resume_writing = served.pause_writing, served.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._served.connection_made(transport)
        self._limiter.has_room()
        self.since = self._limiter.clock()
        self._limiter.add(self)

    def data_received(self, data: bytes) -> None:
        if len(data) > _HEAD_BYTES:  # no head; and a body in small chunks would take h11 long
            self.drop()
        else:
            self._served.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limiter.discard(self)
        self._served.connection_lost(exc)

    def drop(self) -> None:
        self._transport.abort()


class OperationsListener(uvicorn.Server):
    """The operations port. It is bound immediately, so that a port in use is an error (``OSError``)."""

    def __init__(self, app: Any, host: str, port: int, limiter: ConnectionLimiter) -> None:
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=cast("Any", lambda **arguments: _Visitor(H11Protocol(**arguments), limiter)),
            h11_max_incomplete_event_size=_HEAD_BYTES,
            # The connection is closed after its answer, so further input, such as an unread body, is not parsed.
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
        """Do not handle signals: the caller, which runs both ports, does."""
        yield

    def stop(self) -> None:
        """Begin to stop."""
        self.should_exit = True

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped. Pending answers are finished."""
        try:
            await super().serve(sockets or [self._socket])
        finally:
            self._socket.close()

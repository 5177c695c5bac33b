"""The operations port: uvicorn without TLS, with a limit on connections that uvicorn lacks."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any, cast

from ..http.connection_limiter import ConnectionLimiter, TrackedConnection
from ..http.listeners import GRACE_SECONDS, bind
from ..optional_imports import deferred

with deferred("uvicorn.main", "Server", "main", "run"):  # its command line, which needs click: 1.4 MiB of a replica
    from uvicorn.config import Config
    from uvicorn.server import Server

_HEAD_BYTES = 8 * 1024  # probes, Prometheus and users need two KiB; h11 uses fifty times as much memory


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
        if len(data) > _HEAD_BYTES:  # too long for a head, and a body in small chunks would take h11 a long time
            self.drop()
        else:
            self._served.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limiter.discard(self)
        self._served.connection_lost(exc)

    def drop(self) -> None:
        self._transport.abort()


class OperationsListener(Server):
    """The operations port. It is bound immediately, so that a port in use is an error (``OSError``)."""

    def __init__(self, app: Any, host: str, port: int, limiter: ConnectionLimiter) -> None:
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = Config(
            app,
            http="h11",
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
        config.load()
        served: Any = config.http_protocol_class
        # uvicorn calls it with arguments for its own protocol.
        config.http_protocol_class = cast("Any", lambda **arguments: _Visitor(served(**arguments), limiter))
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

"""The operations port: uvicorn without TLS, with a limit on connections that uvicorn lacks."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

from ..optional_imports import deferred
from .connection_limiter import ConnectionLimiter, TrackedConnection
from .listeners import GRACE_SECONDS, bind

with deferred("uvicorn.main", "Server", "main", "run"):  # its command line, which needs click: 1.4 MiB of a replica
    from uvicorn.config import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import Server

_HEAD_BYTES = 8 * 1024  # probes, Prometheus and users need two KiB; h11 uses fifty times as much memory


class _Visitor(H11Protocol, TrackedConnection):
    """A connection of the operations port. If there are too many, the oldest is closed."""

    def __init__(self, limiter: ConnectionLimiter, **served: Any) -> None:
        super().__init__(**served)
        self._limiter = limiter

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._limiter.has_room()
        self.since = self._limiter.clock()
        self._limiter.add(self)

    def data_received(self, data: bytes) -> None:
        if len(data) > _HEAD_BYTES:  # no head; and a body in small chunks would take h11 long
            self.drop()
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limiter.discard(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        self.transport.abort()


class OperationsListener(Server):
    """The operations port. It is bound immediately, so that a port in use is an error (``OSError``)."""

    def __init__(self, app: Any, host: str, port: int, limiter: ConnectionLimiter) -> None:
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = Config(
            app,
            http=cast("Any", partial(_Visitor, limiter)),  # uvicorn calls it
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

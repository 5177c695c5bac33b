"""The two listeners, admission and operations, in one event loop, stopped together."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from webhook.adapters.http.acceptor import Acceptor
from webhook.adapters.http.connection import Connection, Port
from webhook.adapters.http.crowd import Crowd

GRACE_SECONDS = 10
_LOOK_SECONDS = 0.05


class Listener(Protocol):
    """One of the two."""

    port: int

    @property
    def started(self) -> bool:
        """Whether connections are accepted."""

    async def serve(self) -> None:
        """Serve until stopped; answers under way are finished. When it is cancelled, it only stops listening."""

    def stop(self) -> None:
        """Begin to stop."""


class AdmissionListener:
    """The admission port, with our own protocol and TLS."""

    def __init__(self, shared: Port, host: str, port: int, tls: Callable[[], ssl.SSLContext | None] | None = None) -> None:
        """Bind the port now, so that a port that is taken is known at once.

        Args:
            shared: what its connections share.
            host: the address to listen on; ``""`` is every address.
            port: the port; 0 takes a free one.
            tls: gives the TLS context for a new connection, ``None`` when there is none yet; without it the port is plain.

        Raises:
            OSError: the port can't be bound.
        """
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.started = False
        self._shared = shared
        self._tls = tls
        self._stopping = asyncio.Event()

    async def serve(self) -> None:
        """Serve until stopped; answers under way are finished. When it is cancelled, it only stops listening."""
        acceptor = Acceptor(self._socket, lambda: Connection(self._shared), self._tls, self._shared.crowd, self._shared.tick)
        try:
            acceptor.start()
            self.started = True
            await self._stopping.wait()
            await acceptor.close()
            await self._finish()
        finally:
            acceptor.cancel()
            self._socket.close()

    def stop(self) -> None:
        """Begin to stop."""
        self._stopping.set()

    async def _finish(self) -> None:
        """Let connections end when what has begun on them is answered; those that take too long are cut off."""
        crowd = self._shared.crowd
        self._shared.stopping = True
        for connection in crowd:
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while len(crowd):
                    await asyncio.sleep(_LOOK_SECONDS)
        for connection in crowd:
            connection.drop()


def visitors(crowd: Crowd) -> type[asyncio.Protocol]:
    """uvicorn's protocol, with the bound on the number of connections that it lacks: for one too many the oldest goes."""

    class Visitor(H11Protocol):
        since = 0.0
        held = 0
        waits = True

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
            super().connection_made(transport)
            crowd.has_room()
            self.since = crowd.clock()
            crowd.add(self)

        def data_received(self, data: bytes) -> None:
            self.since = crowd.clock()
            super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            crowd.discard(self)
            super().connection_lost(exc)

        def overdue(self, now: float) -> str:  # noqa: ARG002 - uvicorn has timers
            return ""

        def drop(self) -> None:
            self.transport.abort()

    return Visitor


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class OperationsListener:
    """The operations port, without TLS: an ASGI application served by uvicorn."""

    # Those who ask are probes, Prometheus and people: a kilobyte or two, and cookies.
    _HEAD_BYTES = 8 * 1024
    # Longer than the time between two scrapes, so that Prometheus keeps its connection.
    _KEEP_ALIVE_SECONDS = 65

    def __init__(self, app: Any, host: str, port: int, crowd: Crowd) -> None:
        """Bind the port now, as for admission.

        Args:
            app: the ASGI application.
            host, port: as for admission.
            crowd: its connections, and how many they may be.

        Raises:
            OSError: the port can't be bound.
        """
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=visitors(crowd),
            h11_max_incomplete_event_size=self._HEAD_BYTES,
            ws="none",
            lifespan="off",
            access_log=False,
            server_header=False,
            log_config=None,
            log_level=logging.ERROR,  # every request that is no HTTP would be a warning
            proxy_headers=False,
            timeout_keep_alive=self._KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = _Server(config)

    @property
    def started(self) -> bool:
        """Whether connections are accepted."""
        return self._server.started

    async def serve(self) -> None:
        """Serve until stopped."""
        try:
            await self._server.serve([self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Begin to stop."""
        self._server.should_exit = True


async def serve_all(listeners: list[Listener]) -> None:
    """Serve on all listeners until all are stopped; if one fails, the others stop."""
    async with asyncio.TaskGroup() as group:
        for listener in listeners:
            group.create_task(listener.serve())


def _bind(host: str, port: int) -> socket.socket:
    if host == "":
        # Both families on one socket, or IPv4 alone where the machine has no IPv6.
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)

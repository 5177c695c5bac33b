"""The listeners: uvicorn on both ports, in one event loop, stopped together."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from webhook.adapters.http.acceptor import Acceptor
from webhook.adapters.http.callers import Callers
from webhook.adapters.http.connection import Connection
from webhook.adapters.http.crowd import Crowd
from webhook.adapters.http.limits import KEEP_ALIVE_SECONDS, Limits
from webhook.adapters.http.prompt import Prompt
from webhook.adapters.http.refusals import Refusals

GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs several, and accepts connections with limits."""

    def __init__(
        self,
        config: uvicorn.Config,
        listening: socket.socket,
        crowd: Crowd,
        callers: Callers | None,
        prompt: Prompt | None,
    ) -> None:
        super().__init__(config)
        self._listening = listening
        self._crowd = crowd
        self._callers = callers
        self._prompt = prompt

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the one that it has
        """Accept connections. In place of uvicorn's, whose servers know no limits."""
        acceptor = Acceptor(self._listening, self._connection, self.config.ssl, self._crowd)
        self.servers = [acceptor]  # type: ignore[list-item]  # it does what uvicorn asks of them: close, wait_closed
        acceptor.start()
        self.started = True

    def _connection(self) -> Connection:
        uvicorns = {"config": self.config, "server_state": self.server_state, "app_state": {}}
        return Connection(self._crowd, self._callers, self._prompt, **uvicorns)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """One application on one port."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it serves, where, and to whom
        self,
        app: Any,
        host: str,
        port: int,
        context: Callable[[], ssl.SSLContext] | None = None,
        crowd: Crowd | None = None,
        callers: Callers | None = None,
        prompt: Prompt | None = None,
    ) -> None:
        """Bind the port now, so that a port that is taken is known at once.

        Args:
            app: the ASGI application.
            host: the address to listen on; ``""`` is every address.
            port: the port; 0 takes a free one.
            context: gives the TLS context; without it the port is plain.
            crowd: its connections, and their limits.
            callers: who may call by the name in a client certificate; without it nobody is asked.
            prompt: those endpoints of the application that answer at once.

        Raises:
            OSError: the port can't be bound.
        """
        self.socket = _bind(host, port)
        self.port: int = self.socket.getsockname()[1]
        factory: Any = None if context is None else lambda _config, _default: context()
        config = uvicorn.Config(
            app,
            ssl_context_factory=factory,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            server_header=False,
            log_config=None,
            log_level=logging.ERROR,  # every request that is no HTTP would be a warning; crowd's refusals tell of them
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        if crowd is None:
            crowd = Crowd(Limits(), Refusals("", lambda _port, _reason: None))
        self._server = _Server(config, self.socket, crowd, callers, prompt)

    @property
    def started(self) -> bool:
        """Whether connections are accepted."""
        return self._server.started

    async def serve(self) -> None:
        """Serve until stopped; answers under way are finished. When it is cancelled, it only stops listening."""
        try:
            await self._server.serve([self.socket])
        finally:
            for server in getattr(self._server, "servers", ()):  # none where it failed before it listened
                server.close()
            self.socket.close()

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
        return (
            socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
            if _dual()
            else socket.create_server(("", port))
        )
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def _dual() -> bool:
    return socket.has_dualstack_ipv6()

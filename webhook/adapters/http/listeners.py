"""Listening sockets, and the admission port: limits connections and TLS handshakes, and stops gracefully."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from math import inf
from typing import Any

from .connection import Connection, Port

GRACE_SECONDS = 10  # how long pending answers may take when a listener stops
_READING_SECONDS = 1.0  # and how long a client may take to read the rest of one that was sent just before
# The kernel's buffers for a connection (it doubles these values). By default they grow to several MiB, which count as memory of
# the container (cgroup v2). Received data is read at once, before others have their turn, and TLS keeps buffers of
# that size. So unknown clients get little: records of a byte each take a hundred times as long as others.
_KERNEL_BUFFERS = {socket.SO_RCVBUF: 8 * 1024, socket.SO_SNDBUF: 64 * 1024}
_BACKLOG = 2048
ACCEPTED_AT_ONCE = 32  # a handshake costs about ten times as much as an answer, so others are served in between
# The alerts of a client that does not trust the certificate: Go's and OpenSSL's (RFC 8446, 6.2).
_DISTRUST = ("ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA")
_GOODBYE_SECONDS = 5.0  # for a client to complete the TLS shutdown (close_notify), which also lets it read the alert
_TICK_SECONDS = 0.5
_HELLO = 128 * 1024  # the largest read of OpenSSL, which is also the size of its buffer
# No descriptor or no memory: the connection stays in the queue, and the socket stays readable, so accepting pauses.
_PAUSE_SECONDS = 0.02
_NOT_NOW = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket whose connections use little kernel memory.

    Host ``""`` means all addresses, of both families if the machine has both. Port 0 selects a free port.

    Raises:
        OSError: the port can't be bound.
    """
    both = host == "" and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, dualstack_ipv6=both)
    for buffer, size in _KERNEL_BUFFERS.items():
        listening.setsockopt(socket.SOL_SOCKET, buffer, size)
    return listening


class AdmissionListener:
    """The admission port. It is bound immediately, so that a port in use is an error (``OSError``).

    ``tls`` gives the context of a new connection, ``None`` when there is none yet; without it connections are plain.
    ``distrusted`` is called when a client says that it does not trust the certificate.
    """

    def __init__(
        self,
        shared: Port,
        host: str,
        port: int,
        tls: Callable[[], ssl.SSLContext | None] | None = None,
        distrusted: Callable[[], None] = lambda: None,
    ) -> None:
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._shared = shared
        self._limiter = shared.limiter
        self._tls = tls
        self._distrusted = distrusted
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin to stop."""
        self._stopping.set()

    async def serve(self) -> None:
        """Serve until stopped. Pending answers are finished, unless they take too long."""
        self._loop = asyncio.get_running_loop()
        try:
            self._socket.setblocking(False)  # noqa: FBT003 - the standard library's
            self._socket.listen(_BACKLOG)
            self._accept_from_now_on()
            self._shared.started = True
            await self._tick_until(self._stopping)
            self._listen_no_more()  # or new clients would wait in the kernel's queue until the end
            self._shared.draining = True
            self._limiter.limits = replace(self._limiter.limits, idle_seconds=_READING_SECONDS)
            await self._tick_until(self._limiter.gone, GRACE_SECONDS)
            for connection in self._limiter:
                connection.drop()
        finally:
            self._stopping.set()
            self._listen_no_more()

    def _listen_no_more(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    async def _tick_until(self, event: asyncio.Event, seconds: float = inf) -> None:
        """Check timeouts twice a second."""
        until = self._loop.time() + seconds
        while not event.is_set() and self._loop.time() < until:
            self._shared.date = formatdate(usegmt=True).encode()  # RFC 9110, 6.6.1
            self._limiter.sweep()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await event.wait()

    def _accept_from_now_on(self) -> None:
        if not self._stopping.is_set():
            self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        """Accept waiting clients, but not too many in one iteration of the loop."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, client = self._socket.accept()
            except OSError as error:
                if error.errno in _NOT_NOW:
                    self._limiter.rejections.note("descriptors", detail=str(error))
                    self._limiter.free_descriptors()
                    self._loop.remove_reader(self._socket)
                    self._loop.call_later(_PAUSE_SECONDS, self._accept_from_now_on)
                return  # nobody waits, or the client has gone
            self._begin(accepted, client)

    def _begin(self, accepted: socket.socket, client: tuple[str, int]) -> None:
        """Begin to set up an accepted connection, if there is room for it."""
        context = self._tls() if self._tls else None
        rejected = None
        if not self._limiter.has_room():
            rejected = "connections", client, "no connection could be closed to make room"
        elif self._tls and context is None:
            rejected = "handshake", client, "there is no certificate yet"
        if rejected:
            self._limiter.rejections.note(*rejected)
            accepted.close()
            return
        connection = Connection(self._shared, client)
        self._limiter.add(connection, _HELLO)
        connection.handshake = self._loop.create_task(
            self._loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=context,
                ssl_handshake_timeout=self._limiter.limits.head_seconds if context else None,
                ssl_shutdown_timeout=_GOODBYE_SECONDS if context else None,
            )
        )
        connection.handshake.add_done_callback(partial(self._ended, connection, accepted))

    def _ended(self, connection: Connection, accepted: socket.socket, handshake: asyncio.Task[Any]) -> None:
        """Forget a connection whose handshake failed, and count why, unless it was dropped."""
        error = None if handshake.cancelled() else handshake.exception()
        if connection.handshake is None:
            return  # it did not fail, and the event loop has the socket
        connection.handshake = None  # the traceback of a failed task refers to the connection
        accepted.close()
        if self._limiter.discard(connection) and error:
            if str(getattr(error, "reason", "")).endswith(_DISTRUST):
                self._distrusted()
            self._limiter.rejections.note(_reason(error), connection.client, str(error))


def _reason(error: BaseException) -> str:
    """Why a handshake failed, in a few words."""
    if isinstance(error, ConnectionAbortedError):  # what uvloop and asyncio raise after their own timeout
        return "handshake-timeout"
    if isinstance(error, ssl.SSLCertVerificationError) or "PEER_DID_NOT_RETURN" in str(getattr(error, "reason", "")):
        return "certificate"
    return "handshake"

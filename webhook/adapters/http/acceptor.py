"""Accepts connections and shakes hands, with a limit on both: what uvloop's own server does not have."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from webhook.adapters.http.crowd import Crowd, address

_BACKLOG = 2048
# A handshake costs a thousand times what an answer does: so many a turn, that those who are connected are served between.
_ACCEPTED_AT_ONCE = 16
_SWEEPS = 2  # in the shortest time that a client may take, and at least one a second
# A client that is hung up on has so long to say goodbye (TLS close_notify), which also lets it read why.
_GOODBYE_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
# No descriptor, no memory: the connection stays in the queue, and the socket readable.
_NOT_NOW = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Handshake:
    """A connection whose TLS is not yet established."""

    waits = True

    def __init__(self, accepted: socket.socket, client: tuple[str, int], since: float) -> None:
        self.accepted = accepted
        self.held = 0
        self.client: tuple[str, int] | None = client
        self.since = since
        self.task: asyncio.Task[None] | None = None

    def overdue(self, now: float) -> str:  # noqa: ARG002 - uvloop has a timer for it
        return ""

    def shutdown(self) -> None:
        self.drop()

    def drop(self) -> None:
        if self.task:
            self.task.cancel()
        self.accepted.close()  # takes effect when uvloop, which may hold it, has let go


class Acceptor:
    """The accepting side of a port, in place of an ``asyncio.Server``."""

    def __init__(
        self,
        listening: socket.socket,
        connection: Callable[[], asyncio.Protocol],
        tls: Callable[[], ssl.SSLContext | None] | None,
        crowd: Crowd,
        tick: Callable[[], None],
    ) -> None:
        """Accept from a bound socket, once started.

        Args:
            listening: the socket.
            connection: makes the protocol of a connection.
            tls: gives the context of a new connection, ``None`` when there is none yet; without it connections are plain.
            crowd: who is counted and who must go.
            tick: called at least once a second.
        """
        self._socket = listening
        self._connection = connection
        self._tls = tls
        self._crowd = crowd
        self._tick = tick
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._open = False

    def start(self) -> None:
        """Begin to accept.

        Raises:
            OSError, ValueError: the socket is no more.
        """
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's
        self._socket.listen(_BACKLOG)
        self._open = True
        self._resume()
        self._sweep()

    async def close(self) -> None:
        """Accept no more, and give up the handshakes that are under way; connections stay."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket.fileno())
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def cancel(self) -> None:
        """Do nothing more at all."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket.fileno())
        for timer in self._timers:
            timer.cancel()

    def _resume(self) -> None:
        if self._open:
            self._loop.add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        for turn in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, client = self._socket.accept()
            except OSError as error:
                # Without descriptors accept(2) fails before it looks whether anybody waits: the first time, somebody does.
                if error.errno in _NOT_NOW and turn == 0:
                    self._out_of_descriptors(error)
                return  # nobody waits, or whoever waited has gone
            if not self._crowd.has_room():
                self._crowd.refusals.note("connections", address(client), "nobody could be asked to go")
                accepted.close()
                continue
            handshake = _Handshake(accepted, client, self._crowd.clock())
            handshake.task = self._loop.create_task(self._take(handshake))
            self._crowd.add(handshake)
            self._handshakes.add(handshake.task)
            handshake.task.add_done_callback(self._handshakes.discard)

    async def _take(self, handshake: _Handshake) -> None:
        """Make a connection of what was accepted."""
        accepted = handshake.accepted
        handshake_seconds = self._crowd.limits.head_seconds if self._tls else None
        goodbye_seconds = _GOODBYE_SECONDS if self._tls else None
        try:
            context = self._tls() if self._tls else None
            if self._tls and context is None:
                raise ConnectionRefusedError("there is no certificate yet")  # noqa: TRY301 - as all the others
            with suppress(OSError):  # gone already
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                self._connection,
                accepted,
                ssl=context,
                ssl_handshake_timeout=handshake_seconds,
                ssl_shutdown_timeout=goodbye_seconds,
            )
        except OSError as error:  # ssl's errors are some too
            self._crowd.refusals.note(_reason(error), address(handshake.client), str(error))
            accepted.close()
        finally:
            self._crowd.discard(handshake)

    def _out_of_descriptors(self, error: OSError) -> None:
        self._crowd.refusals.note("descriptors", detail=str(error))
        self._crowd.free_descriptor()
        self._loop.remove_reader(self._socket.fileno())
        self._later(_PAUSE_SECONDS, self._resume)

    def _sweep(self) -> None:
        self._tick()
        self._later(min(1.0, self._crowd.limits.head_seconds / _SWEEPS), self._sweep)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        now = self._loop.time()
        self._timers = [timer for timer in self._timers if timer.when() > now and not timer.cancelled()]
        self._timers.append(self._loop.call_later(seconds, what))


def _reason(error: OSError) -> str:
    """Why a handshake failed, as a few words."""
    if isinstance(error, ConnectionAbortedError):  # uvloop's word for its own timeout
        return "handshake-timeout"
    if isinstance(error, ssl.SSLCertVerificationError) or "PEER_DID_NOT_RETURN" in str(getattr(error, "reason", "")):
        return "certificate"
    return "handshake"

"""One connection of a port: HTTP/1.1 for small requests, answered in order, with a limit on all that may be sent."""

import asyncio
import socket
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import thread_time
from typing import Any, NoReturn

import httptools
import structlog

from . import messages
from .connection_limiter import ConnectionLimiter, TrackedConnection
from .limits import MAXIMUM_BODY
from .messages import CONTINUE, Answer, Body, Failure, HttpEndpoint, IncomingRequest, as_bytes
from .turns import Turns

# Of one connection, before another one's turn.
_READ_AT_ONCE = 64 * 1024
# What is parsed at once, and so how exactly a head is counted.
_PIECE = 16 * 1024
# What is written at once: so much of an answer that nobody reads may lie in buffers that can't be looked into.
_WRITTEN_AT_ONCE = 64 * 1024
# What uvloop's TLS may have read and decrypted of a connection that is not read from.
_UNREAD = 320 * 1024
# uvloop's TLS and OpenSSL each keep the room that they needed for what was read at once, which may be twice what came of it.
_KEPT_OF_A_READ = 4
# So much of the processor's time may a read of a stranger take, while all others wait. To decrypt takes a nanosecond or two a
# byte, but 2.6 microseconds a TLS record, of which there may be one a byte. One slow read proves nothing: the kernel's
# interrupts and what a hypervisor takes are counted too (one in 300,000 reads of honest clients was slow).
_SECONDS_A_READ, _SECONDS_A_BYTE, _SLOW_READS = 0.5e-3, 20e-9, 3
# A TLS record of 16 KiB arrives in at most some 30 reads. A client that sends more reads without any data sends only control
# records, such as key updates, which cost as much as small records; OpenSSL limits neither.
_READS_WITHOUT_DATA = 64
# The headers that are needed.
_KEPT = frozenset((b"content-type", b"content-encoding", b"content-length", b"transfer-encoding", b"expect"))
_OK = 200
# What the kernel keeps for a connection that was answered a review; for a stranger's it is less (see ``listeners``).
_WIDE = 32 * 1024
# What a request is counted with besides its body.
_REQUEST = 512
# A client has so long to read its last answer and to hang up; what still comes is thrown away, for closing a socket with
# unread data resets the connection, and the answer is lost with it. Then it is cut off: uvloop's way to close decrypts what
# comes after it, and takes 15 microseconds for each record, of which there may be one a byte.
_LINGER_SECONDS = 1.0

_log = structlog.get_logger("gpuwarden.http")


@dataclass
class Port:
    """What the connections of a port share.

    Attributes:
        find: the endpoint of a path.
        names: the common names of which a client certificate must have one; empty where TLS alone decides.
        date: the time, for answers, which the listener sets about every second.
        started: whether connections are accepted.
        draining: whether connections end as soon as nothing is under way.
        buffer: what every connection reads into.
    """

    find: Callable[[str], HttpEndpoint | None]
    limiter: ConnectionLimiter
    turns: Turns
    names: frozenset[str] = frozenset()
    date: bytes = b""
    started: bool = False
    draining: bool = False
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_READ_AT_ONCE)))


def _widen(connected: TransportSocket) -> None:
    """Let the kernel receive more at once: large pods in few round trips."""
    with suppress(OSError):  # it is gone already
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WIDE)
        if hasattr(socket, "TCP_WINDOW_CLAMP"):  # Linux, which may keep to what it began with
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, _WIDE)


class _Enough(Exception):  # noqa: N818 - nothing is wrong here
    """Ends the parser's work: nothing more of what comes is read."""


class _Gone(asyncio.Transport):
    """The transport of a connection that is lost."""

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        pass


class Connection(TrackedConnection, asyncio.BufferedProtocol):
    """A connection that its limiter may close."""

    _transport: asyncio.Transport

    def __init__(self, port: Port) -> None:
        self._port = port
        self._limiter = port.limiter
        self._limits = port.limiter.limits
        self._parser = httptools.HttpRequestParser(self)
        self._unwelcome: Failure | None = None
        # Whether it has shown a client certificate or a token: then it is the API server's.
        self._proven = False
        # What comes: a request, how far it has come, whether the last piece was no body, and bytes of a head, of trailers, or
        # between chunks.
        self._coming = IncomingRequest()
        self._begun = self._in_head = self._bare = False
        self._loose = self._widest = 0
        self._began = 0.0
        self._slow_reads = 0  # in a row
        self._reads_without_data = 0
        # What goes: requests that wait for their answers, what one of them is waiting for, and answers that are not written.
        self._requests: deque[IncomingRequest] = deque()
        self._task: asyncio.Task[Answer] | None = None
        self._unsent = b""
        self._in_line = self._blocked = self._paused = False
        # Whether all that comes is thrown away.
        self._deaf = False

    @property
    def waits(self) -> bool:
        return self._blocked or not (self._requests or self._unsent)

    def overdue(self, now: float) -> str:
        waited = now - self.since
        if self._in_head and not self._requests:
            return "head-timeout" if waited > self._limits.head_seconds else ""
        if self._begun or self._requests or self._unsent or self._blocked or self._deaf:
            return "request-timeout" if waited > self._limits.request_seconds else ""
        return "idle" if waited > self._limits.idle_seconds else ""

    def drop(self) -> None:
        self._forget()
        self._transport.abort()

    def shutdown(self) -> None:
        if not (self._begun or self._requests or self._unsent):
            self._transport.close()

    # --- asyncio.BufferedProtocol ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a socket, it is one
        """Accept the caller; one that is not permitted is identified once, and denied with every answer."""
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITTEN_AT_ONCE)
        self.since = self._limiter.clock()
        self.client = transport.get_extra_info("peername")
        self._limiter.add(self)
        certificate = transport.get_extra_info("peercert")  # None but for one that was verified
        self._unwelcome = unwelcome(certificate, self._port.names)
        self._proven = bool(certificate) and not self._unwelcome
        if self._unwelcome:
            self._note("common-name", self._unwelcome.message)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Where to read to: a buffer that all connections share, for what is read is parsed before another one reads."""
        self._began = 0.0 if self._proven else thread_time()  # and now TLS decrypts
        self._reads_without_data += 1
        if self._reads_without_data == _READS_WITHOUT_DATA and not self._proven:
            self._note("records")
            asyncio.get_running_loop().call_soon(self.drop)  # not while uvloop's TLS is reading
        return self._port.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._reads_without_data = 0
        if not self._proven:
            slow = thread_time() - self._began > _SECONDS_A_READ + _SECONDS_A_BYTE * nbytes
            self._slow_reads = self._slow_reads + 1 if slow else 0
            if self._slow_reads == _SLOW_READS:
                self._note("records")
                self.drop()
        if nbytes > _PIECE:
            self._widest = max(self._widest, nbytes)
        for start in range(0, nbytes, _PIECE):
            if self._deaf:
                break
            self._parse(self._port.buffer[start : min(start + _PIECE, nbytes)])
        self._count()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._limiter.discard(self)
        self._forget()
        # Both refer to this, and of uvloop's transport no collector knows.
        self._transport = _Gone()
        del self._parser
        if self._task:  # once it has begun: a coroutine that has not is one that somebody forgot to await
            asyncio.get_running_loop().call_soon(self._task.cancel)

    def _forget(self) -> None:
        """Let go of everything that is held."""
        self._deaf, self._begun = True, False
        self._coming = IncomingRequest()
        self._requests.clear()
        self._unsent = b""

    def pause_writing(self) -> None:
        self._blocked = True
        self._count()

    def resume_writing(self) -> None:
        self._blocked = False
        self.send()

    # --- what comes -----------------------------------------------------------------------------------------------

    def _parse(self, piece: memoryview) -> None:
        self._bare = True
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request itself is refused
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Enough):  # a bug: cut off, so that failurePolicy decides
                _log.exception("a request could not be read")
                self._note("failed")
                self.drop()
        except httptools.HttpParserError as error:
            if not self._deaf:
                self._refuse(messages.not_http(f"invalid HTTP/1.1 request: {error}"))
        if self._begun and (self._in_head or self._bare):
            self._loose += len(piece)
            if self._loose > (most := self._limits.head_bytes):
                what = "headers" if self._in_head else "trailers or chunk extensions"
                self._refuse(messages.head_too_large(f"the {what} are larger than {most} bytes"))

    def on_message_begin(self) -> None:
        if len(self._requests) > self._limits.pipelined and not self._deaf:
            self._note("pipelined")
            self.drop()
        if self._deaf:
            raise _Enough
        self._coming = IncomingRequest(self._unwelcome)
        self._begun = self._in_head = True
        self._loose = 0
        if not self._requests:
            self.since = self._limiter.clock()

    def on_url(self, target: bytes) -> None:
        request = self._coming
        request.target += target
        if len(request.target) > (most := self._limits.target_bytes):
            why = f"the path and query are longer than {most} bytes; shorten them"
            self._stop(Failure(414, why, closes=True, reason="head-size"))

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._coming
        request.count += 1
        if request.count > (most := self._limits.headers):
            self._stop(messages.head_too_large(f"the request has more than {most} headers; send fewer"))
        name = name.lower()
        if self._in_head and name in _KEPT:  # one that comes twice has a value that neither would be
            request.headers[name] = request.headers.get(name, b"") + value.strip().lower()

    def on_headers_complete(self) -> None:
        request = self._coming
        self._in_head = False
        self._loose = 0
        request.end_head(self._parser, self._port.find)
        self._proven |= request.has_token
        if request.failure is messages.NOT_FOUND:
            self._note("path")  # which path is not told: it may hold a token
        if request.failure and (request.length > MAXIMUM_BODY or request.expects):  # its body is not even awaited
            self._stop(request.failure)
        if request.endpoint and not request.endpoint.reads_body:
            self._end_with(request)
            raise _Enough
        if request.expects:
            self.send()

    def on_body(self, piece: bytes) -> None:
        self._bare = False
        self._loose = 0
        request = self._coming
        request.read += len(piece)
        if request.read > MAXIMUM_BODY:
            self._stop(request.failure or messages.TOO_LARGE)
        if not request.failure:  # or it is thrown away
            request.body.append(piece)

    def on_chunk_header(self) -> None:
        self._coming.chunks += 1
        if self._coming.chunks > (most := self._limits.chunks):
            why = f"the body has more than {most} chunks; use larger chunks or send a Content-Length"
            self._stop(messages.not_http(why))

    def on_message_complete(self) -> None:
        request = self._coming
        self._begun = False
        request.closes = not self._parser.should_keep_alive() or self._parser.get_http_version() != "1.1"
        self._requests.append(request)
        self._next()

    # --- what goes ------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        if self._requests and not (self._in_line or self._task or self._blocked or self._unsent):
            self._in_line = True
            self._port.turns.add(self, self._requests[0].body.weight)

    def answer(self, *, late: bool) -> None:
        self._in_line = False
        if not self._requests or self._task or self._transport.is_closing():
            return
        request = self._requests[0]
        if late and not request.failure:
            self._note("overload")
            request.failure = messages.OVERLOADED
        answer = request.answer()
        if isinstance(answer, Answer):
            self._answered(answer)
        else:
            self._task = asyncio.get_running_loop().create_task(answer)
            self._task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[Answer]) -> None:
        self._task = None
        if self._requests and not task.cancelled():
            self._answered(task.result())
            self.send()

    def _answered(self, answer: Answer) -> None:
        request = self._requests.popleft()
        closes = request.closes or (self._port.draining and not (self._requests or self._begun))
        self._unsent += as_bytes(answer, self._port.date, close=closes, head_only=request.head_only)
        self.since = self._limiter.clock()
        if answer.code == _OK and not self.known:
            self.known = True
            if connected := self._transport.get_extra_info("socket"):
                _widen(connected)
        if closes:
            self._deaf = True
            self._requests.clear()

    def send(self) -> None:
        """Send what is answered, as far as the client reads; then go on, or hang up."""
        if self._begun and not (self._in_head or self._requests or self._deaf) and self._coming.expects:
            self._coming.expects = False
            self._unsent += CONTINUE
        while self._unsent and not self._blocked and not self._transport.is_closing():
            piece, self._unsent = self._unsent[:_WRITTEN_AT_ONCE], self._unsent[_WRITTEN_AT_ONCE:]
            self._transport.write(piece)
        self._count()
        if self._requests:
            self._next()
        elif self._deaf and not (self._unsent or self._transport.is_closing()):
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.drop)

    def _note(self, reason: str, detail: str = "") -> None:
        self._limiter.rejections.note(reason, self.client, detail)

    def _count(self) -> None:
        """Count what is held, and read no more where answers are due already."""
        if not (self._begun or self._requests or self._unsent or self._paused or self._blocked or self.held):
            return
        coming, waiting = self._coming if self._begun else None, self._requests
        pause = self._blocked or len(waiting) > 1
        if pause is not self._paused and not self._transport.is_closing():
            self._paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()
        held = _KEPT_OF_A_READ * self._widest + len(self._unsent) + self._paused * _UNREAD
        held += self._loose + coming.body.size if coming else 0
        held += sum(_REQUEST + request.body.size for request in waiting) if waiting else 0
        if held != self.held and not self._limiter.hold(self, held) and not self._deaf:
            self._refuse(messages.NO_MEMORY)

    def _stop(self, failure: Failure) -> NoReturn:
        """Refuse while the parser calls."""
        self._refuse(failure)
        raise _Enough

    def _refuse(self, failure: Failure) -> None:
        """Answer what comes by a failure, behind the answers that are due, and throw away what comes after it."""
        if failure.reason:
            self._note(failure.reason, failure.message)
        request = self._coming if self._begun else IncomingRequest()
        request.failure, request.body = failure, Body()
        self._end_with(request)

    def _end_with(self, request: IncomingRequest) -> None:
        """Answer a request last, and throw away what comes after it."""
        request.closes = True
        self._deaf = True
        self._begun = self._in_head = False
        self._requests.append(request)
        self._next()


def unwelcome(certificate: Mapping[str, Any] | None, names: frozenset[str]) -> Failure | None:
    """Why a caller is rejected by its certificate, as ``ssl.SSLSocket.getpeercert`` gives it; ``None`` when it is not."""
    subject = (certificate or {}).get("subject", ())
    given = [value for rdn in subject for key, value in rdn if key == "commonName"]
    # Of several names, some readers take the first and others the last: all must be allowed.
    if not names or (given and names.issuperset(given)):
        return None
    shown = " and ".join(f'"{name}"' for name in given) or "none"
    message = f"the client certificate's common name is {shown}, which is not allowed; add it to --allowed-cn"
    return Failure(403, message, closes=True)

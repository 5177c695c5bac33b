"""One connection of the admission port: HTTP/1.1 for small POSTs, answered in order, with limits on all input."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter, thread_time
from typing import Any

import httptools
import structlog

from . import answers
from .answers import Answer
from .connection_limiter import Client, ConnectionLimiter, TrackedConnection
from .endpoint import AdmissionEndpoint
from .messages import CONTINUE, NEEDED, IncomingRequest, as_bytes
from .request_queue import RequestQueue

_READ_AT_ONCE = 64 * 1024  # bytes, before the next connection is read
_PARSED_AT_ONCE = 16 * 1024  # bytes, which is also the precision of the limit on heads
_WRITTEN_AT_ONCE = 64 * 1024  # bytes, so much of an unread answer may be in buffers that can't be inspected
_UNREAD = 320 * 1024  # bytes that uvloop's TLS may have decrypted of a paused connection
_KEPT_OF_A_READ = 4  # times its size: uvloop's TLS and OpenSSL each keep buffers for it, which may be twice as large
_REQUEST = 512  # bytes that count for a request in addition to its body
# The time that a read from an unknown client may take, while all others wait. Decryption takes one or two nanoseconds per byte,
# but one to three microseconds per TLS record, which may contain a single byte. With so much for each of 500 clients at once,
# a new connection still takes half a second. After one slow read, CPU time is measured, which takes a system call. It includes
# interrupts and time taken by a hypervisor: one in 300,000 reads of well-behaved clients took more than 0.5 ms.
_SECONDS_A_READ, _SECONDS_A_BYTE = 0.2e-3, 20e-9
_SLOW_READS, _MADE_UP = 2, 1 / 16  # how many are tolerated; how much of one a quick read offsets
# A TLS record of 16 KiB arrives in at most some 30 reads. A client that sends more reads without any data sends only control
# records, such as key updates, which cost as much as small records; OpenSSL limits neither.
_READS_WITHOUT_DATA = 64
_WIDE = 32 * 1024  # the kernel's buffer after a review was answered, so that large pods need few round trips
# The least time for a client to read its last answer and close. Further input is discarded, because closing a socket with unread
# data resets the connection, and the answer would be lost. Then the connection is aborted: uvloop's normal close decrypts
# further input, which takes 15 microseconds per record, and a record may contain a single byte.
_LINGER_SECONDS = 1.0

_log = structlog.get_logger("gpuwarden.http")


@dataclass
class Port:
    """The state that the connections of the admission port share."""

    find: Callable[[str], AdmissionEndpoint | None]  # the endpoint of a path
    limiter: ConnectionLimiter
    turns: RequestQueue
    names: frozenset[str] = frozenset()  # the permitted common names of client certificates; empty if TLS alone decides
    date: bytes = b""  # the Date header of answers, which the listener sets about every second
    started: bool = False  # whether connections are accepted
    draining: bool = False  # whether connections are closed as soon as they are idle
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_READ_AT_ONCE)))  # which all read into


def _widen(connected: socket.socket) -> None:
    """Enlarge the kernel's receive buffer."""
    with suppress(OSError):  # it is gone already
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WIDE)
        if hasattr(socket, "TCP_WINDOW_CLAMP"):  # Linux may otherwise keep the initial window
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, _WIDE)


class _Enough(Exception):  # noqa: N818 - nothing is wrong here
    """Raised to stop the parser, because no more input is read."""


class Connection(TrackedConnection, asyncio.BufferedProtocol):
    """A connection that its limiter may close."""

    handshake: asyncio.Task[Any] | None = None  # which sets it up
    _transport: asyncio.Transport

    def __init__(self, port: Port, client: Client = None) -> None:
        self._port = port
        self._limiter = port.limiter
        self.client = client
        self.since = self._limiter.clock()
        self._unwelcome: Answer | None = None  # the answer to all requests of a client that is not permitted
        self._proven = False  # whether it has presented a client certificate or a token, so that it is the API server's
        self._clock, self._began = perf_counter, 0.0  # of the current read (see ``_SECONDS_A_READ``)
        self._slow_reads = 0.0  # less what quick ones made up for
        self._reads_without_data = 0
        self._widest = 0  # the size of the largest read
        self._requests: deque[IncomingRequest] = deque()  # that are not answered; the last one may be incomplete
        self._deaf = False  # whether all further input is discarded
        self._answering = False  # whether the first request waits for its turn or its answer
        self._task: asyncio.Task[Answer] | None = None  # which answers it, if it waits for a look-up
        self._unsent = b""  # answers that are not written yet
        self._blocked = self._paused = False  # writing, reading

    @property
    def waits(self) -> bool:
        is_served = self._unsent or (self._requests and self._requests[0].complete)
        return not is_served or self._blocked or self._transport.is_closing()

    def overdue(self, now: float) -> str:
        limits, waited = self._limiter.limits, now - self.since
        if self._requests and self._requests[0].in_head:
            return "head-timeout" if waited > limits.head_seconds else ""
        if self._requests or self._unsent or self._blocked:
            return "request-timeout" if waited > limits.request_seconds else ""
        return "idle" if waited > (_LINGER_SECONDS if self._deaf else limits.idle_seconds) else ""

    def drop(self) -> None:
        self._forget()
        if self.handshake:
            self.handshake.cancel()
        else:
            self._transport.abort()

    def _forget(self) -> None:
        """Release everything that is held, and discard further input."""
        self._deaf = True
        self._requests.clear()
        self._unsent = b""
        self._blocked = self._paused = False

    # --- asyncio.BufferedProtocol ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a socket has this kind
        """Identify the client. If it is not permitted, every request is rejected."""
        self._transport, self.handshake = transport, None
        self._parser = httptools.HttpRequestParser(self)
        transport.set_write_buffer_limits(high=_WRITTEN_AT_ONCE)
        self.since = self._limiter.clock()
        self._limiter.add(self)
        certificate = transport.get_extra_info("peercert")  # None unless the client's certificate was verified
        self._unwelcome = unwelcome(certificate, self._port.names)
        self._proven = bool(certificate) and not self._unwelcome
        if self._unwelcome:
            self._note("common-name", self._unwelcome.message)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Return the buffer to read into. All connections share it, because input is parsed before another connection reads."""
        if not self._proven:
            self._clock = thread_time if self._slow_reads else perf_counter
            self._began = self._clock()  # and now TLS decrypts
            self._reads_without_data += 1
            if self._reads_without_data >= _READS_WITHOUT_DATA:
                self._limiter.drop(self, "records")
        return self._port.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._proven:
            self._reads_without_data = 0
            slow = self._clock() - self._began > _SECONDS_A_READ + _SECONDS_A_BYTE * nbytes
            self._slow_reads = self._slow_reads + 1.0 if slow else max(0.0, self._slow_reads - _MADE_UP)
            if self._slow_reads > _SLOW_READS:
                self._limiter.drop(self, "records")
        if nbytes > _PARSED_AT_ONCE:
            self._widest = max(self._widest, nbytes)
        for start in range(0, nbytes, _PARSED_AT_ONCE):
            if self._deaf:
                break
            self._parse(self._port.buffer[start : min(start + _PARSED_AT_ONCE, nbytes)])
        self._next()
        self._count()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._limiter.discard(self)
        self._forget()
        # Both refer to this object, and the garbage collector does not see uvloop's transport.
        del self._transport, self._parser
        if self._task:  # in the next turn: asyncio warns about a coroutine that is cancelled before it has begun
            asyncio.get_running_loop().call_soon(self._task.cancel)

    def pause_writing(self) -> None:
        self._blocked = True
        self._count()

    def resume_writing(self) -> None:
        self._blocked = False
        self.send()

    # --- what comes -----------------------------------------------------------------------------------------------

    def _parse(self, piece: memoryview) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request itself is rejected
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Enough):  # a bug: cut off, so that failurePolicy decides
                _log.exception("a request could not be read")
                self._limiter.drop(self, "failed")
        except httptools.HttpParserError as error:
            if not self._requests or self._requests[-1].complete:
                self._requests.append(IncomingRequest())
            self._reject(answers.not_http(f"invalid HTTP/1.1 request: {error}"))
        if self._requests and not (request := self._requests[-1]).complete:
            request.loose += len(piece)
            if excess := request.excess(self._limiter.limits):
                self._reject(excess)

    def on_message_begin(self) -> None:
        if len(self._requests) > self._limiter.limits.pipelined:
            self._limiter.drop(self, "pipelined")
            raise _Enough
        if not self._requests:
            self.since = self._limiter.clock()
        self._requests.append(IncomingRequest(self._unwelcome))

    def on_url(self, target: bytes) -> None:
        self._requests[-1].target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._requests[-1]
        request.count += 1
        name = name.lower()
        if request.in_head and name in NEEDED:  # a repeated one gets both values, which no check accepts
            request.headers[name] = request.headers.get(name, b"") + value.strip().lower()

    def on_headers_complete(self) -> None:
        request = self._requests[-1]
        self._check(request)
        request.end_head(self._parser, self._port.find)
        self._proven |= request.has_token
        if request.failure is answers.NOT_FOUND:
            self._note("path")  # the path is not logged, because it may contain a token
        if request.failure:
            self._check(request)

    def on_body(self, piece: bytes) -> None:
        self._requests[-1].append(piece)

    def on_chunk_header(self) -> None:
        self._requests[-1].chunks += 1

    def on_message_complete(self) -> None:
        request = self._requests[-1]
        if request.chunks:  # otherwise all was known when the head ended
            self._check(request)
        request.complete, request.expects, request.loose = True, False, 0
        request.closes = not self._parser.should_keep_alive() or self._parser.get_http_version() != "1.1"
        if request.closes:
            self._deaf = True
            raise _Enough

    def _check(self, request: IncomingRequest) -> None:
        """Reject a request that exceeds a limit, from within a callback of the parser."""
        if excess := request.excess(self._limiter.limits):
            self._reject(excess)
            raise _Enough

    # --- what goes ------------------------------------------------------------------------------------------------

    def answer(self, *, late: bool) -> None:
        if not self._requests or self._transport.is_closing():
            return
        request = self._requests[0]
        if late and not request.failure:
            self._note("overload")
            request.failure = answers.OVERLOADED
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
        self._answering = False
        request = self._requests.popleft()
        closes = answer.closes or request.closes or (self._port.draining and not self._requests)
        self._unsent += as_bytes(answer, self._port.date, close=closes, head_only=request.head_only)
        self.since = self._limiter.clock()
        if answer.code == HTTPStatus.OK and not self.known:
            self.known = True
            if connected := self._transport.get_extra_info("socket"):
                _widen(connected)
        if closes:
            self._deaf = True
            self._requests.clear()

    def send(self) -> None:
        """Send answers as far as the client reads them, and continue."""
        while self._unsent and not self._blocked and not self._transport.is_closing():
            piece, self._unsent = self._unsent[:_WRITTEN_AT_ONCE], self._unsent[_WRITTEN_AT_ONCE:]
            self._transport.write(piece)
        self._next()
        self._count()
        if self._deaf and not (self._requests or self._unsent):
            self.since = self._limiter.clock()  # from which it lingers

    def _next(self) -> None:
        """Queue the first request when it is complete, or let the client send its body. Answers before it are sent first."""
        if not self._requests or self._answering or self._blocked or self._unsent:
            return
        first = self._requests[0]
        if first.complete:
            self._answering = True
            self._port.turns.add(self, first.weight)
        elif first.expects:
            first.expects = False
            self._transport.write(CONTINUE)

    def _count(self) -> None:
        """Update the memory that is held, and pause reading while answers are pending."""
        if not (self._requests or self._unsent or self._paused or self._blocked or self.held or self._widest):
            return
        pause = self._blocked or len(self._requests) > 1
        if pause is not self._paused and not self._transport.is_closing():
            self._paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()
        held = _KEPT_OF_A_READ * self._widest + len(self._unsent) + self._paused * _UNREAD
        for request in self._requests:
            held += _REQUEST + request.loose + request.size
        if held != self.held and not self._limiter.hold(self, held) and self._requests and not self._deaf:
            self._reject(answers.NO_MEMORY)

    def _reject(self, failure: Answer) -> None:
        """Answer the last request with a failure, after the pending answers, and discard further input."""
        if failure.reason:
            self._note(failure.reason, failure.message)
        self._requests[-1].reject(failure)
        self._deaf = True
        self._next()

    def _note(self, reason: str, detail: str = "") -> None:
        self._limiter.rejections.note(reason, self.client, detail)


def unwelcome(certificate: Mapping[str, Any] | None, names: frozenset[str]) -> Answer | None:
    """Why a caller with this certificate (from ``ssl.SSLSocket.getpeercert``) is rejected; ``None`` if it is not."""
    subject = (certificate or {}).get("subject", ())
    given = [value for rdn in subject for key, value in rdn if key == "commonName"]
    # If there are several names, some programs use the first and others the last, so all must be allowed.
    if not names or (given and names.issuperset(given)):
        return None
    shown = " and ".join(f'"{name}"' for name in given) or "none"
    message = f"the client certificate's common name is {shown}, which is not allowed; add it to --allowed-cn"
    return answers.failure(403, message, closes=True)

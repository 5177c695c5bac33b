"""One connection of the admission port: HTTP/1.1 for small POSTs, answered in order, with a limit on all that may be sent."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import unquote

import httptools
import structlog

from webhook.adapters.http import failures
from webhook.adapters.http.callers import Callers
from webhook.adapters.http.crowd import Crowd, address
from webhook.adapters.http.endpoint import MAXIMUM_BODY, Endpoint, refusal
from webhook.adapters.http.failures import Failure
from webhook.adapters.http.responses import CONTINUE, Answer, as_bytes, http_date
from webhook.adapters.http.turns import Turns

# What is parsed at once, and so how exactly a head is counted.
_PIECE = 16 * 1024
# What is written at once: so much of an answer that nobody reads may lie in buffers that can't be looked into.
_WRITTEN_AT_ONCE = 64 * 1024
# What uvloop's TLS may have read and decrypted of a connection that is not read from.
_UNREAD = 320 * 1024
# What a request is counted with besides its body.
_REQUEST = 512
# What still comes after a refusal is thrown away for so long, so that the client can read why: closing a socket with unread
# data resets the connection, and the answer is lost with it.
_LINGER_SECONDS = 1.0

_log = structlog.get_logger("gpuwarden.http")


class _Refused(Exception):  # noqa: N818 - stops the parser; all has been said
    pass


class Port:
    """What the connections of a port share.

    Attributes:
        date: the time, for answers; ``tick`` renews it.
        draining: whether clients are asked to take their next request to another connection.
        stopping: whether connections end as soon as nothing is under way.
    """

    def __init__(
        self, find: Callable[[str], Endpoint | None], crowd: Crowd, turns: Turns, callers: Callers | None = None
    ) -> None:
        """Begin.

        Args:
            find: the endpoint of a URL's path.
            crowd: the connections, and their limits.
            turns: who is answered when.
            callers: who may call by the name in a client certificate; without it nobody is asked.
        """
        self.find = find
        self.crowd = crowd
        self.turns = turns
        self.callers = callers
        self.date = http_date()
        self.draining = False
        self.stopping = False

    def tick(self) -> None:
        """Look at the clock: cut off who is late. Called about every second."""
        self.date = http_date()
        self.crowd.sweep()


class _Request:
    """A request, as far as it is here: what is needed of its head, and its body."""

    __slots__ = ("body", "closes", "codings", "encoding", "endpoint", "expects", "failure", "head_only", "kind", "length", "query")  # fmt: skip

    def __init__(self, failure: Failure | None = None) -> None:
        self.failure = failure
        self.endpoint: Endpoint | None = None
        self.query = b""
        self.kind = self.encoding = self.codings = b""
        self.length = 0
        self.expects = False
        self.head_only = False
        self.closes = failure is not None
        self.body: bytes | bytearray = b""


class Connection(asyncio.Protocol):
    """A connection that its crowd may cut off.

    Attributes:
        since: when it became whose turn it is now: connected, first byte of a request, answered.
        held: bytes that it is counted with.
        client: its address.
    """

    _transport: asyncio.Transport

    def __init__(self, port: Port) -> None:
        self.since = 0.0
        self.held = 0
        self.client: tuple[str, int] | None = None
        self._port = port
        self._crowd = port.crowd
        self._limits = port.crowd.limits
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._unwelcome: Failure | None = None
        # What comes: a request, whether its head or its trailers are not complete, bytes of these, bytes of its body.
        self._coming: _Request | None = None
        self._target = b""
        self._in_head = self._in_trailers = False
        self._head = self._read = 0
        # What goes: requests that wait for their answers, the one that is being answered elsewhere, answers not yet written.
        self._requests: deque[_Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._unsent = bytearray()
        self._in_line = self._blocked = self._paused = False
        # Whether all that comes is thrown away, and whether more of a body may come.
        self._deaf = self._lingers = False

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn: to send, to read, or to hang up."""
        return self._blocked or not (self._requests or self._unsent)

    def overdue(self, now: float) -> str:
        """Why it has waited too long; empty when it has not."""
        waited = now - self.since
        if self._in_head and not self._requests:
            return "head-timeout" if waited > self._limits.head_seconds else ""
        if self._coming or self._requests or self._unsent or self._deaf:
            return "request-timeout" if waited > self._limits.request_seconds else ""
        return "idle" if waited > self._limits.idle_seconds else ""

    def drop(self) -> None:
        """Cut it off."""
        self._transport.abort()

    def shutdown(self) -> None:
        """End, once what has begun is answered."""
        if not (self._coming or self._requests or self._unsent):
            self._transport.close()

    # --- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a socket, it is one
        """Come in; a caller that may not is told so by every answer, and asked once."""
        self._transport = transport
        self.since = self._crowd.clock()
        self.client = transport.get_extra_info("peername")
        self._crowd.add(self)
        callers = self._port.callers
        if callers and (unwelcome := callers.refusal(transport.get_extra_info("peercert"))):
            self._crowd.refusals.note("common-name", address(self.client), unwelcome.message)
            self._unwelcome = unwelcome

    def data_received(self, data: bytes) -> None:
        """Read."""
        for start in range(0, len(data), _PIECE):
            if self._deaf:
                return
            self._parse(data if len(data) <= _PIECE else data[start : start + _PIECE])
        self._count()

    def eof_received(self) -> None:
        """The client sends no more; it may still read what can be answered at once."""
        while self._requests and not (self._task or self._blocked or self._transport.is_closing()):
            self.answer(late=False)
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Go."""
        self._crowd.discard(self)
        self._deaf = True
        self._requests.clear()
        self._coming = self._parser = None  # which refers to this
        if self._task:  # once it has begun: a coroutine that has not is one that somebody forgot to await
            asyncio.get_running_loop().call_soon(self._task.cancel)

    def pause_writing(self) -> None:
        """The client does not read."""
        self._blocked = True
        self._count()

    def resume_writing(self) -> None:
        """The client has read."""
        self._blocked = False
        self.send()

    # --- what comes -----------------------------------------------------------------------------------------------

    def _parse(self, piece: bytes) -> None:
        assert self._parser
        loose = self._in_head or self._in_trailers
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request itself is refused
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Refused):  # a bug: cut off, so that failurePolicy decides
                _log.exception("a request could not be read")
                self._crowd.refusals.note("failed", address(self.client))
                self.drop()
        except httptools.HttpParserError as error:
            self._refuse("malformed", failures.not_http(f"this is no HTTP/1.1 request: {error}"))
        if (self._in_head or (loose and self._in_trailers)) and not self._deaf:
            self._head += len(piece)
            if self._head > self._limits.head_bytes:
                self._refuse("head-size", failures.head_too_large(self._limits.head_bytes))

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self._requests) > self._limits.pipelined:
            self._refuse("pipelined", None)
            raise _Refused
        self._coming = _Request(self._unwelcome)
        self._target = b""
        self._in_head = True
        self._head = self._read = 0
        if not self._requests:
            self.since = self._crowd.clock()

    def on_url(self, target: bytes) -> None:
        """A part of the target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; what is not needed, and all of trailers, is not kept."""
        request = self._coming
        if request is None or not self._in_head:
            return
        match name.lower():
            case b"content-type":
                request.kind = value
            case b"content-encoding":
                request.encoding = value
            case b"content-length":
                request.length = int(value)
            case b"transfer-encoding":
                request.codings += value.strip().lower()
            case b"expect":
                request.expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """A head is complete: whether its request is refused is known now."""
        parser, request = self._parser, self._coming
        assert parser
        assert request
        self._in_head = False
        self._head = 0
        method = parser.get_method()
        request.head_only = method == b"HEAD"
        path, _, request.query = self._target.partition(b"?")
        request.endpoint = self._port.find(_path(path))
        if request.failure:
            pass
        elif parser.should_upgrade():
            request.failure = failures.not_http("HTTP/1.1 is spoken here, and nothing that it could be upgraded to")
        elif request.codings not in (b"", b"chunked"):
            request.failure = failures.unknown_coding()
        elif request.endpoint is None:
            request.failure = failures.not_found()
        else:
            request.failure = refusal(method.decode(), request.kind, request.encoding, request.length)
        if request.failure and (request.length > MAXIMUM_BODY or request.expects):
            self._cut_short(request.failure, lingers=True)
            raise _Refused
        elif request.expects and not self._requests:
            self._unsent += CONTINUE
            self.send()

    def on_body(self, piece: bytes) -> None:
        """A part of a body; of a request that is refused it is thrown away."""
        request = self._coming
        assert request
        self._in_trailers = False
        self._read += len(piece)
        if self._read > MAXIMUM_BODY:
            self._cut_short(request.failure or failures.too_large(MAXIMUM_BODY), lingers=True)
            raise _Refused
        if request.failure:
            return
        if not request.body:
            request.body = piece
        elif isinstance(request.body, bytearray):
            request.body += piece
        else:
            request.body = bytearray(request.body + piece)

    def on_chunk_header(self) -> None:
        """A chunk comes, or trailers."""
        self._in_trailers = True
        self._head = 0

    def on_message_complete(self) -> None:
        """A request is complete."""
        parser, request = self._parser, self._coming
        assert parser
        assert request
        self._coming = None
        self._in_trailers = False
        request.closes |= not parser.should_keep_alive() or parser.get_http_version() != "1.1"
        self._requests.append(request)
        if len(self._requests) == 1:
            self._next()

    # --- what goes ------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Let the next request wait for its turn."""
        if self._requests and not (self._in_line or self._task or self._blocked or self._unsent):
            self._in_line = True
            self._port.turns.add(self, len(self._requests[0].body))

    def answer(self, *, late: bool) -> None:
        """Answer the first request that waits. Raises nothing: there are others to answer."""
        self._in_line = False
        if not self._requests or self._task or self._transport.is_closing():
            return
        request = self._requests[0]
        failure, endpoint = request.failure, request.endpoint
        if late and failure is None:
            self._crowd.refusals.note("overload", address(self.client))
            failure = failures.overloaded()
        if failure:
            request.closes |= failure.closes
            self._answered(endpoint.refuse(failure) if endpoint else failure.answer())
            return
        assert endpoint
        made = endpoint.answer(bytes(request.body), request.query)
        if isinstance(made, Answer):
            self._answered(made)
        else:
            self._task = asyncio.get_running_loop().create_task(self._wait(made))

    async def _wait(self, answer: Coroutine[Any, Any, Answer]) -> None:
        """Answer, and go on, when what must be waited for is here."""
        made = await answer
        self._task = None
        if self._requests:  # still connected
            self._answered(made)
            self.send()

    def _answered(self, answer: Answer) -> None:
        request = self._requests.popleft()
        last = self._port.stopping and not (self._requests or self._coming)
        closes = request.closes or self._port.draining or last
        self._unsent += as_bytes(answer, self._port.date, close=closes, head_only=request.head_only)
        self.since = self._crowd.clock()
        if closes:
            self._deaf = True
            self._requests.clear()

    def send(self) -> None:
        """Send what is answered, as far as the client reads; then go on, or end."""
        while self._unsent and not self._blocked and not self._transport.is_closing():
            piece = bytes(self._unsent[:_WRITTEN_AT_ONCE])
            del self._unsent[:_WRITTEN_AT_ONCE]
            self._transport.write(piece)
        self._count()
        if self._unsent or self._task:
            return
        if self._requests:
            self._next()
        elif self._deaf:
            self._end()

    def _end(self) -> None:
        """Hang up: at once where nothing more comes, and otherwise when the client has had time to read why."""
        if self._lingers:
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._transport.close)
        else:
            self._transport.close()

    # --- limits ---------------------------------------------------------------------------------------------------

    def _count(self) -> None:
        """Count what is held, and read no more where answers are due already."""
        coming = len(self._coming.body) if self._coming else 0
        waiting = sum(_REQUEST + len(request.body) for request in self._requests) if self._requests else 0
        self._pause(self._blocked or len(self._requests) > 1)
        held = self._head + coming + waiting + len(self._unsent) + self._paused * _UNREAD
        if not self._crowd.hold(self, held) and not self._deaf:
            self._refuse("memory", failures.no_memory(), lingers=True)

    def _pause(self, pause: bool) -> None:  # noqa: FBT001 - it says which
        if pause is not self._paused and not self._transport.is_closing():
            self._paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _refuse(self, reason: str, failure: Failure | None, *, lingers: bool = False) -> None:
        """Read no more. Answer, if that is not what is refused, and hang up."""
        self._crowd.refusals.note(reason, address(self.client), failure.message if failure else "")
        if failure:
            self._cut_short(failure, lingers=lingers)
        else:
            self._deaf = True
            self._requests.clear()
            self._transport.close()

    def _cut_short(self, failure: Failure, *, lingers: bool) -> None:
        """Answer the request that comes by a failure, behind those that are due, and throw away what still comes."""
        request = self._coming or _Request()
        request.failure, request.body, request.closes = failure, b"", True
        self._deaf, self._lingers = True, lingers
        self._coming = None
        self._in_head = self._in_trailers = False
        self._head = 0
        self._requests.append(request)
        self._next()


def _path(target: bytes) -> str:
    """The path of a target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not target.startswith(b"/"):
        try:
            target = httptools.parse_url(target).path or b""
        except httptools.HttpParserInvalidURLError:
            return ""
    return unquote(target.decode("latin-1"))

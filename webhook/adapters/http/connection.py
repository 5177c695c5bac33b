"""One HTTP connection: uvicorn's protocol with the limits that it lacks, and answers at once where nothing is waited for."""

from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from webhook.adapters.http import failures
from webhook.adapters.http.callers import Callers
from webhook.adapters.http.crowd import Crowd, address
from webhook.adapters.http.endpoint import Endpoint, plain
from webhook.adapters.http.failures import Failure
from webhook.adapters.http.prompt import Prompt, as_bytes

_log = structlog.get_logger("gpuwarden.http")
# What uvloop's TLS reads at once it keeps room for as long as the connection lives; so much is no matter.
_READ_BYTES = 64 * 1024


class _Refused(httptools.HttpParserError):
    """Raised in a callback, it stops the parser. uvicorn then calls send_400_response, which sees that all is said.

    Each time a new one: its traceback holds the connection.
    """


class _Trailers(list[tuple[bytes, bytes]]):
    """What uvicorn takes for headers once the head is complete: nobody asks for them, so they are not kept."""

    def append(self, _: object) -> None:
        """Keep nothing."""


class Connection(HttpToolsProtocol):
    """A connection that its crowd may cut off.

    An ordinary request to a prompt endpoint is answered as soon as it is here, without the scope, the cycle and the task that
    uvicorn makes for each; every other request, and one whose answer must be waited for, is left to uvicorn.

    Attributes:
        since: when it became whose turn it is now: connected, first byte of a request, answered.
        held: bytes that it is counted with.
    """

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # uvicorn begins with None, and says otherwise

    def __init__(
        self, crowd: Crowd, callers: Callers | None = None, prompt: Prompt | None = None, **uvicorns: Any
    ) -> None:
        super().__init__(**uvicorns)
        self.since = 0.0
        self.held = 0
        self._crowd = crowd
        self._clock = crowd.clock
        self._callers = callers
        self._limits = crowd.limits
        self._in_head = self._in_trailers = False
        self._begun = False  # within what is being read
        self._head_fed = self._feeding = 0
        self._widest = _READ_BYTES
        self._prompt = prompt or Prompt()
        # A request to a prompt endpoint, what is here of its body, whether that is all, and answers that are not sent yet.
        self._endpoint: Endpoint | None = None
        self._body: bytes | bytearray = b""
        self._complete = False
        self._unsent = b""

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn."""
        return (
            not (self._answering or self._complete or self._unsent)
            or self.flow.write_paused
            or self.transport.is_closing()
        )

    @property
    def _answering(self) -> bool:
        """Whether a request is here in full and its answer is not given."""
        return self._under_way and not self.cycle.more_body  # type: ignore[union-attr]  # there is one, then

    @property
    def _under_way(self) -> bool:
        """Whether uvicorn has a request that is not answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def overdue(self, now: float) -> str:
        """Why it has waited too long."""
        waited = now - self.since
        if waited < min(self._limits.head_seconds, self._limits.request_seconds):
            return ""
        if self._endpoint or self._under_way or self.flow.write_paused or self.transport.is_closing():
            return "request-timeout" if waited > self._limits.request_seconds else ""
        if self._in_head:
            return "head-timeout" if waited > self._limits.head_seconds else ""
        return "idle" if waited > self._limits.idle_seconds else ""

    def drop(self) -> None:
        """Cut it off."""
        self.transport.abort()

    # --- uvicorn's protocol, where limits come in -----------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Come in; a caller that may not is told so by every answer, and asked once."""
        super().connection_made(transport)
        self.since = self._clock()
        self._crowd.add(self)
        if self._callers and (refusal := self._callers.refusal(transport.get_extra_info("peercert"))):
            self._crowd.refusals.note("common-name", address(self.client), refusal.message)
            self.app = failures.answering(refusal)
            self._prompt = Prompt()

    def eof_received(self) -> None:
        """The client sends no more; it may still read."""
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Go."""
        self._crowd.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and count what does not bring the end of a head or of trailers."""
        width = self._feeding = len(data)
        self._begun, in_trailers = False, self._in_trailers
        if width > self._widest:
            more, self._widest = width - self._widest, width
            if not self._hold(more):
                return
        super().data_received(data)
        if self._in_head or (in_trailers and self._in_trailers):
            most = self._limits.head_bytes
            # With a beginning, the end of the request before it may have come.
            self._head_fed += 0 if self._begun else width
            if self._head_fed > most or (self._in_head and self._head_size() > most):
                self._refuse("head-size", failures.head_too_large(most))

    def on_message_begin(self) -> None:
        """A request begins. Whoever sends one behind another gets each answer by itself, and so feels when to stop."""
        if self._complete:
            self._settle()
        super().on_message_begin()
        self._in_head = self._begun = True
        self._head_fed = 0
        if not self._under_way:
            self.since = self._clock()

    def on_headers_complete(self) -> None:
        """A head is complete."""
        self._in_head = False
        most = self._limits.head_bytes
        # What came in one read of fewer bytes need not be counted.
        if (not self._begun or self._feeding > most) and self._head_size() > most:
            self._refuse("head-size", failures.head_too_large(most))
            raise _Refused
        endpoint = self._prompt.find(self.url)
        if endpoint is not None and not self._under_way and self._is_plain():
            self._endpoint = endpoint
        else:
            self._leave_to_uvicorn()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _is_plain(self) -> bool:
        parser = self.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        return plain(self.headers)

    def _leave_to_uvicorn(self) -> None:
        """Let uvicorn have the request, with what is here of it."""
        if len(self.pipeline) >= self._limits.pipelined:
            self._refuse("pipelined", None)
            raise _Refused
        body, self._body, self._endpoint = self._body, b"", None
        super().on_headers_complete()
        self.headers = _Trailers()
        if body:
            super().on_body(bytes(body))

    def on_chunk_header(self) -> None:
        """A chunk comes, or trailers."""
        self._in_trailers = True
        self._head_fed = 0

    def on_body(self, body: bytes) -> None:
        """A piece of a body; of a request that is answered already it is thrown away."""
        if self._endpoint:
            if not self._hold(len(body)):
                raise _Refused
            if isinstance(self._body, bytearray):
                self._body += body
            else:
                self._body = bytearray(self._body + body) if self._body else body
            return
        self._in_trailers = False
        if self.cycle is None or self.cycle.response_complete or self.transport.is_closing():
            return
        # Once the answer has begun, what comes is read to be thrown away (endpoint._discard), and held by nobody.
        if not self.cycle.response_started and not self._hold(len(body)):
            raise _Refused
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete: its answer is made with those of others, or by uvicorn."""
        self._in_trailers = False
        if self._endpoint:
            self._complete = True
            self._prompt.add(self)
        else:
            super().on_message_complete()

    # --- answers at once (see ``prompt``) -------------------------------------------------------------------------

    def answer(self) -> None:
        """Answer the request that is complete, or leave it to uvicorn; if that has not happened already."""
        endpoint, complete, self._complete = self._endpoint, self._complete, False
        if endpoint is None or not complete or self.transport.is_closing():
            return
        answer = None if self.flow.write_paused else endpoint.at_once(bytes(self._body))
        if answer is None:
            self._hand_over()
            return
        self._endpoint, self._body = None, b""
        self._unsent += as_bytes(answer, self.server_state.default_headers)
        self.server_state.total_requests += 1
        self.since = self._clock()
        if self.held:
            self._let_go()

    def _hand_over(self) -> None:
        """Leave a complete request to uvicorn. Here no parser catches what is raised."""
        try:
            self._leave_to_uvicorn()
            super().on_message_complete()
        except Exception:  # noqa: BLE001 - a bug: cut off, so that failurePolicy decides; logged, and counted as refused
            _log.exception("a request could not be handed over")
            self._crowd.refusals.note("failed", address(self.client))
            self.drop()

    def send_answers(self) -> None:
        """Send what is answered."""
        unsent, self._unsent = self._unsent, b""
        if unsent and not self.transport.is_closing():
            self.transport.write(unsent)

    def _settle(self) -> None:
        """Answer and send now, before something else happens on this connection."""
        if self._complete:
            self.answer()
        self.send_answers()

    # --- uvicorn's protocol again ---------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Answer what has begun, and end."""
        self._settle()
        if self._endpoint:
            self._leave_to_uvicorn()
        super().shutdown()

    def on_response_complete(self) -> None:
        """Answered: the next request, or the client's turn. No timer is set, as uvicorn would: the crowd sweeps."""
        self.since = self._clock()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self.held and not self.flow.write_paused:
            self._let_go()

    def resume_writing(self) -> None:
        """The client has read what it was sent."""
        super().resume_writing()
        if not self._endpoint and not self._under_way:
            self._let_go()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or what a limit has refused already."""
        if self.transport.is_closing():
            return
        self._crowd.refusals.note("malformed", address(self.client), msg)
        self._settle()
        super().send_400_response(msg)

    # --- limits ---------------------------------------------------------------------------------------------------

    def _hold(self, size: int) -> bool:
        """Hold more; whether there is room for it."""
        self.held += size
        self._crowd.held += size
        if self._crowd.held <= self._limits.memory or self._crowd.has_memory(self):
            return True
        self._refuse("memory", failures.no_memory())
        return False

    def _let_go(self) -> None:
        """Hold no more than what TLS keeps."""
        if self.cycle is not None and self.cycle.response_complete:
            self.cycle.body = bytearray()  # what was not asked for, of a request that was shed
        self._crowd.release(self)
        kept = self._widest - _READ_BYTES
        self.held += kept
        self._crowd.held += kept

    def _refuse(self, reason: str, failure: Failure | None) -> None:
        """Answer if nothing else is being answered, hang up, and let nobody wait for more."""
        self._crowd.refusals.note(reason, address(self.client))
        self._crowd.release(self)
        self._settle()
        self._endpoint = None
        self._body = b""
        cycle = self.cycle if self._under_way else None
        if failure and not (cycle and cycle.response_started) and not self.pipeline:
            self.transport.write(failures.as_bytes(failure))
        if cycle:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        self.transport.close()

"""One HTTP connection: uvicorn's protocol with the limits that it lacks, without a timer for any request."""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from webhook.adapters.http import failures
from webhook.adapters.http.callers import Callers
from webhook.adapters.http.crowd import Crowd, address
from webhook.adapters.http.failures import Failure
from webhook.adapters.http.whole import EXTENSION, Whole

# What uvloop's TLS reads at once it keeps room for as long as the connection lives; so much is no matter.
_READ_BYTES = 64 * 1024
# Raised in a callback of the parser, it stops the parser. uvicorn then calls send_400_response, which sees that all is said.
_REFUSED = httptools.HttpParserError("refused")


class Connection(HttpToolsProtocol):
    """A connection that its crowd may cut off.

    Attributes:
        since: when it became whose turn it is now: connected, first byte of a request, answered.
        held: bytes that it is counted with.
    """

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # uvicorn begins with None, and says otherwise

    def __init__(self, crowd: Crowd, callers: Callers | None = None, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.since = 0.0
        self.held = 0
        self._crowd = crowd
        self._clock = crowd.clock
        self._callers = callers
        self._limits = crowd.limits
        self._in_head = False
        self._head_fed = self._head_read = 0
        self._widest = _READ_BYTES

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn."""
        return not self._answering or self.flow.write_paused or self.transport.is_closing()

    @property
    def _answering(self) -> bool:
        """Whether a request is here in full and its answer is not given."""
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body

    def overdue(self, now: float) -> str:
        """Why it has waited too long."""
        waited = now - self.since
        if waited < min(self._limits.head_seconds, self._limits.request_seconds):
            return ""
        under_way = self.cycle is not None and not self.cycle.response_complete
        if under_way or self.flow.write_paused or self.transport.is_closing():
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

    def connection_lost(self, exc: Exception | None) -> None:
        """Go."""
        self._crowd.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and count what does not bring the end of a head."""
        width = len(data)
        if width > self._widest:
            more, self._widest = width - self._widest, width
            if not self._hold(more):
                return
        super().data_received(data)
        if self._in_head:
            self._head_fed += width
            if self._head_fed > self._limits.head_bytes:
                self._refuse("head-size", failures.head_too_large(self._limits.head_bytes))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        self._head_fed = self._head_read = 0
        if self.cycle is None or self.cycle.response_complete:
            self.since = self._clock()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        super().on_header(name, value)
        self._head_read += len(name) + len(value)

    def on_headers_complete(self) -> None:
        """A head is complete."""
        self._in_head = False
        if self._head_read + len(self.url) > self._limits.head_bytes:
            self._refuse("head-size", failures.head_too_large(self._limits.head_bytes))
            raise _REFUSED
        if len(self.pipeline) >= self._limits.pipelined:
            self._refuse("pipelined", None)
            raise _REFUSED
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.scope is self.scope:
            self.scope["extensions"] = {EXTENSION: Whole(self.cycle)}  # type: ignore[dict-item]  # ours is no dict

    def on_body(self, body: bytes) -> None:
        """A piece of a body; of a request that is answered already it is thrown away."""
        if self.cycle is None or self.cycle.response_complete or self.transport.is_closing():
            return
        # Once the answer has begun, what comes is read to be thrown away (endpoint._discard), and held by nobody.
        if not self.cycle.response_started and not self._hold(len(body)):
            raise _REFUSED
        super().on_body(body)

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
        if self.cycle is None or self.cycle.response_complete:
            self._let_go()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or what a limit has refused already."""
        if self.transport.is_closing():
            return
        self._crowd.refusals.note("malformed", address(self.client), msg)
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
        self._crowd.release(self)
        kept = self._widest - _READ_BYTES
        self.held += kept
        self._crowd.held += kept

    def _refuse(self, reason: str, failure: Failure | None) -> None:
        """Answer if nothing else is being answered, hang up, and let nobody wait for more."""
        self._crowd.refusals.note(reason, address(self.client))
        self._crowd.release(self)
        cycle = self.cycle if self.cycle and not self.cycle.response_complete else None
        if failure and not (cycle and cycle.response_started) and not self.pipeline:
            self.transport.write(failures.as_bytes(failure))
        if cycle:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        self.transport.close()

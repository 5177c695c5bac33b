"""A whole answer in one write, as an extension of ASGI: in two messages, head and body are two TLS records and two calls.

The two cost a quarter of what a request costs on uvicorn (docs/performance.md).
"""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from webhook.adapters.http.failures import CLOSE, Headers

EXTENSION = "gpuwarden.whole"
"""Its name in ``scope["extensions"]``."""


class Whole:
    """Answers one request, as ``RequestResponseCycle.send`` of uvicorn 0.54 does by two messages."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def __call__(self, status: int, headers: Headers, body: bytes) -> bool:
        """Answer, if that takes no waiting.

        Args:
            status: the HTTP status.
            headers: the answer's own, its Content-Length among them; names in lower case, nothing from a request in them.
            body: all of it.

        Returns:
            Whether it is answered, or the client gone; otherwise nothing was sent, and ``send`` has to do it.
        """
        cycle = self._cycle
        if cycle.disconnected:
            return True
        if cycle.response_started or cycle.flow.write_paused:
            return False
        lines = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        closes = CLOSE in headers
        if not cycle.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        lines += (b"\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"".join(lines))
        cycle.message_event.set()
        if closes or not cycle.keep_alive:
            cycle.keep_alive = False
            cycle.transport.close()
        cycle.on_response()
        return True

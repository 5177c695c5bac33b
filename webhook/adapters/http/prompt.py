"""Answers that need no waiting: made for all requests of a turn of the event loop, and then sent for all.

Reading, deciding and sending each have code and data of their own, which push the others' out of the processor's caches; and a
write wakes the client's process, which costs as much as a decision when it has gone to sleep since the last. So each is done
for many requests in a row (docs/performance.md).
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from webhook.adapters.http.endpoint import Answer, Endpoint
from webhook.adapters.http.failures import Headers
from webhook.application.path_tokens import PathTokens

# Those who asked first wait for those who asked last, and nobody should wait for many.
_MOST_AT_ONCE = 16


class Asker(Protocol):
    """A connection with a request."""

    def answer(self) -> None:
        """Make the answer. Raises nothing: there are others to answer."""

    def send_answers(self) -> None:
        """Send it."""


class Prompt:
    """The endpoints of a port that answer at once, and the connections that wait for that."""

    def __init__(self, endpoints: Iterable[Endpoint] = (), doors: PathTokens | None = None) -> None:
        """Know endpoints by their path, and which paths are admitted."""
        self._endpoints = {endpoint.path: endpoint for endpoint in endpoints}
        self._doors = doors or PathTokens(self._endpoints)
        self._askers: list[Asker] = []

    def find(self, target: bytes) -> Endpoint | None:
        """The endpoint of a request's target, whatever its query; ``None`` where it is another's, or written oddly."""
        path = self._doors.admits(target.partition(b"?")[0].decode("latin-1"))
        return self._endpoints.get(path) if path else None

    def add(self, asker: Asker) -> None:
        """Answer a connection when all have been read that can be, or as soon as there are many."""
        self._askers.append(asker)
        if len(self._askers) == 1:
            asyncio.get_running_loop().call_soon(self._answer)
        elif len(self._askers) >= _MOST_AT_ONCE:
            self._answer()

    def _answer(self) -> None:
        askers, self._askers = self._askers, []
        for asker in askers:
            asker.answer()
        for asker in askers:
            asker.send_answers()


def as_bytes(answer: Answer, more: Headers) -> bytes:
    """An answer as it goes over the wire, with more headers; names in lower case, nothing from a request in them."""
    lines = [STATUS_LINE[answer.code]]
    for name, value in (*more, *answer.headers):
        lines += (name, b": ", value, b"\r\n")
    lines += (b"content-length: %d\r\n\r\n" % len(answer.body), answer.body)
    return b"".join(lines)

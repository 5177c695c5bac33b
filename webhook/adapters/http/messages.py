"""HTTP/1.1 messages of the admission port: a request, as far as it has been received, and an answer as bytes."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from mmap import mmap
from typing import Any
from urllib.parse import unquote

import httptools

from ...application.review import MOST_ELEMENTS
from . import answers
from .answers import HEADERS, NOT_FOUND, Answer
from .endpoint import AdmissionEndpoint, refusal
from .limits import MAXIMUM_BODY, Limits

# The headers that ``IncomingRequest`` uses; others are not kept.
NEEDED = frozenset((b"content-type", b"content-encoding", b"content-length", b"transfer-encoding", b"expect"))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEADS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n".encode()
    + "".join(f"{name}: {value}\r\n" for name, value in HEADERS.get(status, {}).items()).encode()
    for status in HTTPStatus
}
# Reading and deciding an element of JSON takes as long as reading this many bytes of text: measured with a large annotation
# (10 ns a byte) and with containers that each have a finding (1.7 microseconds an element).
_ELEMENT = 150
_COUNTED = 512 * 1024  # the longest body whose elements are counted, which takes a millisecond per MiB


def as_bytes(answer: Answer, date: bytes, *, close: bool = False, head_only: bool = False) -> bytes:
    """Return the bytes of an answer. That to a HEAD has the body's length, but no body (``head_only``; RFC 9110, 9.3.2)."""
    closing = b"connection: close\r\n" if close else b""
    head = b"%bdate: %b\r\n%bcontent-length: %d\r\n\r\n" % (_HEADS[answer.code], date, closing, len(answer.body))
    return head if head_only else head + answer.body


class IncomingRequest:
    """A request, as far as it has been received."""

    in_head, complete = True, False  # how far that is
    target = query = b""
    endpoint: AdmissionEndpoint | None = None  # which answers it
    has_token = False  # whether its path has the token that only the API server knows
    expects = False  # whether the client waits for 100 Continue (RFC 9110, 10.1.1)
    head_only = closes = False  # whether its answer has no body, and ends the connection
    count = chunks = 0  # how many headers and trailers, and how many chunks were received
    length = read = 0  # the length of the body according to the head, and how much of it was received
    loose = 0  # bytes of the head, or after it those that are not of the body (trailers, and what is between chunks)
    body: bytes | mmap = b""  # what was received of it, unless the request is rejected

    def __init__(self, failure: Answer | None = None) -> None:
        self.failure = failure  # its answer, if it is rejected
        self.headers: dict[bytes, bytes] = {}

    def end_head(self, parser: httptools.HttpRequestParser, find: Callable[[str], AdmissionEndpoint | None]) -> None:
        """Find its endpoint, or the failure with which it is answered unread."""
        self.in_head, self.loose = False, 0
        target, _, self.query = self.target.partition(b"?")
        if not target.startswith(b"/"):  # a whole URL (RFC 9112, 3.2.2), or no path at all
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        path = unquote(target.decode("latin-1"))
        endpoint = self.endpoint = find(path)
        self.has_token = endpoint is not None and path != endpoint.path
        # They are freed, because a value may have 64 KiB, and the body may arrive much later.
        headers, self.headers = self.headers, {}
        # The parser accepts any number of leading zeros before at most 20 digits.
        self.length = int(headers.get(b"content-length", b"")[-20:] or 0)
        self.expects = headers.get(b"expect") == b"100-continue" and parser.get_http_version() == "1.1"
        method = parser.get_method()
        self.head_only = method == b"HEAD"
        if self.failure:
            return
        if parser.should_upgrade():
            self.failure = answers.UPGRADE
        elif headers.get(b"transfer-encoding", b"") not in (b"", b"chunked"):
            self.failure = answers.UNKNOWN_CODING
        elif endpoint is None:
            self.failure = NOT_FOUND
        else:
            self.failure = refusal(method, headers, self.length)

    def append(self, piece: bytes) -> None:
        """Append a piece of the body. The first one, usually the only one, is kept as it is.

        If there are more, all go to a memory mapping, which uses only as many pages as needed and is returned to the system
        afterwards. On the heap, growing bodies would cause fragmentation.
        """
        self.read += len(piece)
        self.loose -= len(piece)
        if self.failure or self.read > MAXIMUM_BODY:
            return
        if self.read == len(piece):
            self.body = piece
            return
        if isinstance(self.body, bytes):
            first, self.body = self.body, mmap(-1, MAXIMUM_BODY)
            self.body.write(first)
        self.body.write(piece)

    @property
    def size(self) -> int:
        """How many bytes of the body are kept."""
        return 0 if self.failure else self.read

    def excess(self, limits: Limits) -> Answer | None:
        """Why no more of it is received; ``None`` if more is."""
        if len(self.target) > (most := limits.target_bytes):
            return answers.target_too_long(f"the path and query are longer than {most} bytes; shorten them")
        if self.count > (most := limits.headers):
            return answers.head_too_large(f"the request has more than {most} headers; send fewer")
        if self.loose > (most := limits.head_bytes):
            what = "headers" if self.in_head else "trailers or chunk extensions"
            return answers.head_too_large(f"the {what} are larger than {most} bytes")
        if self.chunks > (most := limits.chunks):
            return answers.not_http(f"the body has more than {most} chunks; use larger chunks or send a Content-Length")
        if self.length > MAXIMUM_BODY or self.read > MAXIMUM_BODY:
            return self.failure or answers.TOO_LARGE
        return self.failure if self.expects else None  # a body that the client would ask for is not even awaited

    def reject(self, failure: Answer) -> None:
        """Receive no more of it, and close the connection after its answer."""
        self.failure, self.body, self.headers, self.loose = failure, b"", {}, 0
        self.in_head, self.expects, self.complete, self.closes = False, False, True, True

    def weight(self) -> int:
        """The cost of answering it, in bytes of text. If it is long, the highest number of elements is assumed."""
        elements = MOST_ELEMENTS
        if self.size <= _COUNTED:
            elements = self.size - len(self._whole().translate(None, b",{["))
        return self.size + _ELEMENT * elements

    def answer(self) -> Answer | Coroutine[Any, Any, Answer]:
        """Its answer, or an awaitable of it."""
        if self.endpoint is None:
            return self.failure or NOT_FOUND
        if self.failure:
            return self.endpoint.refuse(self.failure)
        return self.endpoint.answer(self._whole(), self.query)

    def _whole(self) -> bytes:
        """The complete body, which replaces the mapping, so that it is in memory only once while the answer is awaited."""
        self.body = whole = self.body[: self.size]
        return whole

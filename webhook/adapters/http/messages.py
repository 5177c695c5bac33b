"""HTTP/1.1 messages of the admission port: a request, as far as it has been received, and an answer as bytes."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from mmap import mmap
from typing import Any
from urllib.parse import unquote

import httptools

from ...application.review import MOST_ELEMENTS
from .answers import HEADERS, NOT_FOUND, UNKNOWN_CODING, UPGRADE, Answer
from .endpoint import AdmissionEndpoint, refusal
from .limits import MAXIMUM_BODY

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
    """Return the bytes of an answer.

    With ``close``, the connection is closed afterwards. The answer to a HEAD has the body's length, but no body (``head_only``;
    RFC 9110, 9.3.2).
    """
    closing = b"connection: close\r\n" if close else b""
    head = b"%bdate: %b\r\n%bcontent-length: %d\r\n\r\n" % (_HEADS[answer.code], date, closing, len(answer.body))
    return head if head_only else head + answer.body


class Body:
    """Bytes that come in pieces.

    The first piece, usually the only one, is kept as it is. If there are more, all go to a memory mapping, which uses only as
    many pages as needed and is returned to the system afterwards. On the heap, growing bodies would cause fragmentation.
    """

    def __init__(self) -> None:
        self.size = 0
        self._bytes: bytes | mmap = b""

    def append(self, piece: bytes) -> None:
        """Append a piece; the total is at most ``MAXIMUM_BODY``."""
        if self.size == 0:
            self._bytes = piece
        else:
            if isinstance(self._bytes, bytes):
                first, self._bytes = self._bytes, mmap(-1, MAXIMUM_BODY)
                self._bytes.write(first)
            self._bytes.write(piece)
        self.size += len(piece)

    def weight(self) -> int:
        """The cost of answering it, in bytes of text. If it is long, the highest number of elements is assumed."""
        elements = MOST_ELEMENTS
        if self.size <= _COUNTED:
            elements = self.size - len(self.whole().translate(None, b",{["))
        return self.size + _ELEMENT * elements

    def whole(self) -> bytes:
        """The complete body, which replaces the pieces, so that a waiting body is in memory only once."""
        if isinstance(self._bytes, mmap):
            self._bytes = self._bytes[: self.size]
        return self._bytes


class IncomingRequest:
    """A request, as far as it has been received.

    Attributes:
        in_head, complete: how far that is.
        endpoint: what answers it.
        failure: its answer, if it is rejected.
        has_token: whether its path has the token that only the API server knows.
        closes: whether the connection ends with its answer.
        expects: whether the client waits for 100 Continue (RFC 9110, 10.1.1).
        length, read: the length of the body according to the head, and how much of it was received.
        loose: bytes of the head, or after it those that are not of the body (trailers, and what is between chunks).
    """

    endpoint: AdmissionEndpoint | None = None
    target = query = b""
    in_head = True
    complete = closes = expects = head_only = has_token = False
    length = count = chunks = read = loose = 0

    def __init__(self, failure: Answer | None = None) -> None:
        self.failure = failure
        self.body = Body()
        self.headers: dict[bytes, bytes] = {}

    def end_head(self, parser: httptools.HttpRequestParser, find: Callable[[str], AdmissionEndpoint | None]) -> None:
        """Find its endpoint, or the failure with which it is answered unread."""
        self.in_head, self.loose = False, 0
        path = ""
        try:
            url = httptools.parse_url(self.target)  # which may be a whole URL (RFC 9112, 3.2.2)
            path, self.query = unquote((url.path or b"").decode("latin-1")), url.query or b""
        except httptools.HttpParserInvalidURLError:
            pass
        endpoint = self.endpoint = find(path)
        self.has_token = endpoint is not None and path != endpoint.path
        headers, self.headers = (
            self.headers,
            {},
        )  # free them: a value may have 64 KiB, and the body may arrive much later
        # The parser accepts any number of leading zeros before at most 20 digits.
        self.length = int(headers.get(b"content-length", b"")[-20:] or 0)
        self.expects = headers.get(b"expect") == b"100-continue" and parser.get_http_version() == "1.1"
        method = parser.get_method()
        self.head_only = method == b"HEAD"
        if self.failure:
            return
        if parser.should_upgrade():
            self.failure = UPGRADE
        elif headers.get(b"transfer-encoding", b"") not in (b"", b"chunked"):
            self.failure = UNKNOWN_CODING
        elif endpoint is None:
            self.failure = NOT_FOUND
        else:
            self.failure = refusal(method, headers, self.length)

    def reject(self, failure: Answer) -> None:
        """Receive no more of it, and close the connection after its answer."""
        self.failure, self.body, self.headers, self.loose = failure, Body(), {}, 0
        self.in_head, self.expects, self.complete, self.closes = False, False, True, True

    def answer(self) -> Answer | Coroutine[Any, Any, Answer]:
        """Its answer, or an awaitable of it."""
        if self.endpoint is None:
            return self.failure or NOT_FOUND
        return (
            self.endpoint.refuse(self.failure) if self.failure else self.endpoint.answer(self.body.whole(), self.query)
        )

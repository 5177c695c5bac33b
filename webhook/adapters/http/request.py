"""A request while it comes: what is needed of its head, and its body."""

from collections.abc import Callable, Coroutine
from mmap import mmap
from typing import Any
from urllib.parse import unquote

import httptools

from ...application.review_limits import MOST_ELEMENTS
from . import answers
from .answers import Answer, Failure
from .endpoint import AdmissionEndpoint, refusal
from .limits import MAXIMUM_BODY

# An element of JSON takes as long to read and to decide as so many bytes of a text: measured with a large annotation (10 ns a
# byte) and with containers that each have a finding (1.7 microseconds an element).
_ELEMENT = 150
# Of more, the elements are not counted, which takes a millisecond a MiB, but taken for as many as there may be.
_COUNTED = 512 * 1024


class Body:
    """Bytes that come in pieces.

    The first piece, most often the only one, is kept as it is. With a second one they go to memory of their own, of which the
    system gives only what is used and has all back when the body goes. On the heap, bodies that grow beside each other would
    leave holes that it keeps.
    """

    def __init__(self) -> None:
        self.size = 0
        self._first = b""
        self._all: mmap | None = None

    def append(self, piece: bytes) -> None:
        """Add a piece; all together are at most ``MAXIMUM_BODY``."""
        start, self.size = self.size, self.size + len(piece)
        if start == 0:
            self._first = piece
            return
        if self._all is None:
            self._all = mmap(-1, MAXIMUM_BODY)
            self._all[:start] = self._first
            self._first = b""
        self._all[start : self.size] = piece

    def weight(self) -> int:
        """How long it takes to answer, in bytes of a text."""
        elements = MOST_ELEMENTS
        if self.size <= _COUNTED:
            elements = self.size - len(self.whole().translate(None, b",{["))
        return self.size + _ELEMENT * elements

    def whole(self) -> bytes:
        """All of it, which from now on is kept as it is given: what waits for its answer is in memory once."""
        if self._all is not None:
            self._first, self._all = self._all[: self.size], None
        return self._first


class IncomingRequest:
    """A request, as far as it is here.

    Attributes:
        endpoint: what answers it.
        failure: why it is answered unread instead.
        has_token: whether its path has the token that only the API server knows.
        closes: whether the connection ends with its answer.
        expects: whether the client waits to be told to go on (RFC 9110, 10.1.1).
        length, read: how much its head says that its body has, and how much of it has come.
    """

    endpoint: AdmissionEndpoint | None = None
    target = query = b""
    closes = expects = head_only = has_token = False
    length = count = chunks = read = 0

    def __init__(self, failure: Failure | None = None) -> None:
        self.failure = failure
        self.body = Body()
        self.headers: dict[bytes, bytes] = {}

    def end_head(self, parser: httptools.HttpRequestParser, find: Callable[[str], AdmissionEndpoint | None]) -> None:
        """Find what answers it, or why it is answered unread."""
        target, _, self.query = self.target.partition(b"?")
        path = _path(target)
        endpoint = self.endpoint = find(path)
        self.has_token = endpoint is not None and path != endpoint.path
        headers = self.headers
        # The parser takes zeros without end before a number of at most 20 digits.
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
            self.failure = answers.NOT_FOUND
        else:
            self.failure = refusal(method, headers, self.length)

    def answer(self) -> Answer | Coroutine[Any, Any, Answer]:
        """Its answer, or what must be waited for to have it."""
        if self.endpoint and not self.failure:
            return self.endpoint.answer(self.body.whole(), self.query)
        failure = self.failure or answers.NOT_FOUND
        self.closes |= failure.closes
        return self.endpoint.refuse(failure) if self.endpoint else failure.answer()


def _path(target: bytes) -> str:
    """The path of a target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not target.startswith(b"/"):
        try:
            target = httptools.parse_url(target).path or b""
        except httptools.HttpParserInvalidURLError:
            return ""
    path = target.decode("latin-1")
    return unquote(path) if "%" in path else path

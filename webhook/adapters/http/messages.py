"""HTTP messages of the admission port: the state of an incoming request, and its answer.

A failure is a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from http import HTTPStatus
from mmap import mmap
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

import httptools
import msgspec

from ...application.review import MOST_ELEMENTS
from .limits import MAXIMUM_BODY

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# The additional header of an answer with such a code. kube-apiserver retries one with Retry-After within the webhook's
# timeout (client-go rest/with_retry.go).
HEADERS = {405: (b"allow", b"POST"), 503: (b"retry-after", b"1")}
_HEADS = {
    status.value: b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\n" % (status, status.phrase.encode())
    + (b"%b: %b\r\n" % HEADERS[status] if status in HEADERS else b"")
    for status in HTTPStatus
}
# The ``reason`` of a Status where it is not the code's own phrase in one word.
_REASONS = {413: "RequestEntityTooLarge", 414: "RequestURITooLong", 500: "InternalError"}
# An element of JSON takes as long to read and to decide as so many bytes of a text: measured with a large annotation (10 ns a
# byte) and with containers that each have a finding (1.7 microseconds an element).
_ELEMENT = 150
# For longer bodies, elements are not counted, which takes a millisecond per MiB, but the highest possible number is assumed.
_COUNTED = 512 * 1024


class Answer(NamedTuple):
    """An HTTP answer with a body of JSON."""

    code: int
    body: bytes


class Failure(NamedTuple):
    """An HTTP answer that is not a review.

    Attributes:
        code: the status code.
        message: what is wrong.
        field: the field that the message is about; empty if there is none.
        closes: whether the connection must end with it.
        reason: the reason under which a rejection is counted, if the code does not imply it (see ``Rejections``).
    """

    code: int
    message: str
    field: str = ""
    closes: bool = False
    reason: str = ""

    def answer(self) -> Answer:
        """The ``metav1.Status``, with the field as its cause where there is one."""
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": f"{self.field}: {self.message}" if self.field else self.message,
            "reason": _REASONS.get(self.code) or HTTPStatus(self.code).phrase.replace(" ", ""),
            "code": self.code,
        }
        if self.field:
            status["details"] = {"causes": [{"field": self.field, "message": self.message}]}
        return Answer(self.code, msgspec.json.encode(status))


NOT_FOUND = Failure(404, "this path is not served; see the paths in the webhook configurations")
TOO_LARGE = Failure(413, f"the body is larger than {MAXIMUM_BODY} bytes; send a smaller object", closes=True)
INTERNAL_ERROR = Failure(500, "internal error in gpuwarden; see its log")
UPGRADE = Failure(400, "Upgrade and CONNECT are not supported; send a plain HTTP/1.1 request", closes=True)
UNKNOWN_CODING = Failure(501, 'Transfer-Encoding must be "chunked"', closes=True)
OVERLOADED = Failure(503, "gpuwarden is overloaded; try again")
NO_MEMORY = Failure(
    503, "gpuwarden has no memory left for this request (--max-memory); try again", closes=True, reason="memory"
)


# Failures with a message of their own.
not_http = partial(Failure, 400, closes=True, reason="malformed")
head_too_large = partial(Failure, 431, closes=True, reason="head-size")


def as_bytes(answer: Answer, date: bytes, *, close: bool = False, head_only: bool = False) -> bytes:
    """Return the bytes of an answer.

    With ``close``, the connection is closed afterwards. The answer to a HEAD has the body's length, but no body (``head_only``;
    RFC 9110, 9.3.2).
    """
    closing = b"connection: close\r\n" if close else b""
    head = b"%bdate: %b\r\n%bcontent-length: %d\r\n\r\n" % (_HEADS[answer.code], date, closing, len(answer.body))
    return head if head_only else head + answer.body


class HttpEndpoint(Protocol):
    """An endpoint that answers the requests of a path."""

    path: str

    def answer(self, body: bytes, query: bytes = b"") -> Answer | Coroutine[Any, Any, Answer]:
        """The answer to a body, or an awaitable of it."""

    def refuse(self, failure: Failure) -> Answer:
        """The answer to a request whose body is not read."""


class Body:
    """Bytes that come in pieces.

    The first piece, usually the only one, is kept as it is. If there are more, all go to a separate memory mapping, which uses
    only as many pages as needed and is returned to the system afterwards. On the heap, several growing bodies would cause
    fragmentation.
    """

    def __init__(self) -> None:
        self.size = 0
        self._first = b""
        self._all: mmap | None = None

    def append(self, piece: bytes) -> None:
        """Append a piece; the total is at most ``MAXIMUM_BODY``."""
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
        """The cost of answering it, in bytes of text."""
        elements = MOST_ELEMENTS
        if self.size <= _COUNTED:
            elements = self.size - len(self.whole().translate(None, b",{["))
        return self.size + _ELEMENT * elements

    def whole(self) -> bytes:
        """The complete body, which replaces the pieces, so that a waiting body is in memory only once."""
        if self._all is not None:
            self._first, self._all = self._all[: self.size], None
        return self._first


class IncomingRequest:
    """A request, as far as it has been received.

    Attributes:
        endpoint: what answers it.
        failure: the failure with which it is answered unread.
        has_token: whether its path has the token that only the API server knows.
        closes: whether the connection ends with its answer.
        expects: whether the client waits for 100 Continue (RFC 9110, 10.1.1).
        length, read: the length of the body according to the head, and how much of it was received.
    """

    endpoint: HttpEndpoint | None = None
    target = query = b""
    closes = expects = head_only = has_token = False
    length = count = chunks = read = 0

    def __init__(self, failure: Failure | None = None) -> None:
        self.failure = failure
        self.body = Body()
        self.headers: dict[bytes, bytes] = {}

    def end_head(self, parser: httptools.HttpRequestParser, find: Callable[[str], HttpEndpoint | None]) -> None:
        """Find its endpoint, or the failure with which it is answered unread."""
        target, _, self.query = self.target.partition(b"?")
        path = _path(target)
        endpoint = self.endpoint = find(path)
        self.has_token = endpoint is not None and path != endpoint.path
        headers, self.headers = self.headers, {}  # a value may have 64 KiB, and the body may be long in coming
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

    def answer(self) -> Answer | Coroutine[Any, Any, Answer]:
        """Its answer, or an awaitable of it."""
        if self.endpoint and not self.failure:
            return self.endpoint.answer(self.body.whole(), self.query)
        failure = self.failure or NOT_FOUND
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


def refusal(method: bytes, headers: Mapping[bytes, bytes], length: int) -> Failure | None:
    """Why a request is rejected before its body is read; ``None`` when it is not. The names of headers are lowercase."""
    if method != b"POST":
        return Failure(405, f"method {method.decode()} is not supported; POST an AdmissionReview")
    if length > MAXIMUM_BODY:
        return TOO_LARGE
    if (headers.get(b"content-encoding") or b"identity").lower() != b"identity":
        return Failure(415, "Content-Encoding is not supported; send uncompressed JSON", closes=True)
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        return Failure(415, "Content-Type is not supported; set it to application/json", closes=True)
    return None

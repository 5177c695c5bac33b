"""A request while it comes: what is needed of its head, its body, and how much of each it may have."""

from collections.abc import Callable
from mmap import mmap
from urllib.parse import unquote

import httptools

from webhook.adapters.http import answers
from webhook.adapters.http.answers import Failure
from webhook.adapters.http.endpoint import Endpoint, refusal
from webhook.adapters.http.limits import MAXIMUM_BODY, Limits
from webhook.application.review_limits import MOST_ELEMENTS

# The headers that are needed, and where they are kept.
_FIELDS = {
    name.encode(): name.replace("-", "_")
    for name in ("content-type", "content-encoding", "content-length", "transfer-encoding", "expect")
}
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
        self._size = 0
        self._first = b""
        self._all: mmap | None = None

    def __len__(self) -> int:
        return self._size

    def append(self, piece: bytes) -> None:
        """Add a piece; all together are at most ``MAXIMUM_BODY``."""
        start, self._size = self._size, self._size + len(piece)
        if start == 0:
            self._first = piece
            return
        if self._all is None:
            self._all = mmap(-1, MAXIMUM_BODY)
            self._all[:start] = self._first
            self._first = b""
        self._all[start : self._size] = piece

    def weight(self) -> int:
        """How long it takes to answer, in bytes of a text."""
        elements = MOST_ELEMENTS
        if self._size <= _COUNTED:
            elements = self._size - len(self.whole().translate(None, b",{["))
        return self._size + _ELEMENT * elements

    def whole(self) -> bytes:
        """All of it, which from now on is kept as it is given: what waits for its answer is in memory once."""
        if self._all is not None:
            self._first, self._all = self._all[: self._size], None
        return self._first


class Refused(Exception):  # noqa: N818 - nothing is wrong here
    """Nothing more of what comes is read; without a failure, it is not even answered."""

    def __init__(self, failure: Failure | None = None) -> None:
        super().__init__()
        self.failure = failure


class Request:
    """A request, as far as it is here. What comes is added; too much of it is ``Refused``.

    Attributes:
        endpoint: what answers it.
        failure: why it is answered unread instead.
        has_token: whether its path has the token that only the API server knows.
        closes: whether the connection ends with its answer.
        length: what its head says that its body has.
    """

    endpoint: Endpoint | None = None
    target = query = content_type = content_encoding = content_length = transfer_encoding = expect = b""
    closes = head_only = has_token = False
    length = _headers = _chunks = _read = 0

    def __init__(self, limits: Limits, failure: Failure | None = None) -> None:
        self.failure = failure
        self.body = Body()
        self._limits = limits

    def add_target(self, piece: bytes) -> None:
        """A part of the target."""
        self.target += piece
        if len(self.target) > (longest := self._limits.target_bytes):
            raise Refused(
                answers.head_too_large(f"the path and query are longer than {longest} bytes; shorten them", 414)
            )

    def add_header(self, name: bytes, value: bytes, *, in_head: bool) -> None:
        """A header, or a trailer, which is not kept. A header that comes twice has a value that neither would be."""
        self._headers += 1
        if self._headers > (most := self._limits.headers):
            raise Refused(answers.head_too_large(f"the request has more than {most} headers; send fewer"))
        if in_head and (field := _FIELDS.get(name.lower())):
            setattr(self, field, getattr(self, field) + value.strip().lower())

    def add_chunk(self) -> None:
        """The head of a chunk."""
        self._chunks += 1
        if self._chunks > (most := self._limits.chunks):
            why = f"the body has more than {most} chunks; use larger chunks or send a Content-Length"
            raise Refused(answers.not_http(why))

    def add_body(self, piece: bytes) -> None:
        """A part of the body; that of a request that is refused is thrown away."""
        self._read += len(piece)
        if self._read > MAXIMUM_BODY:
            raise Refused(self.failure or answers.TOO_LARGE)
        if not self.failure:
            self.body.append(piece)

    @property
    def expects(self) -> bool:
        """Whether the client waits to be told to go on (RFC 9110, 10.1.1)."""
        return self.expect == b"100-continue"

    def end_head(self, method: bytes, find: Callable[[str], Endpoint | None], *, upgrades: bool) -> None:
        """Find what answers it, or why it is answered unread."""
        target, _, self.query = self.target.partition(b"?")
        path = _path(target)
        endpoint = self.endpoint = find(path)
        self.has_token = endpoint is not None and path != endpoint.path
        # The parser takes zeros without end before a number of at most 20 digits.
        self.length = int(self.content_length[-20:] or 0)
        self.head_only = method == b"HEAD"
        if self.failure:
            return
        if upgrades:
            self.failure = answers.UPGRADE
        elif self.transfer_encoding not in (b"", b"chunked"):
            self.failure = answers.UNKNOWN_CODING
        elif endpoint is None:
            self.failure = answers.NOT_FOUND
        else:
            self.failure = refusal(method.decode(), self.content_type, self.content_encoding, self.length)


def _path(target: bytes) -> str:
    """The path of a target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not target.startswith(b"/"):
        try:
            target = httptools.parse_url(target).path or b""
        except httptools.HttpParserInvalidURLError:
            return ""
    path = target.decode("latin-1")
    return unquote(path) if "%" in path else path

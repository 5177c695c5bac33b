"""A request while it comes: what is needed of its head, and its body."""

from collections.abc import Callable
from urllib.parse import unquote

import httptools

from webhook.adapters.http import failures
from webhook.adapters.http.body import Body
from webhook.adapters.http.endpoint import Endpoint, refusal
from webhook.adapters.http.failures import Failure

# The headers that are needed, and where they are kept.
_FIELDS = {
    name.encode(): name.replace("-", "_")
    for name in ("content-type", "content-encoding", "content-length", "transfer-encoding", "expect")
}


class Request:
    """A request, as far as it is here.

    Attributes:
        endpoint: what answers it.
        failure: why it is answered unread instead.
        has_token: whether its path has the token that only the API server knows.
        headers, chunks, read: how many headers, chunks and bytes of the body have come.
        closes: whether the connection ends with its answer.
    """

    endpoint: Endpoint | None = None
    target = query = content_type = content_encoding = content_length = transfer_encoding = expect = b""
    headers = chunks = read = length = 0
    closes = head_only = has_token = False

    def __init__(self, failure: Failure | None = None) -> None:
        self.failure = failure
        self.body = Body()

    def keep(self, name: bytes, value: bytes) -> None:
        """Keep a header that is needed. One that comes twice has a value that neither would be."""
        if field := _FIELDS.get(name.lower()):
            setattr(self, field, getattr(self, field) + value.strip().lower())

    def head_is_complete(self, method: bytes, find: Callable[[str], Endpoint | None], *, upgrades: bool) -> None:
        """Find what answers it, or why it is answered unread."""
        target, _, self.query = self.target.partition(b"?")
        path = _path(target)
        endpoint = self.endpoint = find(path)
        self.has_token = endpoint is not None and path != endpoint.path
        self.head_only = method == b"HEAD"
        # The parser takes zeros without end before a number of at most 20 digits.
        self.length = int(self.content_length[-20:] or 0)
        if self.failure:
            return
        if upgrades:
            self.failure = failures.not_http("HTTP/1.1 is spoken here, and nothing that it could be upgraded to")
        elif self.transfer_encoding not in (b"", b"chunked"):
            self.failure = failures.UNKNOWN_CODING
        elif endpoint is None:
            self.failure = failures.NOT_FOUND
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

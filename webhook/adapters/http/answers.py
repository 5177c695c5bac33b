"""Answers, and failures as answers: a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides."""

from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from webhook.adapters.http.limits import MAXIMUM_BODY

CLOSE = (b"connection", b"close")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
# The ``reason`` of a Status, by its code.
_REASONS = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "RequestEntityTooLarge",
    414: "RequestURITooLong",
    415: "UnsupportedMediaType",
    431: "RequestHeaderFieldsTooLarge",
    500: "InternalError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
}
# The header that an answer with such a code has besides those that every answer has. kube-apiserver retries an answer with
# Retry-After within the webhook's timeout (client-go rest/with_retry.go).
HEADERS = {405: (b"allow", b"POST"), 503: (b"retry-after", b"1")}


class Answer(NamedTuple):
    """An HTTP answer with a body of JSON. Nothing from a request is in its headers."""

    code: int
    body: bytes


class Failure(NamedTuple):
    """An HTTP answer that is no review.

    Attributes:
        code: the status code.
        message: what is wrong.
        field: what the message is about; empty where it is about no field.
        closes: whether the connection must end with it.
        reason: what a refusal of all that comes is counted by, where the code does not say it (see ``Refusals``).
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
            "reason": _REASONS[self.code],
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


def not_http(message: str) -> Failure:
    """Return the failure for input that is not a supported HTTP/1.1 request."""
    return Failure(400, message, closes=True, reason="malformed")


def head_too_large(message: str, code: int = 431) -> Failure:
    """Return the failure for a head, or trailers, of which there is too much."""
    return Failure(code, message, closes=True, reason="head-size")


def as_bytes(answer: Answer, date: bytes, *, close: bool = False, head_only: bool = False) -> bytes:
    """An answer as it goes over the wire.

    With ``close`` the connection ends. That to a HEAD has a body's length and no body (``head_only``; RFC 9110, 9.3.2).
    """
    lines = [_STATUS_LINES[answer.code], b"date: ", date, b"\r\ncontent-type: application/json\r\n"]
    if header := HEADERS.get(answer.code):
        lines.append(b"%b: %b\r\n" % header)
    if close:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % len(answer.body))
    if not head_only:
        lines.append(answer.body)
    return b"".join(lines)


def http_date() -> bytes:
    """The time now, as the ``Date`` header has it (RFC 9110, 6.6.1)."""
    return formatdate(usegmt=True).encode()

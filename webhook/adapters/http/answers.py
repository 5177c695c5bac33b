"""Answers, and failures as answers: a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides."""

from functools import partial
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from .limits import MAXIMUM_BODY

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# The header that an answer with such a code has besides. kube-apiserver retries one with Retry-After within the webhook's
# timeout (client-go rest/with_retry.go).
HEADERS = {405: (b"allow", b"POST"), 503: (b"retry-after", b"1")}
_HEADS = {
    status.value: b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\n" % (status, status.phrase.encode())
    + (b"%b: %b\r\n" % HEADERS[status] if status in HEADERS else b"")
    for status in HTTPStatus
}
# The ``reason`` of a Status where it is not the code's own phrase in one word.
_REASONS = {413: "RequestEntityTooLarge", 414: "RequestURITooLong", 500: "InternalError"}


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
        reason: the reason under which a rejection is counted, where the code does not say it (see ``Rejections``).
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


# Of a message.
not_http = partial(Failure, 400, closes=True, reason="malformed")
head_too_large = partial(Failure, 431, closes=True, reason="head-size")


def as_bytes(answer: Answer, date: bytes, *, close: bool = False, head_only: bool = False) -> bytes:
    """An answer as it goes over the wire.

    With ``close`` the connection ends. The answer to a HEAD has the body's length and no body (``head_only``; RFC 9110, 9.3.2).
    """
    closing = b"connection: close\r\n" if close else b""
    head = b"%bdate: %b\r\n%bcontent-length: %d\r\n\r\n" % (_HEADS[answer.code], date, closing, len(answer.body))
    return head if head_only else head + answer.body

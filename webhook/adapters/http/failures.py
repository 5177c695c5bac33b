"""Failures as HTTP answers: a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides."""

import msgspec

from webhook.adapters.http.responses import RETRY, Answer, Headers


class Failure(Exception):  # noqa: N818 - an answer, carried up to where answers are sent
    """An HTTP answer that is no review.

    Attributes:
        closes: whether the connection must end with it.
    """

    def __init__(  # noqa: PLR0913 - the fields of a Status
        self, code: int, reason: str, message: str, field: str = "", headers: Headers = (), *, closes: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.field = field
        self.headers = headers
        self.closes = closes

    def answer(self) -> Answer:
        """The ``metav1.Status``, with the field as its cause where there is one."""
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": f"{self.field}: {self.message}" if self.field else self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.field:
            status["details"] = {"causes": [{"field": self.field, "message": self.message}]}
        return Answer(self.code, msgspec.json.encode(status), self.headers)


def bad_request(field: str, message: str) -> Failure:
    """400: the review can't be read."""
    return Failure(400, "BadRequest", message, field)


def not_http(message: str) -> Failure:
    """400: what was sent is no HTTP/1.1 request that is served here."""
    return Failure(400, "BadRequest", message, closes=True)


def forbidden(message: str) -> Failure:
    """403: a caller that may not call."""
    return Failure(403, "Forbidden", message, closes=True)


def not_found() -> Failure:
    """404: no such endpoint."""
    return Failure(404, "NotFound", "nothing is served at this path")


def method_not_allowed(method: str) -> Failure:
    """405: reviews come by POST only."""
    message = f"{method} is not served here; POST an AdmissionReview"
    return Failure(405, "MethodNotAllowed", message, headers=((b"allow", b"POST"),))


def too_large(limit: int) -> Failure:
    """413: answered before the body is read."""
    return Failure(413, "RequestEntityTooLarge", f"the body is larger than {limit} bytes", closes=True)


def unsupported_media_type(what: str) -> Failure:
    """415: neither JSON nor plain."""
    return Failure(415, "UnsupportedMediaType", what, closes=True)


def head_too_large(limit: int) -> Failure:
    """431: refused while it comes."""
    return Failure(431, "RequestHeaderFieldsTooLarge", f"the headers are larger than {limit} bytes", closes=True)


def too_many_headers(most: int) -> Failure:
    """431: refused while they come."""
    return Failure(431, "RequestHeaderFieldsTooLarge", f"there are more than {most} headers", closes=True)


def internal_error() -> Failure:
    """500: our own fault. What it was stands in the log, not in the answer."""
    return Failure(500, "InternalError", "gpuwarden failed on this request; its log says why")


def unknown_coding() -> Failure:
    """501: a transfer coding that is not chunked alone (RFC 9112, 6.1)."""
    return Failure(501, "NotImplemented", 'Transfer-Encoding must be "chunked"', closes=True)


def unavailable(message: str) -> Failure:
    """503: not now, and the API server may ask again at once."""
    return Failure(503, "ServiceUnavailable", message, headers=(RETRY,))


def overloaded() -> Failure:
    """503: shed unread, because answers are already late."""
    return unavailable("gpuwarden has more to answer than it can; try again")


def no_memory() -> Failure:
    """503: the bodies that others are sending take all the room there is."""
    message = "gpuwarden has no room to read this; try again"
    return Failure(503, "ServiceUnavailable", message, headers=(RETRY,), closes=True)

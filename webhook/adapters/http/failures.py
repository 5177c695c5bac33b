"""Failures as HTTP answers: a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides."""

from typing import NamedTuple

import msgspec

from webhook.adapters.http.limits import MAXIMUM_BODY
from webhook.adapters.http.responses import ALLOW_POST, RETRY, Answer, Headers


class Failure(NamedTuple):
    """An HTTP answer that is no review.

    Attributes:
        code: the status code.
        reason: the Status's.
        message: likewise.
        field: what the message is about; empty where it is about no field.
        headers: those that not every answer has.
        closes: whether the connection must end with it.
    """

    code: int
    reason: str
    message: str
    field: str = ""
    headers: Headers = ()
    closes: bool = False

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
    """The review can't be read."""
    return Failure(400, "BadRequest", message, field)


def not_http(message: str) -> Failure:
    """What was sent is no HTTP/1.1 request that is served here."""
    return Failure(400, "BadRequest", message, closes=True)


def forbidden(message: str) -> Failure:
    """A caller that may not call."""
    return Failure(403, "Forbidden", message, closes=True)


def method_not_allowed(method: str) -> Failure:
    """Reviews come by POST only."""
    message = f"{method} is not served here; POST an AdmissionReview"
    return Failure(405, "MethodNotAllowed", message, headers=(ALLOW_POST,))


def unsupported_media_type(what: str) -> Failure:
    """Neither JSON nor plain."""
    return Failure(415, "UnsupportedMediaType", what, closes=True)


def target_too_long(what: str) -> Failure:
    """Refused while it comes."""
    return Failure(414, "RequestURITooLong", what, closes=True)


def head_too_large(what: str) -> Failure:
    """Refused while it comes."""
    return Failure(431, "RequestHeaderFieldsTooLarge", what, closes=True)


def unavailable(message: str) -> Failure:
    """Not now, and the API server may ask again at once."""
    return Failure(503, "ServiceUnavailable", message, headers=(RETRY,))


NOT_FOUND = Failure(404, "NotFound", "nothing is served at this path")
TOO_LARGE = Failure(413, "RequestEntityTooLarge", f"the body is larger than {MAXIMUM_BODY} bytes", closes=True)
INTERNAL_ERROR = Failure(500, "InternalError", "gpuwarden failed on this request; its log says why")
UNKNOWN_CODING = Failure(501, "NotImplemented", 'Transfer-Encoding must be "chunked"', closes=True)
OVERLOADED = unavailable("gpuwarden has more to answer than it can; try again")
NO_MEMORY = Failure(
    503, "ServiceUnavailable", "gpuwarden has no room to read this; try again", headers=(RETRY,), closes=True
)

"""Failures as HTTP answers: a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides."""

from typing import NamedTuple

import msgspec

from webhook.adapters.http.limits import MAXIMUM_BODY
from webhook.adapters.http.responses import ALLOW_POST, RETRY, Answer

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
_HEADERS = {405: (ALLOW_POST,), 503: (RETRY,)}


class Failure(NamedTuple):
    """An HTTP answer that is no review.

    Attributes:
        code: the status code.
        message: what is wrong.
        field: what the message is about; empty where it is about no field.
        closes: whether the connection must end with it.
    """

    code: int
    message: str
    field: str = ""
    closes: bool = False

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
        return Answer(self.code, msgspec.json.encode(status), _HEADERS.get(self.code, ()))


NOT_FOUND = Failure(404, "this path is not served; see the paths in the webhook configurations")
TOO_LARGE = Failure(413, f"the body is larger than {MAXIMUM_BODY} bytes; send a smaller object", closes=True)
INTERNAL_ERROR = Failure(500, "internal error in gpuwarden; see its log")
UNKNOWN_CODING = Failure(501, 'Transfer-Encoding must be "chunked"', closes=True)
OVERLOADED = Failure(503, "gpuwarden is overloaded; try again")
NO_MEMORY = Failure(503, "gpuwarden has no memory left for this request (--max-memory); try again", closes=True)


def not_http(message: str) -> Failure:
    """Return the failure for input that is not a supported HTTP/1.1 request."""
    return Failure(400, message, closes=True)

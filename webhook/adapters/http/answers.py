"""Answers, for our own HTTP server and for ASGI: reviews, and errors for requests that are rejected.

An error is a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides.
"""

from functools import partial
from http import HTTPStatus

import msgspec

from .limits import MAXIMUM_BODY

# The additional header of an answer with such a code. kube-apiserver retries one with Retry-After within the webhook's
# timeout (client-go rest/with_retry.go).
HEADERS = {405: {"allow": "POST"}, 503: {"retry-after": "1"}}
# The ``reason`` of a Status, if it is not the code's own phrase in one word.
_REASONS = {413: "RequestEntityTooLarge", 414: "RequestURITooLong", 500: "InternalError"}


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An HTTP answer with a body of JSON."""

    code: int
    body: bytes  # a review, or a ``metav1.Status``
    message: str = ""  # what is wrong, for the log
    closes: bool = False  # whether the connection must end with it
    reason: str = ""  # under which a rejection is counted (see ``Rejections``), unless its code says enough


def failure(code: int, message: str, field: str = "", *, closes: bool = False, reason: str = "") -> Answer:
    """Return an answer that is not a review; ``field`` is the one that the message is about, if any."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": f"{field}: {message}" if field else message,
        "reason": _REASONS.get(code) or HTTPStatus(code).phrase.replace(" ", ""),
        "code": code,
    }
    if field:
        status["details"] = {"causes": [{"field": field, "message": message}]}
    return Answer(code, msgspec.json.encode(status), message, closes, reason)


NOT_FOUND = failure(404, "this path is not served; see the paths in the webhook configurations")
TOO_LARGE = failure(413, f"the body is larger than {MAXIMUM_BODY} bytes; send a smaller object", closes=True)
INTERNAL_ERROR = failure(500, "internal error in gpuwarden; see its log")
UPGRADE = failure(400, "Upgrade and CONNECT are not supported; send a plain HTTP/1.1 request", closes=True)
UNKNOWN_CODING = failure(501, 'Transfer-Encoding must be "chunked"', closes=True)
OVERLOADED = failure(503, "gpuwarden is overloaded; try again")
NO_MEMORY = failure(
    503, "gpuwarden has no memory left for this request (--max-memory); try again", closes=True, reason="memory"
)

# Failures with a message of their own.
not_http = partial(failure, 400, closes=True, reason="malformed")
target_too_long = partial(failure, 414, closes=True, reason="head-size")
head_too_large = partial(failure, 431, closes=True, reason="head-size")

"""Failures as HTTP answers: a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides."""

import msgspec

Headers = list[tuple[bytes, bytes]]
# Codes of failures that are found before the body is read.
BODY_UNREAD = (405, 413, 415)


class Failure(Exception):  # noqa: N818 - an answer, carried up to where answers are sent
    """An HTTP answer that is no review."""

    def __init__(self, code: int, reason: str, message: str, field: str = "", *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.field = field
        self.headers = headers

    def body(self) -> bytes:
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
        return msgspec.json.encode(status)


# kube-apiserver retries an answer with Retry-After within the webhook's timeout (client-go rest/with_retry.go).
RETRY = (b"retry-after", b"1")
# The rest of a body that nobody reads would stand before the connection's next request.
CLOSE = (b"connection", b"close")


def bad_request(field: str, message: str) -> Failure:
    """400: the review can't be read."""
    return Failure(400, "BadRequest", message, field)


def method_not_allowed(method: str) -> Failure:
    """405: reviews come by POST only."""
    return Failure(
        405, "MethodNotAllowed", f"{method} is not served here; POST an AdmissionReview", "", (b"allow", b"POST")
    )


def too_large(limit: int) -> Failure:
    """413: answered before the body is read."""
    return Failure(413, "RequestEntityTooLarge", f"the body is larger than {limit} bytes", "", CLOSE)


def unsupported_media_type(what: str) -> Failure:
    """415: neither JSON nor plain."""
    return Failure(415, "UnsupportedMediaType", what, "", CLOSE)


def unavailable(message: str) -> Failure:
    """503: not now, and the API server may ask again at once."""
    return Failure(503, "ServiceUnavailable", message, "", RETRY)


def internal_error() -> Failure:
    """500: our own fault. What it was stands in the log, not in the answer."""
    return Failure(500, "InternalError", "gpuwarden failed on this request; its log says why")

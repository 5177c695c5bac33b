"""Failures as HTTP answers: a ``metav1.Status`` that names the field, so that the API server's failurePolicy decides."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

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


def answering(failure: Failure) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """The ASGI application that answers everything by one failure."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        body = failure.body()
        headers = [*failure.headers, *_describing(body)]
        await send({"type": "http.response.start", "status": failure.code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def as_bytes(failure: Failure) -> bytes:
    """A failure as it goes over the wire, for where there is no request that could be answered."""
    body = failure.body()
    head = b"HTTP/1.1 %d %s\r\n" % (failure.code, HTTPStatus(failure.code).phrase.encode())
    lines = (b"%s: %s\r\n" % header for header in (*failure.headers, *_describing(body)))
    return b"".join((head, *lines, b"\r\n", body))


def _describing(body: bytes) -> Headers:
    return [JSON, (b"content-length", b"%d" % len(body))]


JSON = (b"content-type", b"application/json")
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


def head_too_large(limit: int) -> Failure:
    """431: refused while it comes."""
    return Failure(431, "RequestHeaderFieldsTooLarge", f"the headers are larger than {limit} bytes", "", CLOSE)


def forbidden(message: str) -> Failure:
    """403: a caller that may not call."""
    return Failure(403, "Forbidden", message, "", CLOSE)


def unsupported_media_type(what: str) -> Failure:
    """415: neither JSON nor plain."""
    return Failure(415, "UnsupportedMediaType", what, "", CLOSE)


def unavailable(message: str) -> Failure:
    """503: not now, and the API server may ask again at once."""
    return Failure(503, "ServiceUnavailable", message, "", RETRY)


def overloaded() -> Failure:
    """503: shed unread, because answers are already late."""
    return Failure(503, "ServiceUnavailable", "gpuwarden has more to answer than it can; try again", "", RETRY)


def no_memory() -> Failure:
    """503: the bodies that others are sending take all the room there is."""
    return Failure(503, "ServiceUnavailable", "gpuwarden has no room to read this; try again", "", RETRY, CLOSE)


def internal_error() -> Failure:
    """500: our own fault. What it was stands in the log, not in the answer."""
    return Failure(500, "InternalError", "gpuwarden failed on this request; its log says why")

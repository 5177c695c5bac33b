"""An admission endpoint: answers the body of a POST, for our own HTTP server and for ASGI."""

import re
from collections.abc import Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any

import structlog

from ...application.claims import ClaimUnavailable
from ...application.namespaces import NamespaceNotFound, NamespaceUnavailable
from ...application.reservations import PodUnavailable
from ...application.review import Answering, ReviewError
from .answers import INTERNAL_ERROR, TOO_LARGE, Answer, failure
from .limits import MAXIMUM_BODY

# How long the API server waits: by default, which other clients (curl) get too, and at most (admissionregistration/v1).
DEFAULT_SECONDS, MOST_SECONDS = 10.0, 30.0
# apiserver pkg/admission/plugin/webhook/validating/dispatcher.go rounds up to whole seconds.
_TIMEOUT = re.compile(rb"(?:^|&)timeout=([0-9]{1,3})s(?:&|$)")

# Called with each request's path, HTTP status code and duration.
Observe = Callable[[str, int, float], None]
_log = structlog.get_logger("gpuwarden.http")


class AdmissionEndpoint:
    """Answers POSTed AdmissionReviews by a function from bytes to bytes, and everything else with an HTTP error.

    The function deliberately raises only ``ReviewError`` or a namespace's error. It is called with the body, and if ``timed``
    with the seconds that are left for the answer.
    """

    def __init__(self, path: str, answer: Callable[..., Answering], observe: Observe, *, timed: bool = False) -> None:
        self.path = path
        self._answer = answer
        self._observe = observe
        self._timed = timed

    def answer(self, body: bytes, query: bytes = b"") -> Answer | Coroutine[Any, Any, Answer]:
        """The answer to a POST that ``refusal`` does not reject, or a coroutine that returns it."""
        started = perf_counter()
        try:
            made = self._answer(body, allowed_seconds(query)) if self._timed else self._answer(body)
            if not isinstance(made, bytes):
                return self._wait(made, started)
            answer = Answer(200, made)
        except Exception as error:  # noqa: BLE001 - every way to fail has an answer; an unknown one is counted as 500 and logged
            answer = self._failed(error)
        self._observe(self.path, answer.code, perf_counter() - started)
        return answer

    def refuse(self, refusal: Answer) -> Answer:
        """The answer to a request whose body is not read."""
        self._observe(self.path, refusal.code, 0.0)
        return refusal

    async def _wait(self, waiting: Coroutine[Any, Any, bytes], started: float) -> Answer:
        try:
            answer = Answer(200, await waiting)
        except Exception as error:  # noqa: BLE001 - as above
            answer = self._failed(error)
        self._observe(self.path, answer.code, perf_counter() - started)
        return answer

    def _failed(self, error: Exception) -> Answer:
        match error:
            case ReviewError():
                return failure(400, error.message, error.field)
            case NamespaceUnavailable() | NamespaceNotFound() | ClaimUnavailable():
                return failure(503, str(error))
            case PodUnavailable():
                # Without Retry-After: the scheduler tries again by itself, and its event then says why.
                return failure(502, str(error))
        # The traceback names code, not data: the review may hold secrets and is never logged.
        _log.error("request failed", path=self.path, exc_info=error)
        return INTERNAL_ERROR


def allowed_seconds(query: bytes) -> float:
    """How many seconds the API server waits, from its ``?timeout=2s``; otherwise the API's default."""
    said = _TIMEOUT.search(query)
    return min(MOST_SECONDS, float(said[1])) if said else DEFAULT_SECONDS


def refusal(method: bytes, headers: Mapping[bytes, bytes], length: int) -> Answer | None:
    """Why a request is rejected before its body is read; ``None`` when it is not. The names of headers are lowercase."""
    if method != b"POST":
        return failure(405, f"method {method.decode()} is not supported; POST an AdmissionReview")
    if length > MAXIMUM_BODY:
        return TOO_LARGE
    if (headers.get(b"content-encoding") or b"identity").lower() != b"identity":
        return failure(415, "Content-Encoding is not supported; send uncompressed JSON", closes=True)
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        return failure(415, "Content-Type is not supported; set it to application/json", closes=True)
    return None

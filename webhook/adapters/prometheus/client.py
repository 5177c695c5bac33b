"""The part of Prometheus' HTTP API that is used: instant queries, and which series there are; by POST, bounded in time and size.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/. What the server says beside an answer (``warnings``,
``infos``: Thanos' partial answers) is kept in its own words.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from ..kubernetes.api_request import ApiRequest
from ..kubernetes.backoff import Backoff
from ..kubernetes.documents import decode
from ..kubernetes.errors import ApiError, Fault, fault_of
from ..kubernetes.transport import read
from .connection import PrometheusConnection, timeout_of

ATTEMPTS = 3
TIMEOUT = 150.0  # seconds for an answer; the server's own limit is 120 by default (--query.timeout)
_FORM = "application/x-www-form-urlencoded"
_OK, _REDIRECT, _ERROR, _SERVER_ERROR = 200, 300, 400, 500
_PASSING = frozenset({Fault.THROTTLED, Fault.SERVER_ERROR, Fault.CUT})
_TOO_MUCH = frozenset({"timeout", "execution", "canceled", "too_large"})
_LONGEST = 300  # characters of a server's sentence
_FIXES = {
    401: "it takes no request without credentials; see --prometheus-token-file, --prometheus-user and --prometheus-client-cert",
    403: "these credentials may not query it; use others, or permit them to",
    404: "there is no Prometheus API here; name what comes before /api/v1",
    405: "it takes no POST requests; name the server itself, or a proxy that lets them through",
}
_NO_PROMETHEUS = "is this a Prometheus? name what comes before /api/v1"
_LATER = "try again when it is up, or read a saved file with --usage"
_NEW_PLACE = "redirects are not followed, so that credentials go nowhere else; name the new URL if it is right"
_NO_TRUST = "CERTIFICATE_VERIFY_FAILED"  # of OpenSSL
T = TypeVar("T")


class Sample(msgspec.Struct):
    """One element of an instant vector."""

    metric: dict[str, str]
    value: tuple[float, str]

    @property
    def number(self) -> float:
        """The value."""
        return float(self.value[1])


class _Vector(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[Sample] | None


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    error_type: str = ""
    error: str = ""
    warnings: list[str] | None = None
    infos: list[str] | None = None
    message: str = ""
    """Of the API server's Status, where it does not pass the request on."""


class QueryError(Exception):
    """A query that brought no usable answer.

    Attributes:
        detail: a sentence for a person.
        too_much: less might succeed: it took too long, or the answer is too large.
    """

    def __init__(self, detail: str, *, too_much: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.too_much = too_much


class Prometheus:
    """A server. Safe to use from several threads.

    Args:
        connection: where it is.
        backoff: makes the delays between attempts.
        timeout: seconds for one attempt.
    """

    def __init__(
        self,
        connection: PrometheusConnection,
        backoff: Callable[[], Backoff],
        *,
        timeout: float = TIMEOUT,
        wait: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._backoff = backoff
        self._timeout = timeout
        self._wait = wait
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.requests = 0
        """How many were sent."""
        self.warnings: dict[str, None] = {}
        """What the server said beside its answers, each once."""

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._connection.url

    def query(self, expression: str, at: float) -> list[Sample]:
        """Return an expression's value at a time (seconds since 1970), which must be an instant vector.

        Raises:
            QueryError: there was no usable answer.
        """
        data = self._post("/api/v1/query", [("query", expression), ("time", f"{at:.3f}")])
        vector = self._decoded(data, _Vector)
        if vector.result_type != "vector":
            raise QueryError(f"{self.url}: the answer is a {vector.result_type[:_LONGEST]}, and a vector was asked for")
        found = vector.result or []
        try:
            [one.number for one in found]
        except ValueError as error:
            raise QueryError(f"{self.url}: a value of the answer is not a number: {error}") from error
        return found

    def series(self, selectors: Sequence[str], start: float, end: float) -> list[dict[str, str]]:
        """Return the labels of all series that any of these selectors selects within a time.

        Raises:
            QueryError: there was no usable answer.
        """
        form = [("match[]", one) for one in selectors] + [("start", f"{start:.3f}"), ("end", f"{end:.3f}")]
        labels: list[dict[str, str]] = self._decoded(self._post("/api/v1/series", form), list[dict[str, str]])
        return labels

    def _decoded(self, data: msgspec.Raw, kind: type[T]) -> T:
        try:
            return decode(data, kind, f"{self.url}: the answer")
        except ApiError as error:
            raise QueryError(error.detail) from error

    def _post(self, path: str, form: Sequence[tuple[str, str]]) -> msgspec.Raw:
        request = ApiRequest("POST", path, body=urlencode(form).encode(), content_type=_FORM)
        backoff = self._backoff()
        for _ in range(ATTEMPTS - 1):
            try:
                return self._attempt(request)
            except ApiError as error:
                if error.fault not in _PASSING:
                    raise self._failed(error) from error
                self._wait(backoff.delay(error.retry_after))
        try:
            return self._attempt(request)
        except ApiError as error:
            raise self._failed(error) from error

    def _failed(self, error: ApiError) -> QueryError:
        fix = (
            "; name the authority that signed its certificate with --prometheus-ca-file"
            if _NO_TRUST in error.detail
            else ""
        )
        return QueryError(f"{self.url}: {error.detail}{fix}", too_much=error.fault is Fault.SILENT)

    def _attempt(self, request: ApiRequest) -> msgspec.Raw:
        until = self._monotonic() + self._timeout
        with self._lock:
            self.requests += 1
        try:
            response = self._connection.send(request, timeout_of(self._timeout))
        except OSError as error:
            raise QueryError(f"{error.filename}: the credential can't be read: {error.strerror}") from error
        try:
            body = read(response, request, lambda: self._monotonic() < until)
        except ApiError as error:
            if error.fault is Fault.GARBAGE and error.__cause__ is None:  # it is too large
                raise QueryError(f"{self.url}: {error.detail}", too_much=True) from error
            raise
        finally:
            response.close()
        retry_after = response.headers.get("Retry-After", "")
        return self._understood(response, body, float(retry_after) if retry_after.isdecimal() else None)

    def _understood(self, response: urllib3.BaseHTTPResponse, body: bytes, retry_after: float | None) -> msgspec.Raw:
        """The data of an answer; errors that Prometheus explains are in its words, whatever the status."""
        status = response.status
        fix = _fix(status)
        try:
            answer = decode(body, _Answer, "the answer")
        except ApiError as error:
            if _OK <= status < _REDIRECT:
                raise ApiError(error.fault, f"{error.detail}; {_NO_PROMETHEUS}") from error
            place = response.headers.get("Location", "")[:_LONGEST] if status < _ERROR else ""
            page = body[:_LONGEST].decode(errors="replace")
            line = " ".join(" ".join((str(status), place and f"to {place}", page)).split())
            raise ApiError(fault_of(status), f"{line}{fix}", retry_after=retry_after) from error
        with self._lock:
            said = (*(answer.warnings or ()), *(answer.infos or ()))
            self.warnings.update(dict.fromkeys(one[:_LONGEST].strip() for one in said))
        if answer.status == "success" and _OK <= status < _REDIRECT:
            return answer.data
        if answer.error_type in _TOO_MUCH:
            raise QueryError(f"{self.url}: {_said(answer.error_type, answer.error)}", too_much=True)
        said_why = _said(answer.error_type, answer.error) if answer.error else _said("", answer.message)
        said_why = f"{said_why or f'{status} without a reason'}{fix}"
        raise ApiError(fault_of(status) if status >= _REDIRECT else Fault.REFUSED, said_why, retry_after=retry_after)


def _said(kind: str, text: str) -> str:
    """What the server says of an error: its kind, where it names one, and a text, of which neither has space around it."""
    return ": ".join(filter(None, (kind.strip(), text[:_LONGEST].strip())))


def _fix(status: int) -> str:
    """What to do about a status, to follow what the server said."""
    if _REDIRECT <= status < _ERROR:
        return f"; {_NEW_PLACE}"
    fix = _LATER if status >= _SERVER_ERROR else _FIXES.get(status, "")
    return fix and f"; {fix}"

"""The part of Prometheus' HTTP API that is used: instant queries and lists of series, by POST, with limits of time and size.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/. The server's warnings (``warnings`` and ``infos``, such as
Thanos' partial answers) are kept verbatim.
"""

import re
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
from ..kubernetes.transport import Login, read, send

ATTEMPTS = 3
TIMEOUT = 150.0  # seconds for an answer; the server's own limit is 120 by default (--query.timeout)
_FORM = "application/x-www-form-urlencoded"
_OK, _REDIRECT, _ERROR, _SERVER_ERROR = 200, 300, 400, 500
_PASSING = frozenset({Fault.THROTTLED, Fault.SERVER_ERROR, Fault.CUT})
PATIENCE = 4  # times the limit of an attempt: for how long a server may leave every request without an answer
_TOO_MUCH = frozenset(
    {"timeout", "execution", "canceled", "too_large", "422"}
)  # 422: VictoriaMetrics, for any failed query
_TOO_LONG, _TOO_SLOW = 413, 504  # a proxy's statuses for a query that is too long, and for one that takes too long
_LONGEST = 300  # characters of a server's sentence
_FIXES = {
    401: "it rejects requests without credentials; see --prometheus-token-file, --prometheus-user and --prometheus-client-cert",
    403: "these credentials are not allowed to query it; use others, or grant them access",
    404: "there is no Prometheus API at this URL; give the URL up to /api/v1",
    405: "it rejects POST requests; give the URL of the server itself, or of a proxy that passes them on",
    429: "it limits the rate of requests; try again later, or read fewer namespaces at a time (-n)",
}
_NO_PROMETHEUS = "is this a Prometheus? give the URL up to /api/v1"
_LATER = "try again when it is up, or read a saved file with --usage"
_NEW_PLACE = "redirects are not followed, so that credentials are not sent elsewhere; give the new URL if it is correct"
# The fix for a failure of TLS, by OpenSSL's words; the first that matches.
_TLS_FIXES = (
    ("is not valid for", "use a URL with a name or an address that its certificate is for"),
    ("has expired|not yet valid", "renew its certificate, or correct the clock of this machine"),
    ("CERTIFICATE_VERIFY_FAILED", "name the authority that signed its certificate with --prometheus-ca-file"),
    ("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE", "this port does not speak TLS; is it a URL with http://?"),
    (
        "ALERT_(BAD_CERTIFICATE|CERTIFICATE_|UNKNOWN_CA|HANDSHAKE_FAILURE)",
        "it requires a client certificate that it trusts; name one with --prometheus-client-cert and --prometheus-client-key",
    ),
)
_UNREACHABLE = "check the URL, and that it is up and can be reached from here, or read a saved file with --usage"
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
    """The message of the API server's Status, if it does not forward the request."""


class QueryError(Exception):
    """A query without a usable answer; ``too_much`` means that a smaller one might succeed."""

    def __init__(self, detail: str, *, too_much: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.too_much = too_much


class ProxyTimeoutError(QueryError):
    """A proxy got no answer from the server in time."""


class Prometheus:
    """A server. Safe to use from several threads; ``timeout`` is the seconds for one attempt."""

    def __init__(
        self,
        login: Login,
        backoff: Callable[[], Backoff],
        *,
        timeout: float = TIMEOUT,
        wait: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._login = login
        self._backoff = backoff
        self._timeout = timeout
        self._wait = wait
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.requests = 0
        """How many requests were sent."""
        self._silent_since: float | None = None
        """When the first of the requests began that got no answer in time; ``None`` if there was an answer since."""
        self.warnings: dict[str, None] = {}
        """The server's warnings, each once."""

    @property
    def url(self) -> str:
        """The server's URL, for people."""
        return self._login.host

    def query(self, expression: str, at: float) -> list[Sample]:
        """Return an expression's value at a time (seconds since 1970), which must be an instant vector.

        Raises:
            QueryError: there was no usable answer.
        """
        data = self._post("/api/v1/query", [("query", expression), ("time", f"{at:.3f}")])
        vector = self._decoded(data, _Vector)
        if vector.result_type != "vector":
            raise QueryError(f"{self.url}: the answer is a {vector.result_type[:_LONGEST]}, not a vector")
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
        backoff, attempt = self._backoff(), 1
        while True:
            try:
                return self._attempt(request)
            except ApiError as error:
                if attempt == ATTEMPTS or error.fault not in _PASSING:
                    raise self._failed(error) from error
                self._wait(backoff.delay(error.retry_after))
            attempt += 1

    def _failed(self, error: ApiError) -> QueryError:
        if error.fault is Fault.SILENT:
            return QueryError(f"{self.url}: {error.detail} ({self._timeout:g} s)", too_much=True)
        fix = ""
        if error.fault is Fault.UNREACHABLE:
            fixes = (words for found, words in _TLS_FIXES if re.search(found, error.detail))
            fix = f"; {next(fixes, _UNREACHABLE)}"
        return QueryError(f"{self.url}: {error.detail}{fix}")

    def _attempt(self, request: ApiRequest) -> msgspec.Raw:
        """Send a request once, unless the server has not answered for long.

        A smaller query may succeed where a large one takes too long, but not at a server that is down: without this limit, each
        half of each query would be waited for.
        """
        begun = self._monotonic()
        with self._lock:
            since = self._silent_since
        if since is not None and begun - since >= PATIENCE * self._timeout:
            raise QueryError(f"{self.url}: no answer to any request for {begun - since:.0f} s; {_LATER}")
        is_silent = False
        try:
            return self._sent(request)
        except ApiError as error:
            is_silent = error.fault is Fault.SILENT
            raise
        except ProxyTimeoutError:
            is_silent = True
            raise
        finally:
            with self._lock:
                if not is_silent:
                    self._silent_since = None
                elif self._silent_since is None:  # another thread may have got an answer meanwhile
                    self._silent_since = begun

    def _sent(self, request: ApiRequest) -> msgspec.Raw:
        until = self._monotonic() + self._timeout
        with self._lock:
            self.requests += 1
        response = send(self._login, request, total=self._timeout)
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
        """Return the data of an answer; an error that Prometheus explains is reported in its words, whatever the status."""
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
            if status in {_TOO_LONG, _TOO_SLOW}:
                kind = ProxyTimeoutError if status == _TOO_SLOW else QueryError
                raise kind(f"{self.url}: {line}", too_much=True) from error
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
        raise ApiError(fault_of(status) if status >= _REDIRECT else Fault.REJECTED, said_why, retry_after=retry_after)


def _said(kind: str, text: str) -> str:
    """The server's error: its kind, if it names one, and its text."""
    return ": ".join(filter(None, (kind.strip(), text[:_LONGEST].strip())))


def _fix(status: int) -> str:
    """The fix for a status, to be appended to the server's error."""
    if _REDIRECT <= status < _ERROR:
        return f"; {_NEW_PLACE}"
    fix = _LATER if status >= _SERVER_ERROR else _FIXES.get(status, "")
    return fix and f"; {fix}"

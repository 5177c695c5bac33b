"""The API server as one object: a request with a deadline, or a stream, and a new login when the old one is rejected.

The official client's typed calls, its ``Watch`` and its informer (version 37.0.2) are not used: its models cost 30 MiB for
4,000 namespaces and 0.6 s of start-up; ``Watch`` hangs forever on a half-open connection unless both time limits are set,
yields ``None`` for a line that is not JSON, raises ``KeyError`` on a 410 when models are off, and then doesn't advance the
resource version either; the informer sets no time limit, lists without pages, retries errors without a pause and can't say
whether it has synced or how old it is. So the official client does what it does well (logins with a kubeconfig: see
``kubeconfig_login.py``), and the few calls are made here on urllib3's connections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from .api_request import ApiRequest
from .documents import error_of
from .errors import ApiError, Fault, KubeconfigError, fault_of
from .transport import CONNECT_TIMEOUT, Login, Stream, read, send

if TYPE_CHECKING:
    import urllib3

LOGIN_INTERVAL = 10.0  # seconds between two attempts to log in again
_OK, _REDIRECT, _UNAUTHORIZED = 200, 300, 401


class ApiServer:
    """The API server, with the identity that ``log_in`` returns. Safe to use from several threads.

    Args:
        log_in: returns a login; called again when the server answers 401, so that rotated credentials (token, client
            certificate, the kubeconfig itself) are read again.
        witness: called with every answer's ``Date``, and how many seconds the answer took.

    Raises:
        KubeconfigError: there is no usable configuration.
    """

    def __init__(
        self,
        log_in: Callable[[], Login],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        witness: Callable[[datetime, float], None] = lambda _said, _took: None,
    ) -> None:
        self._log_in = log_in
        self._monotonic = monotonic
        self._witness = witness
        self._renewing = threading.Lock()
        self._login = log_in()
        self._renewed_at = float("-inf")

    @property
    def host(self) -> str:
        """The server's URL."""
        return self._login.host

    def call(self, request: ApiRequest, *, timeout: float) -> bytes:
        """Make one request and return the answer's body.

        Only a GET whose kept-alive connection was closed is retried, as in client-go.

        ``timeout`` is for the whole request. A call can take longer: the last wait for data may begin just before the timeout,
        and urllib3 limits each read of an answer's head, not all of them together. Reviews have a limit of their own (see
        ``live_reads.py``).

        Raises:
            ApiError: there was no answer in time, or it was not a success.
        """
        deadline = self._monotonic() + timeout
        try:
            return self._attempt(request, deadline)
        except ApiError as error:
            if request.method != "GET" or error.fault is not Fault.CUT:
                raise
        return self._attempt(request, deadline)

    @contextmanager
    def stream(self, request: ApiRequest, *, silence: float) -> Iterator[Stream]:
        """Open a streamed answer.

        A connection without data for ``silence`` seconds counts as dead.

        Raises:
            ApiError: there was no answer in time, or it was not a success.
        """
        with self._answer(request, silence=silence) as response:
            yield Stream(response, request)

    def drop_connections(self) -> None:
        """Close kept-alive connections, because one of them was dead. Connections in use are not affected."""
        self._login.connections.clear()

    def _attempt(self, request: ApiRequest, deadline: float) -> bytes:
        left = deadline - self._monotonic()
        if left <= 0:
            raise ApiError(Fault.SILENT, f"{request}: no answer in time")
        with self._answer(request, total=left) as response:
            return read(response, request, lambda: self._monotonic() < deadline)

    @contextmanager
    def _answer(
        self, request: ApiRequest, *, total: float | None = None, silence: float | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        login = self._login
        response = self._send(login, request, total, silence)
        if response.status == _UNAUTHORIZED and self._renew(login):
            response.close()
            response = self._send(self._login, request, total, silence)
        try:
            if not _OK <= response.status < _REDIRECT:
                raise self._refusal(response, request)
            yield response
        finally:
            # If the answer was read to its end, its connection was returned to the pool; otherwise it can't be used again.
            response.close()

    def _send(
        self, login: Login, request: ApiRequest, total: float | None, silence: float | None
    ) -> urllib3.BaseHTTPResponse:
        asked = self._monotonic()
        response = send(login, request, total=total, read=silence)
        # kube-apiserver (net/http) sends a Date with every answer; an invalid date is ignored.
        with suppress(ValueError, TypeError, OverflowError):
            said = parsedate_to_datetime(response.headers.get("Date", ""))
            self._witness(said.astimezone(UTC), self._monotonic() - asked)
        return response

    def _refusal(self, response: urllib3.BaseHTTPResponse, request: ApiRequest) -> ApiError:
        until = self._monotonic() + CONNECT_TIMEOUT
        status = error_of(read(response, request, lambda: self._monotonic() < until))
        retry_after = response.headers.get("Retry-After", "")
        return ApiError(
            fault_of(response.status),
            f"{request}: {response.status} {status.message}".rstrip()
            + ("; log in again, or renew the credentials" if response.status == _UNAUTHORIZED else ""),
            retry_after=float(retry_after) if retry_after.isdecimal() else None,  # the API server sends no dates
            missing=status.missing,
        )

    def _renew(self, refused: Login) -> bool:
        """Log in again, unless another thread has just done so or it was tried a moment ago. Return whether to retry."""
        with self._renewing:
            if self._login is not refused:
                return True
            if self._monotonic() - self._renewed_at < LOGIN_INTERVAL:
                return False
            self._renewed_at = self._monotonic()
            with suppress(KubeconfigError):  # the server's 401 is then reported
                self._login = self._log_in()
                refused.connections.clear()
                return True
            return False

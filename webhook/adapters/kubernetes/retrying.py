"""Requests that are retried after temporary failures, when the server says so or with growing delays."""

import time
from collections.abc import Callable

from .api_request import ApiRequest
from .backoff import Backoff
from .client import ApiServer
from .errors import ApiError, Fault

TIMEOUT = 60.0  # seconds for an answer: a page of 500 pods is some megabytes
ATTEMPTS = 5  # at one request
# Temporary faults: always, and on a server that has answered before. 429 means that nothing was done.
_PASSING = frozenset({Fault.THROTTLED, Fault.SERVER_ERROR})
_PASSING_ONCE_REACHED = frozenset({Fault.SILENT, Fault.CUT, Fault.UNREACHABLE})


class RetryingApi:
    """The API server for a program that makes one request after another, and can wait for each."""

    def __init__(self, api: ApiServer, backoff: Backoff, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._backoff = backoff
        self._wait = wait
        self._reached = False

    @property
    def host(self) -> str:
        """The server's URL."""
        return self._api.host

    def call(self, request: ApiRequest) -> bytes:
        """Make a request and return the answer's body; a write is retried only after 429.

        Raises:
            ApiError: the failure is permanent, or was repeated too often.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return self._answer(request)
            except ApiError as error:
                if not self._passes(request, error.fault):
                    raise
                if error.fault in _PASSING_ONCE_REACHED:
                    self._api.drop_connections()  # kept-alive connections have probably failed too
                self._wait(self._backoff.delay(error.retry_after))
        return self._answer(request)

    def _passes(self, request: ApiRequest, fault: Fault) -> bool:
        if request.method != "GET":
            return fault is Fault.THROTTLED
        return fault in _PASSING or (self._reached and fault in _PASSING_ONCE_REACHED)

    def _answer(self, request: ApiRequest) -> bytes:
        body = self._api.call(request, timeout=TIMEOUT)
        self._reached = True
        self._backoff.reset()
        return body

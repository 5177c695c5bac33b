"""Bytes to and from a server (the API server, Prometheus) over urllib3, whose exceptions are mapped to our few faults.

Logins import urllib3. Here it is imported by functions, so that commands without a cluster start without it (70 ms).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ... import __version__
from .api_request import ApiRequest
from .errors import ApiError, Fault

if TYPE_CHECKING:
    import urllib3

CONNECT_TIMEOUT = 5.0  # seconds for TCP and TLS
LARGEST_BODY = 64 << 20  # bytes; a page of 500 namespaces has about one million
LARGEST_LINE = 16 << 20  # bytes; etcd holds objects of at most 1.5 million
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Login:
    """A server's URL, connections to it, and the header that authenticates us.

    Attributes:
        host: the URL without a slash at its end, ``https://10.0.0.1:443``.
        connections: urllib3's pool with the configuration's certificates, host name checks and proxy.
        authorization: gives the Authorization header's value now, or ``None`` (a client certificate needs none).
        headers: more headers of each request.
    """

    host: str
    connections: urllib3.PoolManager
    authorization: Callable[[], str | None]
    headers: Mapping[str, str] = field(default_factory=dict)


def send(
    login: Login, request: ApiRequest, *, total: float | None = None, read: float | None = None
) -> urllib3.BaseHTTPResponse:
    """Send a request and wait for the answer's headers.

    ``total`` limits the seconds for all of it, ``read`` those without data.

    Raises:
        ApiError: there was no answer.
    """
    import urllib3  # noqa: PLC0415 - see the module's docstring

    headers = {**login.headers, "Accept": "application/json", "User-Agent": f"gpuwarden/{__version__}"}
    if request.body is not None:
        headers["Content-Type"] = request.content_type
    if (authorization := _authorization(login, request)) is not None:
        headers["Authorization"] = authorization
    query = f"?{urlencode(request.query)}" if request.query else ""
    with faults(request, login.host):
        return login.connections.request(
            request.method,
            f"{login.host}{request.path}{query}",
            body=request.body,
            headers=headers,
            timeout=urllib3.Timeout(total=total, connect=CONNECT_TIMEOUT, read=read),
            retries=False,  # urllib3 would try three times more, each with its own time limit
            redirect=False,  # our credentials are sent only to the configured server
            preload_content=False,
        )


def _authorization(login: Login, request: ApiRequest) -> str | None:
    try:
        value = login.authorization()
    except Exception as error:  # it may run a login program and parse its output: any exception is possible
        raise ApiError(Fault.UNAUTHORIZED, f"{request}: no credentials: {error}") from error
    if value is not None and not (value.isascii() and value.isprintable()):
        # http.client would reject the header too, and quote the token in its message.
        raise ApiError(Fault.UNAUTHORIZED, f"{request}: no credentials: the token contains an invalid character")
    return value


def read(response: urllib3.BaseHTTPResponse, request: ApiRequest, in_time: Callable[[], bool]) -> bytes:
    """Read an answer to its end, however slowly it arrives, while ``in_time()`` is true.

    Raises:
        ApiError: the answer broke off, took too long or is too large.
    """
    parts: list[bytes] = []
    size = 0
    while chunk := _chunk(response, request):
        parts.append(chunk)
        size += len(chunk)
        if size > LARGEST_BODY:
            raise ApiError(Fault.GARBAGE, f"{request}: an answer of more than {LARGEST_BODY} bytes")
        if not in_time():
            raise ApiError(Fault.SILENT, f"{request}: the answer was not complete in time")
    return b"".join(parts)


class Stream:
    """A streamed answer: lines as they arrive."""

    def __init__(self, response: urllib3.BaseHTTPResponse, request: ApiRequest) -> None:
        self._response = response
        self._request = request

    def lines(self) -> Iterator[bytes]:
        """Yield each line when it is complete; end when the server ends the answer.

        Raises:
            ApiError: ``silent`` when nothing comes for the stream's limit, ``cut`` when the connection breaks or the
                answer ends inside a line, ``garbage`` when a line has no end.
        """
        pending = b""
        while chunk := _chunk(self._response, self._request):
            *whole, pending = (pending + chunk).split(b"\n")
            yield from filter(None, whole)
            if len(pending) > LARGEST_LINE:
                raise ApiError(Fault.GARBAGE, f"{self._request}: a line of more than {LARGEST_LINE} bytes")
        if pending:
            raise ApiError(Fault.CUT, f"{self._request}: the answer ended inside a line")

    def shutdown(self) -> None:
        """End ``lines()`` from another thread; closing alone would not wake a thread that waits for bytes."""
        with suppress(OSError, ValueError, RuntimeError):  # it has ended by itself
            self._response.shutdown()


def _chunk(response: urllib3.BaseHTTPResponse, request: ApiRequest) -> bytes:
    with faults(request):
        return response.read1(_CHUNK)


@contextmanager
def faults(request: ApiRequest, host: str = "") -> Iterator[None]:
    """Map urllib3's exceptions to faults; ``host`` is the server of the connection.

    Raises:
        ApiError: in place of each of them.
    """
    from urllib3 import exceptions  # noqa: PLC0415 - see the module's docstring

    try:
        yield
    except exceptions.ReadTimeoutError as error:
        raise ApiError(Fault.SILENT, f"{request}: no answer in time") from error
    except (exceptions.ConnectTimeoutError, exceptions.ProxyError, exceptions.LocationValueError) as error:
        # NewConnectionError (rejected, no route, no such host) is a ConnectTimeoutError to urllib3.
        raise ApiError(Fault.UNREACHABLE, f"{request}: no connection to {host}: {_reason(error)}") from error
    except (exceptions.SSLError, ssl.SSLError) as error:
        raise ApiError(Fault.UNREACHABLE, f"{request}: TLS: {error}") from error
    except (exceptions.ProtocolError, OSError) as error:
        raise ApiError(Fault.CUT, f"{request}: the connection broke: {_broken(error)}") from error
    except exceptions.HTTPError as error:
        raise ApiError(Fault.GARBAGE, f"{request}: not an HTTP response: {error}") from error


def _broken(error: Exception) -> str:
    """How a connection broke, from the exception in urllib3's, whose own text names Python objects."""
    from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected  # noqa: PLC0415 - see the module's docstring

    inside = error.args[-1] if error.args else error
    if isinstance(inside, RemoteDisconnected):
        return "the server closed it without an answer"
    if isinstance(inside, BadStatusLine):
        return "the answer is not HTTP"
    if isinstance(inside, IncompleteRead):
        return "the server closed it before the end of the answer"
    return _reason(error)


def _reason(error: BaseException) -> str:
    """The system's error message ("connection refused"), if there is one behind urllib3's, which names Python objects."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, OSError) and behind.strerror:
            return behind.strerror.lower()
        behind = behind.__cause__ or behind.__context__
    return str(error.args[-1] if error.args else error)

"""A connection to a Prometheus: where it is, whom it trusts, and who we say we are; credentials go there and nowhere else."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from ... import __version__
from ..kubernetes.api_request import ApiRequest
from ..kubernetes.errors import ApiError, Fault
from ..kubernetes.transport import CONNECT_TIMEOUT, Login, faults
from ..shown import shown

_PORTS = {"http": 80, "https": 443}


class ConnectionOptionError(Exception):
    """The options do not describe a connection; the message says which and why."""


def anonymous() -> str | None:
    """No Authorization header."""
    return None


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """How a server is reached.

    Attributes:
        ca: a file with the authorities to trust in place of the system's.
        certificate, key: files with our client certificate and its key.
        authorization: gives the Authorization header's value now, if there is one.
        headers: more headers.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    authorization: Callable[[], str | None] = anonymous
    headers: Mapping[str, str] = field(default_factory=dict)


def bearer(path: Path) -> Callable[[], str | None]:
    """Return what gives the header with a file's token; the file is read each time, because tokens are rotated."""
    return lambda: f"Bearer {path.read_text().strip()}"


def basic(user: str, password: Path) -> Callable[[], str | None]:
    """Return what gives the header of a user whose password is in a file."""
    return lambda: "Basic " + b64encode(f"{user}:{password.read_text().strip()}".encode()).decode()


class PrometheusConnection:
    """Requests to one server below one path.

    Args:
        login: the server, with our identity.
        prefix: the path before ``/api/v1``.
        headers: more headers of each request.
    """

    def __init__(self, login: Login, prefix: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._login = login
        self._prefix = prefix
        self._headers = dict(headers or {})

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return f"{self._login.host}{self._prefix}"

    def send(self, request: ApiRequest, timeout: urllib3.Timeout) -> urllib3.BaseHTTPResponse:
        """Send a request and wait for the answer's headers, whatever its status is.

        Raises:
            ApiError: there was no answer.
            OSError: a file with a credential can't be read.
        """
        headers = {**self._headers, "Accept": "application/json", "User-Agent": f"gpuwarden/{__version__}"}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if authorization := self._login.authorization():
            # http.client would reject the header too, and quote the token in its message.
            if not (authorization.isascii() and authorization.isprintable()):
                raise ApiError(Fault.UNAUTHORIZED, "the credential holds a character that no header can have")
            headers["Authorization"] = authorization
        with faults(request, self.url):
            return self._login.connections.request(
                request.method,
                f"{self.url}{request.path}",
                body=request.body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,  # our credentials go to the server that was named, and to no other
                preload_content=False,
            )


def to_url(url: str, access: ServerAccess, workers: int) -> PrometheusConnection:
    """Return a connection to a URL.

    Raises:
        ConnectionOptionError: the URL or a file can't be used.
    """
    parsed = urllib3.util.parse_url(url)
    if parsed.scheme not in _PORTS or not parsed.host:
        raise ConnectionOptionError(f"{shown(url)} is not a URL; write one such as http://127.0.0.1:9090")
    if parsed.auth:
        raise ConnectionOptionError("a URL with a password shows in lists of processes; use --prometheus-user")
    if parsed.query or parsed.fragment:
        raise ConnectionOptionError(f"{shown(url)} has a query; write only what comes before /api/v1")
    port = "" if parsed.port is None else f":{parsed.port}"
    for file in filter(None, (access.ca, access.certificate, access.key)):
        if not file.is_file():
            raise ConnectionOptionError(f"{file}: there is no such file")
    connections = urllib3.PoolManager(
        maxsize=workers,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(access.ca) if access.ca else None,
        cert_file=str(access.certificate) if access.certificate else None,
        key_file=str(access.key) if access.key else None,
    )
    login = Login(f"{parsed.scheme}://{parsed.host}{port}", connections, access.authorization)
    return PrometheusConnection(login, (parsed.path or "").rstrip("/"), access.headers)


def timeout_of(seconds: float) -> urllib3.Timeout:
    """The time for an answer's beginning."""
    return urllib3.Timeout(total=seconds, connect=min(seconds, CONNECT_TIMEOUT))

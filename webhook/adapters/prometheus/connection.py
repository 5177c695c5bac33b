"""A connection to a Prometheus by its URL: the authorities to trust, and our credentials."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from ..kubernetes.transport import Login
from ..shown import shown

_PORTS = {"http": 80, "https": 443}


class ConnectionOptionError(Exception):
    """The options do not describe a connection; the message says which and why."""


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
    authorization: Callable[[], str | None] = lambda: None
    headers: Mapping[str, str] = field(default_factory=dict)


def bearer(path: Path) -> Callable[[], str | None]:
    """Return a function that makes the header with a file's token, and reads the file each time, because tokens are rotated."""
    return lambda: f"Bearer {path.read_text().strip()}"


def basic(user: str, password: Path) -> Callable[[], str | None]:
    """Return a function that makes the header of a user whose password is in a file."""
    return lambda: "Basic " + b64encode(f"{user}:{password.read_text().strip()}".encode()).decode()


def to_url(url: str, access: ServerAccess, workers: int) -> Login:
    """Return a connection to a URL.

    Raises:
        ConnectionOptionError: the URL or a file can't be used.
    """
    parsed = urllib3.util.parse_url(url)
    if parsed.scheme not in _PORTS or not parsed.host:
        raise ConnectionOptionError(f"{shown(url)} is not a URL; write one such as http://127.0.0.1:9090")
    if parsed.auth:
        raise ConnectionOptionError("a password in a URL is visible in process lists; use --prometheus-user")
    if parsed.query or parsed.fragment:
        raise ConnectionOptionError(f"{shown(url)} has a query; write only the URL up to /api/v1")
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
    path = (parsed.path or "").rstrip("/")
    return Login(f"{parsed.scheme}://{parsed.host}{port}{path}", connections, access.authorization, access.headers)

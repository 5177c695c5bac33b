"""A connection to a Prometheus by its URL: the authorities to trust, and our credentials."""

import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from ..file_errors import why
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
    return lambda: f"Bearer {_secret(path)}"


def basic(user: str, password: Path) -> Callable[[], str | None]:
    """Return a function that makes the header of a user whose password is in a file."""
    return lambda: "Basic " + b64encode(f"{user}:{_secret(password)}".encode()).decode()


def _secret(path: Path) -> str:
    """Return a file's content without the space around it.

    Raises:
        ConnectionOptionError: it can't be read, or is empty.
    """
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConnectionOptionError(f"{path}: {why(path, error)}") from error
    if not secret:
        raise ConnectionOptionError(f"{path}: it is empty; write the secret into it")
    return secret


def to_url(url: str, access: ServerAccess, workers: int) -> Login:
    """Return a connection to a URL.

    Raises:
        ConnectionOptionError: the URL or a file can't be used.
    """
    scheme, _, rest = url.partition("://")
    if "@" in (rest or scheme).partition("/")[0]:  # first, so that no other message quotes it, also without a scheme
        raise ConnectionOptionError(
            "--prometheus: a password in a URL is visible in process lists; use --prometheus-user"
        )
    try:
        parsed = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parsed = urllib3.util.Url()
    if parsed.scheme not in _PORTS or not parsed.host:
        raise ConnectionOptionError(f"--prometheus: {shown(url)} is not a URL; write one such as http://127.0.0.1:9090")
    if parsed.query or parsed.fragment:
        raise ConnectionOptionError(f"--prometheus: {shown(url)} has a query; write only the URL up to /api/v1")
    port = "" if parsed.port is None else f":{parsed.port}"
    _check_files(access)
    connections = urllib3.PoolManager(
        maxsize=workers,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(access.ca) if access.ca else None,
        cert_file=str(access.certificate) if access.certificate else None,
        key_file=str(access.key) if access.key else None,
    )
    path = (parsed.path or "").rstrip("/")
    return Login(f"{parsed.scheme}://{parsed.host}{port}{path}", connections, access.authorization, access.headers)


def _check_files(access: ServerAccess) -> None:
    """Read the files of TLS once, because urllib3 reads them only when it connects, and does not name them.

    Raises:
        ConnectionOptionError: one can't be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if access.ca:
        option = f"--prometheus-ca-file {access.ca}"
        with _named(option, access.ca, "it holds no certificate; write CA certificates in PEM form into it"):
            context.load_verify_locations(access.ca)
    if access.certificate and access.key:
        for option, file in (("cert", access.certificate), ("key", access.key)):
            with _named(f"--prometheus-client-{option} {file}", file, ""):
                file.open("rb").close()
        option = f"--prometheus-client-cert {access.certificate}, --prometheus-client-key {access.key}"
        fix = "they are not a certificate and its key; write both in PEM form, the key without a password"
        with _named(option, access.certificate, fix):
            context.load_cert_chain(access.certificate, access.key, password=_no_password)


@contextmanager
def _named(option: str, file: Path, fix: str) -> Iterator[None]:
    """Name the option of a file that can't be used, with ``fix`` if it can be read.

    Raises:
        ConnectionOptionError: in place of errors of the system and of OpenSSL.
    """
    try:
        yield
    except ssl.SSLError as error:
        raise ConnectionOptionError(f"{option}: {fix}") from error
    except (OSError, ValueError) as error:
        raise ConnectionOptionError(f"{option}: {why(file, error)}") from error


def _no_password() -> str:
    """The password of an encrypted key: none, so that OpenSSL does not ask for it on the terminal."""
    return ""

"""Login with the account of the pod that we run in: an address from the environment, a token and a CA from files.

It does what ``InClusterConfigLoader`` and ``RESTClientObject`` of the official client (version 37.0.2) and client-go's
``rest.InClusterConfig`` do, with urllib3 alone: ``import kubernetes`` would take 8 MiB of every replica and 350 ms of its start
(see ``connect.py``).
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import urllib3
from urllib3.connection import HTTPConnection

from .errors import KubeconfigError
from .transport import Login

_TOKEN_SECONDS = 60.0  # both clients read the token file again after a minute
# client-go's: the first probe after 30 s, then every 15 s, dead after nine (net.Dialer; kubernetes.utils.keepalive).
_KEEP_ALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 9),
]
_KEPT_CONNECTIONS = 10  # the watches, and four live reads of each kind of object


def log_in(environ: Mapping[str, str], folder: Path, monotonic: Callable[[], float] = time.monotonic) -> Login:
    """Read the account's files; nothing is sent yet.

    Args:
        environ: KUBERNETES_SERVICE_HOST and …_PORT are read, and the proxy variables.
        folder: has the files ``token`` and ``ca.crt``.
        monotonic: the clock, in seconds.

    Raises:
        KubeconfigError: a variable or a file can't be used.
    """
    host, port = (_set_by_the_kubelet(environ, f"KUBERNETES_SERVICE_{name}") for name in ("HOST", "PORT"))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"  # as net.JoinHostPort
    token = _Token(folder / "token", monotonic)
    authorities = folder / "ca.crt"
    try:
        ssl.create_default_context(cafile=authorities)
    except ssl.SSLError as error:
        raise _unusable(authorities, "it holds no certificate in PEM") from error
    except OSError as error:
        raise _unusable(authorities, error) from error
    options: dict[str, Any] = {
        "cert_reqs": ssl.CERT_REQUIRED,
        "ca_certs": str(authorities),  # read again for each connection
        "socket_options": _KEEP_ALIVE,
        "maxsize": _KEPT_CONNECTIONS,
    }
    proxy = _proxy(environ, host, address)
    try:
        connections = _proxied(proxy, options) if proxy else urllib3.PoolManager(**options)
    except urllib3.exceptions.HTTPError as error:
        # Without the value: a URL may hold a password.
        raise KubeconfigError(
            "HTTPS_PROXY or ALL_PROXY is not a URL of http or https; write one such as http://127.0.0.1:3128, or list "
            f"{host} in NO_PROXY"
        ) from error
    return Login(f"https://{address}", connections, token.authorization)


def _set_by_the_kubelet(environ: Mapping[str, str], name: str) -> str:
    if not (value := environ.get(name)):
        raise KubeconfigError(f"{name} is not set or empty, which the kubelet sets; do not override it in the pod")
    return value


class _Token:
    """The token of a file, which the kubelet replaces before the token expires."""

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._read()

    def authorization(self) -> str:
        """Return the Authorization header's value now.

        Raises:
            KubeconfigError: the file can't be read any more.
        """
        if self._monotonic() >= self._until:
            self._read()
        return self._header

    def _read(self) -> None:
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(self._path, error) from error
        if not token:
            raise _unusable(self._path, "it is empty")
        self._header = f"Bearer {token}"
        self._until = self._monotonic() + _TOKEN_SECONDS


def _unusable(file: Path, why: Exception | str) -> KubeconfigError:
    what = why.strerror if isinstance(why, OSError) and why.strerror else why
    return KubeconfigError(
        f"this pod's service account can't be used: {file}: {what}; is automountServiceAccountToken off?"
    )


def _proxy(environ: Mapping[str, str], host: str, address: str) -> str | None:
    """The URL of the environment's proxy, if there is one for this host.

    As in the official client, a variable in lower case takes precedence over the same in upper case. NO_PROXY lists names with
    the domains below them, addresses, networks, names and addresses with a port, or ``*``.
    """

    def variable(name: str) -> str:
        return environ.get(name, environ.get(name.upper(), ""))

    excluded = variable("no_proxy").lower().split(",")
    if any(_names(entry.strip(), host, address) for entry in excluded):
        return None
    return variable("https_proxy") or variable("all_proxy") or None


def _proxied(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    """Connections through a proxy, with the name and password of its URL, as Go sends them (the official client does not)."""
    login = urllib3.util.parse_url(proxy).auth
    headers = urllib3.make_headers(proxy_basic_auth=unquote(login, "latin-1")) if login else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)


def _names(entry: str, host: str, address: str) -> bool:
    """Whether an entry of NO_PROXY matches a host, or an address (the host with its port)."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        below = f".{entry.lstrip('.')}"
        return entry == "*" or any(below != "." and f".{name}".lower().endswith(below) for name in (host, address))

"""The fields of a kubeconfig that are used, their types, and a message about the first invalid one.

As in client-go ``tools/clientcmd/api/v1``. The official client checks few types: a wrong one ends in a ``TypeError`` that does
not name the field.
"""

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

from ..shown import shown
from .errors import KubeconfigError

_TEXT, _BOOLEAN, _SECRET = "text", "boolean", "secret"
_CLUSTER = {
    "server": _TEXT,
    "certificate-authority": _TEXT,
    "certificate-authority-data": _TEXT,
    "insecure-skip-tls-verify": _BOOLEAN,
    "tls-server-name": _TEXT,
    "proxy-url": _TEXT,
}
_EXEC = {
    "apiVersion": _TEXT,
    "command": _TEXT,
    "args": [_TEXT],
    "env": [{"name": _TEXT, "value": _SECRET}],
    "installHint": _TEXT,
    "interactiveMode": _TEXT,
    "provideClusterInfo": _BOOLEAN,
}
_USER = {
    "client-certificate": _TEXT,
    "client-certificate-data": _TEXT,
    "client-key": _TEXT,
    "client-key-data": _SECRET,
    "token": _SECRET,
    "tokenFile": _TEXT,
    "username": _TEXT,
    "password": _SECRET,
    "exec": _EXEC,
    "auth-provider": {"name": _TEXT, "config": {}},
}
_FIELDS = {
    "clusters": [{"name": _TEXT, "cluster": _CLUSTER}],
    "contexts": [{"name": _TEXT, "context": {"cluster": _TEXT, "user": _TEXT, "namespace": _TEXT}}],
    "users": [{"name": _TEXT, "user": _USER}],
    "current-context": _TEXT,
}
_EXAMPLE = "write one as kubectl config view prints it"
_SCHEMES = ("http", "https")
_DATA = ("certificate-authority-data", "client-certificate-data", "client-key-data")


def check_types(where: str, document: object) -> None:
    """Check that every field that is used has its type; fields that are left out, or null, have their defaults.

    Raises:
        KubeconfigError: a field has another type, or an entry has no name.
    """
    if not isinstance(document, dict):
        what = "is empty" if document is None else f"holds {shown(document)}"
        raise KubeconfigError(f"{where}: {what}, and is not a kubeconfig; {_EXAMPLE}")
    _check(where, "", document, _FIELDS)


def check_cluster(where: str, name: str, cluster: dict[str, Any]) -> None:
    """Check the addresses and certificates of the cluster that is used.

    Raises:
        KubeconfigError: its server or proxy is not a URL, or its CA is not base64.
    """
    for field, example in (("server", "https://127.0.0.1:6443"), ("proxy-url", "http://127.0.0.1:3128")):
        value = cluster.get(field)
        if value and not _is_url(value):
            raise KubeconfigError(
                f'{where}: cluster "{name}": {field} {shown(value)} is not a URL of http or https; write one such as {example}'
            )
    _check_data(f'{where}: cluster "{name}"', cluster)


def check_user(where: str, name: str, user: dict[str, Any]) -> None:
    """Check the certificates of the user that is used, and that its kind of login is supported.

    Raises:
        KubeconfigError: a certificate or key is not base64, comes without the other, or an old kind of login is used.
    """
    _check_data(f'{where}: user "{name}"', user)
    for field, other in (("client-certificate", "client-key"), ("client-key", "client-certificate")):
        if _either(user, field) and not _either(user, other):
            raise KubeconfigError(
                f'{where}: user "{name}": {field} is set without {other}; set {other} or {other}-data'
            )
    login = user.get("exec")
    if login is not None and not login.get("command"):
        raise KubeconfigError(f'{where}: user "{name}": exec.command is missing; name the program that logs in')
    provider = (user.get("auth-provider") or {}).get("name")
    if provider in {"gcp", "azure"}:
        raise KubeconfigError(
            f'{where}: user "{name}": auth-provider "{provider}" was removed from Kubernetes 1.26; get a kubeconfig with exec '
            "from your cloud's command line"
        )


def _either(user: dict[str, Any], field: str) -> bool:
    return bool(user.get(field) or user.get(f"{field}-data"))


def _check(where: str, path: str, value: Any, expected: Any) -> None:
    if value is None:
        return
    if isinstance(expected, list):
        _check_list(where, path, value, expected[0])
    elif isinstance(expected, dict):
        _check_mapping(where, path, value, expected)
    elif expected == _BOOLEAN and not isinstance(value, bool):
        raise _wrong(where, path, value, "true or false", "write true or false, without quotes")
    elif expected == _SECRET and not isinstance(value, str):
        raise KubeconfigError(f"{where}: {path}: its value is not text; put it in quotes")
    elif expected == _TEXT and not isinstance(value, str):
        is_scalar = not isinstance(value, dict | list)
        raise _wrong(where, path, value, "text", f'put it in quotes: "{shown(value)}"' if is_scalar else "write text")


def _check_list(where: str, path: str, value: Any, expected: Any) -> None:
    if not isinstance(value, list):
        raise _wrong(where, path, value, "a list", "write its items with - before each")
    entries = isinstance(expected, dict)
    for index, item in enumerate(value):
        inner = f"{path}[{index}]"
        if entries and not isinstance(item, dict):
            raise _wrong(where, inner, item, "a mapping", f"write {' and '.join(expected)}")
        _check(where, inner, item, expected)
        if entries and not item.get("name"):
            raise KubeconfigError(f"{where}: {inner}.name is missing; name the entry")


def _check_mapping(where: str, path: str, value: Any, expected: dict[str, Any]) -> None:
    if not isinstance(value, dict):
        fields = ", ".join(expected)
        raise _wrong(where, path, value, "a mapping", f"write its fields: {fields}" if fields else "write a mapping")
    for field, inner in expected.items():
        _check(where, f"{path}.{field}".lstrip("."), value.get(field), inner)


def _wrong(where: str, path: str, value: object, expected: str, fix: str) -> KubeconfigError:
    return KubeconfigError(f"{where}: {path}: {shown(value)} is not {expected}; {fix}")


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number or too large, or half an IPv6 address
        return False


def _check_data(where: str, entry: dict[str, Any]) -> None:
    for field in _DATA:
        data = entry.get(field) or ""
        try:
            pem = base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            pem = b""
        if data and b"-----BEGIN " not in pem:
            raise KubeconfigError(
                f"{where}: {field} is not a PEM file in base64; write the output of base64 -w0 FILE, or name the file in "
                f"{field.removesuffix('-data')}"
            )

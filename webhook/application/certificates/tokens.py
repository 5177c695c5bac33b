"""Tokens in the paths of webhooks: which path belongs to which webhook, what a token is, and which paths are admitted.

If gpuwarden manages the certificates, it also sets the path of each webhook, and ends it in a token that only the API
server and the replicas know: ``/mutate/0123…``. Someone who can reach the port and does not know the token gets 404. It is
derived from the private key of the CA, so every replica that can read the CA Secret knows it, and a new CA brings a new one.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MUTATE, VALIDATE, ADVISE = "/mutate", "/validate", "/advise"
VALIDATE_NAMESPACE, VALIDATE_CLAIM = "/validate-namespace", "/validate-claim"
PATHS: Mapping[str, str] = MappingProxyType(
    {
        "mutate.gpuwarden.io": MUTATE,
        "restore.gpuwarden.io": MUTATE,
        "validate.gpuwarden.io": VALIDATE,
        "guard.gpuwarden.io": VALIDATE,
        "guard-policies.gpuwarden.io": VALIDATE,
        "guard-unlabelled.gpuwarden.io": VALIDATE,
        "guard-open.gpuwarden.io": VALIDATE,
        "updates.gpuwarden.io": VALIDATE,
        "advise.gpuwarden.io": ADVISE,
        "advise-operators.gpuwarden.io": ADVISE,
        "validate-namespace.gpuwarden.io": VALIDATE_NAMESPACE,
        "validate-claim.gpuwarden.io": VALIDATE_CLAIM,
        "validate-reservation.gpuwarden.io": VALIDATE_CLAIM,
    }
)
"""The path of each webhook by its name. The chart renders the same where it renders paths (tests/deploy)."""
_PART = re.compile(r".+\.((?:mutate|validate)\.gpuwarden\.io)")
ANNOTATION = "gpuwarden.io/path-token"
"""On a webhook configuration: if ``"true"``, gpuwarden sets its paths. To set plain paths, change it in the same write."""

_BYTES = 16
_INFO = b"gpuwarden webhook path token"
# The API server takes path segments that are DNS subdomains only: lower-case hexadecimal is one.
_TOKEN = re.compile(rf"[0-9a-f]{{{2 * _BYTES}}}")
_PLAIN = "|".join(sorted({path[1:] for path in PATHS.values()}, key=len, reverse=True))
_WITH_TOKEN = re.compile(rf"(.*)(/(?:{_PLAIN}))/({_TOKEN.pattern})")
_ANYWHERE = re.compile(rf"(/(?:{_PLAIN}))/{_TOKEN.pattern}")


def path_of(webhook: str) -> str | None:
    """The path of a webhook by its name, such as ``mutate.gpuwarden.io``, or of a part of it, ``shared.mutate.gpuwarden.io``.

    ``None`` for a webhook that is not of `PATHS`. The parts are those that ``webhook.application.in_tree_webhooks`` makes.
    """
    part = _PART.fullmatch(webhook)
    return PATHS.get(part[1] if part else webhook)


def path_token(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """The token that belongs to the private key of a CA: HKDF-SHA256 (RFC 5869) of its secret number, 128 bits in hexadecimal.

    The number is used, not an encoding of the key, because every version of the library must derive the same token.
    """
    numbers = key.private_numbers()
    secret = numbers.d if isinstance(numbers, rsa.RSAPrivateNumbers) else numbers.private_value
    material = secret.to_bytes((secret.bit_length() + 7) // 8, "big")
    return HKDF(hashes.SHA256(), _BYTES, salt=None, info=_INFO).derive(material).hex()


def is_token(text: str) -> bool:
    """Whether a text looks like a token."""
    return _TOKEN.fullmatch(text) is not None


def token_of(webhook: str, target: str) -> str:
    """The token in what the API server calls for a webhook.

    ``target`` is ``clientConfig.url`` or ``clientConfig.service.path``.

    Returns:
        The token; empty if there is none, or the rest is not the path of this webhook.
    """
    found = _WITH_TOKEN.fullmatch(_path(target))
    if found is None or (found[1] and not _is_url(target)) or found[2] != (path_of(webhook) or found[2]):
        return ""
    return found[3]


def with_token(webhook: str, target: str, token: str) -> str:
    """Return the target of a webhook that `path_of` knows with the token at the end of its path.

    A user's own proxy may add a prefix to the path of a URL; the prefix stays.

    Raises:
        KeyError: the webhook is not one of `PATHS`.
    """
    plain = path_of(webhook)
    if plain is None:
        raise KeyError(webhook)
    if not _is_url(target):
        return f"{plain}/{token}"
    found = re.fullmatch(rf"(.*?){plain}(?:/[^/]*)?", _path(target))
    return urlsplit(target)._replace(path=f"{found[1] if found else ''}{plain}/{token}").geturl()


def masked(text: str) -> str:
    """A text without the tokens in it, to be shown to people: the API server quotes the URLs of calls that failed."""
    return _ANYWHERE.sub(r"\1/<token>", text)


def without_token(path: str) -> str:
    """A path as it would be without a token."""
    found = _WITH_TOKEN.fullmatch(path)
    return found[1] + found[2] if found else path


def _is_url(target: str) -> bool:
    return "://" in target


def _path(target: str) -> str:
    return urlsplit(target).path if _is_url(target) else target


class _Admitted(NamedTuple):
    tokens: tuple[bytes, ...]
    plain: bool


class PathTokens:
    """The paths that are admitted at the moment.

    One thread checks paths while another replaces what is admitted. A check uses the old state or the new one, never a mix.
    """

    def __init__(self, paths: Iterable[str], *, plain: bool = True) -> None:
        """Take the plain paths of the endpoints, and admit them, or no path until ``replace`` is called."""
        self._paths = frozenset(paths)
        self._admitted = _Admitted((), plain)
        self._rejected = False

    def replace(self, tokens: Iterable[str], *, plain: bool) -> None:
        """Admit paths with one of these tokens from now on, and the plain paths or not."""
        self._admitted = _Admitted(tuple(token.encode() for token in tokens), plain)

    def admits(self, path: str) -> str | None:
        """The plain path of the endpoint that a request's path leads to; ``None`` if it is not admitted.

        The time that this takes reveals nothing about a token.
        """
        admitted = self._admitted
        if path in self._paths:
            plain, known = path, admitted.plain
        else:
            plain, _, last = path.rpartition("/")
            token = last.encode(errors="backslashreplace")
            same = sum(hmac.compare_digest(token, each) for each in admitted.tokens)  # each is compared
            known = same > 0 and plain in self._paths
        if not known:
            self._rejected = True
        return plain if known else None

    def rejected_since_last_call(self) -> bool:
        """Whether a path was rejected since the last call: the paths may have been changed."""
        was, self._rejected = self._rejected, False
        return was

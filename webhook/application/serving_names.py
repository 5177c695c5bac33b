"""The names a serving certificate is issued for, checked as a person writes them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from webhook.application.certificates import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterable

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_DNS_NAME = 253  # RFC 1035, 2.3.4, without the dots of the wire form
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class ServingNames:
    """The names a serving certificate is issued for.

    Attributes:
        dns: DNS names, lower case; ``*.`` may stand for one leftmost label.
        ips: IP addresses.

    Raises:
        CertificateError: From `parse`, when a name is neither, or there is none at all.
    """

    dns: tuple[str, ...]
    ips: tuple[IPAddress, ...]

    @classmethod
    def parse(cls, dns: Iterable[str], ips: Iterable[str]) -> ServingNames:
        """Check names as a person writes them; each is kept once, in order."""
        names = cls(tuple(dict.fromkeys(map(_dns_name, dns))), tuple(dict.fromkeys(map(_ip_address, ips))))
        if not names.dns and not names.ips:
            raise CertificateError("a serving certificate needs at least one DNS name or IP address; name one")
        return names

    @property
    def texts(self) -> tuple[str, ...]:
        """Every name as text."""
        return (*self.dns, *map(str, self.ips))


def _dns_name(text: str) -> str:
    name = text.strip().rstrip(".").lower()
    if len(name) > _MAX_DNS_NAME or not _DNS_NAME.fullmatch(name):
        raise CertificateError(
            f'"{text}" is not a DNS name; use letters, digits, "-" and ".", and the xn-- form for other alphabets'
        )
    return name


def _ip_address(text: str) -> IPAddress:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError as error:
        raise CertificateError(f'"{text}" is not an IP address; write one such as 127.0.0.1 or ::1') from error

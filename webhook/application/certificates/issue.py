"""Issues CA certificates, short-lived serving certificates, and the names that these are valid for.

Pure but for the signature's own randomness: keys and times are arguments. The profile is RFC 5280's for a private
CA of one level: a CA may sign leaves only (path length 0), a leaf may only serve.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .pem import CertificateError, CertificatePair, PrivateKey, describe, show
from .trust import is_authority, issued_by

BACKDATE = timedelta(minutes=10)
"""How long before it is issued a certificate becomes valid: a client whose clock is behind ours must accept it at once."""

_ORGANIZATION = "gpuwarden"
_MAX_DNS_NAME = 253  # RFC 1035, 2.3.4, without the dots of the wire form
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class ServingNames:
    """The names a serving certificate is issued for.

    Attributes:
        dns: DNS names, lower case; ``*.`` may stand for one leftmost label.

    Raises:
        CertificateError: From `parse`: a name is invalid, or there is none.
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


class SelfSigned(NamedTuple):
    """A serving pair, and a CA that was created only for it."""

    ca: CertificatePair
    leaf: CertificatePair


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new ECDSA P-256 key, from the operating system's randomness."""
    return ec.generate_private_key(ec.SECP256R1())


def issue_ca(*, key: PrivateKey, at: datetime, lifetime: timedelta, backdate: timedelta = BACKDATE) -> CertificatePair:
    """Issue a self-signed authority.

    Its subject ends in the key's own identifier, so that two CAs in one bundle never share a name: a
    verifier then never tries the wrong one.

    It is valid from ``backdate`` before ``at`` until ``lifetime`` after it.
    """
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(f"gpuwarden CA {identifier.digest.hex()[:16]}")
    builder = (
        _builder(name, name, key, at - backdate, at + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(identifier, critical=False)
    )
    return CertificatePair(builder.sign(key, _hash_for(key)), key)


def issue_leaf(  # noqa: PLR0913 -- keyword-only, and each is a fact of the certificate
    ca: CertificatePair,
    *,
    key: PrivateKey,
    names: ServingNames,
    at: datetime,
    lifetime: timedelta,
    backdate: timedelta = BACKDATE,
) -> CertificatePair:
    """Issue a serving certificate, signed by ``ca``; it expires before the CA or with it.

    It is valid from ``backdate`` before ``at`` until ``lifetime`` after it, at most.

    Raises:
        CertificateError: When ``ca`` is not a CA, or has expired at ``at``.
    """
    issuer = ca.certificate
    if not is_authority(issuer):
        raise CertificateError(f"{describe(issuer)} is not a CA certificate; it can't sign a serving certificate")
    if at >= issuer.not_valid_after_utc:
        raise CertificateError(
            f"the CA {describe(issuer)} expired at {show(issuer.not_valid_after_utc)}; a new one is needed first"
        )
    # The common name is for people's eyes only: verifiers read the alternative names, and it may not exceed 64.
    subject = _name(names.texts[0][:64])
    alternatives = [*map(x509.DNSName, names.dns), *map(x509.IPAddress, names.ips)]
    builder = (
        _builder(subject, issuer.subject, key, at - backdate, min(at + lifetime, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_identifier(issuer), critical=False)
    )
    return CertificatePair(builder.sign(ca.key, _hash_for(ca.key)), key)


def self_signed_pair(names: Iterable[str], ips: Iterable[str], now: datetime, lifetime: timedelta) -> SelfSigned:
    """A serving pair under a CA of its own, for a trial; both keys are new.

    Raises:
        CertificateError: When a name is not valid, or there is none.
    """
    serving = ServingNames.parse(names, ips)
    ca = issue_ca(key=new_key(), at=now, lifetime=lifetime)
    return SelfSigned(ca, issue_leaf(ca, key=new_key(), names=serving, at=now, lifetime=lifetime))


def is_ours(certificate: x509.Certificate) -> bool:
    """Whether the certificate looks like a CA that `issue_ca` made: our organization, self-signed, undamaged.

    Anyone can make such a certificate, so this grants nothing by itself; it separates what rotation left in a bundle
    from what someone else put there.
    """
    organization = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return (
        [name.value for name in organization] == [_ORGANIZATION]
        and is_authority(certificate)
        and issued_by(certificate, certificate)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    start, end = _whole_second(start), _whole_second(end)
    public = key.public_key()
    encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    # 158 bits of a digest over everything that identifies this certificate: as unique as the key, positive, and at most
    # 20 octets (RFC 5280, 4.1.2.2), without a second source of randomness.
    digest = hashlib.sha256(encoded + issuer.public_bytes() + f"{start} {end}".encode()).digest()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number((int.from_bytes(digest[:20]) >> 2) | 1)
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _whole_second(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise CertificateError(f"the time {moment} has no time zone; give an aware datetime")
    return moment.astimezone(UTC).replace(microsecond=0)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The issuer's own key identifier, if it has one: another issuer's CA may compute it differently."""
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        own = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _hash_for(key: PrivateKey) -> hashes.SHA256 | None:
    """Edwards curves hash by themselves; everything else signs SHA-256."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()


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

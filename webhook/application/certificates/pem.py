"""Certificates as values: pairs, bundles and keys, read from PEM and written to it; the names of certificates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

PrivateKey: TypeAlias = (
    ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


class CertificateError(ValueError):
    """A certificate, key, name or bundle cannot be used; the message names it, the reason and the fix."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A certificate with the private key that belongs to it; an instance always matches.

    Attributes:
        key: Its private key. Never shown by ``repr``, never compared (the certificate already names it).
        chain: Intermediate certificates to be sent after the leaf, nearest first.

    Raises:
        CertificateError: When the key belongs to another certificate.
    """

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False, compare=False)
    chain: tuple[x509.Certificate, ...] = ()

    def __post_init__(self) -> None:
        if not key_matches(self.key, self.certificate):
            raise CertificateError(
                f"the private key does not belong to the certificate {describe(self.certificate)}; "
                "give the two files of one and the same pair"
            )

    @classmethod
    def from_pem(cls, certificate_pem: bytes, key_pem: bytes) -> CertificatePair:
        """Read a pair as Kubernetes TLS Secrets hold it: leaf first, then intermediates; the key unencrypted.

        Raises:
            CertificateError: When either part is not readable, or the two do not belong together.
        """
        try:
            certificate, *chain = map(_read_through, x509.load_pem_x509_certificates(certificate_pem))
        except _UNREADABLE as error:
            raise CertificateError(f"the certificate is not readable PEM ({error})") from error
        return cls(certificate, read_key(key_pem), tuple(chain))

    @property
    def certificate_pem(self) -> bytes:
        """The leaf and its intermediates as PEM."""
        return bundle_pem((self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """The content of a ``caBundle``, read leniently: kube-apiserver too uses the certificates that it can read.

    Attributes:
        certificates: The readable certificates, each once, in their order.
        damage: What could not be read, as a sentence; empty when all of it could.
    """

    certificates: tuple[x509.Certificate, ...]
    damage: str = ""


def read_bundle(pem: bytes) -> Bundle:
    """Read every certificate of a bundle that can be read; never fails.

    Go's ``x509.CertPool.AppendCertsFromPEM``, which kube-apiserver uses, skips what it cannot parse in the same way.
    """
    found: dict[x509.Certificate, None] = {}
    broken = 0
    _, *blocks = pem.split(_BEGIN)
    for block in blocks:
        body, end, _rest = block.partition(_END)
        try:
            found[_read_through(x509.load_pem_x509_certificate(_BEGIN + body + end))] = None
        except _UNREADABLE:
            broken += 1
    if broken:
        return Bundle(tuple(found), f"{broken} of {len(blocks)} certificates in it cannot be parsed")
    if not found and pem.strip():
        return Bundle((), "it holds something that is not a PEM certificate")
    return Bundle(tuple(found))


def _read_through(certificate: x509.Certificate) -> x509.Certificate:
    """The certificate, if every part that is read later can be parsed.

    The library parses them only when they are read. A malformed certificate in a bundle must fail here, once.

    Raises:
        ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType: A part cannot be read.
    """
    _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.not_valid_after_utc
    return certificate


def bundle_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates one after the other as PEM."""
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def read_key(pem: bytes) -> PrivateKey:
    """Read an unencrypted private key.

    Raises:
        CertificateError: When it is encrypted, not a key, or of a kind that TLS servers do not use.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise CertificateError("the private key is encrypted; give it without a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        # The library's text may quote what it read, which may be a key: leave it out.
        raise CertificateError("the private key is not readable PEM") from error
    if not isinstance(key, PrivateKey):
        raise CertificateError(f"the private key is a {type(key).__name__}; use ECDSA, RSA or Ed25519")
    return key


def key_matches(key: PrivateKey, certificate: x509.Certificate) -> bool:
    """Whether the private key is the one whose public half the certificate carries."""
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        return False


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 fingerprint in lower-case hexadecimal, by which this program identifies a certificate."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def describe(certificate: x509.Certificate) -> str:
    """A certificate in a log line: its subject (else its DNS names, as cert-manager's) and 12 digits of its fingerprint."""
    subject = certificate.subject.rfc4514_string()
    try:
        name = subject or ", ".join(
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
                x509.DNSName
            )
        )
    except (x509.ExtensionNotFound, *_UNREADABLE):
        name = ""
    return f'"{name or "no subject"}" ({fingerprint(certificate)[:12]})'


def show(moment: datetime) -> str:
    """A moment in UTC, to the second, as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

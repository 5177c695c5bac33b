"""The checks that clients make on a certificate: whether it is valid now, covers a name, was issued by a CA, and is trusted.

Pure: every question that depends on the time takes it as ``at``, an aware datetime. The answers to "why not" are
sentences for the log, or ``None``.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from .pem import describe, show

_MAX_CHAIN = 8  # a longer path is a loop or a mistake


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether the certificate may sign others: basic constraints say CA, and key usage, where given, allows it."""
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the certificate names ``issuer`` and its key made the signature; dates are not checked."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def why_invalid(certificate: x509.Certificate, at: datetime) -> str | None:
    """Return why the certificate is not valid at this moment, or ``None``; both ends count as valid (RFC 5280, 4.1.2.5)."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if at < start:
        return f"{describe(certificate)} is not valid before {show(start)}"
    if at > end:
        return f"{describe(certificate)} expired at {show(end)}"
    return None


def covers(certificate: x509.Certificate, name: str) -> bool:
    """Whether a client that dials ``name`` (a DNS name or an IP address) accepts the certificate's names.

    Subject alternative names only, as Go does it (the common name has not counted since Go 1.15); a wildcard replaces
    one whole leftmost label (RFC 6125, 6.4.3).
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ipaddress.ip_address(name) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted = name.rstrip(".").lower()
    first, _, rest = wanted.partition(".")
    alternatives = {wanted, f"*.{rest}"} if first and rest else {wanted}
    return any(dns.lower() in alternatives for dns in names.get_values_for_type(x509.DNSName))


def why_not_a_server(certificate: x509.Certificate) -> str | None:
    """Return why clients would not accept the certificate as a server's, or ``None``: extended key usage without serverAuth."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    if ExtendedKeyUsageOID.SERVER_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage:
        return None
    return f"the extended key usage of {describe(certificate)} does not include serverAuth"


def why_untrusted(
    leaf: x509.Certificate,
    trusted: Sequence[x509.Certificate],
    at: datetime,
    intermediates: Sequence[x509.Certificate] = (),
) -> str | None:
    """Return why a client that trusts ``trusted`` rejects the leaf at this moment, or ``None`` when it accepts it.

    Follows Go's ``x509.Certificate.Verify``, which kube-apiserver uses: every certificate of the path must be valid
    now, every issuer a CA, and any certificate of the bundle ends the path, self-signed or not. Names are
    checked separately, with `covers`.
    """
    if reason := why_invalid(leaf, at) or why_not_a_server(leaf):
        return reason
    reasons: list[str] = []
    paths: list[tuple[x509.Certificate, ...]] = [(leaf,)]
    while paths:
        path = paths.pop()
        if path[-1] in trusted:
            return None
        issuers = (*trusted, *(c for c in intermediates if c not in path))
        for issuer in dict.fromkeys(issuers if len(path) < _MAX_CHAIN else ()):
            if not (is_authority(issuer) and issued_by(path[-1], issuer)):
                continue
            if reason := why_invalid(issuer, at):
                reasons.append(f"its issuer {reason}")
            else:
                paths.append((*path, issuer))
    return "; ".join(reasons) or f"none of the {len(trusted)} trusted certificates issued {describe(leaf)}"

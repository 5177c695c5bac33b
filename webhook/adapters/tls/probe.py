"""Proves that a context serves a certificate, by a handshake in memory: no socket, no file, no clock."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from webhook.application.certificates.pem import CertificateError, describe

if TYPE_CHECKING:
    from cryptography import x509

_ROUNDS = 8  # a TLS 1.2 handshake takes two round trips, TLS 1.3 one; more means it does not end


def probe(server: ssl.SSLContext, certificate: x509.Certificate) -> None:
    """Shake hands with the context, as a client does, and see that it presents exactly this certificate.

    Dates and names are not judged here: they are asked of the certificate itself, by a clock that is given.

    Raises:
        CertificateError: When the handshake fails or shows another certificate.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_side=False),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    try:
        for _ in range(_ROUNDS):
            waiting = [end for end in waiting if not _shaken(end)]
    except ssl.SSLError as error:
        raise CertificateError(f"a handshake with {describe(certificate)} fails: {error}") from error
    if waiting or ends[0].getpeercert(binary_form=True) != certificate.public_bytes(serialization.Encoding.DER):
        raise CertificateError(f"a handshake does not end in {describe(certificate)} being presented")


def _shaken(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True

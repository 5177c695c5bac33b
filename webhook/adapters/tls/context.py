"""Builds the ``ssl.SSLContext`` of the admission port, and tests that it serves a certificate."""

from __future__ import annotations

import os
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cryptography.hazmat.primitives import serialization

from ...application.certificates.pem import CertificateError, CertificatePair, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has no others and ignores this list."""

MAXIMUM_HANDSHAKE = 16 * 1024
"""Bytes from a client after which its handshake must be complete. A certificate with its CA has two to five KiB. OpenSSL accepts
100 KiB, and rejecting as many small certificates takes 25 ms."""
# SSL_OP_NO_RX_CERTIFICATE_COMPRESSION (openssl/ssl.h, since 3.2; older versions ignore it), which the ssl module does not name:
# MAXIMUM_HANDSHAKE counts received bytes, and many similar certificates are few bytes when compressed (RFC 8879).
_NO_COMPRESSED_CERTIFICATES = 1 << 33
_ROUNDS = 8  # a TLS 1.2 handshake takes two round trips, TLS 1.3 one; if more are needed, it has failed
_MFD_NOEXEC_SEAL = 0x0008  # linux/memfd.h, since 6.3; kernels with vm.memfd_noexec=2 insist on it


class _ServerSide(ssl.SSLObject):
    """A server's TLS connection, whose handshake is limited."""

    incoming: ssl.MemoryBIO
    _received = 0

    def do_handshake(self) -> None:
        if self._received > MAXIMUM_HANDSHAKE:
            raise ssl.SSLError(f"the handshake is not complete after {MAXIMUM_HANDSHAKE} bytes from the client")
        self._received += self.incoming.pending  # the last part may contain data, so it is not limited
        super().do_handshake()


class _ServerContext(ssl.SSLContext):
    sslobject_class = _ServerSide

    def wrap_bio(self, incoming: ssl.MemoryBIO, *arguments: Any, **options: Any) -> _ServerSide:
        made = cast("_ServerSide", super().wrap_bio(incoming, *arguments, **options))
        made.incoming = incoming
        return made


def server_context(pair: CertificatePair | None, client_ca: str | None = None) -> ssl.SSLContext:
    """Make a context for serving: TLS 1.2 or newer, forward secrecy, every handshake a full one.

    Without a ``pair`` it rejects handshakes until a callback gives it another. ``client_ca`` is PEM of the CAs whose client
    certificates are required; ``None`` requires none.

    Raises:
        CertificateError: When OpenSSL rejects the pair or the client CAs (for instance because a key is too short); the message
            contains its reason.
    """
    context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # No resumption: a resumed session would not see a replaced certificate, and kube-apiserver never resumes.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | _NO_COMPRESSED_CERTIFICATES
    context.num_tickets = 0
    if client_ca is not None:
        try:
            context.load_verify_locations(cadata=client_ca)
        except (ssl.SSLError, ValueError) as error:
            raise CertificateError(f"the client CA file cannot be used ({error}); give PEM certificates") from error
        context.verify_mode = ssl.CERT_REQUIRED
        # As in Go, any of these certificates ends the path: an intermediate CA needs no root.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    if pair is not None:
        with _as_file(pair.key_pem + pair.certificate_pem) as path:
            try:
                # A password, so that OpenSSL never asks for one at the terminal.
                context.load_cert_chain(path, password="")
            except ssl.SSLError as error:
                raise CertificateError(f"OpenSSL rejects {describe(pair.certificate)}: {error}") from error
    return context


def probe(server: ssl.SSLContext, certificate: x509.Certificate) -> None:
    """Do a handshake with the context, as a client does, and check that it presents exactly this certificate.

    Dates and names are not checked here, but on the certificate itself, with a given clock.

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
        raise CertificateError(f"a handshake does not present {describe(certificate)}")


def _shaken(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Provide the content under a path while the block runs, because ``load_cert_chain`` accepts only paths.

    An anonymous file in memory, on systems that have one (Linux): the key then never reaches a disk, and it works on a
    read-only root without ``/tmp``. Elsewhere a file in a private directory, removed afterwards.
    """
    descriptor = _memory_file()
    if descriptor is None:
        with tempfile.TemporaryDirectory(prefix="gpuwarden-") as folder:  # created with mode 0700
            path = Path(folder, "pair.pem")
            path.write_bytes(content)
            yield str(path)
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


def _memory_file() -> int | None:
    """An anonymous file that can be opened by its path, or ``None`` if the system has none."""
    create = getattr(os, "memfd_create", None)  # Linux only
    if create is None or not Path("/proc/self/fd").is_dir():
        return None
    for flags in (os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL, os.MFD_CLOEXEC):  # older kernels reject the unknown flag
        try:
            descriptor: int = create("gpuwarden-pair", flags)
        except OSError:
            continue
        return descriptor
    return None

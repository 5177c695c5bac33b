"""Reads the certificate that a server presents, and checks, as the API server would, whether a CA bundle verifies it."""

import re
import socket
import ssl
from contextlib import closing

from cryptography import x509

from ...application.certificates.pem import bundle_pem, read_bundle
from ...application.certificates.tokens import without_token
from ...application.diagnosis.facts import Contact, Target

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_STATUS_BYTES = 256


def dial(target: Target, timeout: float) -> Contact:
    """Do two handshakes with a target: to read its certificate, and as a client that verifies it.

    ``timeout`` is for each connection, and for each step of a handshake.
    """
    try:
        connection = socket.create_connection(target.address, timeout)
    except OSError as error:
        return Contact(target, silence=_words(error), connected=False)
    leaf = None
    try:
        leaf = _presented(connection, target.name)
        refusal, statuses = _as_a_client(target, timeout)
    except OSError as error:  # ssl.SSLError too
        return Contact(target, leaf, silence=_words(error))
    return Contact(target, leaf, refusal, status=statuses[0], plain_status=statuses[1])


def _presented(connection: socket.socket, name: str) -> x509.Certificate:
    """Return the certificate that is presented, without verification."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with closing(connection), context.wrap_socket(connection, server_hostname=name) as shaken:
        der = shaken.getpeercert(binary_form=True)
    if der is None:
        raise ssl.SSLError("no certificate was presented")
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise ssl.SSLError(f"the certificate that was presented can't be read: {error}") from error


def _as_a_client(target: Target, timeout: float) -> tuple[str, tuple[int, int]]:
    """Return why a client rejects the certificate; otherwise the statuses of the path that is called, and of it without a token.

    Raises:
        OSError: a connection or a handshake failed for another reason.
    """
    trusted = read_bundle(target.bundle).certificates
    if not trusted:
        return "the caBundle contains no certificate", (0, 0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As in Go: any certificate of the bundle ends the path, and the strict checks that Python 3.13 adds are off.
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    context.load_verify_locations(cadata=bundle_pem(trusted).decode())
    try:
        # The token is sent only to a trusted server.
        paths = (target.path, without_token(target.path))
        status, plain_status = (_status(target, context, path, timeout) for path in paths)
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message), (0, 0)
    return "", (status, plain_status)


def _status(target: Target, context: ssl.SSLContext, path: str, timeout: float) -> int:
    """The HTTP status of a GET, which gpuwarden answers with 405 if it admits the path; 0 if there is no path or answer.

    Raises:
        OSError: there is no connection, or the server is rejected.
    """
    with (
        socket.create_connection(target.address, timeout) as connection,
        context.wrap_socket(connection, server_hostname=target.name) as shaken,
    ):
        if not path:
            return 0
        try:
            shaken.sendall(f"GET {path} HTTP/1.1\r\nHost: {target.name}\r\nConnection: close\r\n\r\n".encode())
            found = _STATUS_LINE.match(shaken.recv(_STATUS_BYTES))
        except OSError:  # a server that demands a certificate may end the connection after the handshake
            return 0
    return int(found[1]) if found else 0


def _words(error: OSError) -> str:
    return str(error.strerror or error)

"""What a server presents over TLS, and whether a client that trusts a bundle accepts it, as the API server would."""

import socket
import ssl
from contextlib import closing

from cryptography import x509

from webhook.application.certificates import bundle_pem, read_bundle
from webhook.application.diagnosis.facts import Contact, Target


def dial(target: Target, timeout: float) -> Contact:
    """Shake hands with a target twice: to see what it presents, and as a client that judges it.

    Args:
        target: where, under which name, by which bundle.
        timeout: seconds for each connection, and for each step of a handshake.
    """
    try:
        connection = socket.create_connection(target.address, timeout)
    except OSError as error:
        return Contact(target, silence=_words(error), connected=False)
    try:
        leaf = _presented(connection, target.name)
    except OSError as error:  # ssl's errors are some too
        return Contact(target, silence=_words(error))
    return Contact(target, leaf, refusal=_refusal(target, timeout))


def _presented(connection: socket.socket, name: str) -> x509.Certificate:
    """The certificate that is presented, whatever it is worth."""
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


def _refusal(target: Target, timeout: float) -> str:
    """Why a client refuses the server; empty when it does not."""
    trusted = read_bundle(target.bundle).certificates
    if not trusted:
        return "the caBundle holds no certificate"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As in Go: any certificate of the bundle ends the path, and what Python 3.13 adds (strictness) is not asked.
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    context.load_verify_locations(cadata=bundle_pem(trusted).decode())
    try:
        with (
            socket.create_connection(target.address, timeout) as connection,
            context.wrap_socket(connection, server_hostname=target.name),
        ):
            return ""
    except OSError as error:
        return _words(error)


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    return str(error.strerror or error)

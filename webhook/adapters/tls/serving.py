"""The serving certificate, which can be replaced while connections are open and handshakes are in progress.

``SSLContext.load_cert_chain`` must not be called on a context in use: if the pair does not match, it raises and leaves a context
with which every handshake fails. So a replacement is a new context, which is tested before one assignment makes it the current
one. Each connection gets the current context when it is accepted, and keeps it. (A server-name callback could do the same, but
Python calls it only for names in ASCII. For any other name it writes to standard error, where a client could make it wait.)
"""

from __future__ import annotations

import ssl
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from ...application.certificates.issue import BACKDATE
from ...application.certificates.pem import CertificateError, CertificatePair, describe, show
from ...application.certificates.trust import why_not_a_server
from .context import probe, server_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class _Served(NamedTuple):
    pair: CertificatePair
    context: ssl.SSLContext


class ServingCertificate:
    """The certificate for new connections.

    Handshakes are rejected until the first `replace`, which may be called from any thread. Client certificates are required only
    after `trust_clients`.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._client_ca: str | None = None
        self._served: _Served | None = None
        self._distrusted = False
        # The pair and the client CAs are set by different threads, and each builds a context with both.
        self._changing = Lock()

    @property
    def pair(self) -> CertificatePair | None:
        """The pair that new connections are served with now, or ``None`` before there is one."""
        served = self._served
        return served.pair if served else None

    def context(self) -> ssl.SSLContext | None:
        """The context of a new connection, or ``None`` before there is a pair."""
        served = self._served
        return served.context if served else None

    def note_distrust(self) -> None:
        """Note that a client does not trust the certificate."""
        self._distrusted = True

    def distrusted_since_last_call(self) -> bool:
        """Whether a client has rejected the certificate since the last call: a webhook may have no caBundle yet."""
        was, self._distrusted = self._distrusted, False
        return was

    def replace(self, pair: CertificatePair) -> None:
        """Serve new connections with this pair from now on. If it is rejected, nothing changes.

        A certificate that is not yet valid is rejected only beyond the backdating that issuers use against clocks
        that differ: the clients' clocks decide, not ours.

        Raises:
            CertificateError: When the pair has expired, is not for servers, or fails a handshake; the message says why.
        """
        self._check(pair)
        with self._changing:
            self._serve(pair, self._client_ca)

    def trust_clients(self, client_ca: str) -> None:
        """From now on, accept connections only from clients with a certificate of these CAs.

        Open connections continue, as when the pair is replaced.

        Raises:
            CertificateError: When it cannot be read; nothing changes then.
        """
        server_context(None, client_ca)
        with self._changing:
            if self._served:
                self._serve(self._served.pair, client_ca)
            self._client_ca = client_ca

    def _serve(self, pair: CertificatePair, client_ca: str | None) -> None:
        # While it is probed it must not ask for a client's certificate.
        context = server_context(pair, client_ca)
        asking, context.verify_mode = context.verify_mode, ssl.CERT_NONE
        probe(context, pair.certificate)
        context.verify_mode = asking
        self._served = _Served(pair, context)

    def _check(self, pair: CertificatePair) -> None:
        certificate, now = pair.certificate, self._clock()
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now > end:
            raise CertificateError(f"{describe(certificate)} expired at {show(end)}; issue a new one")
        if now < start - BACKDATE:
            raise CertificateError(
                f"{describe(certificate)} is not valid before {show(start)} and it is {show(now)}; "
                "check the clocks of this node and of the issuer"
            )
        if reason := why_not_a_server(certificate):
            raise CertificateError(f"{reason}; issue it for servers")

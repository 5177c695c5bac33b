"""The serving certificate on a real port, on both event loops: replaced, refused, and never broken."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.adapters.http.test_endpoint import Counted
from tests.wire import PATIENCE, request
from webhook.adapters.http.connection import Port
from webhook.adapters.http.connection_limiter import ConnectionLimiter, Rejections
from webhook.adapters.http.endpoint import AdmissionEndpoint
from webhook.adapters.http.limits import Limits
from webhook.adapters.http.listeners import AdmissionListener
from webhook.adapters.http.request_queue import RequestQueue
from webhook.adapters.tls import serving as module
from webhook.adapters.tls.context import probe, server_context
from webhook.adapters.tls.serving import ServingCertificate
from webhook.application.certificates.issue import BACKDATE, ServingNames, issue_ca, issue_leaf, new_key
from webhook.application.certificates.pem import CertificateError, CertificatePair

DAY = timedelta(days=1)
NAMES = ServingNames.parse(["localhost"], ["127.0.0.1"])
CA = issue_ca(key=new_key(), at=datetime.now(UTC), lifetime=9 * DAY)
OTHER_CA = issue_ca(key=new_key(), at=datetime.now(UTC), lifetime=9 * DAY)


def a_leaf(*, ca: CertificatePair = CA, names: ServingNames = NAMES, at: datetime | None = None) -> CertificatePair:
    return issue_leaf(ca, key=new_key(), names=names, at=at or datetime.now(UTC), lifetime=DAY)


def der(pair: CertificatePair) -> bytes:
    return pair.certificate.public_bytes(serialization.Encoding.DER)


def client(ca: CertificatePair = CA, **settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca.certificate_pem.decode())
    for name, value in settings.items():
        setattr(context, name, value)
    return context


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Awaitable[None]], None]]:
    """Run a coroutine on the event loop that is tested."""
    with asyncio.Runner(loop_factory=request.param) as runner:

        async def wait(awaitable: Awaitable[None]) -> None:
            await asyncio.wait_for(awaitable, PATIENCE)

        yield lambda awaitable: runner.run(wait(awaitable))


@dataclass
class Connection:
    """One keep-alive connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    presented: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.presented = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    async def get(self) -> bytes:
        self.writer.write(request("/"))
        await self.writer.drain()
        return await self.reader.readuntil(b"pong")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Server:
    """A port that serves one word."""

    port: int

    async def connect(self, context: ssl.SSLContext, name: str | None = "localhost") -> Connection:
        """Open a connection; without a name, no server name is sent (the context must not check it then)."""
        return Connection(
            *await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name or "")
        )

    async def presented(self, context: ssl.SSLContext | None = None, name: str | None = "localhost") -> bytes:
        connection = await self.connect(context or client(), name)
        try:
            assert b"200 OK" in await connection.get()
        finally:
            await connection.close()
        return connection.presented


@contextlib.asynccontextmanager
async def served(certificate: ServingCertificate) -> AsyncIterator[Server]:
    endpoint = AdmissionEndpoint("/", lambda _body: b"pong", Counted().answered)
    limiter = ConnectionLimiter(Limits(), Rejections("test", lambda _port, _reason: None))
    port = Port(lambda _path: endpoint, limiter, RequestQueue())
    listener = AdmissionListener(port, "127.0.0.1", 0, certificate.context, certificate.note_distrust)
    task = asyncio.ensure_future(listener.serve())
    try:
        while not port.started:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        yield Server(listener.port)
    finally:
        listener.stop()
        await task


def serving(pair: CertificatePair | None = None) -> ServingCertificate:
    certificate = ServingCertificate(lambda: datetime.now(UTC))
    if pair:
        certificate.replace(pair)
    return certificate


Run = Callable[[Awaitable[None]], None]


def test_clients_that_trust_the_authority_are_served_and_others_are_not(run: Run) -> None:
    async def scenario() -> None:
        pair = a_leaf()
        async with served(serving(pair)) as server:
            assert await server.presented() == der(pair)
            assert await server.presented(client(), "127.0.0.1") == der(pair)
            with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
                await server.presented(client(OTHER_CA))
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                await server.presented(client(), "example.com")

    run(scenario())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_does_not_trust_it_is_noted_once(run: Run, version: ssl.TLSVersion) -> None:
    def connect(port: int, ca: CertificatePair) -> None:
        """Connect with a socket, because asyncio's client hangs up without an alert."""
        with socket.create_connection(("127.0.0.1", port)) as plain:
            client(ca, maximum_version=version).wrap_socket(plain, server_hostname="localhost").close()

    async def scenario() -> None:
        certificate = serving(a_leaf())
        async with served(certificate) as server:
            await asyncio.to_thread(connect, server.port, CA)
            await server.presented(client(maximum_version=version))
            assert not certificate.distrusted_since_last_call()
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.to_thread(connect, server.port, OTHER_CA)
            await server.presented(client(maximum_version=version))
            assert certificate.distrusted_since_last_call()
            assert not certificate.distrusted_since_last_call()

    run(scenario())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["localhost", None], ids=["with server name", "without"])
def test_a_replaced_certificate_is_served_at_once_and_open_connections_stay(
    run: Run, version: ssl.TLSVersion, name: str | None
) -> None:
    async def scenario() -> None:
        first, second = a_leaf(), a_leaf()
        certificate = serving(first)
        trusting = client(check_hostname=name is not None, minimum_version=version, maximum_version=version)
        async with served(certificate) as server:
            before = await server.connect(trusting, name)
            assert b"200 OK" in await before.get()

            certificate.replace(second)

            after = await server.connect(trusting, name)
            assert (before.presented, after.presented) == (der(first), der(second))
            for connection in (before, after, before):
                assert b"200 OK" in await connection.get()
            await before.close()
            await after.close()

    run(scenario())


def test_certificates_are_replaced_under_a_stream_of_new_connections_without_one_failing(run: Run) -> None:
    async def scenario() -> None:
        pairs = [a_leaf() for _ in range(20)]
        certificate, seen, news, done = serving(pairs[0]), set[bytes](), asyncio.Event(), asyncio.Event()
        async with served(certificate) as server:

            async def connect_again_and_again() -> None:
                while not done.is_set():
                    seen.add(await server.presented())
                    news.set()

            streams = [asyncio.ensure_future(connect_again_and_again()) for _ in range(4)]
            for pair in pairs:
                # From a thread, as the reconciler does it.
                await asyncio.to_thread(certificate.replace, pair)
                while der(pair) not in seen:
                    news.clear()
                    await news.wait()
            done.set()
            await asyncio.gather(*streams)
        assert seen == {der(pair) for pair in pairs}

    run(scenario())


def test_handshakes_are_refused_until_there_is_a_certificate(run: Run) -> None:
    async def scenario() -> None:
        certificate, pair = serving(), a_leaf()
        assert certificate.pair is None
        async with served(certificate) as server:
            with pytest.raises(OSError):  # noqa: PT011 -- an alert or a reset, as the event loop has it
                await server.connect(client())

            certificate.replace(pair)

            assert await server.presented() == der(pair)

    run(scenario())


def mismatched() -> CertificatePair:
    """A pair that cannot exist, as if our own check of it had a hole."""
    pair = a_leaf()
    object.__setattr__(pair, "key", new_key())
    return pair


BAD: dict[str, tuple[Callable[[], CertificatePair], str]] = {
    "mismatched": (mismatched, r"(?i)OpenSSL rejects .*mismatch"),
    "expired": (lambda: a_leaf(at=datetime.now(UTC) - 2 * DAY, ca=long_ago()), r"expired at .*; issue a new one"),
    "not yet valid": (lambda: a_leaf(at=datetime.now(UTC) + DAY), "is not valid before .* check the clocks"),
    "for clients": (lambda: for_clients(), "does not include serverAuth"),  # noqa: PLW0108 -- it is defined below
}


def long_ago() -> CertificatePair:
    return issue_ca(key=new_key(), at=datetime.now(UTC) - 3 * DAY, lifetime=9 * DAY)


def for_clients() -> CertificatePair:
    key = new_key()
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(CA.certificate.subject, CA.certificate.subject, key.public_key(), 7, now, now + DAY)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return CertificatePair(certificate, key)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_pair_is_refused_with_its_reason_and_the_old_one_goes_on(run: Run, kind: str) -> None:
    make, message = BAD[kind]

    async def scenario() -> None:
        good = a_leaf()
        certificate = serving(good)
        async with served(certificate) as server:
            with pytest.raises(CertificateError, match=message):
                certificate.replace(make())

            assert certificate.pair == good
            for _ in range(3):
                assert await server.presented() == der(good)
            better = a_leaf()
            certificate.replace(better)
            assert await server.presented() == der(better)

    run(scenario())


def test_a_pair_that_openssl_loads_but_cannot_serve_is_refused_by_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe is asked, whatever loading said: here loading is made to lose the pair."""
    good = a_leaf()
    certificate = serving(good)
    build = server_context
    monkeypatch.setattr(module, "server_context", lambda _pair, client_ca: build(None, client_ca))

    with pytest.raises(CertificateError, match="a handshake with"):
        certificate.replace(a_leaf())

    assert certificate.pair == good


def test_loading_a_mismatched_pair_into_a_live_context_breaks_it_which_is_why_we_never_do(tmp_path: Any) -> None:
    """The control of this module's design: what happens to a context in use, measured."""
    good, other = a_leaf(), a_leaf()
    (tmp_path / "good.pem").write_bytes(good.certificate_pem + good.key_pem)
    (tmp_path / "bad.pem").write_bytes(other.certificate_pem + good.key_pem)
    live = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    live.load_cert_chain(tmp_path / "good.pem")
    probe(live, good.certificate)

    with pytest.raises(ssl.SSLError):
        live.load_cert_chain(tmp_path / "bad.pem")

    with pytest.raises(CertificateError, match="a handshake"):
        probe(live, good.certificate)


def test_a_certificate_from_a_clock_slightly_ahead_is_served() -> None:
    now = datetime.now(UTC)
    pair = a_leaf(at=now + 2 * BACKDATE - timedelta(seconds=5))

    assert pair.certificate.not_valid_before_utc > now
    assert serving(pair).pair == pair


def client_pair() -> CertificatePair:
    key, now = new_key(), datetime.now(UTC)
    names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "kube-apiserver")]
    certificate = (
        x509.CertificateBuilder(
            OTHER_CA.certificate.subject, x509.Name(names), key.public_key(), 7, now - DAY, now + DAY
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(OTHER_CA.key, hashes.SHA256())
    )
    return CertificatePair(certificate, key)


def test_client_certificates_are_asked_for_when_their_authority_is_given(run: Run, tmp_path: Any) -> None:
    async def scenario() -> None:
        certificate = serving(a_leaf())
        certificate.trust_clients(OTHER_CA.certificate_pem.decode())
        known, stranger = client_pair(), a_leaf(ca=CA)
        for name, pair in {"known": known, "stranger": stranger}.items():
            (tmp_path / name).write_bytes(pair.key_pem + pair.certificate_pem)
        async with served(certificate) as server:
            for _ in range(2):
                context = client()
                context.load_cert_chain(tmp_path / "known")
                assert await server.presented(context) == der(certificate.pair or known)
                with pytest.raises((ssl.SSLError, OSError, asyncio.IncompleteReadError)):
                    await server.presented(client())
                context = client()
                context.load_cert_chain(tmp_path / "stranger")
                with pytest.raises((ssl.SSLError, OSError, asyncio.IncompleteReadError)):
                    await server.presented(context)
                certificate.replace(a_leaf())

    run(scenario())

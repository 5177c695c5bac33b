"""Dialling a server as the API server would: what it presents, whether it is trusted, and why not."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from testing.control_plane.processes import free_port
from testing.stand_in.apiserver import StandIn
from webhook.adapters.tls.dial import dial
from webhook.application.certificates.issue import SelfSigned, self_signed_pair
from webhook.application.certificates.pem import CertificatePair
from webhook.application.diagnosis.facts import Contact, Target

HOST = "gpuwarden.gpuwarden-system.svc"
SECONDS = 5.0


def made(*names: str, at: datetime | None = None) -> SelfSigned:
    return self_signed_pair(names or (HOST,), [], at or datetime.now(UTC), timedelta(days=1))


@contextmanager
def serving(certificate: bytes, key: bytes, folder: Path) -> Iterator[int]:
    """A TLS server on loopback; gives its port."""
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with StandIn(context) as server:
        yield server.port


def dialled(pair: CertificatePair, bundle: bytes, folder: Path, name: str = HOST) -> Contact:
    with serving(pair.certificate_pem, pair.key_pem, folder) as port:
        return dial(Target("validate.gpuwarden.io", ("127.0.0.1", port), name, bundle), SECONDS)


def test_what_the_bundle_trusts_for_the_name_is_not_refused(tmp_path: Path) -> None:
    pairs = made()
    contact = dialled(pairs.leaf, pairs.ca.certificate_pem, tmp_path)
    assert (contact.refusal, contact.silence, contact.connected) == ("", "", True)
    assert contact.leaf == pairs.leaf.certificate


def test_another_authority_is_refused_and_the_leaf_is_seen_all_the_same(tmp_path: Path) -> None:
    pairs = made()
    contact = dialled(pairs.leaf, made().ca.certificate_pem, tmp_path)
    assert "unable to get" in contact.refusal
    assert contact.leaf == pairs.leaf.certificate


def test_another_name_is_refused(tmp_path: Path) -> None:
    pairs = made("elsewhere.example")
    contact = dialled(pairs.leaf, pairs.ca.certificate_pem, tmp_path)
    assert "mismatch" in contact.refusal


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    pairs = made(at=datetime.now(UTC) - timedelta(days=2))
    assert "expired" in dialled(pairs.leaf, pairs.ca.certificate_pem, tmp_path).refusal


def test_an_empty_or_unreadable_bundle_refuses_everything(tmp_path: Path) -> None:
    assert dialled(made().leaf, b"", tmp_path).refusal == "the caBundle contains no certificate"
    assert dialled(made().leaf, b"rubbish", tmp_path).refusal == "the caBundle contains no certificate"


def test_what_can_be_read_of_a_damaged_bundle_counts_as_for_the_api_server(tmp_path: Path) -> None:
    pairs = made()
    damaged = b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n" + pairs.ca.certificate_pem
    assert dialled(pairs.leaf, damaged, tmp_path).refusal == ""


def test_an_intermediate_that_is_sent_along_completes_the_path_and_one_in_the_bundle_ends_it(tmp_path: Path) -> None:
    root = trustme.CA()
    between = root.create_child_ca()
    leaf = between.issue_cert(HOST)
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    with serving(chain, leaf.private_key_pem.bytes(), tmp_path) as port:
        for bundle in (root.cert_pem.bytes(), between.cert_pem.bytes()):
            contact = dial(Target("w", ("127.0.0.1", port), HOST, bundle), SECONDS)
            assert contact.refusal == ""
    alone = leaf.cert_chain_pems[0].bytes()
    with serving(alone, leaf.private_key_pem.bytes(), tmp_path) as port:
        assert dial(Target("w", ("127.0.0.1", port), HOST, root.cert_pem.bytes()), SECONDS).refusal
        assert not dial(Target("w", ("127.0.0.1", port), HOST, between.cert_pem.bytes()), SECONDS).refusal


def test_nobody_there_is_no_connection() -> None:
    contact = dial(Target("w", ("127.0.0.1", free_port()), HOST, b""), SECONDS)
    assert (contact.connected, contact.leaf, contact.silence) == (False, None, "Connection refused")


def test_a_name_that_does_not_resolve_is_no_connection() -> None:
    contact = dial(Target("w", ("gpuwarden.invalid", 443), HOST, b""), SECONDS)
    assert contact.connected is False
    assert contact.silence


def test_somebody_who_speaks_no_tls_took_the_connection() -> None:
    with StandIn() as server:
        contact = dial(Target("w", ("127.0.0.1", server.port), HOST, b""), SECONDS)
    assert (contact.connected, contact.leaf) == (True, None)
    assert contact.silence


def test_somebody_who_says_nothing_is_waited_for_so_long_and_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        contact = dial(Target("w", server.getsockname()[:2], HOST, b""), 0.2)
    assert (contact.connected, contact.leaf) == (True, None)
    assert "timed out" in contact.silence


def test_a_connection_that_ends_after_the_certificate_was_read_says_nothing_of_trust(tmp_path: Path) -> None:
    """As when a replica becomes unready between two connections: the second is reset, and no client rejected anything."""
    pairs = made()
    (tmp_path / "tls.crt").write_bytes(pairs.leaf.certificate_pem)
    (tmp_path / "tls.key").write_bytes(pairs.leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            first, _ = server.accept()
            with first, context.wrap_socket(first, server_side=True):
                pass
            server.accept()[0].close()

        thread = threading.Thread(target=serve)
        thread.start()
        target = Target("w", server.getsockname()[:2], HOST, pairs.ca.certificate_pem)
        contact = dial(target, SECONDS)
        thread.join()
    assert (contact.leaf, contact.connected, contact.refusal) == (pairs.leaf.certificate, True, "")
    assert contact.silence


def test_a_token_is_shown_to_a_server_that_is_trusted_and_to_no_other(tmp_path: Path) -> None:
    pairs = made()
    called = f"/validate/{'0123456789abcdef' * 2}"
    (tmp_path / "tls.crt").write_bytes(pairs.leaf.certificate_pem)
    (tmp_path / "tls.key").write_bytes(pairs.leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with StandIn(context) as server:
        nothing: list[str] = []
        for bundle, asked in ((made().ca.certificate_pem, nothing), (pairs.ca.certificate_pem, [called, "/validate"])):
            contact = dial(Target("validate.gpuwarden.io", ("127.0.0.1", server.port), HOST, bundle, called), SECONDS)
            assert [request.path for request in server.requests] == asked
            assert {contact.status, contact.plain_status} == ({404} if asked else {0})

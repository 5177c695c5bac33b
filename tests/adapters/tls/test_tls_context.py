"""The context itself: what it speaks, what it refuses, and how a pair gets into it without a disk."""

import contextlib
import os
import ssl
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from webhook.adapters.tls.context import MAXIMUM_HANDSHAKE, probe, server_context
from webhook.application.certificates.issue import ServingNames, issue_ca, issue_leaf, new_key, self_signed_pair
from webhook.application.certificates.pem import CertificateError, CertificatePair

DAY = timedelta(days=1)
RSA_KEY = rsa.generate_private_key(65537, 2048)
NAMES = ServingNames.parse(["localhost"], [])


def a_pair() -> CertificatePair:
    return self_signed_pair(["localhost"], [], datetime.now(UTC), DAY).leaf


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Shake hands in memory and return the client's end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    two = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for end in (one, two):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return one


def anyones_client(**settings: object) -> ssl.SSLContext:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    for name, value in settings.items():
        setattr(client, name, value)
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(version: ssl.TLSVersion) -> None:
    end = handshake(server_context(a_pair()), anyones_client(minimum_version=version, maximum_version=version))

    assert end.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
    cipher = end.cipher()
    assert cipher is not None
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_not() -> None:
    client = anyones_client()
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
        handshake(server_context(a_pair()), client)


def test_only_ciphers_with_forward_secrecy_and_authentication_are_taken() -> None:
    ca = issue_ca(key=new_key(), at=datetime.now(UTC), lifetime=DAY)
    # RSA, because every one of these ciphers could be used with it.
    pair = issue_leaf(ca, key=RSA_KEY, names=NAMES, at=datetime.now(UTC), lifetime=DAY)
    client = anyones_client(maximum_version=ssl.TLSVersion.TLSv1_2)

    client.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    handshake(server_context(pair), client)
    for ciphers in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"):
        client.set_ciphers(ciphers)
        with pytest.raises(ssl.SSLError, match=r"(?i)no shared cipher"):
            handshake(server_context(pair), client)


def gives_tickets(server: ssl.SSLContext, version: ssl.TLSVersion) -> bool:
    end = handshake(server, anyones_client(minimum_version=version, maximum_version=version))
    with contextlib.suppress(ssl.SSLWantReadError):
        end.read()  # in TLS 1.3 tickets follow the handshake
    return end.session is not None and end.session.has_ticket


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_can_be_resumed(version: ssl.TLSVersion) -> None:
    pair = a_pair()
    usual = server_context(pair)
    usual.options &= ~ssl.OP_NO_TICKET
    usual.num_tickets = 2

    assert gives_tickets(usual, version), "the control"
    assert not gives_tickets(server_context(pair), version)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), RSA_KEY], ids=["P-384", "RSA"])
def test_other_kinds_of_keys_are_served(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    ca = issue_ca(key=new_key(), at=datetime.now(UTC), lifetime=DAY)
    pair = issue_leaf(ca, key=key, names=NAMES, at=datetime.now(UTC), lifetime=DAY)

    probe(server_context(pair), pair.certificate)


def test_a_key_that_openssl_thinks_too_short_is_refused_with_its_reason() -> None:
    ca = issue_ca(key=new_key(), at=datetime.now(UTC), lifetime=DAY)
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 -- this is what must be refused
    pair = issue_leaf(ca, key=weak, names=NAMES, at=datetime.now(UTC), lifetime=DAY)

    with pytest.raises(CertificateError, match=r"(?i)OpenSSL rejects .*key too small"):
        server_context(pair)


def test_client_authorities_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(CertificateError, match="the client CA file cannot be used"):
        server_context(None, "not PEM")


def test_a_handshake_is_limited_and_what_comes_with_its_end_is_not() -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = anyones_client().wrap_bio(to_client, to_server, server_hostname="localhost")
    server = server_context(a_pair()).wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    client.do_handshake()
    for _ in range(4):
        client.write(b"x" * MAXIMUM_HANDSHAKE)
    server.do_handshake()
    assert server.read(4) == b"xxxx"

    endless, nowhere = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(a_pair()).wrap_bio(endless, nowhere, server_side=True)
    endless.write(b"\x16\x03\x01\x40\0\x01\x01\0\0" + bytes(0x4000 - 4))  # a ClientHello of 64 KiB: its first record
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    with pytest.raises(ssl.SSLError, match=f"not complete after {MAXIMUM_HANDSHAKE} bytes"):
        server.do_handshake()


def test_the_probe_sees_that_another_certificate_is_served() -> None:
    one, other = a_pair(), a_pair()

    probe(server_context(one), one.certificate)
    with pytest.raises(CertificateError, match="does not present"):
        probe(server_context(one), other.certificate)


def test_the_probe_sees_that_nothing_is_served() -> None:
    with pytest.raises(CertificateError, match=r"(?i)a handshake with .* fails: .*no shared cipher"):
        probe(server_context(None), a_pair().certificate)


def test_the_probe_sees_a_handshake_that_does_not_end() -> None:
    pair = a_pair()
    server = server_context(pair, pair.certificate_pem.decode())
    server.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(CertificateError, match="a handshake"):
        probe(server, pair.certificate)


def test_the_private_key_never_touches_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_disk(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was asked for")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", no_disk)
    before = set(Path("/proc/self/fd").iterdir())

    server_context(a_pair())

    # Those of earlier tests may be closed meanwhile, as garbage.
    assert set(Path("/proc/self/fd").iterdir()) <= before, "and no descriptor is left open"


def test_a_kernel_that_does_not_know_the_flag_is_asked_again_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    create = os.memfd_create

    def old_kernel(name: str, flags: int) -> int:
        asked.append(flags)
        if flags != os.MFD_CLOEXEC:
            raise OSError(22, "Invalid argument")
        return create(name, flags)

    monkeypatch.setattr(os, "memfd_create", old_kernel)
    pair = a_pair()

    probe(server_context(pair), pair.certificate)

    assert len(asked) == 2


@pytest.mark.parametrize("how", ["forbidden", "missing"])
def test_without_memory_files_a_private_folder_is_used_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    modes: list[int] = []
    write = Path.write_bytes

    def watched(path: Path, content: bytes) -> int:
        modes.append(path.parent.stat().st_mode & 0o777)
        return write(path, content)

    def forbidden(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    if how == "missing":
        monkeypatch.delattr(os, "memfd_create")
    else:
        monkeypatch.setattr(os, "memfd_create", forbidden)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", watched)
    pair = a_pair()

    probe(server_context(pair), pair.certificate)

    assert modes == [0o700]
    assert list(tmp_path.iterdir()) == []


def test_it_works_where_no_folder_can_be_written() -> None:
    program = (
        "import os, sys, tempfile; from datetime import *\n"
        "from webhook.adapters.tls.context import MAXIMUM_HANDSHAKE, probe, server_context\n"
        "from webhook.application.certificates.issue import self_signed_pair\n"
        "pair = self_signed_pair(['localhost'], [], datetime.now(UTC), timedelta(days=1)).leaf\n"
        "tempfile.tempdir = '/nonexistent'\n"
        "try: tempfile.TemporaryFile()\n"
        "except OSError: pass\n"
        "else: sys.exit('the control failed: a temporary file could be made')\n"
        "probe(server_context(pair), pair.certificate); print('served')\n"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert result.stdout == "served\n", result.stderr

"""``--client-ca-file`` and ``--allowed-cn``: who comes in over TLS, who is told why not, and what a new file changes."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from testing.reviews import a_pod, a_review, encode
from tests.cli.serving import Served, replace_file
from tests.load.process import refused, wait_until_refused
from tests.wire import Reply, Wire, request

API_SERVER = "kube-apiserver"
OURS, THEIRS = trustme.CA(), trustme.CA()
GOOD = request("/mutate", encode(a_review(a_pod())))


def certificate(authority: trustme.CA, name: str) -> trustme.LeafCert:
    return authority.issue_cert("client.invalid", common_name=name)


def ask(
    server: Served,
    shown: trustme.LeafCert | None,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    others: int = 0,
) -> Reply:
    """One request of a client that shows a certificate and so many ``others``, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if shown:
        with shown.private_key_and_cert_chain_pem.tempfile() as path:
            with Path(path).open("ab") as chain:
                chain.write(THEIRS.cert_pem.bytes() * others)
            context.load_cert_chain(path)
    with Wire(server.said["port"], context) as wire:
        wire.send(GOOD)
        reply = wire.reply()
        if reply.code == 403:
            assert wire.ended()
        return reply


def cut_off(
    server: Served,
    shown: trustme.LeafCert | None,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    others: int = 0,
) -> bool:
    """Whether the handshake fails, which TLS 1.3 tells the client only when it reads."""
    try:
        ask(server, shown, version, others)
    except (OSError, EOFError):
        return True
    return False


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clients") / "ca.crt"
    OURS.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="module")
def server(authorities: Path) -> Iterator[Served]:
    options = ("--client-ca-file", authorities, "--allowed-cn", API_SERVER, "--allowed-cn", "front-proxy")
    with Served("--tls-self-signed", *options) as served:
        yield served
        assert not [line for line in served.log if line.get("raw")]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", [API_SERVER, "front-proxy"])
def test_an_allowed_name_of_the_authority_is_served(server: Served, name: str, version: ssl.TLSVersion) -> None:
    assert ask(server, certificate(OURS, name), version).code == 200


def test_another_name_is_told_that_it_may_not_call(server: Served) -> None:
    before = refused(server, "common-name")

    reply = ask(server, certificate(OURS, "someone"))

    assert reply.code == 403
    assert reply.headers["connection"] == "close"
    status = reply.json()
    assert (status["kind"], status["reason"]) == ("Status", "Forbidden")
    assert 'common name is "someone", which is not allowed' in status["message"]
    assert refused(server, "common-name") == before + 1
    line = server.wait_for("rejected", reason="common-name")
    assert line["client"] == "127.0.0.1"
    assert "someone" in line["detail"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("authority", [None, THEIRS], ids=["no certificate", "of another authority"])
def test_without_a_certificate_of_the_authority_the_handshake_fails(
    server: Served, authority: trustme.CA | None, version: ssl.TLSVersion
) -> None:
    before = refused(server, "certificate")

    assert cut_off(server, certificate(authority, API_SERVER) if authority else None, version)

    wait_until_refused(server, "certificate", before)
    server.wait_for("rejected", reason="certificate", port="admission")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_may_bring_its_chain_but_not_a_hundred_others(server: Served, version: ssl.TLSVersion) -> None:
    """Many certificates of an unknown CA take long to reject, and those of a known one much memory."""
    before = refused(server, "handshake")

    assert ask(server, certificate(OURS, API_SERVER), version, others=10).code == 200
    assert cut_off(server, certificate(OURS, API_SERVER), version, others=100)

    wait_until_refused(server, "handshake", before)
    assert ask(server, certificate(OURS, API_SERVER), version).code == 200


def test_a_connection_is_asked_once_for_all_its_requests(server: Served) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    certificate(OURS, API_SERVER).configure_cert(context)
    with Wire(server.said["port"], context) as wire:
        for _ in range(20):
            wire.send(GOOD)
            assert wire.reply().code == 200


def test_probes_and_metrics_need_no_certificate(server: Served) -> None:
    assert server.ops("/readyz").code == 200


def test_strangers_leave_few_lines(server: Served) -> None:
    before, since = refused(server, "certificate"), len(server.log)
    for _ in range(50):
        assert cut_off(server, None)
    wait_until_refused(server, "certificate", before + 49)
    assert len([line for line in server.log[since:] if line["event"] == "rejected"]) <= 2


def test_other_authorities_are_taken_up_and_a_bad_file_changes_nothing(server: Served, authorities: Path) -> None:
    ours, theirs = certificate(OURS, API_SERVER), certificate(THEIRS, API_SERVER)
    try:
        since = len(server.log)
        replace_file(authorities, OURS.cert_pem.bytes() + THEIRS.cert_pem.bytes())
        server.wait_for("file reloaded", since, file="client-ca")
        assert [ask(server, shown).code for shown in (ours, theirs)] == [200, 200]

        since = len(server.log)
        replace_file(authorities, "-----BEGIN CERTIFICATE-----\nhalf")
        told = server.wait_for("file not reloaded, the last valid content stays in use", since, file="client-ca")
        assert "give PEM certificates" in told["reason"]
        assert [ask(server, shown).code for shown in (ours, theirs)] == [200, 200]
        assert cut_off(server, None)
        assert server.metric('gpuwarden_reload_failing{file="client-ca"}') == 1
        assert {"name": "client-ca", "ready": True} in [
            {key: part[key] for key in ("name", "ready")} for part in server.ops("/readyz").json()["parts"]
        ]

        since = len(server.log)
        replace_file(authorities, THEIRS.cert_pem.bytes())
        server.wait_for("file reloaded", since, file="client-ca")
        assert ask(server, theirs).code == 200
        assert cut_off(server, ours)
        since = len(server.log)
    finally:
        replace_file(authorities, OURS.cert_pem.bytes())
    server.wait_for("file reloaded", since, file="client-ca")
    assert ask(server, ours).code == 200


def test_without_names_any_certificate_of_the_authority_will_do(authorities: Path) -> None:
    with Served("--tls-self-signed", "--client-ca-file", authorities) as server:
        assert ask(server, certificate(OURS, "anyone")).code == 200
        assert cut_off(server, certificate(THEIRS, "anyone"))


def test_without_authorities_nobody_is_asked() -> None:
    """The control of all tests above."""
    with Served("--tls-self-signed") as server:
        assert ask(server, None).code == 200
        assert ask(server, certificate(THEIRS, "anyone")).code == 200

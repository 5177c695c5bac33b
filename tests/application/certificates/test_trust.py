"""What a client would say: each acceptance with the refusal next to it."""

from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from webhook.application.certificates.issue import ServingNames, issue_ca, issue_leaf, new_key
from webhook.application.certificates.pem import CertificatePair
from webhook.application.certificates.trust import (
    covers,
    is_authority,
    issued_by,
    why_invalid,
    why_not_a_server,
    why_untrusted,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def a_ca(at: datetime = NOW, lifetime: timedelta = 9 * DAY) -> CertificatePair:
    return issue_ca(key=new_key(), at=at, lifetime=lifetime, backdate=timedelta())


def a_leaf(ca: CertificatePair, *names: str, lifetime: timedelta = 3 * DAY) -> CertificatePair:
    serving = ServingNames.parse([n for n in names if ":" not in n] or ["localhost"], [n for n in names if ":" in n])
    return issue_leaf(ca, key=new_key(), names=serving, at=NOW, lifetime=lifetime, backdate=timedelta())


def a_certificate(*extensions: x509.ExtensionType) -> x509.Certificate:
    key = new_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "anything")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + DAY)
    for value in extensions:
        builder = builder.add_extension(value, critical=False)
    return builder.sign(key, hashes.SHA256())


def test_a_certificate_is_valid_from_its_first_second_to_its_last() -> None:
    certificate = a_ca().certificate

    assert why_invalid(certificate, NOW) is None
    assert why_invalid(certificate, NOW + 9 * DAY) is None
    assert "is not valid before 2026-03-04T05:06:07Z" in (why_invalid(certificate, NOW - SECOND) or "")
    assert "expired at 2026-03-13T05:06:07Z" in (why_invalid(certificate, NOW + 9 * DAY + SECOND) or "")


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("localhost.example.org", False),
        ("localhost.example.com", True),
        ("host", False),
        ("a.example.com", True),
        ("a.b.example.com", False),
        ("example.com", False),
        (".example.com", False),
        ("::1", True),
        ("0:0::1", True),
        ("::2", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_a_certificate_covers_its_names_and_no_others(name: str, covered: bool) -> None:  # noqa: FBT001 -- a column of the table
    certificate = a_leaf(a_ca(), "localhost", "*.example.com", "::1").certificate

    assert covers(certificate, name) is covered


def test_the_common_name_covers_nothing() -> None:
    assert not covers(a_certificate(), "anything")


def test_only_a_certificate_that_may_sign_is_an_authority() -> None:
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    usage = a_leaf(a_ca()).certificate.extensions.get_extension_for_class(x509.KeyUsage).value

    assert is_authority(a_ca().certificate)
    assert is_authority(a_certificate(constraints))
    assert not is_authority(a_certificate(constraints, usage))
    assert not is_authority(a_certificate())
    assert not is_authority(a_leaf(a_ca()).certificate)


def test_a_certificate_for_clients_only_is_not_a_server() -> None:
    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH

    assert why_not_a_server(a_certificate()) is None
    assert why_not_a_server(a_certificate(x509.ExtendedKeyUsage([client, server]))) is None
    assert why_not_a_server(a_certificate(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]))) is None
    assert "does not include serverAuth" in (why_not_a_server(a_certificate(x509.ExtendedKeyUsage([client]))) or "")


def test_issued_by_asks_the_name_and_the_signature() -> None:
    ca = a_ca()
    leaf = a_leaf(ca).certificate
    key = new_key()
    namesake = (
        x509.CertificateBuilder(ca.certificate.subject, ca.certificate.subject, key.public_key(), 7, NOW, NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )

    assert issued_by(leaf, ca.certificate)
    assert not issued_by(leaf, a_ca().certificate)
    assert not issued_by(leaf, namesake)
    assert "none of the 1 trusted certificates issued" in (why_untrusted(leaf, [namesake], NOW) or "")


def test_a_leaf_is_trusted_under_a_bundle_that_holds_its_authority() -> None:
    ca, other = a_ca(), a_ca()
    leaf = a_leaf(ca).certificate

    assert why_untrusted(leaf, [other.certificate, ca.certificate], NOW) is None
    assert "none of the 1 trusted certificates issued" in (why_untrusted(leaf, [other.certificate], NOW) or "")
    assert "none of the 0" in (why_untrusted(leaf, [], NOW) or "")


def test_a_leaf_is_not_trusted_outside_its_life_or_its_authoritys() -> None:
    ca = a_ca(at=NOW - DAY, lifetime=5 * DAY)
    leaf = a_leaf(ca).certificate
    late = a_ca(at=NOW + DAY)
    from_the_future = a_leaf(late).certificate

    assert why_untrusted(leaf, [ca.certificate], NOW) is None
    assert "expired" in (why_untrusted(leaf, [ca.certificate], NOW + 4 * DAY) or "")
    assert "its issuer" in (why_untrusted(from_the_future, [late.certificate], NOW) or "")
    assert why_untrusted(from_the_future, [late.certificate], NOW + DAY) is None


def test_a_certificate_for_clients_is_trusted_by_nobody() -> None:
    certificate = a_certificate(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))

    assert "serverAuth" in (why_untrusted(certificate, [certificate], NOW) or "")


def test_a_self_signed_leaf_in_the_bundle_is_trusted_as_go_trusts_it() -> None:
    leaf = a_certificate()

    assert why_untrusted(leaf, [leaf], NOW) is None
    assert why_untrusted(leaf, [a_certificate()], NOW) is not None


def test_intermediates_lead_to_the_bundle_and_without_them_nothing_does() -> None:
    root = trustme.CA()
    middle = root.create_child_ca()
    issued = middle.issue_cert("localhost")
    leaf, *between = (x509.load_pem_x509_certificate(blob.bytes()) for blob in issued.cert_chain_pems)
    anchor = x509.load_pem_x509_certificate(root.cert_pem.bytes())
    now = leaf.not_valid_before_utc + DAY

    assert why_untrusted(leaf, [anchor], now, between) is None
    assert why_untrusted(leaf, between, now) is None, "Go ends a path at any certificate of the bundle"
    assert why_untrusted(leaf, [anchor], now) is not None
    assert why_untrusted(leaf, [a_ca().certificate], now, [*between, anchor]) is not None


def test_a_leaf_does_not_vouch_for_another() -> None:
    ca = a_ca()
    leaf = a_leaf(ca)
    key = new_key()
    forged = x509.CertificateBuilder(
        leaf.certificate.subject, leaf.certificate.subject, key.public_key(), 7, NOW, NOW + DAY
    ).sign(leaf.key, hashes.SHA256())

    assert issued_by(forged, leaf.certificate)
    assert why_untrusted(forged, [ca.certificate], NOW, [leaf.certificate]) is not None

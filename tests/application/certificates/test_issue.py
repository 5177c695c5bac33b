"""Issuing: the profile of what comes out, who accepts it, and the negative control of each acceptance."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from webhook.application.certificates.issue import (
    BACKDATE,
    ServingNames,
    is_ours,
    issue_ca,
    issue_leaf,
    new_key,
    self_signed_pair,
)
from webhook.application.certificates.pem import CertificateError, CertificatePair, PrivateKey

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ServingNames.parse(["gpuwarden.gpuwarden.svc", "localhost"], ["127.0.0.1", "::1"])


def a_ca(at: datetime = NOW, lifetime: timedelta = 10 * DAY) -> CertificatePair:
    return issue_ca(key=new_key(), at=at, lifetime=lifetime)


def a_leaf(ca: CertificatePair, at: datetime = NOW, lifetime: timedelta = DAY) -> CertificatePair:
    return issue_leaf(ca, key=new_key(), names=NAMES, at=at, lifetime=lifetime)


def assert_is_ca(certificate: x509.Certificate) -> None:
    """The whole profile of an authority, stated once."""
    extensions = certificate.extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).critical
    assert extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)  # noqa: FBT003 -- the library's signature
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, True, False)
    own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert own.value == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    assert certificate.issuer == certificate.subject
    assert_is_well_formed(certificate)


def assert_is_leaf(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """The whole profile of a serving certificate, stated once."""
    extensions = certificate.extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).critical
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_cert_sign, usage.value.crl_sign) == (True, False, False)
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    above = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert above == issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert certificate.issuer == issuer.subject
    assert_is_well_formed(certificate)


def assert_is_well_formed(certificate: x509.Certificate) -> None:
    assert certificate.version is x509.Version.v3
    assert 0 < certificate.serial_number < 2**159
    assert certificate.signature_hash_algorithm is not None
    assert certificate.signature_hash_algorithm.name == "sha256"


def test_an_authority_has_the_profile_of_one() -> None:
    ca = a_ca()

    assert_is_ca(ca.certificate)
    assert isinstance(ca.key, ec.EllipticCurvePrivateKey)
    assert ca.key.curve.name == "secp256r1"
    assert ca.certificate.not_valid_before_utc == NOW - BACKDATE
    assert ca.certificate.not_valid_after_utc == NOW + 10 * DAY


def test_a_leaf_has_the_profile_of_one() -> None:
    ca = a_ca()

    leaf = a_leaf(ca)

    assert_is_leaf(leaf.certificate, ca.certificate)
    assert leaf.certificate.not_valid_before_utc == NOW - BACKDATE
    assert leaf.certificate.not_valid_after_utc == NOW + DAY
    names = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gpuwarden.gpuwarden.svc", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == list(NAMES.ips)
    assert IPv4Address("127.0.0.1") in NAMES.ips


def test_fractions_of_a_second_and_other_time_zones_come_out_as_whole_utc_seconds() -> None:
    at = datetime.fromisoformat("2026-03-04T07:06:07.999+02:00")

    assert a_ca(at).certificate.not_valid_before_utc == NOW - BACKDATE


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(CertificateError, match="has no time zone"):
        a_ca(NOW.replace(tzinfo=None))


def test_a_leaf_never_outlives_its_authority() -> None:
    ca = a_ca(lifetime=DAY)

    assert a_leaf(ca, lifetime=5 * DAY).certificate.not_valid_after_utc == ca.certificate.not_valid_after_utc


def test_an_expired_authority_signs_nothing() -> None:
    ca = a_ca(lifetime=DAY)

    a_leaf(ca, at=NOW + DAY - timedelta(seconds=1))
    with pytest.raises(CertificateError, match=r"expired at 2026-03-05T05:06:07Z; a new one is needed first"):
        a_leaf(ca, at=NOW + DAY)


def test_a_leaf_signs_nothing() -> None:
    with pytest.raises(CertificateError, match="is not a CA certificate"):
        a_leaf(a_leaf(a_ca()))


def test_two_authorities_share_neither_name_nor_serial_number() -> None:
    one, two = a_ca().certificate, a_ca().certificate

    assert one.subject != two.subject
    assert one.serial_number != two.serial_number


def test_leaves_of_one_key_have_different_serial_numbers_when_they_are_different_certificates() -> None:
    ca, key = a_ca(), new_key()
    serials = {
        issue_leaf(ca, key=key, names=NAMES, at=NOW + timedelta(seconds=n), lifetime=DAY).certificate.serial_number
        for n in range(3)
    }

    assert len(serials) == 3


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["RSA", "Ed25519", "P-384"],
)
def test_an_authority_of_another_kind_of_key_signs_too(key: PrivateKey) -> None:
    ca = issue_ca(key=key, at=NOW, lifetime=DAY)

    leaf = a_leaf(ca)

    leaf.certificate.verify_directly_issued_by(ca.certificate)


def test_an_authority_without_a_key_identifier_is_named_by_its_key() -> None:
    key = new_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody's CA")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )

    leaf = a_leaf(CertificatePair(certificate, key)).certificate

    above = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert above == x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest


def verify_independently(leaf: x509.Certificate, root: x509.Certificate, name: str, at: datetime) -> None:
    """Ask the strict web profile of ``cryptography``'s own verifier, which shares no code with ours."""
    verifier = PolicyBuilder().store(Store([root])).time(at).build_server_verifier(x509.DNSName(name))
    verifier.verify(leaf, [])


def test_an_independent_verifier_accepts_a_leaf() -> None:
    ca = a_ca()

    verify_independently(a_leaf(ca).certificate, ca.certificate, "localhost", NOW)


def test_and_refuses_it_under_another_authority_name_or_time() -> None:
    ca = a_ca()
    leaf = a_leaf(ca).certificate

    with pytest.raises(VerificationError):
        verify_independently(leaf, a_ca().certificate, "localhost", NOW)
    with pytest.raises(VerificationError):
        verify_independently(leaf, ca.certificate, "example.com", NOW)
    with pytest.raises(VerificationError):
        verify_independently(leaf, ca.certificate, "localhost", NOW + 2 * DAY)
    with pytest.raises(VerificationError):
        verify_independently(leaf, ca.certificate, "localhost", NOW - 2 * BACKDATE)


def test_openssl_takes_the_authority_for_a_trust_anchor() -> None:
    context = ssl.create_default_context(cadata=a_ca().certificate_pem.decode())

    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_self_signed_pair_is_a_leaf_under_its_own_authority() -> None:
    ca, leaf = self_signed_pair(["localhost"], ["127.0.0.1"], NOW, 30 * DAY)

    assert_is_ca(ca.certificate)
    assert_is_leaf(leaf.certificate, ca.certificate)
    assert ca.key_pem != leaf.key_pem
    assert leaf.certificate.not_valid_after_utc == NOW + 30 * DAY
    verify_independently(leaf.certificate, ca.certificate, "localhost", NOW)


def test_ours_is_what_we_issue_and_nothing_else() -> None:
    ca = a_ca()
    foreign = x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())

    assert is_ours(ca.certificate)
    assert not is_ours(a_leaf(ca).certificate)
    assert not is_ours(foreign)


def test_an_authority_with_our_name_and_a_broken_signature_is_not_ours() -> None:
    der = bytearray(a_ca().certificate.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1

    assert not is_ours(x509.load_der_x509_certificate(bytes(der)))

"""Pairs, keys and bundles: read from PEM, written to it."""

from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519

from webhook.application.certificates.issue import is_ours, issue_ca, new_key, self_signed_pair
from webhook.application.certificates.pem import (
    CertificateError,
    CertificatePair,
    bundle_pem,
    describe,
    fingerprint,
    read_bundle,
    read_key,
    show,
)
from webhook.application.certificates.trust import issued_by

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def a_ca() -> CertificatePair:
    return issue_ca(key=new_key(), at=NOW, lifetime=timedelta(days=1))


def test_a_pair_comes_back_from_its_own_pem() -> None:
    pair = self_signed_pair(["localhost"], [], NOW, timedelta(days=1)).leaf

    again = CertificatePair.from_pem(pair.certificate_pem, pair.key_pem)

    assert again == pair
    assert again.key_pem == pair.key_pem


def test_intermediates_follow_the_leaf_in_both_directions() -> None:
    ca, leaf = self_signed_pair(["localhost"], [], NOW, timedelta(days=1))

    pair = CertificatePair.from_pem(leaf.certificate_pem + ca.certificate_pem, leaf.key_pem)

    assert pair.certificate == leaf.certificate
    assert pair.chain == (ca.certificate,)
    assert pair.certificate_pem == leaf.certificate_pem + ca.certificate_pem


def test_a_pair_made_by_another_library_is_read() -> None:
    other = trustme.CA().issue_cert("localhost", key_type=trustme.KeyType.RSA)

    pair = CertificatePair.from_pem(
        b"".join(blob.bytes() for blob in other.cert_chain_pems), other.private_key_pem.bytes()
    )

    assert isinstance(pair.key, rsa.RSAPrivateKey)


def test_a_key_of_another_certificate_is_refused() -> None:
    one, two = a_ca(), a_ca()

    with pytest.raises(CertificateError, match=r"does not belong to the certificate .*gpuwarden CA"):
        CertificatePair.from_pem(one.certificate_pem, two.key_pem)
    with pytest.raises(CertificateError, match="does not belong"):
        CertificatePair(one.certificate, ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "pem", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], ids=str
)
def test_an_unreadable_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(CertificateError, match="the certificate is not readable PEM"):
        CertificatePair.from_pem(pem, a_ca().key_pem)


def test_an_unreadable_key_is_refused_without_a_word_of_its_content() -> None:
    with pytest.raises(CertificateError, match=r"^the private key is not readable PEM$"):
        read_key(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")


def test_an_encrypted_key_is_refused_by_name() -> None:
    pem = new_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )

    with pytest.raises(CertificateError, match="encrypted; give it without a passphrase"):
        read_key(pem)


def test_a_kind_of_key_that_tls_does_not_use_is_refused() -> None:
    pem = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    with pytest.raises(CertificateError, match="use ECDSA, RSA or Ed25519"):
        read_key(pem)


def test_a_pair_never_shows_its_key() -> None:
    assert "key" not in repr(a_ca()).lower().replace("keyusage", "")


def test_a_bundle_is_read_in_order_and_each_certificate_once() -> None:
    one, two = a_ca().certificate, a_ca().certificate

    bundle = read_bundle(b"# a comment is fine\n" + bundle_pem([one, two, one]))

    assert bundle.certificates == (one, two)
    assert not bundle.damage


@pytest.mark.parametrize("empty", [b"", b" \n"], ids=["empty", "blank"])
def test_an_empty_bundle_is_not_damaged(empty: bytes) -> None:
    assert read_bundle(empty).certificates == ()
    assert not read_bundle(empty).damage


def test_what_can_be_read_of_a_damaged_bundle_is_read() -> None:
    one, two = a_ca(), a_ca()
    torn = one.certificate_pem[: len(one.certificate_pem) // 2]

    before = read_bundle(torn + two.certificate_pem)
    after = read_bundle(two.certificate_pem + torn)

    assert before.certificates == after.certificates == (two.certificate,)
    assert before.damage == after.damage == "1 of 2 certificates in it cannot be parsed"


OIDS = [x509.ObjectIdentifier("1.2.3.4"), x509.ObjectIdentifier("1.2.3.5")]
EXTENSIONS = [x509.UnrecognizedExtension(oid, b"") for oid in OIDS]
GARBAGE = x509.UnrecognizedExtension(x509.BasicConstraints.oid, b"garbage")
MALFORMED: dict[str, tuple[list[x509.UnrecognizedExtension], bytes, bytes]] = {
    "a name that is no text": ([], b"\x0c\x01x", b"\x0c\x01\xff"),
    "an extension that cannot be parsed": ([GARBAGE], b"", b""),
    "an extension twice": (EXTENSIONS, bytes.fromhex("06032a0305"), bytes.fromhex("06032a0304")),
}


def malformed(kind: str) -> tuple[bytes, bytes]:
    """A certificate that loads and falls apart when it is asked for its parts; and its key."""
    extensions, old, new = MALFORMED[kind]
    key, name = new_key(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + timedelta(days=1))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER).replace(old, new)
    pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    return pem, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_certificate_that_falls_apart_later_is_refused_when_it_is_read(kind: str) -> None:
    pem, key_pem = malformed(kind)
    one = a_ca()

    bundle = read_bundle(pem + one.certificate_pem)

    assert bundle.certificates == (one.certificate,)
    assert bundle.damage == "1 of 2 certificates in it cannot be parsed"
    with pytest.raises(CertificateError, match="the certificate is not readable PEM"):
        CertificatePair.from_pem(pem, key_pem)


def test_a_certificate_whose_key_is_of_an_unknown_kind_belongs_to_no_key() -> None:
    ca = a_ca()
    der = ca.certificate.public_bytes(serialization.Encoding.DER)
    curve, unknown = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030109")
    certificate = x509.load_der_x509_certificate(der.replace(curve, unknown))

    with pytest.raises(CertificateError, match="does not belong"):
        CertificatePair(certificate, ca.key)
    assert not is_ours(certificate)
    assert issued_by(ca.certificate, ca.certificate)
    assert not issued_by(ca.certificate, certificate)


def test_a_bundle_of_something_else_is_damaged() -> None:
    assert read_bundle(a_ca().key_pem).damage == "it holds something that is not a PEM certificate"
    assert read_bundle(b"\x00\xff").certificates == ()


def test_a_certificate_is_called_by_its_subject_and_fingerprint() -> None:
    certificate = a_ca().certificate

    assert len(fingerprint(certificate)) == 64
    assert fingerprint(certificate)[:12] in describe(certificate)
    assert "gpuwarden CA" in describe(certificate)


@pytest.mark.parametrize(
    ("names", "called"),
    [
        ([x509.DNSName("a.svc"), x509.DNSName("b.svc"), x509.RFC822Name("c@d")], '"a.svc, b.svc"'),
        ([x509.RFC822Name("c@d")], '"no subject"'),
        ([], '"no subject"'),
    ],
    ids=["DNS names", "other names", "no names"],
)
def test_a_certificate_without_a_subject_is_called_by_its_names(names: list[x509.GeneralName], called: str) -> None:
    key = new_key()
    builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1, NOW, NOW + timedelta(days=1))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    certificate = builder.sign(key, hashes.SHA256())

    assert describe(certificate) == f"{called} ({fingerprint(certificate)[:12]})"


def test_a_moment_is_shown_in_utc() -> None:
    assert show(datetime.fromisoformat("2026-03-04T05:06:07.9+02:00")) == "2026-03-04T03:06:07Z"

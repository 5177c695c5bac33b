"""The CA Secret: what is written comes back, and what cannot be used is left out and said."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ed25519

from webhook.application.certificates.issue import issue_ca, new_key, self_signed_pair
from webhook.application.certificates.pem import CertificatePair, bundle_pem
from webhook.application.certificates.secret import Authorities, read_authorities, write_authorities

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def a_ca(key: ed25519.Ed25519PrivateKey | None = None) -> CertificatePair:
    return issue_ca(key=key or new_key(), at=NOW, lifetime=timedelta(days=9))


ONE, TWO, THREE = a_ca(), a_ca(), a_ca()
FULL = Authorities(ONE, TWO, (THREE.certificate,), NOW)


@pytest.mark.parametrize(
    "authorities",
    [
        Authorities(),
        Authorities(current=ONE),
        Authorities(next=TWO),
        FULL,
        Authorities(None, TWO, (ONE.certificate, THREE.certificate), NOW),
    ],
    ids=["nothing", "current", "next", "everything", "previous and next"],
)
def test_what_is_written_comes_back(authorities: Authorities) -> None:
    assert read_authorities(write_authorities(authorities)) == authorities


def test_keys_of_previous_authorities_are_not_kept() -> None:
    data = write_authorities(FULL)

    assert sorted(data) == ["ca.crt", "ca.key", "next.crt", "next.key", "previous-until", "previous.crt"]
    assert b"PRIVATE" not in data["previous.crt"]


def test_neither_keys_nor_data_are_shown() -> None:
    assert "PRIVATE" not in repr(FULL)


def test_certificates_are_in_the_order_of_use() -> None:
    assert FULL.certificates == (ONE.certificate, TWO.certificate, THREE.certificate)
    assert FULL.signers == (ONE, TWO)
    assert Authorities(next=TWO).signers == (TWO,)


def changed(**changes: bytes | None) -> dict[str, bytes]:
    names = {"ca_crt": "ca.crt", "ca_key": "ca.key", "next_crt": "next.crt", "next_key": "next.key"}
    data: dict[str, bytes | None] = dict(write_authorities(FULL))
    for name, value in changes.items():
        data[names.get(name, name.replace("_", "-" if "until" in name else "."))] = value
    return {name: value for name, value in data.items() if value is not None}


LEAF = self_signed_pair(["localhost"], [], NOW, timedelta(days=1)).leaf
EDWARDS = a_ca(ed25519.Ed25519PrivateKey.generate())

DAMAGE: dict[str, tuple[dict[str, bytes], Callable[[Authorities], bool], str]] = {
    "the key is lost: its certificate stays trusted": (
        changed(ca_key=None),
        lambda read: read.current is None and read.previous == (ONE.certificate, THREE.certificate),
        "ca.crt and ca.key: the private key is not readable PEM",
    ),
    "the key is another's": (
        changed(ca_key=TWO.key_pem),
        lambda read: read.current is None and ONE.certificate in read.previous,
        "ca.crt and ca.key: the private key does not belong",
    ),
    "the certificate is lost": (
        changed(ca_crt=None),
        lambda read: read.current is None and read.previous == (THREE.certificate,),
        "ca.crt and ca.key: there is no readable certificate",
    ),
    "the next certificate is garbage": (
        changed(next_crt=b"garbage"),
        lambda read: read.next is None and read.current == ONE,
        "next.crt and next.key: there is no readable certificate",
    ),
    "a leaf in the authority's place": (
        changed(ca_crt=LEAF.certificate_pem, ca_key=LEAF.key_pem),
        lambda read: read.current is None and read.previous == (THREE.certificate,),
        "is not a CA certificate",
    ),
    "a key that not every client can verify": (
        changed(ca_crt=EDWARDS.certificate_pem, ca_key=EDWARDS.key_pem),
        lambda read: read.current is None and EDWARDS.certificate in read.previous,
        "neither ECDSA nor RSA",
    ),
    "the same authority twice": (
        changed(next_crt=ONE.certificate_pem, next_key=ONE.key_pem),
        lambda read: read.current == ONE and read.next is None,
        "next.crt is the same certificate as ca.crt",
    ),
    "one previous certificate torn": (
        changed(previous_crt=THREE.certificate_pem + TWO.certificate_pem[:90]),
        lambda read: read.previous == (THREE.certificate,),
        "previous.crt: 1 of 2 certificates in it cannot be parsed",
    ),
    "a leaf among the previous": (
        changed(previous_crt=bundle_pem([LEAF.certificate, THREE.certificate])),
        lambda read: read.previous == (THREE.certificate,),
        "previous.crt: 1 of its certificates are not CA certificates",
    ),
    "no time": (
        changed(previous_until=None),
        lambda read: read.previous == (THREE.certificate,) and read.previous_until is None,
        "previous-until is missing or not an RFC 3339 time",
    ),
    "a time without a zone": (
        changed(previous_until=b"2026-03-04T05:06:07"),
        lambda read: read.previous_until is None,
        "previous-until is missing",
    ),
    "a time that is none": (
        changed(previous_until=b"\xff soon"),
        lambda read: read.previous_until is None,
        "previous-until is missing",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_said_and_everything_else_is_used(kind: str) -> None:
    data, holds, sentence = DAMAGE[kind]

    read = read_authorities(data)

    assert holds(read)
    assert len(read.damage) == 1
    assert sentence in read.damage[0]


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_was_read_from_damage_is_whole_once_written(kind: str) -> None:
    data, holds, _ = DAMAGE[kind]
    read = read_authorities(data)
    again = read_authorities(write_authorities(read))

    assert holds(again)
    assert [sentence for sentence in again.damage if "previous-until" not in sentence] == []


def test_a_signing_authority_among_the_previous_is_no_damage_and_counts_once() -> None:
    read = read_authorities(changed(previous_crt=bundle_pem([ONE.certificate, THREE.certificate])))

    assert read == FULL
    assert not read.damage


def test_an_unknown_key_and_a_time_without_previous_are_ignored() -> None:
    assert read_authorities({"tls.crt": b"x", "previous-until": b"2026-03-04T05:06:07Z"}) == Authorities()


def test_an_rsa_authority_of_somebodys_own_is_read() -> None:
    theirs = trustme.CA(key_type=trustme.KeyType.RSA)

    read = read_authorities({"ca.crt": theirs.cert_pem.bytes(), "ca.key": theirs.private_key_pem.bytes()})

    assert read.current
    assert not read.damage

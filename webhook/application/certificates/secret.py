"""The content of the CA Secret: the CA that signs, the one that comes next, and those still trusted.

- ``ca.crt``, ``ca.key``: the CA that signs serving certificates;
- ``next.crt``, ``next.key``: its successor, published and not signing before every bundle carries it;
- ``previous.crt``: CAs that sign no more but may still be needed by a serving certificate in use; no keys;
- ``previous-path-tokens``: the path tokens that belong to their keys, one per line: the webhook configurations may carry one;
- ``previous-until``: when the last of those serving certificates has expired, RFC 3339.

Reading never fails: what cannot be used is left out and reported. A certificate whose key is lost is kept among the previous
ones, because serving certificates that it has signed may be in use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .pem import CertificateError, CertificatePair, bundle_pem, describe, read_bundle, read_key, show
from .tokens import is_token, path_token
from .trust import is_authority

CURRENT, NEXT = "ca", "next"
PREVIOUS, PREVIOUS_UNTIL = "previous.crt", "previous-until"
PREVIOUS_TOKENS = "previous-path-tokens"


@dataclass(frozen=True, slots=True)
class Authorities:
    """The CAs of one CA Secret.

    Attributes:
        current: The one that signs.
        next: The one that will.
        previous: CAs that are only trusted, newest first; never ``current`` or ``next``.
        previous_tokens: The tokens of their keys that are still accepted in paths, newest first.
        previous_until: When ``previous`` may be removed; ``None`` when there are none, or the time is not known.
        damage: What could not be used, one sentence each; not part of the value.
    """

    current: CertificatePair | None = None
    next: CertificatePair | None = None
    previous: tuple[x509.Certificate, ...] = ()
    previous_until: datetime | None = None
    damage: tuple[str, ...] = ()
    previous_tokens: tuple[str, ...] = field(default=(), repr=False)

    @property
    def signers(self) -> tuple[CertificatePair, ...]:
        """The CAs that can sign, the current one first."""
        return tuple(pair for pair in (self.current, self.next) if pair)

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Every certificate, in the order in which bundles carry them."""
        return (*(pair.certificate for pair in self.signers), *self.previous)

    @property
    def signer_tokens(self) -> tuple[str, ...]:
        """The tokens of the CAs that can sign, the current CA's first."""
        return tuple(path_token(signing_key(pair)) for pair in self.signers)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token that is accepted."""
        return (*self.signer_tokens, *self.previous_tokens)


def read_authorities(data: Mapping[str, bytes]) -> Authorities:
    """Read a Secret's data (already decoded from base64); never fails."""
    damage: list[str] = []
    current, orphan = _read_signer(data, CURRENT, damage)
    following, next_orphan = _read_signer(data, NEXT, damage)
    if following and current and following.certificate == current.certificate:
        damage.append("next.crt is the same certificate as ca.crt")
        following = None
    bundle = read_bundle(data.get(PREVIOUS, b""))
    if bundle.damage:
        damage.append(f"{PREVIOUS}: {bundle.damage}")
    signing = {pair.certificate for pair in (current, following) if pair}
    candidates = dict.fromkeys((*orphan, *next_orphan, *bundle.certificates))
    previous = tuple(certificate for certificate in candidates if certificate not in signing)
    if stray := [certificate for certificate in previous if not is_authority(certificate)]:
        damage.append(f"{PREVIOUS}: {len(stray)} of its certificates are not CA certificates")
        previous = tuple(certificate for certificate in previous if certificate not in stray)
    tokens = _read_tokens(data.get(PREVIOUS_TOKENS, b""), damage)
    until = _read_time(data.get(PREVIOUS_UNTIL, b""))
    if (previous or tokens) and until is None:
        damage.append(f"{PREVIOUS_UNTIL} is missing or not an RFC 3339 time")
    return Authorities(current, following, previous, until if previous or tokens else None, tuple(damage), tokens)


def write_authorities(authorities: Authorities) -> dict[str, bytes]:
    """The whole data of the Secret. Other keys are removed."""
    data: dict[str, bytes] = {}
    for name, pair in ((CURRENT, authorities.current), (NEXT, authorities.next)):
        if pair:
            data |= {f"{name}.crt": bundle_pem([pair.certificate]), f"{name}.key": pair.key_pem}
    if authorities.previous:
        data[PREVIOUS] = bundle_pem(authorities.previous)
    if authorities.previous_tokens:
        data[PREVIOUS_TOKENS] = "\n".join(authorities.previous_tokens).encode()
    if (authorities.previous or authorities.previous_tokens) and authorities.previous_until:
        data[PREVIOUS_UNTIL] = show(authorities.previous_until).encode()
    return data


def _read_signer(
    data: Mapping[str, bytes], name: str, damage: list[str]
) -> tuple[CertificatePair | None, tuple[x509.Certificate, ...]]:
    """A pair that can sign; if there is none, its certificate if that can be read."""
    pem, key_pem = data.get(f"{name}.crt", b""), data.get(f"{name}.key", b"")
    if not pem and not key_pem:
        return None, ()
    certificates = read_bundle(pem).certificates[:1]
    try:
        return _signer(certificates, key_pem), ()
    except CertificateError as error:
        damage.append(f"{name}.crt and {name}.key: {error}")
        return None, tuple(filter(is_authority, certificates))


def _signer(certificates: tuple[x509.Certificate, ...], key_pem: bytes) -> CertificatePair:
    if not certificates:
        raise CertificateError("there is no readable certificate")
    if not is_authority(certificates[0]):
        raise CertificateError(f"{describe(certificates[0])} is not a CA certificate")
    pair = CertificatePair(certificates[0], read_key(key_pem))
    signing_key(pair)
    return pair


def signing_key(pair: CertificatePair) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """The key of a CA.

    Raises:
        CertificateError: not every client can verify what it signs.
    """
    if not isinstance(pair.key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError("the key is neither ECDSA nor RSA, which every client can verify")
    return pair.key


def _read_tokens(text: bytes, damage: list[str]) -> tuple[str, ...]:
    found = dict.fromkeys(text.decode("ascii", "replace").split())
    tokens = tuple(filter(is_token, found))
    if len(tokens) < len(found):
        damage.append(f"{PREVIOUS_TOKENS}: {len(found) - len(tokens)} of its lines are not tokens")
    return tokens


def _read_time(text: bytes) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.decode("ascii").strip())
    except (ValueError, UnicodeDecodeError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None

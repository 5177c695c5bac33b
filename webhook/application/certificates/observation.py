"""One observation of the cluster and of this replica, and what follows from it at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509

from .issue import is_ours
from .pem import CertificatePair, describe, fingerprint, read_bundle
from .secret import Authorities, read_authorities
from .settings import RotationSettings
from .store import RegisteredWebhooks, StoredSecret
from .token_rotation import TokenFacts
from .trust import why_invalid

_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ServedLeaf:
    """The served pair, the CA that signed it, and whether all API servers have ever trusted it."""

    pair: CertificatePair
    issuer: x509.Certificate
    was_trusted: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that a plan is made from.

    Attributes:
        now: The time, taken *before* anything was read: what is signed because of a reading then expires
            by that reading's age, however long the replica was suspended in between.
        configurations: The webhook configurations that exist, read *before* the Secret: a bundle is then never
            replaced, under its resourceVersion, because of a Secret older than the bundle.
        secret: The CA Secret, or ``None`` when there is none.
        leaf: What this replica serves, or ``None``.
        trusted_for: By fingerprint, for how long this replica has seen every bundle carry the certificate; and for how long
            `token_rotation.signs` have been true.
        accepted: The tokens that this replica accepts.
    """

    now: datetime
    configurations: tuple[RegisteredWebhooks, ...]
    secret: StoredSecret | None
    leaf: ServedLeaf | None = None
    trusted_for: Mapping[str, timedelta] = field(default_factory=dict, repr=False)
    accepted: tuple[str, ...] = field(default=(), repr=False)

    @property
    def stored(self) -> Authorities:
        """The content of the CA Secret; nothing when it does not exist."""
        return read_authorities(self.secret.data) if self.secret else Authorities()


def carried(configurations: Iterable[RegisteredWebhooks]) -> tuple[frozenset[x509.Certificate], ...]:
    """The readable certificates in the ``caBundle`` of every webhook."""
    bundles = (bundle for configuration in configurations for bundle in configuration.bundles.values())
    return tuple(frozenset(read_bundle(bundle).certificates) for bundle in bundles)


class RotationFacts:
    """An observation, and the conclusions from it.

    Attributes:
        stored: What the CA Secret holds.
        bundles: The certificates that each webhook's bundle carries.
        tokens: What concerns the tokens in paths.
    """

    def __init__(self, observation: Observation, settings: RotationSettings) -> None:
        self.observation = observation
        self.settings = settings
        self.now = observation.now
        self.stored = observation.stored
        self.bundles = carried(observation.configurations)
        self.tokens = TokenFacts(observation, self.stored, settings)

    @cached_property
    def live(self) -> ServedLeaf | None:
        """The pair that this replica serves, if it is valid."""
        leaf = self.observation.leaf
        return leaf if leaf and not why_invalid(leaf.pair.certificate, self.now) else None

    @cached_property
    def usable(self) -> tuple[CertificatePair, ...]:
        """The CAs that can sign now, the current one first."""
        return tuple(ca for ca in self.stored.signers if self.now < ca.certificate.not_valid_after_utc)

    @cached_property
    def carried_anywhere(self) -> frozenset[x509.Certificate]:
        """The certificates that some bundle carries."""
        return frozenset().union(*self.bundles)

    @cached_property
    def unknown(self) -> tuple[x509.Certificate, ...]:
        """CAs that are not in the Secret and must not be dropped, because a replica may need them.

        These are the issuer of this replica's certificate and, for the other replicas, CAs in bundles that look like ours.
        """
        ours = sorted(filter(is_ours, self.carried_anywhere.difference(self.stored.certificates)), key=describe)
        own = [self.live.issuer] if self.live and self.live.issuer not in self.stored.certificates else []
        return tuple(c for c in dict.fromkeys((*own, *ours)) if self.now <= c.not_valid_after_utc)

    def count(self, certificate: x509.Certificate) -> int:
        """Return the number of bundles that carry it."""
        return sum(certificate in bundle for bundle in self.bundles)

    def is_carried(self, certificate: x509.Certificate) -> bool:
        """Whether every bundle carries it; true if there are no bundles."""
        return self.count(certificate) == len(self.bundles)

    def is_settled(self, certificate: x509.Certificate) -> bool:
        """Whether every bundle has carried it for the propagation time."""
        seen = self.observation.trusted_for.get(fingerprint(certificate), timedelta())
        return self.is_carried(certificate) and (not self.bundles or seen >= self.settings.propagation)

    def is_required(self, certificate: x509.Certificate) -> bool:
        """Whether a CA that the Secret holds is still needed."""
        return self.now < self._lapse(certificate)

    def is_gone(self, certificate: x509.Certificate) -> bool:
        """Whether a CA that the Secret holds is no longer needed, by anyone's clock.

        Between the two it stays where it is, so that two replicas whose clocks differ do not keep adding and removing it.
        """
        return self.now >= self._lapse(certificate) + self.settings.clock_skew

    def _lapse(self, certificate: x509.Certificate) -> datetime:
        until = self.stored.previous_until if certificate in self.stored.previous else None
        return min(until or _FOREVER, certificate.not_valid_after_utc)

    @property
    def is_trusted(self) -> bool:
        """Whether every API server trusts the served certificate.

        Every bundle carries its CA, and one of these is true: they have carried it for the propagation time, they did so before,
        or there is no other CA that an API server could still use.
        """
        if self.live is None or not self.is_carried(self.live.issuer):
            return False
        alone = self.stored.certificates == (self.live.issuer,) and not self.unknown
        return alone or self.live.was_trusted or self.is_settled(self.live.issuer)

    def what_is_missing(self, certificate: x509.Certificate) -> str:
        """Return what is still missing until every bundle has settled on the CA, for a log line."""
        names = [f"{each} (webhook {name})" for each in self.observation.configurations for name in each.bundles]
        lacking = [name for name, bundle in zip(names, self.bundles, strict=True) if certificate not in bundle]
        if lacking:
            return f"{', '.join(lacking)} {'carries' if len(lacking) == 1 else 'carry'} {describe(certificate)}"
        seconds = self.settings.propagation.total_seconds()
        return f"every bundle has carried {describe(certificate)} for {seconds:g} seconds"

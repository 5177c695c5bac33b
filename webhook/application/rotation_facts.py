"""What follows from one observation at once: what bundles carry, what is served, what may be needed and by when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from webhook.application.authority import is_ours
from webhook.application.ca_secret import Authorities, read_authorities
from webhook.application.certificates import describe, fingerprint, read_bundle
from webhook.application.rotation_tokens import TokenFacts
from webhook.application.trust import why_invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography import x509

    from webhook.application.certificates import CertificatePair
    from webhook.application.rotation_observation import (
        Observation,
        RotationSettings,
        ServedLeaf,
        WebhookConfiguration,
    )

_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Carried:
    """Which certificates the bundles of all entries carry.

    Attributes:
        entries: The readable certificates of every entry of every configuration.
        trusted_for: As in `Observation`.
    """

    entries: tuple[frozenset[x509.Certificate], ...]
    trusted_for: Mapping[str, timedelta]

    @classmethod
    def of(cls, configurations: Iterable[WebhookConfiguration], trusted_for: Mapping[str, timedelta]) -> Carried:
        """Read every bundle."""
        bundles = (bundle for configuration in configurations for bundle in configuration.bundles.values())
        return cls(tuple(frozenset(read_bundle(bundle).certificates) for bundle in bundles), trusted_for)

    @property
    def anywhere(self) -> frozenset[x509.Certificate]:
        """Those that some entry carries."""
        return frozenset().union(*self.entries)

    @property
    def everywhere(self) -> frozenset[x509.Certificate]:
        """Those that every entry carries; none when there are no entries."""
        return frozenset.intersection(*self.entries) if self.entries else frozenset()

    def count(self, certificate: x509.Certificate) -> int:
        """How many entries carry it."""
        return sum(certificate in entry for entry in self.entries)

    def by_all(self, certificate: x509.Certificate) -> bool:
        """Whether no entry lacks it; so, without entries, nobody does."""
        return self.count(certificate) == len(self.entries)

    def by_all_for(self, certificate: x509.Certificate, time: timedelta) -> bool:
        """Whether no entry lacks it, and that for as long as this."""
        seen = self.trusted_for.get(fingerprint(certificate), timedelta())
        return self.by_all(certificate) and (not self.entries or seen >= time)


class Facts:
    """One observation, read and judged.

    Attributes:
        now: The time of the observation.
        stored: What the CA Secret holds; nothing when it does not exist.
        carried: What the bundles carry.
        paths: What concerns the tokens in paths.
    """

    def __init__(self, observation: Observation, settings: RotationSettings) -> None:
        self._observation = observation
        self._settings = settings
        self.now = observation.now
        self.stored = read_authorities(observation.secret.data) if observation.secret else Authorities()
        self.carried = Carried.of(observation.configurations, observation.trusted_for)
        self.paths = TokenFacts(observation, self.stored, settings)

    @cached_property
    def live(self) -> ServedLeaf | None:
        """What this replica serves, if it is valid."""
        leaf = self._observation.leaf
        return leaf if leaf and not why_invalid(leaf.pair.certificate, self.now) else None

    @cached_property
    def usable(self) -> tuple[CertificatePair, ...]:
        """The authorities that can sign now, the current one first."""
        return tuple(ca for ca in self.stored.signers if self.now < ca.certificate.not_valid_after_utc)

    @cached_property
    def unknown(self) -> tuple[x509.Certificate, ...]:
        """Authorities that the Secret does not hold and that must not be dropped, for some replica may need them.

        The issuer of what this replica serves; and what bundles trust and looks like ours, for the other replicas.
        """
        found = {c for c in self.carried.anywhere if c not in self.stored.certificates}
        ours = sorted(filter(is_ours, found), key=describe)
        own = [self.live.issuer] if self.live and self.live.issuer not in self.stored.certificates else []
        return tuple(c for c in dict.fromkeys((*own, *ours)) if self.now <= c.not_valid_after_utc)

    def is_required(self, certificate: x509.Certificate) -> bool:
        """Whether an authority that the Secret holds is needed still."""
        return self.now < self._lapse(certificate)

    def is_gone(self, certificate: x509.Certificate) -> bool:
        """Whether an authority that the Secret holds is needed no longer, by anybody's clock.

        Between the two it is left where it is found: two replicas whose clocks differ do not add and remove it in turns.
        """
        return self.now >= self._lapse(certificate) + self._settings.clock_skew

    def _lapse(self, certificate: x509.Certificate) -> datetime:
        until = self.stored.previous_until if certificate in self.stored.previous else None
        return min(until or _FOREVER, certificate.not_valid_after_utc)

    def is_settled(self, certificate: x509.Certificate) -> bool:
        """Whether every entry has carried it for the propagation time."""
        return self.carried.by_all_for(certificate, self._settings.propagation)

    @property
    def is_trusted(self) -> bool:
        """Whether every API server trusts what is served.

        Every entry carries its authority; and has for the propagation time, or did so once before, or nothing else is
        around that an API server could still go by instead.
        """
        if self.live is None or not self.carried.by_all(self.live.issuer):
            return False
        alone = self.stored.certificates == (self.live.issuer,) and not self.unknown
        return alone or self.live.was_trusted or self.is_settled(self.live.issuer)

    def what_is_missing(self, certificate: x509.Certificate) -> str:
        """What must come true before every entry has settled on the authority, for a log line."""
        lacking = [
            f"{configuration} (webhook {name})"
            for configuration in self._observation.configurations
            for name, pem in configuration.bundles.items()
            if certificate not in read_bundle(pem).certificates
        ]
        if lacking:
            return f"{', '.join(lacking)} {'carries' if len(lacking) == 1 else 'carry'} {describe(certificate)}"
        seconds = self._settings.propagation.total_seconds()
        return f"every bundle has carried {describe(certificate)} for {seconds:g} seconds"

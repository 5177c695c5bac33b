"""What the rotation of certificates looks at: the settings, and one observation of the cluster and of this replica."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography import x509

    from webhook.application.certificates import CertificatePair


@dataclass(frozen=True, slots=True)
class RotationSettings:
    """How long things live, and how far apart clocks and copies may be.

    Attributes:
        ca_lifetime: Of an authority; its successor is published at two thirds of it.
        leaf_lifetime: Of a serving certificate, signed anew at two thirds of it.
        clock_skew: The most by which the clocks of any two machines differ. Certificates are backdated by it, and
            twice as much is waited before an old authority is dropped.
        propagation: How long every bundle must have carried an authority before a replica turns to it: every API
            server follows the webhook configurations by a watch, a moment behind what is stored.

    Raises:
        ValueError: When the lifetimes leave no room for a rotation.
    """

    ca_lifetime: timedelta = timedelta(days=365)
    leaf_lifetime: timedelta = timedelta(days=7)
    clock_skew: timedelta = timedelta(minutes=10)
    propagation: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        if min(self.clock_skew, self.propagation) < timedelta():
            raise ValueError("the clock skew and the propagation time cannot be negative")
        if self.leaf_lifetime <= timedelta() or self.leaf_lifetime < 4 * max(self.clock_skew, self.propagation):
            raise ValueError(
                f"a leaf lifetime of {self.leaf_lifetime} is too short; give at least four times the clock skew "
                f"({self.clock_skew}) and the propagation time ({self.propagation})"
            )
        if self.ca_lifetime < 3 * self.leaf_lifetime:
            raise ValueError(
                f"a CA lifetime of {self.ca_lifetime} is too short; give at least three times the leaf lifetime "
                f"({self.leaf_lifetime})"
            )

    @property
    def retention(self) -> timedelta:
        """How long an authority stays trusted after it signed last: a leaf's life, and what clocks may be wrong by.

        A leaf ends by its signer's clock, which may be ahead; its clients' may be behind. Hence twice.
        """
        return self.leaf_lifetime + 2 * self.clock_skew


@dataclass(frozen=True, slots=True)
class WebhookConfiguration:
    """One webhook configuration, as far as it concerns certificates.

    Attributes:
        kind: ``MutatingWebhookConfiguration`` or ``ValidatingWebhookConfiguration``.
        name: Its name.
        resource_version: Of this reading.
        bundles: Of every webhook in it, by the webhook's name, the ``caBundle`` decoded from base64 (empty when unset).
        targets: Of every webhook, what the API server calls: the URL, or the path of the Service (empty when unset).
        tokened: Whether its paths are to carry a token (`path_tokens.ANNOTATION`).
    """

    kind: str
    name: str
    resource_version: str
    bundles: Mapping[str, bytes]
    targets: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokened: bool = False

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """The CA Secret: its data, decoded from base64, and the resourceVersion of this reading."""

    data: Mapping[str, bytes] = field(repr=False)
    resource_version: str


@dataclass(frozen=True, slots=True)
class ServedLeaf:
    """What this replica serves: its pair, the authority that signed it, and whether all API servers trusted it once."""

    pair: CertificatePair
    issuer: x509.Certificate
    was_trusted: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that a plan is made from.

    Attributes:
        now: The time, taken *before* anything was read: what is signed on the strength of a reading then expires
            by that reading's age, however long the replica was suspended in between.
        configurations: The webhook configurations that exist, read *before* the Secret: a bundle is then never
            replaced, under its resourceVersion, on the strength of a Secret older than the bundle.
        secret: The CA Secret, or ``None`` when there is none.
        leaf: What this replica serves, or ``None``.
        trusted_for: By fingerprint, for how long this replica has seen every bundle carry the certificate; and for how long
            `rotation_tokens.signs` have been true.
        accepted: The tokens that this replica accepts.
    """

    now: datetime
    configurations: tuple[WebhookConfiguration, ...]
    secret: StoredSecret | None
    leaf: ServedLeaf | None = None
    trusted_for: Mapping[str, timedelta] = field(default_factory=dict, repr=False)
    accepted: tuple[str, ...] = field(default=(), repr=False)

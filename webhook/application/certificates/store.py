"""The cluster as far as certificates are concerned: what the reconcilers read from it and write to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol


class StoreError(Exception):
    """The store could not be read or written; the message has the object and the reason."""


class ConflictError(StoreError):
    """The object has changed since it was read, or was created or deleted: nothing was written."""


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """The CA Secret: its data, decoded from base64, and the resourceVersion of this reading."""

    data: Mapping[str, bytes] = field(repr=False)
    resource_version: str


@dataclass(frozen=True, slots=True)
class RegisteredWebhooks:
    """The webhooks of one webhook configuration, and their certificates.

    Attributes:
        bundles: The ``caBundle`` of every webhook, by the webhook's name, decoded from base64 (empty when unset).
        targets: What the API server calls for every webhook: the URL, or the path of the Service (empty when unset).
        tokened: Whether its paths must carry a token (`tokens.ANNOTATION`).
    """

    kind: str
    name: str
    resource_version: str
    bundles: Mapping[str, bytes]
    targets: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokened: bool = False

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class CertificateStore(Protocol):
    """The cluster, as far as certificates are concerned. Every method may raise `StoreError`.

    Reads are live ones (no cache, no ``resourceVersion=0``): the plan is safe because a write is rejected when the
    object has changed since it was read.
    """

    def read_configurations(self) -> tuple[RegisteredWebhooks, ...]:
        """Our webhook configurations; one that does not exist is left out."""

    def read_secret(self) -> StoredSecret | None:
        """The CA Secret, or ``None`` when it does not exist."""

    def write_secret(self, data: Mapping[str, bytes], resource_version: str | None) -> None:
        """Make the Secret's data exactly this, leaving its labels and annotations alone.

        ``resource_version`` is what the Secret must still have; ``None`` creates it.

        Raises:
            ConflictError: When it has another resourceVersion, does not exist, or exists already.
        """

    def write_bundle(
        self, configuration: RegisteredWebhooks, bundle: bytes, targets: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Set the ``caBundle`` of every webhook of this configuration, and what some of them call; change nothing else.

        ``targets`` are, by the names of webhooks, the URL or the path of the Service to be called from now on.

        Raises:
            ConflictError: When the configuration has another resourceVersion, or does not exist.
        """

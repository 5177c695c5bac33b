"""gpuwarden's admission policies, their bindings and its webhooks for new pods, as read from the API server."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from ...application.deciders import Installed, PodWebhook
from ...application.in_tree_compiler import ANNOTATION, API_VERSION
from ...application.in_tree_drift import KINDS, InTreeObject
from ...application.in_tree_webhooks import WEBHOOK_KINDS
from .api_request import object_path
from .errors import ApiError, Fault
from .lists import Api, Lister, Page, get
from .nodes import FleetFileError, SavedObjects

T = TypeVar("T")

_GROUP, _, _VERSION = API_VERSION.partition("/")
CONFIGURATIONS = {kind: f"{kind.lower()}s" for kind in WEBHOOK_KINDS}
"""The kinds that webhooks are registered in, with their plurals."""

UNDECIDED = "it is not known whether the API server or the webhooks decide"
"""The beginning of a note if the objects are not known."""


class _Metadata(msgspec.Struct):
    name: str
    annotations: dict[str, str] | None = None


class PolicyItem(msgspec.Struct):
    """An admission policy or a binding of gpuwarden's."""

    metadata: _Metadata
    spec: dict[str, Any] = {}

    def of(self, kind: str) -> InTreeObject | None:
        """The object, if it is gpuwarden's."""
        policy = (self.metadata.annotations or {}).get(ANNOTATION)
        return InTreeObject(kind, self.metadata.name, policy, self.spec) if policy else None


class WebhooksItem(msgspec.Struct):
    """A webhook configuration."""

    metadata: _Metadata
    webhooks: list[PodWebhook] | None = None

    def trimmed(self) -> "WebhooksItem | None":
        """The configuration with only gpuwarden's webhooks for new pods; ``None`` without any."""
        ours = [each for each in self.webhooks or () if each.is_ours]
        return WebhooksItem(_Metadata(self.metadata.name), ours) if ours else None


class AdmissionObjects(msgspec.Struct):
    """gpuwarden's objects for new pods in the API server.

    Attributes:
        policies: the admission policies and bindings.
        configurations: the configurations with webhooks, by kind.
    """

    policies: list[InTreeObject]
    configurations: dict[str, list[WebhooksItem]]

    @property
    def installed(self) -> Installed:
        """The application's representation."""
        return Installed(
            self.policies,
            [each for items in self.configurations.values() for one in items for each in one.webhooks or ()],
        )

    @property
    def items(self) -> Iterator[dict[str, Any]]:
        """The same as Kubernetes objects with the fields that determine who decides, which ``saved`` reads."""
        for policy in self.policies:
            metadata = {"name": policy.name, "annotations": {ANNOTATION: policy.policy}}
            spec = policy.spec if policy.is_binding else {}
            yield {"apiVersion": API_VERSION, "kind": policy.kind, "metadata": metadata, "spec": spec}
        for kind, items in self.configurations.items():
            for item in items:
                yield {"apiVersion": API_VERSION, "kind": kind, **msgspec.to_builtins(item)}


def objects_of(lister: Lister, kind: str) -> list[InTreeObject]:
    """Our objects of one of ``KINDS``.

    Raises:
        ApiError: they can't be listed.
    """
    path = object_path(_GROUP, _VERSION, KINDS[kind])
    return lister.all(KINDS[kind], path, Page[PolicyItem], lambda item: item.of(kind))


def live(lister: Lister) -> AdmissionObjects:
    """Read a cluster. A server before Kubernetes 1.36 does not have all kinds of admission policies, so there are none.

    Raises:
        ApiError: a list is not available.
    """
    return AdmissionObjects(
        [each for kind in KINDS for each in _if_served(objects_of, lister, kind)],
        {kind: _if_served(_webhooks_of, lister, kind) for kind in CONFIGURATIONS},
    )


def _webhooks_of(lister: Lister, kind: str) -> list[WebhooksItem]:
    path = object_path(_GROUP, _VERSION, CONFIGURATIONS[kind])
    return lister.all(CONFIGURATIONS[kind], path, Page[WebhooksItem], WebhooksItem.trimmed)


def _if_served(read: Callable[[Lister, str], list[T]], lister: Lister, kind: str) -> list[T]:
    try:
        return read(lister, kind)
    except ApiError as error:
        if error.fault is not Fault.NOT_FOUND:
            raise
        return []


def saved(found: SavedObjects) -> AdmissionObjects:
    """Read the objects of a file again.

    Raises:
        FleetFileError: one has a field of the wrong type.
    """
    policies = [each for kind in KINDS for item in found.every(kind, PolicyItem) if (each := item.of(kind))]
    objects = AdmissionObjects(policies, {kind: found.every(kind, WebhooksItem) for kind in CONFIGURATIONS})
    try:
        _ = objects.installed
    except msgspec.ValidationError as error:
        raise FleetFileError(f"is not what gpuwarden fleet -o json prints: a binding: {error}") from error
    return objects


def webhooks_named(api: Api, names: Mapping[str, str]) -> Iterator[PodWebhook]:
    """Yield our webhooks in the configurations with these names, by kind. A configuration that does not exist has none.

    Raises:
        ApiError: one can't be read.
    """
    for kind, name in names.items():
        try:
            path = object_path(_GROUP, _VERSION, CONFIGURATIONS[kind], name=name)
            found = get(api, path, WebhooksItem).trimmed()
        except ApiError as error:
            if error.fault is not Fault.NOT_FOUND:
                raise
            continue
        yield from (found and found.webhooks) or ()

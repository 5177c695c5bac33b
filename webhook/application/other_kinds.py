"""Other kinds: which custom resources may lead to pods, by their schemas, and what an audit of a cluster says of them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from webhook.application.structural_search import CLAIM_KEYS, POD_KEYS
from webhook.application.unjudged import quotes
from webhook.application.workloads import qualified

_OPAQUE = "x-kubernetes-preserve-unknown-fields"
# What pods are created from, in custom resources whose schemas leave it open.
_TEMPLATES = frozenset({"template", "podTemplate", "podSpec", "podTemplateSpec"})
# A volume's resources are sizes of disks.
_VOLUMES = ("volume", "ephemeral", "storage", "pvc", "persistentVolume")
_MOST_NODES = 200_000  # of a schema; etcd takes 1.5 MB an object, which is fewer


class OtherKind(msgspec.Struct, frozen=True):
    """A kind of which a cluster has objects that an audit does not look at.

    Attributes:
        plural: its name in URLs.
        objects: how many there are; ``None`` where that is not known.
        detail: why not.
    """

    api_version: str
    kind: str
    plural: str
    objects: int | None = None
    detail: str = ""

    @property
    def message(self) -> str:
        """That its objects are not checked, for people."""
        group = self.api_version.rpartition("/")[0]
        name = qualified(self.api_version, self.kind)
        if self.objects is None:
            counted = f"its objects were not checked, and their number is unknown ({self.detail})"
        else:
            counted = f"{self.objects} {'object was' if self.objects == 1 else 'objects were'} not checked"
        plural = f"{self.plural}.{group}" if group else self.plural
        return (
            f"{name}: {counted}; existing pods were checked, pods that are yet to be created were not; "
            f"run kubectl get {plural} -A -o yaml | gpuwarden check -"
        )


def unknown_kinds(detail: str) -> str:
    """That it is not known which custom resources there are, for people."""
    return (
        f"custom resources: which kinds of workloads there are besides those that were checked is not known ({detail}); "
        "grant list on customresourcedefinitions.apiextensions.k8s.io, or check their manifests with gpuwarden check"
    )


def leads_to_pods(group: str, kind: str, schema: Mapping[str, Any] | None) -> bool:
    """Whether objects of a custom kind may lead to pods, or claim devices.

    Args:
        group: the kind's group.
        kind: the kind.
        schema: its OpenAPI schema, if it has one: a kind whose ``spec`` is left open may hold anything.
    """
    if quotes(group, f"{kind}.{group}"):
        return False
    if not isinstance(schema, Mapping) or schema.get(_OPAQUE):
        return True
    spec = _properties(schema).get("spec")
    if isinstance(spec, Mapping) and spec.get(_OPAQUE) and not _properties(spec):
        return True
    pending: list[Mapping[str, Any]] = [schema]
    left = _MOST_NODES
    while pending and left:
        left -= 1
        node = pending.pop()
        for name, inner in _properties(node).items():
            if name == "status" or not isinstance(inner, Mapping):
                continue
            if _is_of_pods(name, inner):
                return True
            if not name.startswith(_VOLUMES):
                pending.append(inner)
        pending += _inside(node)
    return bool(pending)


def _is_of_pods(name: str, schema: Mapping[str, Any]) -> bool:
    if name in CLAIM_KEYS:
        return True
    if name in POD_KEYS:
        return any("image" in _properties(one) or one.get(_OPAQUE) for one in (schema, *_inside(schema)))
    if name in _TEMPLATES:
        return bool(schema.get(_OPAQUE)) and not _properties(schema)
    return name == "resources" and bool({"limits", "requests"} & _properties(schema).keys())


def _inside(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of a list's items and of a map's values."""
    return [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), Mapping)]


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}

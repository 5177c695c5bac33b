"""Other kinds: which custom resources may lead to pods, by their schemas, and how an audit reports those it could not read."""

from collections.abc import Mapping
from typing import Any

import msgspec

from .field_paths import mapping
from .gpu_fields import counts_gpus
from .kind_lookup import qualified
from .structural_search import CLAIM_KEYS, POD_KEYS

_OPAQUE = "x-kubernetes-preserve-unknown-fields"
# Texts that hold manifests, values or patches.
_TEXTS = frozenset({"manifest", "manifests", "inline", "patch", "patches", "podSpecPatch", "values"})
# A volume's resources are sizes of disks.
_VOLUMES = ("volume", "ephemeral", "storage", "pvc", "persistentVolume")
_MOST_NODES = 200_000  # of a schema; etcd takes 1.5 MB an object, which is fewer


MOST_OBJECTS = 5_000
"""Objects of one kind after which an audit reads no more of it."""
MOST_BYTES = 100_000_000
"""Bytes, likewise."""


class OtherKind(msgspec.Struct, frozen=True):
    """A kind with objects in a cluster that an audit did not read.

    Attributes:
        plural: its name in URLs.
        objects: how many they are; ``None`` if that is not known.
        detail: why they could not be listed, if they could not.
        forbidden: whether RBAC is why.
        checked: how many others were read.
    """

    api_version: str
    kind: str
    plural: str
    objects: int | None = None
    detail: str = ""
    forbidden: bool = False
    checked: int = 0

    @property
    def message(self) -> str:
        """A sentence that these objects are not checked, with the reason and the fix."""
        group = self.api_version.rpartition("/")[0]
        name = qualified(self.api_version, self.kind)
        if self.detail:
            fact = f"its objects were not checked, and their number is unknown ({self.detail})"
        else:
            left = "others" if self.objects is None else f"{self.objects:,} others"
            fact = (
                f"{self.checked:,} objects were checked and {left} were not, because an audit reads at most {MOST_OBJECTS:,} "
                f"objects or {MOST_BYTES // 1_000_000} MB of a kind"
            )
        fixes = [f"run kubectl get {self.plural}.{group} -A -o yaml | gpuwarden check -"]
        if self.forbidden:
            rule = f"{{apiGroups: [{group}], resources: [{self.plural}], verbs: [list]}}"
            fixes.insert(0, f"grant {rule} (in the chart, audit.report.rules)")
        what_is_known = "existing pods were checked, pods that are yet to be created were not"
        return f"{name}: {fact}; {what_is_known}; {', or '.join(fixes)}"


def unknown_kinds(detail: str) -> str:
    """A sentence that it is not known which custom resources there are."""
    return (
        f"custom resources: it is not known which of them may lead to pods, and not all could be read ({detail}); grant list on "
        "customresourcedefinitions.apiextensions.k8s.io and on these kinds, or check their manifests with gpuwarden check"
    )


def leads_to_pods(schema: Mapping[str, Any] | None) -> bool:
    """Whether objects of a custom kind may lead to pods, or claim devices.

    Args:
        schema: the kind's OpenAPI schema, if it has one. A field that it leaves open may contain anything.
    """
    if not isinstance(schema, Mapping) or schema.get(_OPAQUE):
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
    if name in CLAIM_KEYS or name in _TEXTS or counts_gpus(name):
        return True
    if any(one.get(_OPAQUE) and not _properties(one) for one in (schema, *_inside(schema))):
        return True
    if name in POD_KEYS:
        return any("image" in _properties(one) for one in (schema, *_inside(schema)))
    return name.lower().endswith("resources") and bool({"limits", "requests"} & _properties(schema).keys())


def _inside(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of a list's items and of a map's values."""
    return [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), Mapping)]


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(schema.get("properties"))

"""Fields that must be text, in objects as people write them: the API server rejects a number or a boolean in their place.

k8s.io/apimachinery pkg/apis/meta/v1/types.go (ObjectMeta, LabelSelector) and k8s.io/api/core/v1/types.go (PodSpec, Container,
EnvVar). Go reads null as the empty text, so null is accepted.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..engine.namespace_labels import NAMES
from . import field_paths
from .field_paths import Path, Place
from .kind_lookup import NO_KINDS, Kinds, workload_of
from .manifest_labels import is_namespace
from .type_mismatches import TypeMismatch, TypeMismatchError, convert
from .workload_kinds import WorkloadKind
from .workload_pods import UnreadablePodError, pods_of

_Text = str | None
_Texts = list[_Text] | None
_TextMap = dict[str, _Text] | None
_LABELS = ("metadata", "labels")


class _Metadata(msgspec.Struct, rename="camel"):
    name: _Text = None
    generate_name: _Text = None
    namespace: _Text = None
    labels: _TextMap = None
    annotations: _TextMap = None


class _EnvVar(msgspec.Struct):
    name: _Text = None
    value: _Text = None


class _Container(msgspec.Struct):
    name: _Text = None
    image: _Text = None
    command: _Texts = None
    args: _Texts = None
    env: list[_EnvVar] | None = None


class _PodSpec(msgspec.Struct, rename="camel"):
    init_containers: list[_Container] | None = None
    containers: list[_Container] | None = None
    ephemeral_containers: list[_Container] | None = None
    node_selector: _TextMap = None
    scheduler_name: _Text = None
    service_account_name: _Text = None
    priority_class_name: _Text = None


class _Pod(msgspec.Struct):
    metadata: _Metadata | None = None
    spec: _PodSpec | None = None


class _LabelSelector(msgspec.Struct, rename="camel"):
    match_labels: _TextMap = None


def wrong_types(manifest: Mapping[str, Any], configured: Kinds = NO_KINDS) -> list[TypeMismatch]:
    """Every field of an object whose type the API server rejects, as far as gpuwarden knows the fields.

    The metadata of every object are checked, and the pod or pod template of a workload.
    """
    found = _at(manifest, ("metadata",), _Metadata)
    if is_namespace(manifest):
        found += [one for _, labels in field_paths.find(manifest, _LABELS) for one in _policies(labels)]
    workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"), configured)
    if workload:
        try:
            list(pods_of(workload, manifest))
        except UnreadablePodError as error:
            found += error.mismatches
        found += _around(workload, manifest) if workload.is_built_in else ()
        for template, path in zip(workload.templates, workload.pods, strict=True):
            found += _at(manifest, path, _Pod if template.is_whole else _PodSpec)
    return list({mismatch.field: mismatch for mismatch in reversed(found)}.values())[::-1]


def _around(workload: WorkloadKind, manifest: Mapping[str, Any]) -> Iterator[TypeMismatch]:
    """Yield the wrong types outside the template of a built-in kind."""
    *above, _ = workload.pods[0] or ("",)
    if above[:-1]:  # a CronJob's jobTemplate
        yield from _at(manifest, (*above[:-1], "metadata"), _Metadata)
    if above:
        # A ReplicationController's selector is itself a map of labels.
        yield from _at(manifest, (*above, "selector"), _LabelSelector if workload.group else _TextMap)


def _policies(labels: Any) -> Iterator[TypeMismatch]:
    """Yield the wrong types of a namespace's policy labels. Null is one here: it means an empty text, which names no policy."""
    if isinstance(labels, Mapping):
        ours = {key: labels[key] for key in NAMES if key in labels}
        yield from _converted(ours, dict[str, str], _LABELS)


def _at(manifest: Mapping[str, Any], path: Path, kind: Any) -> list[TypeMismatch]:
    return [mismatch for place, data in field_paths.find(manifest, path) for mismatch in _converted(data, kind, place)]


def _converted(data: Any, kind: Any, place: Place) -> Iterator[TypeMismatch]:
    try:
        convert(data, kind)
    except TypeMismatchError as error:
        path = field_paths.written(place)
        for field, message in error.mismatches:
            dot = "." if path and field and not field.startswith("[") else ""
            yield TypeMismatch(f"{path}{dot}{field}", message)

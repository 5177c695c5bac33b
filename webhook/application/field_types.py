"""Fields that must be text, in objects as people write them: the API server rejects a number or a boolean in their place.

k8s.io/apimachinery pkg/apis/meta/v1/types.go (ObjectMeta, LabelSelector) and k8s.io/api/core/v1/types.go (PodSpec, Container,
EnvVar). Go reads null as the empty text, so null is accepted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from webhook.application.checking import UnreadablePodError, is_namespace, pod_of
from webhook.application.misfits import Misfit, MisfitsError, convert
from webhook.application.workloads import workload_of
from webhook.engine.labels import NAMES

_Text = str | None
_Texts = list[_Text] | None
_TextMap = dict[str, _Text] | None


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


def wrong_types(manifest: Mapping[str, Any]) -> list[Misfit]:
    """Every field of an object that has another type than the API server takes there, in as much as gpuwarden knows it.

    Args:
        manifest: an object of any kind: of all, the metadata are checked; of a workload, its pod or pod template too.
    """
    found = list(_converted(manifest.get("metadata"), _Metadata, ("metadata",)))
    if is_namespace(manifest):
        found += _policies(_under(manifest, ("metadata", "labels")))
    workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"))
    if workload:
        try:
            pod_of(workload, manifest)
        except UnreadablePodError as error:
            found += error.misfits
        *above, _ = workload.steps or ("",)
        if above[:-1]:  # a CronJob's jobTemplate
            path = (*above[:-1], "metadata")
            found += _converted(_under(manifest, path), _Metadata, path)
        if above:
            path = (*above, "selector")
            # A ReplicationController's is a map of labels itself.
            kind: Any = _TextMap if "" in workload.groups else _LabelSelector
            found += _converted(_under(manifest, path), kind, path)
        found += _converted(workload.pod(manifest), _Pod, workload.steps)
    return list({misfit.field: misfit for misfit in reversed(found)}.values())[::-1]


def _policies(labels: Any) -> Iterator[Misfit]:
    """Of a namespace's labels those that name policies: null, which is the empty text, names none."""
    if isinstance(labels, Mapping):
        ours = {key: labels[key] for key in NAMES if key in labels}
        yield from _converted(ours, dict[str, str], ("metadata", "labels"))


def _under(value: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _converted(data: Any, kind: Any, steps: Sequence[str]) -> Iterator[Misfit]:
    try:
        if data is not None:
            convert(data, kind)
    except MisfitsError as error:
        path = ".".join(steps)
        for field, message in error.misfits:
            dot = "." if path and field and not field.startswith("[") else ""
            yield Misfit(f"{path}{dot}{field}", message)

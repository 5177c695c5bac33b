"""The pods, or templates of pods, in an object of a manifest, read as the engine's types."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from ..engine.pods import Metadata, Pod
from . import field_paths
from .field_paths import Place
from .type_mismatches import TypeMismatch, TypeMismatchError, convert
from .workload_kinds import WorkloadKind, WorkloadPod, places

T = TypeVar("T")


class UnreadablePodError(TypeMismatchError):
    """An object's pod can't be read; ``mismatches`` has the wrong fields, by their paths within the object."""


def pods_of(workload: WorkloadKind, manifest: Mapping[str, Any]) -> Iterator[tuple[WorkloadPod, Pod]]:
    """Return the pods, or templates of pods, in an object.

    Raises:
        UnreadablePodError: what is there is not a pod, or the object's own name, namespace or annotations are not text.
    """
    wrong: list[TypeMismatch] = []
    if not workload.is_pod:
        _converted(manifest.get("metadata"), Metadata, ("metadata",), wrong)
    for path in workload.pods:
        wrong += field_paths.mismatches(manifest, path)
    found = [
        (where, pod) for where, data in places(workload, manifest) if (pod := _converted(data, Pod, where.place, wrong))
    ]
    if wrong:
        raise UnreadablePodError(wrong)
    yield from found


def _converted(data: Any, kind: type[T], place: Place, wrong: list[TypeMismatch]) -> T | None:
    """The data as a type; ``None`` if they do not fit, with the mismatches added to ``wrong``."""
    try:
        return convert(data, kind) if data is not None else None
    except TypeMismatchError as error:
        above = field_paths.written(place)
        wrong += [TypeMismatch(".".join(filter(None, (above, field))), message) for field, message in error.mismatches]
        return None

"""Encoding: the JSON Patch as JSON. Pods that ask alike get the same operations, so those that hang on little are remembered."""

from functools import lru_cache

import msgspec

from webhook.engine.edits import AddNeed, AddToleration, Annotate, Edit, RenameResource
from webhook.engine.patch import patch
from webhook.engine.pods import Metadata, Pod, PodSpec

_encode = msgspec.json.Encoder().encode
# Longer lists and texts are not remembered, so that what is remembered stays small.
_MOST_EDITS = 16
_LONGEST = 512


def encoded(pod: Pod, edits: tuple[Edit, ...]) -> bytes:
    """The operations of ``patch`` as JSON; empty where there are none."""
    spec, metadata = pod.spec, pod.metadata
    if spec is None or not edits:
        return b""
    annotations = metadata.annotations if metadata else None
    operations: list[bytes] = []
    others: list[Edit] = []
    for edit in edits:
        if type(edit) is RenameResource and len(edit.sections) > 1:
            operations.append(_renaming(edit))
        elif (
            type(edit) is AddToleration
            or (
                type(edit) is Annotate and not (annotations and edit.key in annotations) and len(edit.value) <= _LONGEST
            )
            or (type(edit) is AddNeed and spec.node_selector is None and spec.affinity is None)
        ):
            others.append(edit)
        else:
            return _encode(patch(pod, edits))
    if len(others) > _MOST_EDITS:
        return _encode(patch(pod, edits))
    if others:
        described = metadata is not None, annotations is not None
        operations.append(_remembered(tuple(others), *described, spec.tolerations is not None))
    return b"[" + b",".join(operations) + b"]"


@lru_cache(maxsize=4096)
def _renaming(edit: RenameResource) -> bytes:
    """The operations that rename in limits and in requests: where it stands in both, the rest of the pod does not matter."""
    return _operations(Pod(spec=PodSpec()), (edit,))


@lru_cache(maxsize=1024)
def _remembered(edits: tuple[Edit, ...], metadata: bool, annotations: bool, tolerations: bool) -> bytes:  # noqa: FBT001 - the cache's key
    """The operations on a pod that has metadata, annotations and tolerations, or has not."""
    described = Metadata(annotations={} if annotations else None) if metadata else None
    return _operations(Pod(described, PodSpec(tolerations=[] if tolerations else None)), edits)


def _operations(pod: Pod, edits: tuple[Edit, ...]) -> bytes:
    """Operations as JSON, without the brackets of their list."""
    return _encode(patch(pod, edits))[1:-1]

"""Encoding: the JSON Patch as JSON. The pods of a workload get the same one, so patches that hang on little are remembered."""

from collections.abc import Mapping
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
    says_nothing = spec.node_selector is None and spec.affinity is None
    if not _hang_on_little(edits, annotations or {}, says_nothing=says_nothing):
        return _encode(patch(pod, edits))
    return _remembered(edits, metadata is not None, annotations is not None, spec.tolerations is not None)


def _hang_on_little(edits: tuple[Edit, ...], annotations: Mapping[str, str], *, says_nothing: bool) -> bool:
    """Whether the operations of some edits hang on nothing of the pod but what ``_remembered`` is told of it.

    ``annotations`` are the pod's; ``says_nothing`` is that it has neither nodeSelector nor affinity.
    """
    if len(edits) > _MOST_EDITS:
        return False
    for edit in edits:
        if type(edit) is RenameResource:
            if len(edit.sections) == 1:
                return False  # the other section may say 0 of the new name
        elif type(edit) is Annotate:
            if edit.key in annotations or len(edit.value) > _LONGEST:
                return False
        elif type(edit) is AddNeed:
            if not says_nothing:
                return False
        elif type(edit) is not AddToleration:
            return False
    return True


@lru_cache(maxsize=1024)
def _remembered(edits: tuple[Edit, ...], metadata: bool, annotations: bool, tolerations: bool) -> bytes:  # noqa: FBT001 - the cache's key
    """The patch of a pod that has metadata, annotations and tolerations, or has not."""
    described = Metadata(annotations={} if annotations else None) if metadata else None
    return _encode(patch(Pod(described, PodSpec(tolerations=[] if tolerations else None)), edits))

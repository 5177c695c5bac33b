"""The file of ``gpuwarden recommend --save`` and ``--usage``: usage, workloads and nodes as they were read."""

from typing import Any, Literal

import msgspec

from ..application.recommendation.usage import Usage
from ..application.recommendation.workloads import Workload
from ..engine.namespace_labels import NamespaceLabels


class UsageFileError(Exception):
    """The file is not one that ``--save`` wrote; the message says what is wrong."""


class SavedUsage(msgspec.Struct, rename="camel", kw_only=True):
    """The input of a recommendation.

    Attributes:
        at: when it was read (RFC 3339).
        nodes: nodes as objects of Kubernetes; ``None`` if they were not read.
        labels: the labels of the namespaces.
        trusted: the namespaces that ``--trusted`` selected.
        notes: what could not be read from the cluster.
    """

    api_version: Literal["gpuwarden.io/v1"] = "gpuwarden.io/v1"
    kind: Literal["Usage"] = "Usage"
    at: str
    usage: Usage
    workloads: list[Workload]
    nodes: list[dict[str, Any]] | None = None
    labels: dict[str, NamespaceLabels] = {}
    trusted: list[str] = []
    notes: list[str] = []


def written(saved: SavedUsage) -> bytes:
    """Return the file's content."""
    return msgspec.json.format(msgspec.json.encode(saved), indent=1) + b"\n"


def parsed(content: bytes) -> SavedUsage:
    """Read a file's content.

    Raises:
        UsageFileError: it is something else, or an older version wrote it.
    """
    try:
        saved = msgspec.json.decode(content, type=SavedUsage)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageFileError(f"not a file that gpuwarden recommend --save wrote: {error}") from error
    if any(not one.templates for one in saved.workloads):
        raise UsageFileError(
            "an older version wrote it: workloads have no pod templates, by which policies are applied to them; save it again "
            "with this version of gpuwarden"
        )
    return saved

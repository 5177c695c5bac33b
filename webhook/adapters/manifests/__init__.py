"""Manifests: reading Kubernetes objects from YAML and JSON, and editing them in place."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO, TextIO

from webhook.adapters.manifests.editing import edit_text
from webhook.adapters.manifests.items import EditError, ManifestObject, ManifestProblem
from webhook.adapters.manifests.reading import read_text
from webhook.adapters.manifests.sources import STANDARD_INPUT, Source, open_sources
from webhook.adapters.manifests.splicing.operations import Operation
from webhook.adapters.manifests.writing import write_in_place

__all__ = [
    "STANDARD_INPUT",
    "EditError",
    "ManifestObject",
    "ManifestProblem",
    "Operation",
    "Source",
    "edit_text",
    "open_sources",
    "read_manifests",
    "read_text",
    "write_in_place",
]


def read_manifests(paths: Iterable[str], stdin: BinaryIO | TextIO | None) -> Iterator[ManifestObject | ManifestProblem]:
    """Everything that the paths name, read; see ``open_sources`` and ``read_text``, which it joins."""
    for source in open_sources(paths, stdin):
        if isinstance(source, ManifestProblem):
            yield source
        else:
            yield from read_text(source.text, source.name)

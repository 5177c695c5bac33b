"""Namespaces from a file, if there is no cluster: what ``kubectl get namespaces -o yaml`` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..engine.namespace_labels import NAMES, UNLABELLED, NamespaceLabels
from . import yaml_loader
from .shown import shown


class NamespaceFileError(Exception):
    """The file holds something that is not a namespace."""


class FileNamespaces:
    """The labels of the namespaces in a file; any other namespace has no labels."""

    def __init__(self, labels: Mapping[str, NamespaceLabels] | None = None) -> None:
        self.labels: Mapping[str, NamespaceLabels] = labels or {}

    def cached(self, name: str) -> NamespaceLabels:
        """The labels of a namespace."""
        return self.labels.get(name, UNLABELLED)

    async def fetch(self, name: str) -> NamespaceLabels:
        """The same as ``cached``, because a file is the only source."""
        return self.cached(name)


def parse(text: str) -> dict[str, NamespaceLabels]:
    """Read namespaces.

    Raises:
        NamespaceFileError: the file has an object that is not a namespace, or a namespace twice. An empty file is an error,
            because kubectl may be writing it, and no namespace would have labels.
    """
    try:
        documents = [one for one in yaml_loader.load_all(text) if one is not None]
    except ValueError as error:
        raise NamespaceFileError(str(error)) from error
    if not documents:
        raise NamespaceFileError("is empty; use the output of kubectl get namespaces -o yaml")
    labels: dict[str, NamespaceLabels] = {}
    for where, item in _items(documents):
        name, found = _namespace(item, where)
        if name in labels:
            raise NamespaceFileError(f"{where}: namespace {name} is defined twice; remove one")
        labels[name] = found
    return labels


def _items(documents: list[Any]) -> Iterator[tuple[str, Any]]:
    for number, document in enumerate(documents, start=1):
        if isinstance(document, dict) and str(document.get("kind")).endswith("List"):
            items = document.get("items") or []
            if not isinstance(items, list):
                raise NamespaceFileError(
                    f"document {number}: items is not a list; write its Namespaces with - before each"
                )
            for index, item in enumerate(items):
                yield f"document {number}, items[{index}]", item
        else:
            yield f"document {number}", document


def _namespace(item: Any, where: str) -> tuple[str, NamespaceLabels]:
    if not isinstance(item, dict) or item.get("kind", "Namespace") != "Namespace":
        raise NamespaceFileError(f"{where}: is not a Namespace; use the output of kubectl get namespaces -o yaml")
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or name is None:
        raise NamespaceFileError(f"{where}: metadata.name is missing; set it")
    if not isinstance(name, str):  # in YAML, no is a boolean and 1 a number
        raise NamespaceFileError(_not_text(where, "metadata.name", name))
    labels = metadata.get("labels")
    if labels is not None and not isinstance(labels, dict):
        raise NamespaceFileError(f"{where}: metadata.labels of {name} must be a map, not {shown(labels)}; write a map")
    texts = {}
    for key, value in (labels or {}).items():
        # The API server stores null as the empty text, which names no policy.
        if not isinstance(value, str) and not (value is None and key not in NAMES):
            raise NamespaceFileError(_not_text(where, f"metadata.labels[{key}] of {name}", value))
        texts[str(key)] = value or ""
    return name, NamespaceLabels.of(texts)


def _not_text(where: str, field: str, value: Any) -> str:
    remedy = "write text" if value is None or isinstance(value, dict | list) else "quote it"
    return f"{where}: {field} must be text, not {shown(value)}; {remedy}"

"""The places where the fields of a source's objects are written, for messages that name a field."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ...engine.patch import keys_of
from .items import ManifestObject
from .tree.documents import Document, documents
from .tree.nodes import Alias, Mapping, Node, Sequence, is_merge
from .tree.values import key_text

_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")


class Position(NamedTuple):
    """Where something is written: line and column, both from 1."""

    line: int
    column: int


class Lines:
    """The lines of one source. A document is parsed again when one of its lines is requested; only the last one is kept."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._documents: list[Document] = []
        self._parsed: tuple[int, Node | None] = -1, None

    def of(self, item: ManifestObject) -> "ObjectLines":
        """The lines of one object of this source."""
        return ObjectLines(self, item)

    def place(self, item: ManifestObject, steps: list[str]) -> Position:
        """Return the place of the field that the steps from an object lead to, or of the nearest field around it in the text."""
        node: Node | None = self._root(item.document)
        for step in keys_of(item.pointer):
            found = _member(node, step)
            node = found[1] if found else None
        written: Node | None = None
        for step in steps:
            found = _member(node, step)
            if found is None:
                break
            written, node = found
        if written is None:
            return Position(item.line, 1)
        text = self._documents[item.document].text
        return Position(written.line, written.start - text.rfind("\n", 0, written.start))

    def _root(self, document: int) -> Node | None:
        if self._parsed[0] != document:
            self._documents = self._documents or list(documents(self._text))
            self._parsed = document, self._documents[document].parse()
        return self._parsed[1]


@dataclass(frozen=True, slots=True)
class ObjectLines:
    """The lines of one object's fields; see ``Lines``."""

    lines: Lines
    item: ManifestObject

    def of_field(self, path: str) -> Position:
        """Return the place of a field, or of the nearest field around it if it is not in the text.

        ``path`` is as Kubernetes writes field paths: ``spec.containers[0].resources.limits[nvidia.com/gpu]``.
        """
        return self.lines.place(self.item, [key or bracketed for key, bracketed in _STEP.findall(path)])

    def of_pointer(self, pointer: str) -> Position:
        """The same for a JSON pointer (RFC 6901) from the object."""
        return self.lines.place(self.item, keys_of(pointer))


def _member(node: Node | None, step: str) -> tuple[Node, Node] | None:
    """Return the node that shows the place of a key or an index, and its value; of equal keys the effective one."""
    if isinstance(node, Alias):
        node = node.target
    if isinstance(node, Sequence):
        index = int(step) if step.isdecimal() else len(node.items)
        return (node.items[index], node.items[index]) if index < len(node.items) else None
    if not isinstance(node, Mapping):
        return None
    own = ((key, value) for key, value in reversed(node.entries) if not is_merge(key) and key_text(key) == step)
    return next(own, None) or next(filter(None, (_member(one, step) for one in _merged(node))), None)


def _merged(node: Mapping) -> Iterator[Node]:
    """Yield the maps that are merged into a map, in order of precedence."""
    for key, value in reversed(node.entries):
        if is_merge(key):
            yield from value.items if isinstance(value, Sequence) else [value]

"""Lines and columns of a document's text, and the changes that are made to it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..tree.nodes import BLOCK_SCALARS, Alias, Mapping, Node, Scalar, Sequence

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_INLINE_PROPERTIES = re.compile(r"(?:[ \t]+[&!]\S*)*")
_PROPERTIES = re.compile(r"(?:[&!]\S*(?:[ \t\r\n]+|#[^\n]*)*)*")


class Splice(NamedTuple):
    """Replaces the text from ``start`` up to ``end``; an insertion if they are equal."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A document's text, with lines and columns of offsets."""

    text: str

    def line_start(self, offset: int) -> int:
        """The offset of the first character of the line."""
        return self.text.rfind("\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """The offset after the last character of the line, its line break left out."""
        end = self.text.find("\n", offset)
        if end < 0:
            return len(self.text)
        return end - 1 if end > offset and self.text[end - 1] == "\r" else end

    def column(self, offset: int) -> int:
        """The number of characters before the offset on its line."""
        return offset - self.line_start(offset)

    def indentation(self, offset: int) -> str:
        """The spaces and tabs that the line of the offset begins with."""
        line = self.text[self.line_start(offset) : self.line_end(offset)]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def entry_start(self, key: Node) -> int:
        """The offset where an entry of a block map begins: at its key, or at the ``?`` before it."""
        before = self.text[self.line_start(key.start) : key.start].rstrip()
        return self.line_start(key.start) + len(before) - 1 if before.endswith("?") else key.start

    def entry_column(self, mapping: Mapping) -> int:
        """The column of a block map's entries."""
        return self.column(self.entry_start(mapping.entries[0][0]))

    def starts_line(self, offset: int) -> bool:
        """Whether only spaces and tabs are before the offset on its line."""
        return not self.text[self.line_start(offset) : offset].strip(" \t")

    def content(self, node: Node) -> int:
        """The offset where a node begins after its anchor and its tag."""
        properties = _PROPERTIES.match(self.text, node.start, node.end)
        return properties.end() if properties and not isinstance(node, Alias) else node.start

    def begins_below(self, node: Node, offset: int) -> bool:
        """Whether a node begins on a line below the offset, its anchor and its tag apart."""
        return self.line_start(self.content(node)) != self.line_start(offset)

    def properties_end(self, offset: int) -> int:
        """The offset after the anchor and the tag, if any, after a colon or a dash."""
        properties = _INLINE_PROPERTIES.match(self.text, offset)
        return properties.end() if properties else offset

    def without_lines(self, start: int, end: int) -> Splice:
        """Removes the lines from that of ``start`` to that which ends at ``end``.

        The line break before them is removed too, but not the one after them, because an outer map may get a new line there.
        """
        first = self.line_start(start)
        if not first:
            return Splice(0, self.text.find("\n", end) + 1 or len(self.text), "")
        return Splice(self.line_end(self.line_start(first - 1)), end, "")

    def dashes(self, node: Sequence) -> list[int]:
        """The offsets of the dashes of a block list."""
        offset = self.content(node)
        found: list[int] = []
        for item in node.items:
            blank = _BLANK.match(self.text, offset)
            found.append(blank.end() if blank else offset)
            offset = item.end
        return found

    def end(self, node: Node) -> int:
        """The offset after a node's last character; blank lines that a block scalar does not keep are left out."""
        leaf = _last_leaf(node)
        if not isinstance(leaf, Scalar) or leaf.quote not in BLOCK_SCALARS:
            return leaf.end
        content = self.text[leaf.start : leaf.end]
        if "+" in self._header(leaf):
            return leaf.start + len(content.removesuffix("\n").removesuffix("\r"))
        header, *lines = content.split("\n")
        # Blank lines with more spaces than the indentation are content, too.
        depth = next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), 0)
        while lines and not lines[-1].strip() and len(lines[-1].rstrip("\r")) <= depth:
            lines.pop()
        return leaf.start + len("\n".join((header, *lines)).removesuffix("\r"))

    def last_line_end(self, node: Node) -> int:
        """The end of the last line of a block node: where a line can be inserted that follows it."""
        return self.line_end(self.end(node))

    def _header(self, leaf: Scalar) -> str:
        """Return the rest of the line after the ``|`` or ``>`` of a block scalar."""
        start = self.content(leaf) + 1
        return self.text[start : self.line_end(start)].split("#", 1)[0]


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """The text with all splices made; those at the same place in the order given."""
    parts: list[str] = []
    done = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        parts += text[done:start], new
        done = max(done, end)
    parts.append(text[done:])
    return "".join(parts)


def _last_leaf(node: Node) -> Node:
    while isinstance(node, Sequence | Mapping) and not node.flow:
        if isinstance(node, Sequence):
            node = node.items[-1]
        else:
            key, value = node.entries[-1]
            node = value if value.end > key.end else key
    return node

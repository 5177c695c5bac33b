"""Writers for the new parts of a document: YAML in the style of its neighbours, or JSON."""

import json
from typing import Any

from ..tree.nodes import Mapping, Node, Scalar, Sequence, members_of, walk
from . import fragments
from .layout import Layout
from .style import Style, style_near, style_of


class YamlWriter:
    """Writes YAML with ruamel.yaml. All lines but the first are indented. ``near`` is the collection that gets the new part.

    ``space`` is the text after a colon, and after a comma on one line.
    """

    space = " "

    def __init__(self, layout: Layout, root: Node) -> None:
        self._layout = layout
        self._document = style_of(root, layout)

    def style(self, near: Node) -> Style:
        """The style at a place."""
        return style_near(near, self._layout, self._document)

    def key(self, text: str, old: Node) -> str:
        """A key that replaces another, in its quotes."""
        quoted = isinstance(old, Scalar) and old.quote in ("'", '"')
        return fragments.key(text, old.quote if isinstance(old, Scalar) and quoted else "")

    def inline(self, value: Any, near: Node, start: int) -> str:  # noqa: ARG002 - a single line needs no indentation
        """A value within brackets, a scalar, or an empty collection; ``start`` is an offset on the line where it begins."""
        return fragments.flow(value, self.style(near))

    def entry(self, key: str, value: Any, near: Mapping) -> str:
        """A new entry of a map."""
        style = self.style(near)
        if near.flow:
            return fragments.flow_entry(key, value, style)
        return indented(fragments.block({key: value}, style), self._layout.entry_column(near))

    def item(self, value: Any, near: Sequence) -> str:
        """A new item of a list, with its dash in a block list."""
        style = self.style(near)
        if near.flow:
            return fragments.flow(value, style)
        last = near.items[-1]
        if isinstance(last, Mapping | Sequence) and last.flow and isinstance(value, dict | list):
            return "-" + " " * (style.dash - 1) + fragments.flow(value, style)
        return indented(fragments.item(value, style), self._layout.column(self._layout.dashes(near)[0]))

    def block(self, value: Any, near: Node, column: int) -> str:
        """A non-empty map or list as lines; all but the first are indented to the column."""
        return indented(fragments.block(value, self.style(near)), column)


class JsonWriter:
    """Writes JSON, indented and spaced as the document is."""

    def __init__(self, layout: Layout, root: Node) -> None:
        self._layout = layout
        self._step = _json_step(layout, root)
        self.space = _json_space(layout, root)

    def key(self, text: str, old: Node) -> str:  # noqa: ARG002 - there is one way to write it
        """See `YamlWriter`."""
        return json.dumps(text, ensure_ascii=False)

    def inline(self, value: Any, near: Node, start: int) -> str:  # noqa: ARG002 - only the lines matter
        """See `YamlWriter`."""
        return self._written(value, start, spread=True)

    def entry(self, key: str, value: Any, near: Mapping) -> str:
        """See `YamlWriter`."""
        start = near.entries[-1][0].start
        spread = self._layout.starts_line(start)
        return f"{json.dumps(key, ensure_ascii=False)}:{self.space}{self._written(value, start, spread=spread)}"

    def item(self, value: Any, near: Sequence) -> str:
        """See `YamlWriter`."""
        last = near.items[-1]
        packed = bool(members_of(last)) and "\n" not in self._layout.text[last.start : last.end]
        return self._written(value, last.start, spread=self._layout.starts_line(last.start) and not packed)

    def _written(self, value: Any, start: int, *, spread: bool) -> str:
        """A value, over several lines if its neighbours have lines of their own."""
        step = self._step if spread else None
        separators = ("," if step is not None else "," + self.space, ":" + self.space)
        text = json.dumps(value, indent=step, ensure_ascii=False, separators=separators)
        return text.replace("\n", "\n" + self._layout.indentation(start))


def _json_step(layout: Layout, root: Node) -> str | None:
    """Return the indentation of one level; ``None`` if no level has lines of its own."""
    for node in walk(root):
        for member in members_of(node)[:1]:
            if layout.starts_line(member.start):
                return layout.indentation(member.start).removeprefix(layout.indentation(node.start))
    return None


def _json_space(layout: Layout, root: Node) -> str:
    """Return the text after the first colon of the document."""
    entries = (entry for node in walk(root) if isinstance(node, Mapping) for entry in node.entries)
    between = (layout.text[key.end : value.start] for key, value in entries)
    return " " if next(between, " ").endswith(" ") else ""


def indented(text: str, column: int) -> str:
    """Lines of which all but the first begin at the column."""
    return text.replace("\n", "\n" + " " * column)

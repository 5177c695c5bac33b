"""Finds the smallest changes to a document's text that give it other data.

ruamel.yaml's round trip is not used, because it writes the whole document again: it changed 59 of 199 real manifests without an
edit, with any indentation setting, and puts a new key after the comment of the next one. Here unchanged text is never touched,
and ruamel.yaml writes only what is new.
"""

from dataclasses import dataclass
from typing import Any

from ..items import EditError
from ..tree.nodes import Alias, Mapping, Node, Sequence, is_merge
from ..tree.values import data_of, key_text, same
from .changes import BEFORE_ALL, pair_items, pair_keys
from .layout import Layout, Splice
from .members import Change, Member, in_block, in_flow
from .sharing import SharedValues, live_entries, merges_may_stay
from .writers import JsonWriter, YamlWriter


def changes_of(text: str, root: Node, target: Any, *, is_json: bool) -> list[Splice]:
    """Return the changes that give a document the data ``target``.

    A value that is used in several places (``&anchor``, ``*alias``, ``<<``) is changed at its anchor if all places need the same
    change; a place that needs another gets its own copy.
    """
    rewriter = _Rewriter(text, root, is_json=is_json)
    rewriter.visit(root, target, _Slot(None, root.start))
    return rewriter.splices


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of a value.

    Attributes:
        near: the collection that it belongs to; ``None`` for the root.
        behind: the offset after its colon or dash, or of its beginning if there is none.
    """

    near: Mapping | Sequence | None
    behind: int


class _Rewriter:
    def __init__(self, text: str, root: Node, *, is_json: bool) -> None:
        self.layout = Layout(text)
        self.yaml = YamlWriter(self.layout, root)
        self.writer = JsonWriter(self.layout, root) if is_json else self.yaml
        self.splices: list[Splice] = []
        self.sharing = SharedValues()

    def visit(self, node: Node, target: Any, slot: _Slot) -> None:
        """Make the node hold the target."""
        if isinstance(node, Alias):
            if not same(self.sharing.will_hold(node), target):
                self.replace(node, target, slot)
            return
        self.sharing.set(node, target)
        if isinstance(node, Mapping) and isinstance(target, dict):
            done = self._mapping(node, target)
        elif isinstance(node, Sequence) and isinstance(target, list):
            done = self._sequence(node, target)
        else:
            done = same(data_of(node), target)
        if not done:
            self.sharing.drop(node)
            self.replace(node, target, slot)

    def _mapping(self, node: Mapping, target: dict[str, Any]) -> bool:
        """Make a map hold the target by changing its entries; false when none of them can stay."""
        if not target or not node.entries:
            return not target and not node.entries
        live = live_entries(node)
        indexes = list(live.values())
        inherited = self.sharing.inherited(node)
        if inherited is not None and merges_may_stay(inherited, target, live):
            own = [name for name in target if name in live or name not in inherited]
            stay = set(range(len(node.entries))).difference(indexes)
        else:
            own = [name for name in target if name in live]
            stay = self._copy_merges(node, {name: value for name, value in target.items() if name not in live})
        pairing = pair_keys(list(live), own)
        unbraced = node.flow and self.layout.text[self.layout.content(node)] != "{"  # [key: value]
        if (not pairing.kept and not stay) or (unbraced and len(target) != 1):
            return False
        for old, new in pairing.kept:
            key, value = node.entries[indexes[old]]
            if key_text(key) != own[new]:
                self._rename(key, own[new])
            self.visit(value, target[own[new]], _Slot(node, self._behind_colon(key, value)))
        added: dict[int, list[str]] = {}
        for before, news in pairing.added.items():
            texts = [self.writer.entry(own[new], target[own[new]], node) for new in news]
            added[before if before == BEFORE_ALL else indexes[before]] = texts
        self._change(node, Change(sorted(stay.union(indexes[old] for old, _ in pairing.kept)), added))
        return True

    def _sequence(self, node: Sequence, target: list[Any]) -> bool:
        """Make a list hold the target by changing its items; false when none of them can stay."""
        if not target or not node.items:
            return not target and not node.items
        pairing = pair_items([data_of(item) for item in node.items], target)
        dashes = [item.start for item in node.items] if node.flow else self.layout.dashes(node)
        for old, new in pairing.kept:
            self.visit(node.items[old], target[new], _Slot(node, dashes[old] + (not node.flow)))
        added = {before: [self.writer.item(target[i], node) for i in news] for before, news in pairing.added.items()}
        self._change(node, Change([old for old, _ in pairing.kept], added))
        return True

    def _change(self, node: Mapping | Sequence, change: Change) -> None:
        """Add and remove members."""
        if isinstance(node, Mapping):
            start = (lambda key: key.start) if node.flow else self.layout.entry_start
            spans = [(start(key), value if value.end > key.end else key) for key, value in node.entries]
        else:
            starts = [item.start for item in node.items] if node.flow else self.layout.dashes(node)
            spans = list(zip(starts, node.items, strict=True))
        if not change.added and len(change.kept) == len(spans):
            return
        members = [Member(start, self.layout.end(last), self.layout.last_line_end(last)) for start, last in spans]
        if node.flow:
            self.splices += in_flow(self.layout, members, change, self.writer.space)
        else:
            self.splices += in_block(self.layout, members, change)

    def _copy_merges(self, node: Mapping, copied: dict[str, Any]) -> set[int]:
        """Replace the first merge by the values that the merges supplied, as they are in the target."""
        first = next(index for index, (key, _) in enumerate(node.entries) if is_merge(key))
        if not copied:
            return set()
        key, value = node.entries[first]
        separator = "," + self.writer.space if node.flow else "\n" + " " * self.layout.column(key.start)
        text = separator.join(self.writer.entry(name, value, node) for name, value in copied.items())
        self.splices.append(Splice(key.start, self.layout.end(value), text))
        return {first}

    def _rename(self, key: Node, name: str) -> None:
        self.splices.append(Splice(self.layout.content(key), key.end, self.writer.key(name, key)))

    def _behind_colon(self, key: Node, value: Node) -> int:
        if value.start == value.end == key.end:
            return key.end  # {key}, without a colon
        return self.layout.text.index(":", self.layout.end(key)) + 1

    def replace(self, node: Node, target: Any, slot: _Slot) -> None:
        """Replace the node by the target, whatever its type."""
        if slot.near is None:
            raise EditError("no part of the document would stay as it is")
        if slot.near.flow or not isinstance(target, dict | list) or not target:
            self._replace_inline(node, self.writer.inline(target, slot.near, node.start), slot.near, slot.behind)
        elif isinstance(slot.near, Sequence):
            self._replace_item(node, target, slot.near, slot.behind)
        else:
            self._replace_block(node, target, slot.near, slot.behind)

    def _replace_inline(self, node: Node, text: str, near: Mapping | Sequence, behind: int) -> None:
        layout = self.layout
        if node.start == node.end:
            colon = "" if layout.text[behind - 1] in ":-" else ":"
            self.splices.append(Splice(behind, behind, f"{colon} {text}"))
        elif near.flow or not layout.begins_below(node, behind):
            self.splices.append(Splice(node.start, layout.end(node), text))
        else:
            self.splices.append(Splice(behind, layout.properties_end(behind), f" {text}"))
            self.splices.append(Splice(layout.line_end(behind), layout.last_line_end(node), ""))

    def _replace_item(self, node: Node, target: Any, near: Sequence, behind: int) -> None:
        """Write a non-empty map or list after the dash of a block list."""
        if node.start == node.end:
            space = " " * (self.yaml.style(near).dash - 1)
            column = self.layout.column(behind) + len(space)
            self.splices.append(Splice(behind, behind, space + self.yaml.block(target, near, column)))
        else:
            text = self.yaml.block(target, near, self.layout.column(node.start))
            self.splices.append(Splice(node.start, self.layout.end(node), text))

    def _replace_block(self, node: Node, target: Any, near: Mapping, behind: int) -> None:
        """Write a non-empty map or list below its key in a block map; a comment after the key stays there."""
        layout, style = self.layout, self.yaml.style(near)
        column = layout.entry_column(near) + (style.step if isinstance(target, dict) else style.offset)
        text = "\n" + " " * column + self.yaml.block(target, near, column)
        if layout.begins_below(node, behind):
            self.splices.append(Splice(behind, layout.properties_end(behind), ""))
            self.splices.append(Splice(layout.line_end(behind), layout.last_line_end(node), text))
        else:
            end = layout.end(node)
            self.splices.append(Splice(behind, end, ""))
            self.splices.append(Splice(layout.line_end(end), layout.line_end(end), text))

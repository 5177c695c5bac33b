"""Values used in several places: anchors with their aliases, and merge keys."""

from typing import Any

from ..items import UnreadableError
from ..tree.nodes import Alias, Mapping, Node, Sequence, is_merge, walk
from ..tree.values import data_of, key_text, merged, same

GONE = object()
"""The future content of an anchored node that will be removed."""


class SharedValues:
    """The future content of each anchored node; filled in the order of the text."""

    def __init__(self) -> None:
        self._held: dict[int, Any] = {}

    def set(self, node: Node, data: Any) -> None:
        """Record the future content of a node."""
        if not isinstance(node, Alias) and node.anchor is not None:
            self._held[id(node)] = data

    def drop(self, node: Node) -> None:
        """Record that a node will be written again, without its anchor."""
        self._held.pop(id(node), None)

    def will_hold(self, alias: Alias) -> Any:
        """Return the future content of an alias that stays; ``GONE`` if its anchor does not stay."""
        return self._held.get(id(alias.target), GONE)

    def inherited(self, node: Mapping) -> dict[str, Any] | None:
        """Return the future merges of a map; ``None`` if one of their anchors is removed, or is no longer a map."""
        result: dict[str, Any] = {}
        for key, value in node.entries:
            if is_merge(key):
                try:
                    result.update(merged(value, self._source(value), key.line))
                except UnreadableError:
                    return None
        return result

    def _source(self, node: Node) -> Any:
        """Return the future content of the value of a merge key: an alias, a list of aliases, or a map, which does not change."""
        if isinstance(node, Alias):
            return self.will_hold(node)
        if isinstance(node, Sequence):
            return [self._source(item) for item in node.items]
        for inner in walk(node):
            self.set(inner, data_of(inner))
        return data_of(node)


def merges_may_stay(inherited: dict[str, Any], target: dict[str, Any], live: dict[str, int]) -> bool:
    """Whether every value that merges will supply is in the target, or is still overridden."""
    return all(name in target and (name in live or same(target[name], value)) for name, value in inherited.items())


def live_entries(node: Mapping) -> dict[str, int]:
    """The effective entries of a map by key: those that no later entry and no later merge overrides."""
    live: dict[str, int] = {}
    for index, (key, value) in enumerate(node.entries):
        if is_merge(key):
            for name in merged(value, data_of(value), key.line):
                live.pop(name, None)
        else:
            live.pop(key_text(key), None)  # so that the order stays that of the text
            live[key_text(key)] = index
    return live

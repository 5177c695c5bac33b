"""Turns nodes into plain data, as Kubernetes' YAML decoder would: merge keys, aliases, text keys, and its limit on aliases."""

from dataclasses import dataclass
from typing import Any

from ..items import UnreadableError
from .nodes import DEEPEST, TOO_DEEP, Alias, Entry, Mapping, Node, Scalar, is_merge
from .scalars import key_of, value_of

_FREE = 400_000
_ALL = 4_000_000


@dataclass(frozen=True, slots=True)
class Repeated:
    """A key that is defined twice in a map, with both lines; the second is effective."""

    key: str
    first: int
    second: int


def data_of(root: Node, repeated: list[Repeated] | None = None) -> Any:
    """The data of a tree; every alias gets a copy of its own.

    ``repeated`` collects the keys that are defined twice.

    Raises:
        UnreadableError: for a key that is not text, a merge with something other than a map, a value that JSON cannot hold,
            or aliases that multiply beyond go-yaml's limit ("billion laughs").
    """
    return _Decoder([] if repeated is None else repeated).value(root)


def key_text(key: Node) -> str:
    """A key as JSON writes it.

    Raises:
        UnreadableError: when it is null, a list or a map.
    """
    node = key.target if isinstance(key, Alias) else key
    text = key_of(value_of(node)) if isinstance(node, Scalar) else None
    if text is None:
        raise UnreadableError(key.line, "a key is not text, which Kubernetes denies: write text as the key")
    return text


def merged(sources: Node, data: Any, line: int) -> dict[str, Any]:
    """Return the data that ``<<`` brings in, from the node and the data of its value: a map, or a list of maps, earlier first.

    Raises:
        UnreadableError: when it is neither.
    """
    parts = data if isinstance(data, list) and not isinstance(sources, Alias) else [data]
    if not all(isinstance(part, dict) for part in parts):
        raise UnreadableError(line, "<< takes a map or a list of maps: name the anchor of a map (<<: *name)")
    result: dict[str, Any] = {}
    for part in reversed(parts):
        result.update(part)
    return result


class _Decoder:
    """Counts like go-yaml v2 (``decode.go``): aliases may supply 99 % of a small document, and 10 % of a huge one."""

    def __init__(self, repeated: list[Repeated]) -> None:
        self.repeated = repeated
        self.decoded = 0
        self.aliased = 0
        self.level = 0
        self.alias_line = 0  # of the outermost alias that is being copied; 0 outside of all

    def value(self, node: Node) -> Any:
        self.decoded += 1
        if self.alias_line:
            self._count_alias()
        if isinstance(node, Scalar):
            return value_of(node)
        if isinstance(node, Alias):
            return self._alias(node)
        if self.level >= DEEPEST:
            raise UnreadableError(self.alias_line or node.line, TOO_DEEP)
        self.level += 1
        result = self._mapping(node) if isinstance(node, Mapping) else [self.value(item) for item in node.items]
        self.level -= 1
        return result

    def _alias(self, node: Alias) -> Any:
        if self.alias_line:
            return self.value(node.target)
        self.alias_line = node.line
        result = self.value(node.target)
        self.alias_line = 0
        return result

    def _count_alias(self) -> None:
        self.aliased += 1
        if self.aliased <= 100 or self.decoded <= 1000:  # noqa: PLR2004 - go-yaml's own numbers
            return
        excess = min(max(self.decoded - _FREE, 0) / (_ALL - _FREE), 1)
        if self.aliased / self.decoded > 0.99 - 0.89 * excess:
            raise UnreadableError(
                self.alias_line,
                "aliases (*name) multiply the document beyond what Kubernetes decodes: write out their values",
            )

    def _mapping(self, node: Mapping) -> dict[str, Any]:
        result: dict[str, Any] = {}
        own: dict[str, int] = {}
        for entry in node.entries:
            key, value = entry
            if is_merge(key):
                for name, brought in self._merge(entry).items():
                    result.pop(name, None)
                    result[name] = brought
                continue
            name = key_text(key)
            if name in own:
                self.repeated.append(Repeated(name, own[name], key.line))
            own[name] = key.line
            self.decoded += 1
            self.aliased += self.alias_line > 0
            held = self.value(value)
            result.pop(name, None)  # the effective entry keeps its own place in the order
            result[name] = held
        return result

    def _merge(self, entry: Entry) -> dict[str, Any]:
        key, value = entry
        return merged(value, self.value(value), key.line)


def same(one: object, other: object) -> bool:
    """Whether two values are equal as JSON: ``1`` is neither ``true`` nor ``"1"``, and the order of keys is irrelevant."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)

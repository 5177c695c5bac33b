"""A document as a tree, with the place of each part in the text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

DEEPEST = 200
"""How deep collections may nest. Kubernetes' own deepest (schemas in a CustomResourceDefinition) stay below 100; the limit
keeps hostile input from exhausting the stack of code that walks the data."""
TOO_DEEP = f"the document is nested deeper than {DEEPEST} levels: write it with fewer"
BLOCK_SCALARS = ("|", ">")


@dataclass(slots=True, eq=False)
class Scalar:
    """A leaf.

    Attributes:
        start: offset of the first character, anchor and tag included.
        end: offset after the last character.
        line: the line of ``start``, from 1.
        text: the content, quotes and folding resolved.
        quote: ``""`` for a plain scalar, else ``'``, ``"``, ``|`` or ``>``.
        tag: an explicit tag in its long form, or ``None``.
        anchor: the anchor's name, if it has one.
    """

    start: int
    end: int
    line: int
    text: str
    quote: str
    tag: str | None = None
    anchor: str | None = None


@dataclass(slots=True, eq=False)
class Alias:
    """A place where an anchored node is used again (``*name``)."""

    start: int
    end: int
    line: int
    target: "Scalar | Sequence | Mapping"


@dataclass(slots=True, eq=False)
class _Collection:
    """A list or a map; ``flow`` if it is in brackets or braces. ``end`` is the end of its last member, or after the bracket."""

    start: int
    end: int
    line: int
    flow: bool
    anchor: str | None = None


@dataclass(slots=True, eq=False)
class Sequence(_Collection):
    """A list."""

    items: "list[Node]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping(_Collection):
    """A map, in the order of the text."""

    entries: "list[Entry]" = field(default_factory=list)


Node: TypeAlias = Scalar | Alias | Sequence | Mapping
Entry: TypeAlias = tuple[Node, Node]


def is_merge(key: Node) -> bool:
    """Whether a key is YAML 1.1's ``<<``, which fills a map from others."""
    if not isinstance(key, Scalar) or key.text != "<<":
        return False
    return (not key.quote and key.tag is None) or key.tag == "tag:yaml.org,2002:merge"


def members_of(node: Node) -> list[Node]:
    """The nodes directly below a node, keys and values alike; an alias has none."""
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Mapping):
        return [part for entry in node.entries for part in entry]
    return []


def walk(root: Node) -> Iterator[Node]:
    """Every node of a tree, in the order of the text."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(members_of(node)))

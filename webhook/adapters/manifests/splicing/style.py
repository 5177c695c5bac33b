"""The style of a document: its indentation and its quotes, so that what is added looks like its neighbours."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeVar

from ..tree.nodes import BLOCK_SCALARS, Mapping, Node, Scalar, Sequence, members_of, walk
from ..tree.scalars import plain
from .layout import Layout

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Style:
    """The style of collections.

    Attributes:
        step: how many columns a map is to the right of its key.
        offset: how many columns the dashes of a list are to the right of its key, often 0.
        dash: how many columns an item is to the right of its dash.
        quote: the quotation mark for text that needs one.
        quote_keys: whether keys are quoted even if they need not be.
        quote_values: the same for values that are text.
    """

    step: int = 2
    offset: int = 0
    dash: int = 2
    quote: str = '"'
    quote_keys: bool = False
    quote_values: bool = False


@dataclass(slots=True)
class _Seen:
    """Counts of what was seen; of equal counts, the one seen first wins."""

    step: Counter[int] = field(default_factory=Counter)
    offset: Counter[int] = field(default_factory=Counter)
    dash: Counter[int] = field(default_factory=Counter)
    quote: Counter[str] = field(default_factory=Counter)

    def style(self, otherwise: Style, *, quote_keys: bool, quote_values: bool) -> Style:
        return Style(
            _commonest(self.step, otherwise.step),
            _commonest(self.offset, otherwise.offset),
            _commonest(self.dash, otherwise.dash),
            _commonest(self.quote, otherwise.quote),
            quote_keys,
            quote_values,
        )


def style_of(root: Node, layout: Layout) -> Style:
    """The style of a whole document."""
    nodes = list(walk(root))
    seen = _Seen(quote=_quotes(nodes))
    for node in nodes:
        _measure(node, layout, seen)
    return seen.style(Style(), quote_keys=False, quote_values=False)


def style_near(node: Node, layout: Layout, document: Style) -> Style:
    """The style for additions to one collection: its own, or the document's if it shows none.

    Texts are always quoted if all their neighbours are: the values of the map, or of the maps in the list.
    """
    members = members_of(node)
    maps = [each for each in (members if isinstance(node, Sequence) else [node]) if isinstance(each, Mapping)]
    keys = [key for each in maps for key, _ in each.entries]
    values = [value for each in maps for _, value in each.entries] or members
    seen = _Seen(quote=_quotes(values) or _quotes(keys))
    for each in (node, *members):
        _measure(each, layout, seen)
    return seen.style(document, quote_keys=_all_quoted(keys), quote_values=_all_quoted(values))


def _measure(node: Node, layout: Layout, seen: _Seen) -> None:
    """Note how the members of a block collection are indented."""
    if isinstance(node, Mapping) and not node.flow:
        column = layout.entry_column(node)
        for _, value in node.entries:
            if isinstance(value, Mapping) and not value.flow:
                seen.step[layout.entry_column(value) - column] += 1
            elif isinstance(value, Sequence) and not value.flow:
                seen.offset[layout.column(layout.dashes(value)[0]) - column] += 1
    elif isinstance(node, Sequence) and not node.flow:
        for dash, item in zip(layout.dashes(node), node.items, strict=True):
            if item.end > item.start and layout.line_start(item.start) == layout.line_start(dash):
                seen.dash[item.start - dash] += 1


def _commonest(seen: Counter[_T], otherwise: _T) -> _T:
    return seen.most_common(1)[0][0] if seen else otherwise


def _quotes(nodes: list[Node]) -> Counter[str]:
    return Counter(node.quote for node in nodes if isinstance(node, Scalar) and node.quote in ("'", '"'))


def _all_quoted(nodes: list[Node]) -> bool:
    """Whether there are texts among the nodes, and all of them are quoted."""
    scalars = [node for node in nodes if isinstance(node, Scalar) and node.quote not in BLOCK_SCALARS]
    texts = [node for node in scalars if node.quote or isinstance(plain(node.text), str)]
    return bool(texts) and all(node.quote for node in texts)

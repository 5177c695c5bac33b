"""Adds and removes members of a map or a list in its text, leaving the other members and their comments as they are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .changes import BEFORE_ALL
from .layout import Layout, Splice

_REST = re.compile(r"[ \t]*(,?)[ \t]*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Member:
    """A member in the text: a key with its value, or an item, with its dash in a block list.

    Attributes:
        start: the offset of the key, the item or the dash.
        end: the offset after the value.
        last_line_end: the end of the value's last line, a comment included.
    """

    start: int
    end: int
    last_line_end: int


@dataclass(slots=True)
class Change:
    """The kept and the new members, as texts.

    Attributes:
        kept: the indexes of the members that stay, in order; at least one.
        added: the texts of new members, by the index of the kept one they follow, or ``BEFORE_ALL``.
    """

    kept: list[int]
    added: dict[int, list[str]] = field(default_factory=dict)


def in_block(layout: Layout, members: list[Member], change: Change) -> Iterator[Splice]:
    """The changes to a block map or list; all lines of the texts except the first are already indented."""
    column = layout.column(members[0].start)
    for before, texts in change.added.items():
        for text in texts:
            if before == BEFORE_ALL:
                first = members[change.kept[0]].start
                yield Splice(first, first, f"{text}\n{' ' * column}")
            else:
                at = members[before].last_line_end
                yield Splice(at, at, f"\n{' ' * column}{text}")
    for index, member in enumerate(members):
        if index in change.kept:
            continue
        if layout.starts_line(member.start):
            yield layout.without_lines(member.start, member.last_line_end)
        else:  # the first, after a dash that then belongs to the next
            yield Splice(member.start, members[change.kept[0]].start, "")


def in_flow(layout: Layout, members: list[Member], change: Change, space: str) -> Iterator[Splice]:
    """The changes to a map or a list in brackets, JSON included; new members get lines of their own if others have them.

    ``space`` is what is after a comma, if the members do not show it.
    """
    separator = _separator(layout, members, space)
    for before, texts in change.added.items():
        if before == BEFORE_ALL:
            first = members[change.kept[0]]
            yield Splice(first.start, first.start, "".join(text + separator for text in texts))
        else:
            yield from _added_behind(
                layout, members[before].end, texts, separator, alone=before + 1 in (*change.kept, len(members))
            )
    yield from _removed(members, change.kept)


def _added_behind(layout: Layout, end: int, texts: list[str], separator: str, *, alone: bool) -> Iterator[Splice]:
    rest = _REST.fullmatch(layout.text, end, layout.line_end(end))
    if not rest or not alone or "\n" not in separator:
        yield Splice(end, end, "".join(separator + text for text in texts))
        return
    # A comment at the end of the line stays with the member before it.
    if not rest[1]:
        yield Splice(end, end, ",")
    lines = separator.join(texts) + rest[1]
    yield Splice(rest.end(), rest.end(), separator.removeprefix(",") + lines)


def _separator(layout: Layout, members: list[Member], space: str) -> str:
    """Return the text between two members: a comma, and a line break or the space that the text has there."""
    last = members[-1].start
    if layout.starts_line(last):
        return ",\n" + layout.indentation(last)
    between = layout.text[members[-2].end : last] if len(members) > 1 else ""
    return between if re.fullmatch(",[ \t]*", between) else "," + space


def _removed(members: list[Member], kept: list[int]) -> Iterator[Splice]:
    """Each run of removed members goes with the comma before it, the first run with the comma after it."""
    if kept[0] > 0:
        yield Splice(members[0].start, members[kept[0]].start, "")
    for index, following in zip(kept, [*kept[1:], len(members)], strict=True):
        if following > index + 1:
            yield Splice(members[index].end, members[following - 1].end, "")

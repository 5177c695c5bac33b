"""A grid of texts in columns that takes thousands of rows: rich's own table needs a millisecond for each.

It does less: no frames, no nested renderables. rich only wraps cells that do not fit. On a narrow terminal, where columns would
be a few words wide, each row is a record instead: its first cell, and below it the others, each after the name of its column.
"""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

_GAP = 2
_NARROWEST = 8
_STACKED = 110  # columns; below it, a grid that does not fit becomes records
_BOLD, _DIM = Style(bold=True), Style(dim=True)


class Grid:
    """Rows below a head, a blank line after each.

    Args:
        shares: the share of each column of the width, if not all fit; 0 for a column that keeps its own width.
    """

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[Text]], shares: Sequence[int]) -> None:
        self._head, self._rows, self._shares = head, rows, shares

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """The segments, as rich asks a renderable for them."""
        if options.max_width < _STACKED and sum(self._natural()) + self._gaps > options.max_width:
            yield from self._records(console, options.max_width)
            return
        widths = self._widths(options.max_width)
        yield from _line([[Segment(name, _BOLD)] for name in self._head], widths)
        yield from _line([[Segment("─" * width, _DIM)] for width in widths], widths)
        for row in self._rows:
            cells = [_lines(console, cell, width) for cell, width in zip(row, widths, strict=True)]
            for number in range(max(map(len, cells))):
                yield from _line([lines[number] if number < len(lines) else [] for lines in cells], widths)
            yield Segment.line()

    def _records(self, console: Console, room: int) -> Iterator[Segment]:
        names = [f"  {name}" for name in self._head]
        widths = [max(map(len, names[1:]), default=0), 0]
        widths[1] = max(room - widths[0] - _GAP, _NARROWEST)
        for title, *cells in self._rows:
            # A number alone is not clear.
            named = Text.assemble(f"{self._head[0]}: ", title) if title.plain.isdigit() else title
            for line in _lines(console, named, room):
                yield from _line([line], [room])
            for name, cell in zip(names[1:], cells, strict=True):
                for number, line in enumerate(_lines(console, cell, widths[1]) if cell.plain else ()):
                    yield from _line([[] if number else [Segment(name, _DIM)], line], widths)
            yield Segment.line()

    @property
    def _gaps(self) -> int:
        return _GAP * (len(self._head) - 1)

    def _natural(self) -> list[int]:
        """Each column as wide as its widest line."""
        widths = [cell_len(name) for name in self._head]
        for row in self._rows:
            for column, cell in enumerate(row):
                widths[column] = max(widths[column], *map(cell_len, cell.plain.split("\n")))
        return widths

    def _widths(self, room: int) -> list[int]:
        """Each column as wide as its widest line; if that is too wide, columns with a share get at most their share."""
        widths = self._natural()
        room -= self._gaps
        flexible = {column: share for column, share in enumerate(self._shares) if share}
        while flexible and sum(widths) > room:
            left = room - sum(width for column, width in enumerate(widths) if column not in flexible)
            parts = {
                column: max(_NARROWEST, left * share // sum(flexible.values())) for column, share in flexible.items()
            }
            content = {column for column, part in parts.items() if widths[column] <= part}
            if not content:
                for column, part in parts.items():
                    widths[column] = part
                break
            flexible = {column: share for column, share in flexible.items() if column not in content}
        return widths


def _lines(console: Console, cell: Text, width: int) -> list[list[Segment]]:
    """The lines of a cell, none wider than its column."""
    plain = cell.plain.split("\n")
    if console.color_system is None and all(cell_len(line) <= width for line in plain):
        return [[Segment(line)] for line in plain]
    style = console.get_style(cell.style)  # which rich leaves out of a text that has no styled parts
    lines = cell.wrap(console, width, overflow="fold")
    for line in lines:
        line.rstrip()
    return [list(Segment.apply_style(line.render(console), style)) for line in lines]


def _line(cells: Sequence[Sequence[Segment]], widths: Sequence[int]) -> Iterator[Segment]:
    """One line across all columns, without spaces at its end."""
    missing = 0
    for segments, width in zip(cells, widths, strict=True):
        if segments and missing:
            yield Segment(" " * missing)
            missing = 0
        yield from segments
        missing += width + _GAP - sum(cell_len(segment.text) for segment in segments)
    yield Segment.line()

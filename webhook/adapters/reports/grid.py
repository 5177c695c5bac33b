"""A grid of texts in columns that takes thousands of rows: rich's own table needs a millisecond for each.

It does less: no frames, no nested renderables. A cell that fits is written as it is; only one that does not is wrapped by rich.
"""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

_GAP = 2
_NARROWEST = 8
_BOLD, _DIM = Style(bold=True), Style(dim=True)


class Grid:
    """Rows below a head, a blank line after each.

    Args:
        shares: of each column's width where not all fit; 0 for a column that keeps its own width.
    """

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[Text]], shares: Sequence[int]) -> None:
        self._head, self._rows, self._shares = head, rows, shares

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """The segments, as rich asks a renderable for them."""
        widths = self._widths(options.max_width)
        yield from _line([[Segment(name, _BOLD)] for name in self._head], widths)
        yield from _line([[Segment("─" * width, _DIM)] for width in widths], widths)
        for row in self._rows:
            cells = [_lines(console, cell, width) for cell, width in zip(row, widths, strict=True)]
            for number in range(max(map(len, cells))):
                yield from _line([lines[number] if number < len(lines) else [] for lines in cells], widths)
            yield Segment.line()

    def _widths(self, room: int) -> list[int]:
        """Each column as wide as its widest line; if that is too much, those with a share get theirs of the room, or less."""
        widths = [cell_len(name) for name in self._head]
        for row in self._rows:
            for column, cell in enumerate(row):
                widths[column] = max(widths[column], *map(cell_len, cell.plain.split("\n")))
        room -= _GAP * (len(widths) - 1)
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
    return [list(Segment.apply_style(line.render(console), style)) for line in lines]


def _line(cells: Sequence[Sequence[Segment]], widths: Sequence[int]) -> Iterator[Segment]:
    """One line across all columns, without blanks at its end."""
    missing = 0
    for segments, width in zip(cells, widths, strict=True):
        if segments and missing:
            yield Segment(" " * missing)
            missing = 0
        yield from segments
        missing += width + _GAP - sum(cell_len(segment.text) for segment in segments)
    yield Segment.line()

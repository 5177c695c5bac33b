"""The bar: on a terminal only, and gone afterwards."""

import io

from rich.console import Console

from webhook.adapters.reports.progress import ProgressBar


def drawn(*, terminal: bool) -> str:
    target = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)
    with ProgressBar(target) as bar:
        bar.read("pods", 500, 1200)
        bar.read("pods", 1200, 1200)
        bar.read("jobs", 3, None)
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def test_a_terminal_sees_what_is_read_and_of_how_much() -> None:
    text = drawn(terminal=True)
    assert "reading pods" in text
    assert "1200/1200" in text
    assert "reading jobs" in text
    assert "3/?" in text


def test_the_bar_is_taken_away_again() -> None:
    assert drawn(terminal=True).endswith("\x1b[2K"), "the last that is written clears its line"


def test_nothing_is_written_anywhere_else() -> None:
    assert drawn(terminal=False) == ""

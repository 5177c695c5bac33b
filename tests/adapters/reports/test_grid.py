"""The grid of ``gpuwarden check``: columns that fit, wrap and fold, and thousands of rows in no time."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from webhook.adapters.reports.grid import Grid

HEAD = ("object", "policy", "why")
SHARES = (1, 0, 2)


def printed(*rows: tuple[str, str, str], width: int = 60, colours: bool = False) -> list[str]:
    """The lines that a grid becomes."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colours, color_system="standard" if colours else None
    )
    console.print(Grid(HEAD, [tuple(map(Text, row)) for row in rows], SHARES), crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_columns_are_as_wide_as_their_widest_line_and_stand_below_each_other() -> None:
    assert printed(("Pod a", "mps", "because"), ("Pod longer", "any", "so")) == [
        "object      policy  why",
        "──────────  ──────  ───────",
        "Pod a       mps     because",
        "",
        "Pod longer  any     so",
        "",
    ]


def test_a_cell_of_several_lines_makes_a_row_of_several() -> None:
    assert printed(("Pod a\nin team", "mps", "one\ntwo\nthree"))[2:] == [
        "Pod a    mps     one",
        "in team          two",
        "                 three",
        "",
    ]


@pytest.mark.parametrize("colours", [False, True])
def test_what_does_not_fit_is_wrapped_at_words_and_nothing_is_lost(*, colours: bool) -> None:
    sentence = "a sentence that is far longer than the room that is left for it in its column"
    lines = printed(("Pod a", "mps", " ".join([sentence] * 3)), width=120, colours=colours)
    plain = [Text.from_ansi(line).plain for line in lines]
    assert all(cell_len(line) <= 120 for line in plain)
    column = plain[0].index("why")
    assert " ".join(line[column:].strip() for line in plain[2:]).split() == sentence.split() * 3


def test_a_word_longer_than_its_column_is_folded() -> None:
    lines = printed(("x" * 90, "mps", "y" * 90), width=120)
    assert all(cell_len(line) <= 120 for line in lines)
    text = "".join(lines[1:])
    assert (text.count("x"), text.count("y")) == (90, 90)


def test_wide_characters_count_as_two_cells() -> None:
    first, second = printed(("名前", "mps", "a"), ("name", "any", "b"))[2:5:2]
    assert cell_len(first[: first.index("mps")]) == cell_len(second[: second.index("any")])


def test_the_style_of_a_cell_reaches_a_terminal_only() -> None:
    styled = Grid(("a",), [(Text("red", style="red"),)], (0,))
    for colours in (False, True):
        console = Console(file=io.StringIO(), force_terminal=colours, color_system="standard" if colours else None)
        console.print(styled, crop=False)
        assert isinstance(console.file, io.StringIO)
        assert ("\x1b[31mred" in console.file.getvalue()) is colours


@pytest.mark.parametrize("colours", [False, True])
def test_a_row_without_room_for_its_columns_is_a_record(*, colours: bool) -> None:
    sentence = "a sentence that is longer than the room for it"
    lines = printed(("Pod a\nin team", "mps", sentence), ("Pod b", "", "z" * 50), width=30, colours=colours)
    assert [Text.from_ansi(line).plain for line in lines] == [
        "Pod a",
        "in team",
        "  policy  mps",
        "  why     a sentence that is",
        "          longer than the room",
        "          for it",
        "",
        "Pod b",
        "  why     " + "z" * 20,
        "          " + "z" * 20,
        "          " + "z" * 10,
        "",
    ]


def test_a_record_that_begins_with_a_number_says_of_what() -> None:
    assert printed(("60", "mps", "because of something"), width=20)[0] == "object: 60"


def test_columns_stay_where_they_fit_on_a_narrow_terminal() -> None:
    assert printed(("Pod a", "mps", "because"), width=23)[0] == "object  policy  why"

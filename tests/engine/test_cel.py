"""Literals of CEL, read back by CEL's own evaluator."""

import pytest
from cel_expr_python import cel as evaluator  # type: ignore[import-untyped] # it has stubs, without the marker that says so
from hypothesis import given
from hypothesis import strategies as st

from webhook.engine.cel import ALWAYS, EMPTY, NEVER, every, joined, listed, listed_if, mapped, none, quoted


def evaluate(expression: str) -> object:
    return evaluator.NewEnv(variables={}).compile(expression).eval(data={}).value()


@pytest.mark.parametrize("text", ["", "plain", "it's", 'a "b"', "back\\slash", "two\nlines", "ünï", "\x01\x7f", "😀"])
def test_a_text_is_read_back(text: str) -> None:
    assert evaluate(f"{quoted(text)} + 'x'") == f"{text}x"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_back(text: str) -> None:
    assert evaluate(quoted(text)) == text


def test_lists_and_maps() -> None:
    assert evaluate(f"'b' in {listed(['a', 'b'])} && {mapped({'k': 'v'})}['k'] == 'v'") is True


def test_lists_that_are_joined_leave_out_empty_ones() -> None:
    assert evaluate(f"{joined([listed(['a']), EMPTY, listed(['b'])])} == ['a', 'b']") is True
    assert joined([EMPTY, "x", EMPTY]) == "x"
    assert joined([EMPTY]) == EMPTY


@pytest.mark.parametrize(("condition", "size"), [(ALWAYS, 1), (NEVER, 0), ("1 < 2", 1), ("1 > 2", 0)])
def test_a_list_that_depends_on_a_condition(condition: str, size: int) -> None:
    assert evaluate(f"size({listed_if(condition, listed(['a']))}) == {size}") is True


def test_what_is_constant_is_not_asked() -> None:
    assert listed_if(ALWAYS, "x") == "x"
    assert listed_if("y", EMPTY) == EMPTY
    assert every(ALWAYS, "x", ALWAYS) == "x"
    assert every(ALWAYS) == ALWAYS


@pytest.mark.parametrize(("conditions", "holds"), [(("1 < 2", "2 < 3"), True), (("1 < 2", "2 > 3"), False)])
def test_conditions_hold_together(conditions: tuple[str, ...], holds: bool) -> None:  # noqa: FBT001
    assert evaluate(every(*conditions)) is holds


@pytest.mark.parametrize("items", ["['a', 'b']", "{'a': 1, 'b': 2}"])
@pytest.mark.parametrize(("condition", "holds"), [("x == 'c'", True), ("x == 'b'", False), ("x in ['a', 'b']", False)])
def test_a_condition_holds_for_no_item(items: str, condition: str, holds: bool) -> None:  # noqa: FBT001
    assert evaluate(none(items, "x", condition)) is holds
    assert evaluate(none("[]", "x", condition)) is True

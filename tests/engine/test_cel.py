"""Literals of CEL, read back by CEL's own evaluator."""

import pytest
from cel_expr_python import cel as evaluator  # type: ignore[import-untyped] # it has stubs, without the marker that says so
from hypothesis import given
from hypothesis import strategies as st

from webhook.engine.cel import listed, mapped, quoted


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

"""Quantities: what counts as a whole number, exactly as the API server counts."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webhook.engine.quantity import exact, shown, whole

LARGEST = 2**63 - 1

COUNTS = [
    pytest.param("0", 0, id="zero"),
    pytest.param("1", 1, id="one as text"),
    pytest.param(1, 1, id="one as a number"),
    pytest.param(1.0, 1, id="one as a number with a fraction of nothing"),
    pytest.param("1.", 1, id="a point with nothing behind it"),
    pytest.param(".0", 0, id="a point with nothing before it"),
    pytest.param("+3", 3, id="a plus sign"),
    pytest.param("-0", 0, id="minus nothing"),
    pytest.param("007", 7, id="leading zeros"),
    pytest.param("1000m", 1, id="a thousand thousandths"),
    pytest.param("1000000u", 1, id="a million millionths"),
    pytest.param("3000000000n", 3, id="three thousand million billionths"),
    pytest.param("1e0", 1, id="an exponent of nothing"),
    pytest.param("1E2", 100, id="an exponent written large"),
    pytest.param("200e-2", 2, id="a negative exponent"),
    pytest.param("1e+1", 10, id="an exponent with a plus sign"),
    pytest.param("2k", 2000, id="thousands"),
    pytest.param("1Ki", 1024, id="binary thousands"),
    pytest.param("0.5Ki", 512, id="half a binary thousand"),
    pytest.param("1.5k", 1500, id="one and a half thousand"),
    pytest.param("1M", 10**6, id="millions"),
    pytest.param("1Mi", 2**20, id="binary millions"),
    pytest.param("1G", 10**9, id="G"),
    pytest.param("1Gi", 2**30, id="Gi"),
    pytest.param("1T", 10**12, id="T"),
    pytest.param("1Ti", 2**40, id="Ti"),
    pytest.param("1P", 10**15, id="P"),
    pytest.param("1Pi", 2**50, id="Pi"),
    pytest.param("1E", 10**18, id="E is a suffix where no digits follow"),
    pytest.param("1Ei", 2**60, id="Ei"),
    pytest.param(None, 0, id="null is nothing"),
    pytest.param(str(LARGEST), LARGEST, id="the largest count"),
    pytest.param(str(LARGEST + 1), LARGEST, id="more than the largest is the largest"),
    pytest.param("999999999999999999", 999999999999999999, id="eighteen digits"),
    pytest.param("9999999999999999999", LARGEST, id="nineteen digits"),
    pytest.param("1e64", LARGEST, id="the largest exponent that is looked at"),
    pytest.param("9" * 64, LARGEST, id="the longest text that is looked at"),
    pytest.param(10**30, LARGEST, id="a number above the largest"),
    pytest.param(10**5000, LARGEST, id="a number that Python would not even print"),
    pytest.param(1e22, LARGEST, id="a number that prints with an exponent"),
]

NO_COUNTS: list[Any] = [
    pytest.param("0.5", id="half"),
    pytest.param(0.5, id="half as a number"),
    pytest.param("1500m", id="one and a half in thousandths"),
    pytest.param("1m", id="a thousandth"),
    pytest.param("1n", id="a billionth"),
    pytest.param("1e-1", id="a tenth"),
    pytest.param("0.3Ki", id="a fraction of a binary thousand"),
    pytest.param("-1", id="minus one"),
    pytest.param(-1, id="minus one as a number"),
    pytest.param("-1k", id="minus a thousand"),
    pytest.param(-(10**5000), id="a negative number that Python would not even print"),
    pytest.param("", id="nothing at all"),
    pytest.param(".", id="a point alone"),
    pytest.param("+", id="a sign alone"),
    pytest.param("k", id="a suffix alone"),
    pytest.param("e1", id="an exponent alone"),
    pytest.param("1e", id="an exponent without digits"),
    pytest.param("1e1.5", id="a broken exponent"),
    pytest.param("1ki", id="a binary suffix written small"),
    pytest.param("1K", id="a decimal suffix written large"),
    pytest.param("1kk", id="two suffixes"),
    pytest.param("1e3k", id="an exponent and a suffix"),
    pytest.param("1 ", id="a space behind"),
    pytest.param(" 1", id="a space before"),
    pytest.param("1\n", id="a line break behind"),
    pytest.param("1_000", id="an underscore"),
    pytest.param("1,000", id="a comma"),
    pytest.param("0x1", id="hexadecimal"),
    pytest.param("one", id="a word"),
    pytest.param("\u0661", id="a digit of another script"),
    pytest.param("\uff11", id="a wide digit"),
    pytest.param("\u00b9", id="a raised digit"),
    pytest.param("1\u0660", id="a digit of another script behind one of ours"),
    pytest.param("--1", id="two signs"),
    pytest.param("1.2.3", id="two points"),
    pytest.param("1e65", id="an exponent beyond all counts"),
    pytest.param("1e999999999", id="an exponent that would fill the memory"),
    pytest.param("1e-999999999", id="a negative exponent that would fill the memory"),
    pytest.param("9" * 65, id="a text longer than any count"),
    pytest.param("1" * 1_000_000, id="a text of a megabyte"),
    pytest.param("0." + "0" * 70, id="a long fraction of nothing"),
    pytest.param(float("inf"), id="infinity"),
    pytest.param(float("nan"), id="no number"),
]


@pytest.mark.parametrize(("quantity", "count"), COUNTS)
def test_a_whole_quantity_is_its_count(quantity: Any, count: int) -> None:
    assert whole(quantity) == count


@pytest.mark.parametrize("quantity", NO_COUNTS)
def test_anything_else_is_no_count(quantity: Any) -> None:
    assert whole(quantity) is None


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        pytest.param(2, "2", id="a number"),
        pytest.param("1000m", "1000m", id="a text as it was written"),
        pytest.param(0.5, "0.5", id="a fraction"),
        pytest.param(None, "null", id="null as JSON writes it"),
        pytest.param("9" * 64, "9" * 64, id="a text just short enough"),
        pytest.param("9" * 65, "9" * 64 + "…", id="a text that is cut"),
        pytest.param(LARGEST, str(LARGEST), id="the largest count"),
        pytest.param(LARGEST + 1, str(LARGEST), id="a number above the largest"),
        pytest.param(10**5000, str(LARGEST), id="a number that Python would not print"),
        pytest.param(-(10**5000), str(-LARGEST), id="a negative number that Python would not print"),
    ],
)
def test_messages_quote_a_quantity_as_it_was_written_and_never_at_length(quantity: Any, text: str) -> None:
    assert shown(quantity) == text


DIGITS = st.text("0123456789", max_size=12)
NUMBERS = st.builds(
    "{}{}{}{}".format, st.sampled_from(["", "+", "-"]), DIGITS, st.sampled_from(["", "."]), DIGITS
).filter(lambda text: re.search("[0-9]", text) is not None)
SUFFIXES = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
EXPONENTS = st.builds("{}{}".format, st.sampled_from("eE"), st.integers(-30, 30))


def by_decimal(number: str, suffix: str) -> Fraction:
    """The value by Python's decimal arithmetic, which shares nothing with ours."""
    if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei":
        return Fraction(Decimal(f"{number}{suffix}"))
    powers = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
    if suffix.endswith("i"):
        return Fraction(Decimal(number)) * Fraction(1024 ** ("KMGTPE".index(suffix[0]) + 1))
    return Fraction(Decimal(number) * Decimal(f"1e{powers[suffix]}"))


@given(NUMBERS, SUFFIXES | EXPONENTS)
@example("1.", "Ei")
def test_the_value_agrees_with_an_independent_reading(number: str, suffix: str) -> None:
    expected = by_decimal(number, suffix)
    count = int(expected) if expected.denominator == 1 and expected >= 0 else None

    assert exact(number + suffix) == expected
    assert whole(number + suffix) == (count if count is None else min(count, LARGEST))


@given(st.integers(-(2**70), 2**70))
def test_a_number_counts_as_its_text_does(number: int) -> None:
    assert whole(number) == whole(str(number))


@given(st.text(max_size=80) | st.text("0123456789.eEkKmiM+-", max_size=80) | st.integers() | st.floats() | st.none())
def test_any_quantity_is_a_count_or_none_and_can_be_shown(quantity: Any) -> None:
    count = whole(quantity)

    assert count is None or 0 <= count <= LARGEST
    assert len(shown(quantity)) <= 65

"""What scalars mean: every value here is what ``kubectl annotate --local -o json`` (1.32) makes of the text."""

import pytest

from webhook.adapters.manifests.items import UnreadableError
from webhook.adapters.manifests.tree.from_yaml import parse_yaml
from webhook.adapters.manifests.tree.scalars import plain
from webhook.adapters.manifests.tree.values import data_of

TEXTS = (
    *(
        "1000m",
        "1k",
        "2Ki",
        "0x",
        "0b12",
        "0o8",
        "0b",
        "_1",
        "1e400",
        "-1e400",
        "._5",
        ".e5",
        "0x1p4",
        "0x1ffffffffffffffff",
    ),
    *("1:30", "1:30:00", "2001-01-01", "2001-1-1", "2001-12-14t21:59:43.10-05:00"),
    *(
        "+",
        "-",
        ".",
        "..",
        "yEs",
        "tRue",
        "nUll",
        "=",
        "infinity",
        "Infinity",
        "inf",
        "nan",
        "NaN",
        "1,000",
        "<<",
        "nvidia.com/gpu",
        "+.nan",
    ),
)

NUMBERS = {
    "1": 1,
    "0": 0,
    "-0": 0,
    "+1": 1,
    "00": 0,
    "1_000": 1000,
    "1__0": 10,
    "1_": 1,
    "-_1": -1,
    "+_1": 1,
    "0_8": 8,
    "08": 8,
    "-08": -8,
    "010": 8,
    "-010": -8,
    "+010": 8,
    "0o17": 15,
    "-0o17": -15,
    "0O17": 15,
    "0x1f": 31,
    "0X1F": 31,
    "-0x1F": -31,
    "+0x1f": 31,
    "0x_1": 1,
    "0b11": 3,
    "0B11": 3,
    "-0b11": -3,
    "0b_1": 1,
    "0777": 511,
    "1.": 1,
    "1.0": 1,
    "1e0": 1,
    "100.0e-2": 1,
    "0.0": 0,
    "-0.0": 0,
    "1e3": 1000,
    "1E3": 1000,
    "1e+3": 1000,
    "12e03": 12000,
    "1e1_0": 10**10,
    "1e20": 10**20,
    ".5e1_0": 5 * 10**9,
    "+.5e2": 50,
    "0.5": 0.5,
    ".5": 0.5,
    "-.5": -0.5,
    "+.5": 0.5,
    ".5_0": 0.5,
    "-.5_0": -0.5,
    "1_0.5": 10.5,
    "1.5_0": 1.5,
    "1e-3": 0.001,
    "1e-7": 1e-07,
    "1.5e300": 1.5e300,
    "1e21": 1e21,
    "9223372036854775807": 2**63 - 1,
    "18446744073709551615": 2**64 - 1,
    "0xffffffffffffffff": 2**64 - 1,
    "-9223372036854775808": -(2**63),
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_go_yaml_knows_no_type_for_stays_text(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(("text", "number"), NUMBERS.items(), ids=list(NUMBERS))
def test_a_number_has_the_value_that_go_yaml_reads(text: str, number: float) -> None:
    value = plain(text)

    assert value == number
    assert type(value) is type(number)


@pytest.mark.parametrize("text", ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"])
def test_every_word_for_true_in_yaml_1_1_is_true(text: str) -> None:
    assert plain(text) is True


@pytest.mark.parametrize("text", ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"])
def test_every_word_for_false_in_yaml_1_1_is_false(text: str) -> None:
    assert plain(text) is False


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_every_word_for_nothing_is_null(text: str) -> None:
    assert plain(text) is None


def test_an_integer_beyond_64_bits_becomes_a_float() -> None:
    assert plain("12345678901234567890123") == 1.2345678901234568e22
    assert isinstance(plain("12345678901234567890123"), float)


def test_digits_without_end_are_neither_slow_nor_an_error() -> None:
    digits = "9" * 100_000

    assert plain(digits) == digits


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN"])
def test_a_number_that_json_lacks_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError, match="JSON cannot hold"):
        plain(text)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"1"', "1"),
        ("'yes'", "yes"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!<tag:yaml.org,2002:str> 1", "1"),
        ('!!int "3"', 3),
        ("!!float 3", 3),
        ("!!float 1.5", 1.5),
        ('!!bool "yes"', True),
        ('!!null ""', None),
        ("!!timestamp 2001-01-01", "2001-01-01"),
        ("!!binary aGk=", "hi"),
        ("!unknown x", "x"),
        ("!!unknown x", "x"),
        ("|\n  1\n", "1\n"),
    ],
)
def test_quotes_and_tags_decide_over_the_look_of_a_value(written: str, value: object) -> None:
    root = parse_yaml(f"key: {written}")

    assert root is not None
    assert data_of(root) == {"key": value}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("!!int x", '"x" is tagged !!int but is not one: remove the tag, or correct the value'),
        ("!!int yes", '"yes" is tagged !!int'),
        ("!!bool 1", '"1" is tagged !!bool'),
        ('!!binary "!"', "is not base64"),
    ],
)
def test_a_value_that_is_not_what_its_tag_says_is_refused(written: str, message: str) -> None:
    root = parse_yaml(f"key: {written}")

    assert root is not None
    with pytest.raises(UnreadableError, match=message):
        data_of(root)

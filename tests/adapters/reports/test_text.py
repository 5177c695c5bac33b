"""Text from elsewhere: what stays, and what becomes an escape."""

import unicodedata

import pytest

from webhook.adapters.reports.text import cell, printable, printable_line


@pytest.mark.parametrize(
    "text",
    [
        "",
        'container "train": nvidia.com/gpu: 2 cannot be shared',
        "größe, 名前, 🙂, é",
        "[::1]:8443 and fe80::a00:27ff:fe4e:66a1",
        "C:\\manifests\\a.yaml",
        "a # comment, ## heading, a::b",
    ],
)
def test_what_harms_nobody_stays(text: str) -> None:
    assert printable(text) == printable_line(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[31mred\x07", r"\x1b[31mred\x07", id="escape sequences"),
        pytest.param("\x9b31m\x85", r"\x9b31m\x85", id="C1 controls"),
        pytest.param("a\r\nb\tc", r"a\r\nb\tc", id="lines"),
        pytest.param("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066", id="the reading order"),
        pytest.param("a\u200bb\u200d\ufeff", r"a\u200bb\u200d\ufeff", id="zero width"),
        pytest.param("a\u2028b\u2029", r"a\u2028b\u2029", id="separators"),
        pytest.param("\U000e0041\udc80\uffff", r"\U000e0041\udc80\uffff", id="tags, surrogates, no characters"),
        pytest.param("::error file=a::b", r"\x3a:error file=a::b", id="GitHub Actions"),
        pytest.param("x ::add-mask::y", r"x \x3a:add-mask\x3a:y", id="GitHub Actions, wrapped"),
        pytest.param(
            "##[error] ##vso[task.x] ##VSO[", r"\x23#[error] \x23#vso[task.x] \x23#VSO[", id="Azure Pipelines"
        ),
        pytest.param("##teamcity[x]", r"\x23#teamcity[x]", id="TeamCity"),
    ],
)
def test_what_is_obeyed_or_deceives_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_no_control_or_format_character_of_unicode_gets_through() -> None:
    passed = {character for character in map(chr, range(0x110000)) if printable(character) == character}
    harmful = {character for character in passed if unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"}}
    assert harmful == set()
    # What is left of "Cf" is visible, or changes only the character beside it (Arabic number signs, hieroglyphs, music).
    left = sorted(character for character in passed if unicodedata.category(character) == "Cf")
    assert not {
        character for character in left if unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF"}
    }
    assert not {"\u200b", "\u200e", "\u2060", "\u2066", "\ufeff", "\u00ad"} & {*left}


def test_a_line_of_a_file_keeps_tabs_and_byte_order_marks() -> None:
    assert printable_line("\ufeff\ta: ::error::\r\x1b") == "\ufeff\ta: \\x3a:error::\\r\\x1b"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_computes_nothing(text: str) -> None:
    assert cell(text).startswith("'")

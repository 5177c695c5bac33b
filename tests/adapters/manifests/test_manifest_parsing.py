"""Syntax: where documents are cut, and what is said of text that is neither YAML nor JSON."""

import pytest

from webhook.adapters.manifests.items import UnreadableError
from webhook.adapters.manifests.tree.documents import documents
from webhook.adapters.manifests.tree.from_json import parse_json
from webhook.adapters.manifests.tree.from_yaml import parse_yaml
from webhook.adapters.manifests.tree.nodes import DEEPEST
from webhook.adapters.manifests.tree.values import data_of


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        pytest.param("", [""], id="nothing"),
        pytest.param("a: 1\n", ["a: 1\n"], id="one"),
        pytest.param("---\na: 1\n---\nb: 1\n", ["---\na: 1\n", "---\nb: 1\n"], id="two"),
        pytest.param("a: 1\r\n---\r\nb: 1\r\n", ["a: 1\r\n", "---\r\nb: 1\r\n"], id="two with CRLF"),
        pytest.param("a: 1\n--- # b\nb: 1\n", ["a: 1\n", "--- # b\nb: 1\n"], id="a comment behind the marker"),
        pytest.param("a: 1\n---", ["a: 1\n", "---"], id="a marker at the end"),
        pytest.param("a: |\n  ---\n  x\n", ["a: |\n  ---\n  x\n"], id="dashes in a block scalar"),
        pytest.param("---a: 1\n----\n", ["---a: 1\n----\n"], id="dashes that are no marker"),
        pytest.param("a: 1\n...\nb: 1\n", ["a: 1\n...\n", "b: 1\n"], id="an end marker"),
        pytest.param("a: 1\n...\n---\nb: 1\n", ["a: 1\n...\n", "---\nb: 1\n"], id="an end marker and a start"),
        pytest.param("a: 1\n...", ["a: 1\n..."], id="an end marker at the end"),
        pytest.param("%YAML 1.1\n# x\n---\na: 1\n", ["%YAML 1.1\n# x\n---\na: 1\n"], id="a directive"),
        pytest.param("# x\n---\na: 1\n", ["# x\n", "---\na: 1\n"], id="a comment above the marker"),
        pytest.param("\ufeffa: 1\n", ["a: 1\n"], id="a byte order mark"),
        pytest.param("a: 1\n\ufeff---\nb: 1\n", ["a: 1\n", "---\nb: 1\n"], id="a byte order mark between two files"),
        pytest.param('{"a":1}{"b":1}\n', ['{"a":1}', '{"b":1}\n'], id="JSON values in a row"),
        pytest.param('{"a":1}\n---\n{"b":1}', ['{"a":1}\n', '{"b":1}'], id="JSON values behind markers"),
        pytest.param('{"a":1} x', ['{"a":1} ', "x"], id="something behind a JSON value"),
    ],
)
def test_a_source_is_cut_into_its_documents(text: str, pieces: list[str]) -> None:
    found = list(documents(text))

    assert [document.text for document in found] == pieces
    assert [document.index for document in found] == list(range(len(pieces)))
    assert all(text.startswith(document.text, document.start) for document in found)
    assert [document.line for document in found] == [text.count("\n", 0, document.start) + 1 for document in found]


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ('{"a": 1}', True),
        (' \n{"a": 1}', True),
        ("{}", True),
        ('\ufeff{"a": 1}', True),
        ('---\n{"a": 1}', True),
        ('{"a": x}', False),  # YAML in braces
        ('{"a": 1,}', False),
        ('{"a": ]}', True),  # neither, so it is meant as JSON and told what is wrong in it
        ('{"a": 1, // one\n "b": 2}', True),  # YAML would take the comment for a part of the key
        ('{"a": /* one */ "b"}', True),
        ('---\n{"a": x}', False),
        ("{a: 1}", False),
        ("{{ a }}", False),
        ('[{"a": 1}]', False),
        ("a: 1", False),
    ],
)
def test_json_is_told_by_how_a_source_begins(*, text: str, json: bool) -> None:
    assert [document.json for document in documents(text)] == [json]


YAML_FAULTS = {
    "kind: Pod\na: b: c\n": (2, 'unexpected ": "; quote the text, or check the indentation'),
    "kind: Pod\n  a: b\n": (2, 'unexpected ": "'),
    "kind: Pod\nspec:\n  a: 1\n b: 1\n": (4, "expected a key in the map that begins on line 1; check"),
    "kind: Pod\na: 'it's'\n": (2, "expected a key in the map that begins on line 1; check the quotes"),
    "kind: Pod\n- x\n": (2, "expected a key in the map that begins on line 1; check"),
    "- x\nkind: Pod\n": (2, 'expected "- " in the list that begins on line 1; check'),
    "kind: Pod\na\nb: 3\n": (
        2,
        'expected ":" after the key; add it, or indent the line if it continues the value above',
    ),
    "kind: Pod\na\n": (2, 'expected ":" after the key; add it, or indent the line if it continues the value above'),
    "kind: Pod\na: [1,2\nb: 3\n": (
        3,
        'expected "," or "]" in the list that begins on line 2; add it, or quote the text',
    ),
    "kind: Pod\na: {x: 1\n": (2, 'expected "," or "}", found the end of the document; add it'),
    'kind: Pod\na: "x\nb: 3\n': (
        3,
        "the closing quote is missing in the quoted text that begins on line 2, found the end of the document; add it",
    ),
    "kind: [": (1, "expected a value, found the end of the document; write one, or quote the text"),
    "kind: [\n": (1, "expected a value, found the end of the document"),
    "kind: [\n\n\n": (1, "expected a value, found the end of the document"),
    "kind: [a,\n  b\n": (
        2,
        'expected "," or "]" in the list that begins on line 1, found the end of the document; add it',
    ),
    "a: [1, , 2]\n": (1, 'expected a value, found ","'),
    "a: [b: }\n": (1, 'expected a value, found "}"'),
    "kind: Pod\na: ]\n": (2, 'expected a value, found "]"'),
    "a: *\n": (1, 'expected a name after "*" or "&"'),
    'a: "\\q"\n': (1, "unknown escape sequence in double quotes; write \\\\ for a backslash"),
    "a: |x\n": (1, 'expected the end of the line after "|" or ">"; put the text on the next line'),
    "kind: Pod\na: - x\n": (2, 'unexpected "- "; begin the list on a line of its own'),
    "kind: Pod\na: @x\n": (2, 'a value can\'t begin with "@"; quote it'),
    "kind: Pod\na: `x`\n": (2, 'a value can\'t begin with "`"; quote it'),
    "kind: Pod\n\tname: x\n": (2, "the line is indented with a tab"),
    "kind: Pod\nspec:\n  \tname: x\n": (3, "the line is indented with a tab"),
    "kind: Pod\na: *b\n": (2, "*b refers to &b, which no earlier line of the document defines; define it, or quote"),
    "kind: Pod\na: &a\n  b: *a\n": (3, "&a contains itself; write out its values instead of *a"),
    "kind: Pod\na: !x!y b\n": (2, "the tag's prefix is not defined; remove the tag"),
    "kind: Pod\nb: \x07\n": (2, "the character U+0007 is not allowed in YAML"),
    "kind: Pod\nb: \udce9\n": (2, "a character that is not valid Unicode"),
    "kind: Pod\r---\rkind: Pod\r": (3, "a second document begins"),
    "%YAML 2.0\n---\nkind: Pod\n": (1, "the %YAML directive names a version other than 1.1 and 1.2; remove it"),
    "a: " + "[" * DEEPEST + "]" * DEEPEST: (1, f"nested deeper than {DEEPEST} levels"),
    "[" * 200_000: (1, f"nested deeper than {DEEPEST} levels"),
    "- " * 200_000: (1, f"nested deeper than {DEEPEST} levels"),
    "? " * 200_000: (1, f"nested deeper than {DEEPEST} levels"),
}


@pytest.mark.parametrize(("text", "fault"), YAML_FAULTS.items(), ids=[text[:20] for text in YAML_FAULTS])
def test_a_fault_in_yaml_is_told_in_words_with_its_line(text: str, fault: tuple[int, str]) -> None:
    with pytest.raises(UnreadableError) as error:
        parse_yaml(text)

    assert error.value.line == fault[0]
    assert fault[1] in str(error.value)


def test_the_line_of_a_fault_counts_from_the_first_line_of_the_source() -> None:
    with pytest.raises(UnreadableError) as error:
        parse_yaml('a: 1\nb: "x\n', first_line=40)

    assert error.value.line == 41
    with pytest.raises(UnreadableError, match="begins on line 41") as error:
        parse_yaml('a: 1\nb: "x\nc: d\n', first_line=40)
    assert error.value.line == 42


def test_collections_may_nest_as_deep_as_the_limit() -> None:
    depth = DEEPEST - 1
    root = parse_yaml("a: " + "[" * depth + "]" * depth)

    assert root is not None
    assert data_of(root)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("{}", {}),
        ("[]", []),
        (' {"a" : [ 1 , -2.5e3, true, false, null ] }\n', {"a": [1, -2500, True, False, None]}),
        ('{"a": "\\ud83d\\ude00\\/\\n\\u0041"}', {"a": "😀/\nA"}),
        ('{"a": "\\ud800"}', {"a": "\ufffd"}),  # as Go reads half a pair
        ('{"a": "}", "b": ","}', {"a": "}", "b": ","}),
        ('{"y": "yes"}', {"y": "yes"}),
    ],
)
def test_json_is_read_as_json(text: str, data: object) -> None:
    assert data_of(parse_json(text)) == data


JSON_FAULTS = {
    '{"a": 1,\n}': (2, 'unexpected "," before "}"'),
    "[1,]": (1, 'unexpected "," before "]"'),
    '{"a": 1\n "b": 2}': (2, 'expected "," or "}", found "b"'),
    '{"a": [1 2]}': (1, 'expected "," or "]", found "2"'),
    '{"a"\n 1}': (2, 'expected ":" after the key, found "1"'),
    '{"a": }': (1, 'expected a value, found "}"'),
    '{"a": 1,\n\n  b: 2}': (3, 'unexpected "b: 2}"'),
    "{1: 2}": (1, 'expected a key in double quotes, found "1"'),
    '{"a": tru}': (1, 'unexpected "tru}"'),
    '{"a": 01}': (1, 'unexpected "01}"'),
    '{"a": NaN}': (1, 'unexpected "NaN}"'),
    '{"a": "\t"}': (1, 'invalid JSON: unexpected "'),
    '{"a": \x0b}': (1, 'invalid JSON: unexpected "'),
    '{"a": "\\x"}': (1, 'invalid JSON: unexpected "'),
    "{\n// x\n}": (2, 'unexpected "// x"'),
    '{"a": 1': (1, 'expected "," or "}", found the end of the text'),
    '{"a": 1\n\n': (1, 'expected "," or "}", found the end of the text'),
    '{"a": 1}\n x': (2, 'unexpected "x"'),
    '{"a": 1}\n {}': (2, "unexpected text after the end of the JSON value"),
    '{"a":' * 200_000: (1, f"nested deeper than {DEEPEST} levels"),
}


@pytest.mark.parametrize(("text", "fault"), JSON_FAULTS.items(), ids=[text[:20] for text in JSON_FAULTS])
def test_a_fault_in_json_is_told_in_words_with_its_line(text: str, fault: tuple[int, str]) -> None:
    with pytest.raises(UnreadableError) as error:
        parse_json(text)

    assert error.value.line == fault[0]
    assert fault[1] in str(error.value)

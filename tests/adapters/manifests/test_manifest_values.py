"""Maps, aliases and merge keys as data; the values are kubectl's wherever it gives one."""

from typing import Any

import pytest

from webhook.adapters.manifests.items import UnreadableError
from webhook.adapters.manifests.tree.from_yaml import parse_yaml
from webhook.adapters.manifests.tree.nodes import DEEPEST
from webhook.adapters.manifests.tree.values import Repeated, data_of, same


def read(text: str, repeated: list[Repeated] | None = None) -> Any:
    root = parse_yaml(text)
    assert root is not None
    return data_of(root, repeated)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param("{a: &x {p: 1}, b: *x}", {"a": {"p": 1}, "b": {"p": 1}}, id="an alias"),
        pytest.param("{&k a: 1, b: *k }", {"a": 1, "b": "a"}, id="an anchor on a key"),
        pytest.param("{a: &x 1, b: &x 2, c: *x }", {"a": 1, "b": 2, "c": 2}, id="an anchor defined twice"),
        pytest.param("{<<: {a: 1, b: 1}, a: 2}", {"b": 1, "a": 2}, id="a key behind a merge overrides it"),
        pytest.param("{a: 2, <<: {a: 1}}", {"a": 1}, id="a merge overrides a key before it, as in go-yaml v2"),
        pytest.param("{<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}, id="the first of several merged maps wins"),
        pytest.param('{"<<": {a: 1}}', {"<<": {"a": 1}}, id="a quoted << is a key"),
        pytest.param("{!!str <<: {a: 1}}", {"<<": {"a": 1}}, id="a << tagged as text is a key"),
        pytest.param("{<<: &x {a: 1}, b: *x }", {"a": 1, "b": {"a": 1}}, id="an anchor on a merged map"),
        pytest.param("{1: a, 1.5: b, 1.0: c}", {"1": "c", "1.5": "b"}, id="numbers as keys"),
        pytest.param("{true: a, y: b}", {"true": "b"}, id="booleans as keys"),
        pytest.param("{2001-01-01: a}", {"2001-01-01": "a"}, id="a date as a key"),
        pytest.param("{x, z: }", {"x": None, "z": None}, id="keys without values"),
        pytest.param("[a: 1, {b: 2}]", [{"a": 1}, {"b": 2}], id="a map of one key within a list"),
        pytest.param("a: !!set {x, z}", {"a": {"x": None, "z": None}}, id="a set is a map"),
    ],
)
def test_a_document_has_the_data_that_kubernetes_reads(text: str, data: object) -> None:
    assert same(read(text), data)


def test_what_an_alias_repeats_is_a_copy() -> None:
    data = read("{a: &x {p: [1]}, b: *x }")

    data["a"]["p"].append(2)

    assert data["b"] == {"p": [1]}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\n~: 2", 2, "a key is not text, which Kubernetes denies: write text as the key"),
        ("a: 1\n? [b]\n: 2", 2, "a key is not text, which Kubernetes denies: write text as the key"),
        ("a: 1\n? {b: 1}\n: 2", 2, "a key is not text, which Kubernetes denies: write text as the key"),
        ("a: 1\n<<: 3", 2, "<< takes a map or a list of maps: name the anchor of a map"),
        ("a: 1\n<<: ", 2, "<< takes a map or a list of maps: name the anchor of a map"),
        ("a: &x [{}]\n<<: *x", 2, "<< takes a map or a list of maps: name the anchor of a map"),
        ("a: 1\n<<: [1]", 2, "<< takes a map or a list of maps: name the anchor of a map"),
    ],
)
def test_what_kubernetes_cannot_read_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(UnreadableError, match=message) as error:
        read(text)

    assert error.value.line == line


def test_of_a_key_that_stands_twice_the_last_counts_and_both_lines_are_told() -> None:
    repeated: list[Repeated] = []

    assert read("a: 1\nb: 2\na: 3\n", repeated) == {"b": 2, "a": 3}
    assert repeated == [Repeated("a", 1, 3)]


def test_a_key_that_a_merge_brings_too_does_not_stand_twice() -> None:
    repeated: list[Repeated] = []

    read("{<<: {a: 1}, a: 2}", repeated)

    assert not repeated


def test_two_spellings_of_one_key_stand_twice() -> None:
    repeated: list[Repeated] = []

    assert read('{"1": a, 1: b}', repeated) == {"1": "b"}
    assert [key.key for key in repeated] == ["1"]


def laughs(levels: int) -> str:
    """A map in which each level repeats the one before it nine times."""
    lines = ["l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1} '] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_a_billion_laughs_are_refused_at_the_alias_that_goes_too_far() -> None:
    with pytest.raises(
        UnreadableError, match=r"aliases .* beyond what Kubernetes decodes: write out their values"
    ) as error:
        read(laughs(9))

    assert 3 <= error.value.line <= 9


def test_aliases_within_reason_are_read() -> None:
    assert len(read(laughs(3))["l2"]) == 9


def test_a_merge_that_multiplies_is_refused_too() -> None:
    lines = ["m0: &m0 {a: 1, b: 1, c: 1}"]
    lines += [f"m{n}: &m{n} {{p: *m{n - 1} , q: *m{n - 1} , <<: *m{n - 1} }}" for n in range(1, 30)]

    with pytest.raises(UnreadableError, match="aliases"):
        read("\n".join(lines))


def test_aliases_do_not_nest_deeper_than_a_document_may() -> None:
    lines = ["n0: &n0 {a: 1}", *(f"n{n}: &n{n} {{a: *n{n - 1} }}" for n in range(1, DEEPEST + 10))]

    with pytest.raises(UnreadableError, match="nested deeper than"):
        read("\n".join(lines))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, False, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": [1]}, {"a": [True]}, False),
        ([1], [1, 2], False),
        ({}, [], False),
    ],
)
def test_same_means_the_same_json(*, one: object, other: object, equal: bool) -> None:
    assert same(one, other) is equal

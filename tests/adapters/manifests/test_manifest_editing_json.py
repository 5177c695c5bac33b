"""Edits in JSON: it stays JSON, indented as it was."""

import json
from typing import Any

import pytest

from tests.adapters.manifests.editing import add, edited, move, remove, replace
from webhook.adapters.manifests.editing import edit_text
from webhook.adapters.manifests.splicing.operations import Operation

POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"name": "a", "note": "\u00e9 \U0001f600 / \\"},
    "spec": {"containers": [{"name": "a", "limits": {"cpu": 1, "nvidia.com/gpu": 1}}], "list": [], "map": {}},
}
OPERATIONS = (
    move("/spec/containers/0/limits/nvidia.com~1gpu", "/spec/containers/0/limits/nvidia.com~1gpu.shared"),
    add("/metadata/annotations", {"a": "b", "c": {"d": [1]}}),
    add("/spec/tolerations", [{"key": "a", "operator": "Exists"}]),
    add("/spec/list/-", {"a": 1}),
    add("/spec/map/a", [1]),
    replace("/spec/containers/0/name", ["b"]),
    remove("/metadata/name"),
)


def expected() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(POD))
    limits = data["spec"]["containers"][0]["limits"]
    limits["nvidia.com/gpu.shared"] = limits.pop("nvidia.com/gpu")
    del data["metadata"]["name"]
    data["metadata"]["annotations"] = {"a": "b", "c": {"d": [1]}}
    data["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]
    data["spec"]["list"] = [{"a": 1}]
    data["spec"]["map"] = {"a": [1]}
    data["spec"]["containers"][0]["name"] = ["b"]
    return data


@pytest.mark.parametrize(
    "layout",
    [
        {"indent": 2},
        {"indent": 4},
        {"indent": "\t"},
        {"indent": 2, "separators": (",", ":")},
        {"separators": (",", ":")},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_json_keeps_its_layout(layout: dict[str, Any], newline: str) -> None:
    text = json.dumps(POD, ensure_ascii=False, **layout).replace("\n", newline)

    assert edited(text, *OPERATIONS) == json.dumps(expected(), ensure_ascii=False, **layout).replace("\n", newline)


def test_escapes_stay_as_they_were_written() -> None:
    assert edited('{"a": "\\ud83d\\ude00\\/\\u0041"}', add("/b", "é")) == '{"a": "\\ud83d\\ude00\\/\\u0041", "b": "é"}'


def test_a_number_keeps_its_text_where_it_is_not_edited() -> None:
    assert edited('{"a": 1.50, "b": 1E2}', move("/a", "/c")) == '{"c": 1.50, "b": 1E2}'


MIXED: dict[str, tuple[str, list[Operation], str]] = {
    "a list on one line stays on it": (
        '{\n  "a": [1, 2]\n}\n',
        [add("/a/-", {"b": 1})],
        '{\n  "a": [1, 2, {"b": 1}]\n}\n',
    ),
    "an item like its neighbours": (
        '{\n  "a": [\n    {"b": 1}\n  ]\n}\n',
        [add("/a/-", {"b": 2})],
        '{\n  "a": [\n    {"b": 1},\n    {"b": 2}\n  ]\n}\n',
    ),
    "a list that becomes empty": ('{"a": [1], "b": {}}', [remove("/a/0")], '{"a": [], "b": {}}'),
    "a key with characters to escape": ('{"a": 1}', [move("/a", '/"\n')], '{"\\"\\n": 1}'),
}


@pytest.mark.parametrize(("text", "operations", "result"), MIXED.values(), ids=list(MIXED))
def test_json_of_any_layout_changes_only_where_it_is_edited(
    text: str, operations: list[Operation], result: str
) -> None:
    assert edited(text, *operations) == result


def test_one_of_several_json_values_is_edited() -> None:
    text = '{"a": 1}\n{"b":1} {\n "c": 1\n}'

    assert (
        edit_text(text, {(1, ""): [add("/x", 1)], (2, ""): [add("/x", 1)]})
        == '{"a": 1}\n{"b":1,"x":1} {\n "c": 1,\n "x": 1\n}'
    )


def test_json_behind_a_marker_of_yaml_is_edited_as_json() -> None:
    assert edited('---\n{"a":{"b":1}}\n', add("/a/c", "d")) == '---\n{"a":{"b":1,"c":"d"}}\n'

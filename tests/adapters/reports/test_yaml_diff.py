"""A JSON Patch as a diff of YAML."""

from typing import Any

import pytest

from webhook.adapters.reports.yaml_diff import yaml_diff

LIMITS = "/spec/containers/0/resources/limits"


def shown(*operations: dict[str, Any]) -> list[str]:
    """The lines, as the page writes them."""
    return [f"{sign} {text}" for sign, text in yaml_diff(operations)]


def test_no_patch_is_no_line() -> None:
    assert shown() == []


def test_a_move_shows_both_keys_below_their_fields_and_the_number_of_the_annotation() -> None:
    move = {"op": "move", "from": f"{LIMITS}/nvidia.com~1gpu", "path": f"{LIMITS}/nvidia.com~1gpu.shared"}
    original = '{"main":{"nvidia.com/gpu":"1"}}'
    note = {"op": "add", "path": "/metadata/annotations", "value": {"gpuwarden.io/original-request": original}}
    alone = {"op": "add", "path": "/metadata/annotations/gpuwarden.io~1original-request", "value": original}
    for annotation in (note, alone):
        assert shown(move, annotation)[:7] == [
            "  spec:",
            "    containers:",
            "      - # item 0",
            "        resources:",
            "          limits:",
            "-           nvidia.com/gpu: 1",
            "+           nvidia.com/gpu.shared: 1",
        ]


@pytest.mark.parametrize("original", ['{"a":{"r":"1"},"b":{"r":"2"}}', "{}"])
def test_a_number_that_is_not_known_is_left_open(original: str) -> None:
    operations = [
        {"op": "remove", "path": "/r"},
        {"op": "add", "path": "/metadata/annotations/gpuwarden.io~1original-request", "value": original},
    ]
    assert shown(*operations)[0] == "- r: …"


@pytest.mark.parametrize(
    ("operation", "lines"),
    [
        ({"op": "add", "path": "/a", "value": "plain"}, ["+ a: plain"]),
        ({"op": "add", "path": "/a", "value": "true"}, ["+ a: 'true'"]),
        ({"op": "add", "path": "/a", "value": "1"}, ["+ a: '1'"]),
        ({"op": "add", "path": "/a", "value": {}}, ["+ a: {}"]),
        ({"op": "add", "path": "/a", "value": {"b": "c"}}, ["+ a:", "+   b: c"]),
        (
            {"op": "add", "path": "/a", "value": [{"b": 1, "c": ["d"]}]},
            ["+ a:", "+   - b: 1", "+     c:", "+       - d"],
        ),
        ({"op": "add", "path": "/a/-", "value": "b"}, ["  a:", "+   - b"]),
        ({"op": "replace", "path": "/a", "value": "b"}, ["- a: …", "+ a: b"]),
        # Names that people chose, such as those of a job's roles: YAML 1.1 reads "on" as a boolean.
        ({"op": "add", "path": "/on/a: b/no", "value": "c"}, ["  'on':", "    'a: b':", "+     'no': c"]),
    ],
)
def test_an_operation(operation: dict[str, Any], lines: list[str]) -> None:
    assert shown(operation) == lines

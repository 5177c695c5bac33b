"""JSON Patch on plain data: as an independent library has it, and a renamed key keeps its place."""

import copy
from typing import Any

import jsonpatch
import pytest

from webhook.adapters.manifests.items import EditError
from webhook.adapters.manifests.splicing.operations import Operation, apply

DATA: dict[str, Any] = {"a": {"x/y": 1, "m~n": 2, "": 3}, "b": [10, {"k": []}, 30], "c": None}

GOOD: list[Operation] = [
    {"op": "add", "path": "/a/new", "value": {"z": [1]}},
    {"op": "add", "path": "/c", "value": 1},
    {"op": "add", "path": "/b/-", "value": 40},
    {"op": "add", "path": "/b/0", "value": 5},
    {"op": "add", "path": "/b/3", "value": 40},
    {"op": "remove", "path": "/a/x~1y"},
    {"op": "remove", "path": "/a/m~0n"},
    {"op": "remove", "path": "/a/"},
    {"op": "remove", "path": "/b/0"},
    {"op": "remove", "path": "/b/1/k"},
    {"op": "replace", "path": "/b/2", "value": {}},
    {"op": "replace", "path": "/a", "value": None},
    {"op": "move", "from": "/a/x~1y", "path": "/a/renamed"},
    {"op": "move", "from": "/a/x~1y", "path": "/a/m~0n"},
    {"op": "move", "from": "/a/x~1y", "path": "/a/x~1y"},
    {"op": "move", "from": "/a", "path": "/b/1/k/-"},
    {"op": "move", "from": "/b/0", "path": "/b/2"},
    {"op": "move", "from": "/b/1/k", "path": "/k"},
]


@pytest.mark.parametrize("operation", GOOD, ids=str)
def test_an_operation_does_what_an_independent_library_does(operation: Operation) -> None:
    assert apply(copy.deepcopy(DATA), [operation]) == jsonpatch.apply_patch(DATA, [dict(operation)])


def test_operations_are_applied_in_order_and_relative_to_the_object() -> None:
    data: dict[str, Any] = {"items": [{}, {"spec": {}}]}

    changed = apply(
        data,
        [
            {"op": "add", "path": "/spec/list", "value": []},
            {"op": "add", "path": "/spec/list/-", "value": 1},
            {"op": "move", "from": "/spec/list", "path": "/spec/renamed"},
        ],
        "/items/1",
    )

    assert changed == {"items": [{}, {"spec": {"renamed": [1]}}]}


def test_a_renamed_key_keeps_its_place() -> None:
    data = {"limits": {"cpu": 1, "nvidia.com/gpu": 1, "memory": 1}}
    move = {"op": "move", "from": "/limits/nvidia.com~1gpu", "path": "/limits/nvidia.com~1gpu.shared"}

    assert list(apply(data, [move])["limits"]) == ["cpu", "nvidia.com/gpu.shared", "memory"]


def test_a_value_that_is_added_twice_is_two_values() -> None:
    value: list[int] = []
    data: dict[str, list[int]] = apply({}, [{"op": "add", "path": f"/{key}", "value": value} for key in "ab"])

    data["a"].append(1)

    assert data["b"] == []


BAD: list[tuple[Operation, str]] = [
    ({"op": "add", "path": "/x/y", "value": 1}, "KeyError('x')"),
    ({"op": "add", "path": "/c/y", "value": 1}, "TypeError"),
    ({"op": "add", "path": "/b/x", "value": 1}, "ValueError"),
    ({"op": "add", "path": "/b/4", "value": 1}, "4 is not an index of a list of 3"),
    ({"op": "add", "path": "/b/01", "value": 1}, "01 is not an index"),
    ({"op": "add", "path": "/b/-1", "value": 1}, "-1 is not an index"),
    ({"op": "replace", "path": "/b/-1/k", "value": 1}, "-1 is not an index"),
    ({"op": "remove", "path": "/b/-1"}, "-1 is not an index"),
    ({"op": "move", "from": "/a", "path": "/b/9"}, "9 is not an index"),
    ({"op": "add", "path": "", "value": 1}, "ValueError"),
    ({"op": "add", "path": "/a/b"}, "KeyError('value')"),
    ({"op": "remove", "path": "/x"}, "KeyError('x')"),
    ({"op": "remove", "path": "/b/3"}, "IndexError"),
    ({"op": "remove", "path": "/b/-"}, "IndexError"),
    ({"op": "replace", "path": "/x", "value": 1}, "KeyError('x')"),
    ({"op": "replace", "path": "/b/0/x", "value": 1}, "TypeError"),
    ({"op": "move", "from": "/x", "path": "/y"}, "KeyError('x')"),
    ({"op": "move", "from": "/a", "path": "/a/b"}, "KeyError('a')"),
    ({"op": "copy", "from": "/a", "path": "/b"}, "copy is not an operation"),
]


@pytest.mark.parametrize(("operation", "message"), BAD, ids=[str(operation)[:60] for operation, _ in BAD])
def test_an_operation_that_does_not_fit_is_an_error_that_names_it(operation: Operation, message: str) -> None:
    with pytest.raises(EditError) as error:
        apply(copy.deepcopy(DATA), [operation])

    assert message in str(error.value)
    assert str(operation["path"])[:20] in str(error.value)

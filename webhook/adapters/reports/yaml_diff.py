"""A JSON Patch (RFC 6902) as a diff of YAML, for people."""

import json
import math
from collections.abc import Sequence
from typing import Any

import yaml

from ...engine.decision import ORIGINAL_REQUEST
from ...engine.patch import keys_of

UNKNOWN = "…"
Line = tuple[str, str]
"""``+``, ``-`` or a blank, and the YAML."""


def yaml_diff(operations: Sequence[dict[str, Any]]) -> list[Line]:
    """Return the lines that a patch removes and adds, below the fields that hold them.

    A patch does not contain the values that it removes or moves. The values of GPU requests are in the annotation that it
    writes. Other values, and values that differ between containers, are shown as ``…``.
    """
    lines: list[Line] = []
    known = _requested(operations)
    parents: tuple[str, ...] = ()
    for operation in operations:
        kind = operation["op"]
        steps = keys_of(operation["path"])
        moved = known.get(keys_of(operation.get("from", operation["path"]))[-1], UNKNOWN)
        for sign, path, text in (
            *([("-", keys_of(operation["from"]), moved)] if kind == "move" else []),
            *([("-", steps, moved)] if kind in {"remove", "replace"} else []),
            *([("+", steps, moved)] if kind == "move" else []),
            *([("+", steps, operation["value"])] if kind in {"add", "replace"} else []),
        ):
            *above, last = path
            lines += [(" ", _indented(depth, _field(step))) for depth, step in _new(parents, tuple(above))]
            parents = tuple(above)
            lines += [(sign, line) for line in _entry(last, text, len(above))]
    return lines


def _field(step: str) -> str:
    return f"- # item {step}" if step.isdigit() else f"{_yaml(step)[0]}:"


def _requested(operations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The values of GPU resources before the patch, if all containers that request one request the same number."""
    for operation in operations:
        path, value = keys_of(operation["path"]), operation.get("value")
        values = value if isinstance(value, dict) else {path[-1]: value}
        text = values.get(ORIGINAL_REQUEST)
        if isinstance(text, str):
            numbers: dict[str, set[str]] = {}
            for of_container in json.loads(text).values():
                for resource, number in of_container.items():
                    numbers.setdefault(resource, set()).add(number)
            return {resource: _number(*found) for resource, found in numbers.items() if len(found) == 1}
    return {}


def _number(text: str) -> Any:
    return int(text) if text.isdecimal() else text


def _new(before: tuple[str, ...], now: tuple[str, ...]) -> list[tuple[int, str]]:
    """The parent fields that the lines above do not show yet."""
    same = 0
    while same < min(len(before), len(now)) and before[same] == now[same]:
        same += 1
    return list(enumerate(now))[same:]


def _entry(key: str, value: Any, depth: int) -> list[str]:
    """The YAML of a value under its key, or as a list's item."""
    data = [value] if key == "-" or key.isdigit() else {key: value}
    return [_indented(depth, line) for line in _yaml(data)]


def _yaml(data: Any) -> list[str]:
    """The lines of some data in YAML."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf).splitlines()


class _Dumper(yaml.SafeDumper):
    """Indents the lists below a key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base's signature
        super().increase_indent(flow, indentless=False)


def _indented(depth: int, text: str) -> str:
    return "  " * depth + text

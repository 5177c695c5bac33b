"""Fields of another type than Kubernetes has there: which one it is, what it is, and what to write instead."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

_MESSAGE = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")
_WORDS = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "object": "a map",
    "array": "a list",
}


class Misfit(NamedTuple):
    """A field that does not fit, its path from the data, and a sentence on it without a subject."""

    field: str
    message: str


def misfit(data: Any, error: msgspec.ValidationError) -> Misfit:
    """What msgspec says of a field, in words; of a map's values, whose key msgspec leaves out, the first that is meant.

    Args:
        data: what was converted.
        error: what came of it.
    """
    match = _MESSAGE.fullmatch(str(error))
    if match is None:
        return Misfit("", str(error))
    got, expected = match["got"], [name for name in match["expected"].split(" | ") if name != "null"]
    path = list(_STEP.finditer(match["path"] or ""))
    field, value = next(_places(data, path, "", got), ("", data))
    return Misfit(field, f"must be {_wanted(expected)}, not {_value(value)}; {_remedy(value, expected)}")


def what(value: Any) -> str:
    """The type of a value, as people who write YAML call it."""
    if value is None:
        return "empty"
    return _WORDS[_name(value)]


def _places(data: Any, path: Sequence[re.Match[str]], field: str, got: str) -> Iterator[tuple[str, Any]]:
    """The places that a path with wildcards leads to, and that hold what was got."""
    if not path:
        if _name(data) == got:
            yield field, data
        return
    step, rest = path[0], path[1:]
    if step["index"] is not None:
        if isinstance(data, list) and int(step["index"]) < len(data):
            yield from _places(data[int(step["index"])], rest, f"{field}[{step['index']}]", got)
    elif isinstance(data, Mapping):
        for key in data if step["any"] else [step["key"]]:
            at = f"{field}[{key}]" if step["any"] else f"{field}.{key}" if field else key
            yield from _places(data.get(key), rest, at, got)


def _name(value: Any) -> str:
    if value is None:
        return "null"
    names = {dict: "object", list: "array", str: "str", bool: "bool", int: "int"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "float")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    return f"the number {value}" if isinstance(value, int | float) else what(value)


def _wanted(expected: Sequence[str]) -> str:
    if "int" in expected and "float" not in expected:
        return "a whole number"
    return " or ".join(dict.fromkeys(_WORDS.get(name, name) for name in expected))


def _remedy(value: Any, expected: Sequence[str]) -> str:
    if isinstance(value, bool) and expected == ["str"]:
        return "quote it (yes, no, on, off, true and false are booleans unless they are quoted)"
    if isinstance(value, int | float) and expected == ["str"]:
        return "quote it"
    if isinstance(value, str) and {"int", "bool"} & {*expected}:
        return "remove the quotes"
    return f"write {_wanted(expected)}"

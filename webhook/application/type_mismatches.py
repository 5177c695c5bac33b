"""Fields with the wrong type: each with its path, its value, and what to write instead."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")

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
_EMPTY: dict[str, Any] = {"null": None, "str": "", "int": 0, "float": 0.0, "bool": False, "object": {}, "array": []}
_MOST = 50  # each takes another conversion


class TypeMismatch(NamedTuple):
    """A field that does not fit: its path from the data, and a sentence about it without its subject."""

    field: str
    message: str


class TypeMismatchError(Exception):
    """Some data do not fit a type; ``mismatches`` has at least one of the fields."""

    def __init__(self, mismatches: Sequence[TypeMismatch]) -> None:
        super().__init__("; ".join(f"{field}: {message}" if field else message for field, message in mismatches))
        self.mismatches = mismatches


class _Place(NamedTuple):
    """A place in some data: the field's path, the keys and indices that lead there, and what is there."""

    field: str
    keys: tuple[str | int, ...]
    value: Any


def convert(data: Any, kind: type[T]) -> T:
    """Convert data to a type.

    msgspec stops at the first field that does not fit. That field gets an empty value in a copy, and the copy is converted,
    until everything fits.

    Raises:
        TypeMismatchError: with every field that does not fit (the first 50 of very many).
    """
    found: list[TypeMismatch] = []
    fitting = data
    while len(found) < _MOST:
        try:
            converted = msgspec.convert(fitting, kind)
        except msgspec.ValidationError as error:
            match = _MESSAGE.fullmatch(str(error))
            place = match and next(_places(fitting, list(_STEP.finditer(match["path"] or "")), match["got"]), None)
            if not match or not place:
                raise TypeMismatchError([*found, TypeMismatch("", str(error))]) from error
            expected = match["expected"].split(" | ")
            found.append(_mismatch(place, [name for name in expected if name != "null"]))
            fitting = replaced(fitting, place.keys, _EMPTY["null" if "null" in expected else expected[0]])
        else:
            if found:
                raise TypeMismatchError(found)
            return converted
    raise TypeMismatchError([*found, TypeMismatch("", "other fields are checked once these are fixed")])


def _mismatch(place: _Place, expected: Sequence[str]) -> TypeMismatch:
    message = f"must be {_wanted(expected)}, not {_value(place.value)}; {_remedy(place.value, expected)}"
    return TypeMismatch(place.field, message)


def replaced(data: Any, keys: Sequence[str | int], value: Any) -> Any:
    """A copy with another value at a place; everything off the way there is shared with the original."""
    if not keys:
        return value
    copy = data.copy()
    copy[keys[0]] = replaced(data[keys[0]], keys[1:], value)
    return copy


def what(value: Any) -> str:
    """The type of a value, as people who write YAML call it."""
    if value is None:
        return "empty"
    return _WORDS[_name(value)]


def _places(
    data: Any, path: Sequence[re.Match[str]], got: str, field: str = "", keys: tuple[str | int, ...] = ()
) -> Iterator[_Place]:
    """The places that a path with wildcards leads to (msgspec leaves out the keys of maps) with a value of the type ``got``."""
    if not path:
        if _name(data) == got:
            yield _Place(field, keys, data)
        return
    step, rest = path[0], path[1:]
    if step["index"] is not None:
        index = int(step["index"])
        if isinstance(data, list) and index < len(data):
            yield from _places(data[index], rest, got, f"{field}[{index}]", (*keys, index))
    elif isinstance(data, Mapping):
        for key in data if step["any"] else [step["key"]]:
            at = f"{field}[{key}]" if step["any"] else f"{field}.{key}" if field else key
            yield from _places(data.get(key), rest, got, at, (*keys, key))


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

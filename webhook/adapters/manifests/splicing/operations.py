"""Applies JSON Patch operations (RFC 6902) to plain data, a renamed key keeping its place.

A general library loses that place: it moves by removing here and adding at the end there.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ....engine.patch import keys_of
from ..items import EditError

Operation: TypeAlias = Mapping[str, Any]


def apply(root: Any, operations: Iterable[Operation], pointer: str = "") -> Any:
    """The data after the operations.

    Args:
        root: a document's data; it is changed.
        operations: ``add``, ``remove``, ``replace`` and ``move``, applied in order.
        pointer: the place of the object that the operations' paths are relative to.

    Raises:
        EditError: when a path leads nowhere, or an operation is another one.
    """
    holder = {"": root}  # so that the root, too, has a parent
    for operation in operations:
        try:
            _apply(holder, operation, pointer)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise EditError(
                f"the operation {dict(operation)} does not fit {pointer or 'the document'}: {error}"
            ) from error
    if "" not in holder:
        raise EditError("an operation removes the whole document")
    return holder[""]


def _apply(holder: Any, operation: Operation, pointer: str) -> None:
    path = _tokens(pointer + operation["path"])
    match operation["op"]:
        case "add":
            _add(holder, path, copy.deepcopy(operation["value"]))
        case "remove":
            _remove(holder, path)
        case "replace":
            parent, key = _place(holder, path)
            parent[key] = copy.deepcopy(operation["value"])
        case "move":
            _move(holder, _tokens(pointer + operation["from"]), path)
        case other:
            raise ValueError(f"{other} is not an operation that can be edited in")


def _move(holder: Any, origin: list[str], path: list[str]) -> None:
    parent, key = _place(holder, origin)
    if origin == path:
        return
    if path[: len(origin)] == origin:
        raise ValueError("a value cannot be moved into itself")
    if isinstance(parent, dict) and path[:-1] == origin[:-1]:
        renamed = {path[-1] if name == key else name: value for name, value in parent.items() if name != path[-1]}
        parent.clear()
        parent.update(renamed)
        return
    _add(holder, path, _remove(holder, origin))


def _add(holder: Any, path: list[str], value: Any) -> None:
    parent = _at(holder, path[:-1])
    if isinstance(parent, dict):
        parent[path[-1]] = value
        return
    items = _list(parent)
    items.insert(len(items) if path[-1] == "-" else _index(path[-1], len(items)), value)


def _remove(holder: Any, path: list[str]) -> Any:
    parent, key = _place(holder, path)
    return parent.pop(key)


def _place(holder: Any, path: list[str]) -> tuple[Any, Any]:
    """The collection that holds an existing member, and the member's key or index there."""
    parent = _at(holder, path[:-1])
    if isinstance(parent, dict):
        if path[-1] not in parent:
            raise KeyError(path[-1])
        return parent, path[-1]
    return parent, _index(path[-1], len(_list(parent)) - 1)


def _at(holder: Any, path: list[str]) -> Any:
    for token in path:
        holder = holder[token] if isinstance(holder, dict) else holder[_index(token, len(_list(holder)) - 1)]
    return holder


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a value on the way is neither a map nor a list")
    return value


def _index(digits: str, last: int) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,9}", digits) or int(digits) > last:
        raise IndexError(f"{digits!r} is not an index of a list whose last is {last}")
    return int(digits)


def _tokens(pointer: str) -> list[str]:
    """The keys along a JSON pointer (RFC 6901), the holder's own key for the root first."""
    if pointer and not pointer.startswith("/"):
        raise ValueError(f'the pointer "{pointer}" does not begin with "/"')
    return ["", *keys_of(pointer)]

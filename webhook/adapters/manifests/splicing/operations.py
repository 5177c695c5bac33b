"""Applies the operations of our own patches (RFC 6902) to plain data, a renamed key keeping its place.

Libraries for JSON Patch do not keep the place: they remove the key and add it at the end.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ....engine.patch import keys_of
from ..items import EditError

Operation: TypeAlias = Mapping[str, Any]


def apply(root: Any, operations: Iterable[Operation], pointer: str = "") -> Any:
    """Return the data after the operations.

    Args:
        root: a document's data; it is changed.
        operations: ``add``, ``remove``, ``replace`` and ``move``, applied in order.
        pointer: the place of the object that the operations' paths are relative to.

    Raises:
        EditError: an operation does not fit the data.
    """
    for operation in operations:
        try:
            _apply(root, operation, pointer)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise EditError(
                f"the operation {dict(operation)} does not fit {pointer or 'the document'}: {error!r}"
            ) from error
    return root


def _apply(root: Any, operation: Operation, pointer: str) -> None:
    path = keys_of(pointer + operation["path"])
    match operation["op"]:
        case "add":
            _add(*_place(root, path), copy.deepcopy(operation["value"]))
        case "remove":
            holder, key = _existing(root, path)
            del holder[key]
        case "replace":
            holder, key = _existing(root, path)
            holder[key] = copy.deepcopy(operation["value"])
        case "move":
            _move(root, keys_of(pointer + operation["from"]), path)
        case other:
            raise ValueError(f"{other} is not an operation of a patch")


def _move(root: Any, origin: Sequence[str], path: Sequence[str]) -> None:
    holder, old = _existing(root, origin)
    if isinstance(holder, dict) and path[:-1] == origin[:-1]:
        renamed = {
            path[-1] if name == old else name: value
            for name, value in holder.items()
            if name == old or name != path[-1]
        }
        holder.clear()
        holder.update(renamed)
    else:
        value = holder.pop(old)
        _add(*_place(root, path), value)


def _place(root: Any, path: Sequence[str]) -> tuple[Any, Any]:
    """The map or list that a path leads into, and its last key or index."""
    *above, last = path
    for step in above:
        root = root[_key(root, step)]
    return root, _key(root, last)


def _existing(root: Any, path: Sequence[str]) -> tuple[Any, Any]:
    """The same for an existing member."""
    holder, key = _place(root, path)
    holder[key]
    return holder, key


def _key(holder: Any, step: str) -> str | int:
    if not isinstance(holder, list):
        return step
    index = len(holder) if step == "-" else int(step)
    if not 0 <= index <= len(holder) or step not in ("-", str(index)):
        raise IndexError(f"{step} is not an index of a list of {len(holder)}")
    return index


def _add(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, list):
        holder.insert(key, value)
    else:
        holder[key] = value

"""CEL literals and expressions. CEL is the expression language of admission policies and matchConditions."""

import json
from collections.abc import Iterable, Mapping

# CEL supports JSON's escapes, but no surrogate pairs, so non-ASCII characters are not escaped.
_ENCODER = json.JSONEncoder(ensure_ascii=False)

ALWAYS, NEVER, EMPTY = "true", "false", "[]"


def quoted(text: str) -> str:
    """Return a string as a CEL literal."""
    plain = text.isprintable() and "'" not in text and "\\" not in text
    return f"'{text}'" if plain else _ENCODER.encode(text)


def listed(values: Iterable[str]) -> str:
    """Return strings as a CEL list."""
    return f"[{', '.join(map(quoted, values))}]"


def mapped(values: Mapping[str, str]) -> str:
    """Return a mapping of strings as a CEL map."""
    return f"{{{', '.join(f'{quoted(key)}: {quoted(value)}' for key, value in values.items())}}}"


def joined(lists: Iterable[str]) -> str:
    """Return the concatenation of CEL lists."""
    return " +\n".join(each for each in lists if each != EMPTY) or EMPTY


def listed_if(condition: str, texts: str) -> str:
    """Return a CEL list that is empty unless a condition is true."""
    return texts if condition == ALWAYS or texts == EMPTY else f"({condition} ? {texts} : {EMPTY})"


def none(items: str, name: str, condition: str) -> str:
    """Return the CEL of whether a condition holds for no item of a list, or for no key of a map.

    ``exists`` takes half as long again: it combines the results of all items.
    """
    return f"{items}.filter({name}, {condition}).size() == 0"


def every(*conditions: str) -> str:
    """Return the conjunction of CEL conditions."""
    return " &&\n".join(each for each in conditions if each != ALWAYS) or ALWAYS

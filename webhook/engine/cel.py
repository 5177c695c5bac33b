"""Literals of CEL, the expression language of admission policies and matchConditions, and expressions put together."""

import json
from collections.abc import Iterable, Mapping

# CEL knows JSON's escapes, but no pairs of surrogates: what is not ASCII is written as it is.
_ENCODER = json.JSONEncoder(ensure_ascii=False)

ALWAYS, NEVER, EMPTY = "true", "false", "[]"


def quoted(text: str) -> str:
    """A text as CEL."""
    plain = text.isprintable() and "'" not in text and "\\" not in text
    return f"'{text}'" if plain else _ENCODER.encode(text)


def listed(values: Iterable[str]) -> str:
    """Texts as a list of CEL."""
    return f"[{', '.join(map(quoted, values))}]"


def mapped(values: Mapping[str, str]) -> str:
    """Texts by texts as a map of CEL."""
    return f"{{{', '.join(f'{quoted(key)}: {quoted(value)}' for key, value in values.items())}}}"


def joined(lists: Iterable[str]) -> str:
    """Lists of CEL as one list."""
    return " +\n".join(each for each in lists if each != EMPTY) or EMPTY


def listed_if(condition: str, texts: str) -> str:
    """A list of CEL, which is empty unless a condition holds."""
    return texts if condition == ALWAYS or texts == EMPTY else f"({condition} ? {texts} : {EMPTY})"


def every(*conditions: str) -> str:
    """Conditions of CEL as one."""
    return " &&\n".join(each for each in conditions if each != ALWAYS) or ALWAYS

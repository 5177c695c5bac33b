"""Formats a value from a user's file for messages."""

import json

from ..engine.text import cut

_LONGEST = 80  # characters of a value that are worth repeating


def shown(value: object) -> str:
    """Return a value as in YAML, with text in quotes; a list or mapping is only named as such."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = cut(str(value), _LONGEST)
    if isinstance(value, str):
        return json.dumps(text, ensure_ascii=False)
    return "null" if value is None else text.lower() if isinstance(value, bool) else text

"""The values of scalars in Kubernetes: the rules of go-yaml v2, with which kubectl and the API server read YAML.

Mirrors ``resolve.go`` of go-yaml v2 and the conversion to JSON of ``sigs.k8s.io/yaml``: YAML 1.1 booleans (``yes``, ``on``, even
``y``), octal as ``010`` and ``0o10``, underscores in numbers; no base 60 and no timestamps. A float that is whole reaches the API
server as a whole number, because Go writes it to JSON without a fraction.
"""

import base64
import binascii
import math
import re
from typing import TypeAlias

from ..items import UnreadableError
from .nodes import Scalar

Value: TypeAlias = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}
_NO_JSON = frozenset(
    (".nan", ".NaN", ".NAN", *(f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")))
)
_NUMBER_STARTS = frozenset("+-.0123456789")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOTTED_FLOAT = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_TAG = "tag:yaml.org,2002:"
_TYPES: dict[str, tuple[type, ...]] = {
    f"{_TAG}int": (int,),
    f"{_TAG}float": (float, int),
    f"{_TAG}bool": (bool,),
    f"{_TAG}null": (type(None),),
}
_WHOLE_BELOW = 1e21  # Go writes smaller floats to JSON digit by digit
_LONGEST_INTEGER = 80  # characters: 64 binary digits, a sign, a prefix, some zeros


def value_of(scalar: Scalar) -> Value:
    """The value of a scalar as the API server would receive it.

    Raises:
        UnreadableError: JSON can't represent it (``.inf``, broken base64), or its tag does not match.
    """
    tag = scalar.tag
    if tag is None:
        return scalar.text if scalar.quote else plain(scalar.text, scalar.line)
    if tag == f"{_TAG}binary":
        return _binary(scalar)
    if tag not in _TYPES:
        return scalar.text  # !!str, !!timestamp, and tags that go-yaml does not know
    value = plain(scalar.text, scalar.line)
    if not isinstance(value, _TYPES[tag]) or (isinstance(value, bool) and not tag.endswith("bool")):
        raise UnreadableError(
            scalar.line,
            f'"{scalar.text}" is tagged !!{tag.removeprefix(_TAG)} but is not one: remove the tag, or correct the value',
        )
    return value


def plain(text: str, line: int = 1) -> Value:
    """Return the value of an unquoted, untagged scalar: a number, a boolean, null, or the text itself.

    Raises:
        UnreadableError: for an infinity or NaN, which JSON does not have.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if text in _NO_JSON:
        raise UnreadableError(
            line, f"{text} is a number that JSON cannot hold, and so no Kubernetes field can; quote it"
        )
    number = _number(text)
    if isinstance(number, float) and number.is_integer() and abs(number) < _WHOLE_BELOW:
        return int(number)
    return text if number is None else number


def key_of(value: Value) -> str | None:
    """Return a map's key as in JSON: numbers and booleans become text (``yes`` is the key ``true``); ``None`` for null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _number(text: str) -> int | float | None:
    if text[0] == ".":
        return _finite(text) if _DOTTED_FLOAT.fullmatch(text) else None
    bare = text.replace("_", "")
    if len(bare) <= _LONGEST_INTEGER and _INTEGER.fullmatch(bare):
        number = _integer(bare)
        if -(2**63) <= number < 2**64:
            return number
    return _finite(bare) if _FLOAT.fullmatch(bare) else None


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    old_octal = digits[0] == "0" and digits.isdigit()
    number = int(digits, 8 if old_octal else 0)
    return -number if text[0] == "-" else number


def _finite(text: str) -> float | None:
    number = float(text)
    return None if math.isinf(number) else number


def _binary(scalar: Scalar) -> str:
    try:
        return base64.b64decode("".join(scalar.text.split()), validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise UnreadableError(
            scalar.line, f"!!binary is not base64 ({error}): correct it, or remove the tag"
        ) from error

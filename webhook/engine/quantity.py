"""Kubernetes quantities, parsed exactly as whole numbers, as extended resources require."""

import re
from fractions import Fraction

from .text import cut

# k8s.io/apimachinery/pkg/api/resource/quantity.go: <sign><digits>[.<digits>]<suffix>, the suffix binary (Ki), decimal (k)
# or an exponent (e3). A bare "E" is the decimal suffix, so the exponent is tried first.
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[KMGTPE]i|[numkMGTPE])?)"
)
_SUFFIXES = {
    "": Fraction(1),
    **{name: Fraction(10) ** power for name, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)},
    **{f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
# Longer texts and larger exponents are not realistic GPU counts, and exact arithmetic on them would only cost time.
_LONGEST = 64
_LARGEST_EXPONENT = 64
# Plain digits of this length always fit an int64.
_SHORT = 18
COUNTS = {str(count): count for count in range(17)}
"""Nearly all counts have this form. ``whole`` parses the others."""
# Quantity caps larger values at the largest int64 instead of denying them.
_MAXIMUM = 2**63 - 1

Quantity = str | int | float | None


def whole(quantity: Quantity) -> int | None:
    """Read a quantity as a count.

    Args:
        quantity: a JSON value as in ``resources.limits``: ``1``, ``"1"``, ``"1000m"``, ``"1e0"``, ``"2k"``,
            ``"1Ki"``. ``None`` (JSON null) is zero, as the API server reads it.

    Returns:
        The count, or ``None`` if the text is not a quantity, or not a non-negative integer (``"0.5"``, ``"1500m"``, ``-1``).
            Larger values than int64 are capped at its maximum, as in the API server.
    """
    if quantity is None:
        return 0
    if isinstance(quantity, str) and len(quantity) <= _SHORT and quantity.isascii() and quantity.isdigit():
        return int(quantity)
    value = exact(quantity)
    if value is None or value < 0 or value.denominator != 1:
        return None
    return min(value.numerator, _MAXIMUM)


def exact(quantity: str | float) -> Fraction | None:
    """The exact value of a quantity, or ``None`` when the text is not one."""
    if isinstance(quantity, int):
        return Fraction(quantity)
    text = quantity if isinstance(quantity, str) else repr(quantity)
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    number = Fraction(match["number"])
    if match["exponent"] is None:
        return number * _SUFFIXES[match["suffix"] or ""]
    exponent = int(match["exponent"])
    if abs(exponent) > _LARGEST_EXPONENT:
        return None
    return number * Fraction(10) ** exponent


def shown(quantity: Quantity) -> str:
    """The quantity for messages: as written, but shortened."""
    if quantity is None:
        return "null"
    if isinstance(quantity, int):
        return str(max(-_MAXIMUM, min(quantity, _MAXIMUM)))
    return cut(str(quantity), _LONGEST)

"""Numbers measured several times: the median, and how far the measurements lie apart."""

from collections.abc import Sequence
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """The median of several measurements of one thing, with the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise at least one measurement."""
        return cls(round(median(values), 6), round(min(values), 6), round(max(values), 6))


def ratios(values: Sequence[float], references: Sequence[float]) -> Spread:
    """Each measurement over the reference of its own round: what slows a round down slows both, so the ratio holds."""
    return Spread.of([value / reference for value, reference in zip(values, references, strict=True)])

"""The memory of the fleet: what nodes offered within a day still counts as offered.

A device plugin's restart, a driver upgrade and a MIG reconfiguration take a node's GPUs away for minutes, and an autoscaler
takes the nodes of a pool away altogether.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from .shapes import Shape

DAY = 86400.0


class Memory:
    """The shapes that nodes have had, and when one last had each."""

    def __init__(self, life: float = DAY) -> None:
        self._life = life
        self._seen: dict[Shape, float] = {}

    def note(self, shapes: Iterable[Shape], now: float) -> Collection[Shape]:
        """Take the shapes that nodes have now, and give all that are remembered.

        Whether a node was cordoned or ready is not remembered: that is known only of nodes that exist. Nor is the shape of
        a node that the MIG manager is changing, because its labels are out of date.
        """
        for shape in shapes:
            if shape.amounts and not shape.is_reconfiguring:
                usual = shape if shape.ready and not shape.cordoned else replace(shape, ready=True, cordoned=False)
                self._seen[usual] = now
        self._seen = {shape: last for shape, last in self._seen.items() if now - last < self._life}
        return self._seen.keys()

"""The history of the fleet: what nodes offered within the last day still counts as offered.

A restart of the device plugin, a driver upgrade and a MIG reconfiguration remove a node's GPUs for minutes, and an autoscaler
removes all nodes of a pool.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from .node_shapes import Shape

DAY = 86400.0


class Memory:
    """The shapes that nodes have had, each with the last time."""

    def __init__(self, life: float = DAY) -> None:
        self._life = life
        self._seen: dict[Shape, float] = {}

    def note(self, shapes: Iterable[Shape], now: float) -> Collection[Shape]:
        """Record the current shapes of nodes, and return all that are remembered.

        Whether a node was cordoned or ready is not remembered, because this is known only for existing nodes. The shape of a
        node that the MIG manager is changing is not remembered either, because its labels are out of date.
        """
        for shape in shapes:
            if shape.amounts and not shape.is_reconfiguring:
                usual = shape if shape.ready and not shape.cordoned else replace(shape, ready=True, cordoned=False)
                self._seen[usual] = now
        self._seen = {shape: last for shape, last in self._seen.items() if now - last < self._life}
        return self._seen.keys()

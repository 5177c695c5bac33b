"""The limits on all connections of a port together: their number, their memory, and which is closed when there is no room."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from time import monotonic

import structlog

from .limits import Limits

_SECONDS_BETWEEN_LINES = 30.0
_SPARE_DESCRIPTORS = 8
_SCARCE_SECONDS = 60.0  # how long fewer connections are accepted after descriptors ran out, which may last a moment
_RESERVED = 1 / 8  # of the memory, divided among the connections: 16 KiB each by default

Client = tuple[str, int] | None
_log = structlog.get_logger("gpuwarden.http")


class Rejections:
    """The rejections of a port. All are counted, but few are logged, so that a flood of connections does not flood the log."""

    def __init__(self, port: str, count: Callable[[str, str], None], clock: Callable[[], float] = monotonic) -> None:
        self._port = port
        self._count = count
        self._clock = clock
        self._due: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()

    def note(self, reason: str, client: Client = None, detail: str = "") -> None:
        """Count a rejection. The reason is one of a few values, the metric's label; address and detail are for the log."""
        self._count(self._port, reason)
        self._unlogged[reason] += 1
        now = self._clock()
        if now < self._due.get(reason, 0.0):
            return
        self._due[reason] = now + _SECONDS_BETWEEN_LINES
        count, address = self._unlogged.pop(reason), client[0] if client else ""
        _log.warning("rejected", port=self._port, reason=reason, count=count, client=address, detail=detail)


class TrackedConnection:
    """A connection as the limiter sees it. By default, it waits for its client and holds no memory."""

    since = 0.0  # when its current wait began: connected, first byte of a request, or answered
    held = 0  # bytes that it is counted with
    known = False  # whether a review was answered on it. If paths have no tokens, this may also be an unknown client
    client: Client = None  # its address

    @property
    def waits(self) -> bool:
        """Whether it waits for its client: to complete the handshake, to send, to read, or to close."""
        return True

    def overdue(self, now: float) -> str:  # noqa: ARG002 - there is no limit
        """The reason why it has waited too long; empty if it has not."""
        return ""

    def drop(self) -> None:
        """Close it immediately."""


class ConnectionLimiter:
    """The connections of a port. If there is no room for another one, it closes the one that has waited longest for its client.

    Connections on which a review was answered are closed last, as long as they are at most half of the limit. So a client that
    opens connections to keep the API server out only loses its own, even if it gets reviews answered.
    """

    def __init__(self, limits: Limits, rejections: Rejections, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self.rejections = rejections
        self.clock = clock
        self.held = 0  # bytes that all of them hold
        self._connections: set[TrackedConnection] = set()
        self.gone = asyncio.Event()  # set while there are no connections
        self.gone.set()
        self._most = limits.connections
        self._scarce_until = 0.0
        self._reserved = limits.memory / limits.connections * _RESERVED

    def __iter__(self) -> Iterator[TrackedConnection]:
        return iter(tuple(self._connections))

    def add(self, connection: TrackedConnection, size: int = 0) -> None:
        """Add a connection that holds this many bytes, or only set them."""
        self._connections.add(connection)
        self.gone.clear()
        self.hold(connection, size)

    def discard(self, connection: TrackedConnection) -> bool:
        """Remove a connection, with the memory that it held; return whether it was there."""
        if connection not in self._connections:
            return False
        self.hold(connection, 0)
        self._connections.remove(connection)
        if not self._connections:
            self.gone.set()
        return True

    def hold(self, connection: TrackedConnection, size: int) -> bool:
        """Set the bytes that a connection holds; return whether there is memory for it, after others were closed if necessary."""
        if connection not in self._connections:
            return True
        grows = size - connection.held
        self.held += grows
        connection.held = size
        while grows > 0 and self.held > self.limits.memory:
            others = [other for other in self._connections if other.held and other is not connection]
            if not self._make_room("memory", others):
                return size <= self._reserved
        return True

    def has_room(self) -> bool:
        """Whether there is room for one more, after another was closed if necessary."""
        return len(self._connections) < self._most or self._make_room("connections", self._connections)

    def _make_room(self, reason: str, among: Collection[TrackedConnection]) -> bool:
        """Close the connection that has waited longest for its client; return whether there was one."""
        if not (waiting := [connection for connection in among if connection.waits]):
            return False
        first = sum(connection.known for connection in waiting) > self._most / 2
        self.drop(min(waiting, key=lambda connection: (connection.known is not first, connection.since)), reason)
        return True

    def free_descriptors(self) -> None:
        """Lower the limit for a while: the process can't open more files, and needs some for other purposes (probes, the log)."""
        self._scarce_until = self.clock() + _SCARCE_SECONDS
        self._most = max(1, len(self._connections) - _SPARE_DESCRIPTORS)
        while len(self._connections) > self._most and self._make_room("descriptors", self._connections):
            pass

    def sweep(self) -> None:
        """Close connections that have waited too long. Called about every second, so requests need no timers of their own."""
        now = self.clock()
        if now > self._scarce_until:
            self._most = self.limits.connections
        for connection in self:
            if reason := connection.overdue(now):
                self.drop(connection, reason)

    def drop(self, connection: TrackedConnection, reason: str) -> None:
        """Close a connection immediately, unless it was closed before, and count why."""
        if self.discard(connection):
            connection.drop()
            if reason != "idle":  # as agreed with every client of HTTP/1.1
                self.rejections.note(reason, connection.client)

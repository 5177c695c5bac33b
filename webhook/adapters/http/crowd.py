"""All connections of a port: how many there are, what they hold, and who goes when there is no more room."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from time import monotonic

import structlog

from webhook.adapters.http.limits import Limits

_SECONDS_BETWEEN_LINES = 30.0
_SPARE_DESCRIPTORS = 8
# Of what there is for all, a connection has this part reserved, whichever connections hold the rest: 16 KiB by default.
_OWN = 8

Client = tuple[str, int] | None
_log = structlog.get_logger("gpuwarden.http")


class Refusals:
    """Who is turned away from a port and why: all are counted and few logged, so that a flood of strangers floods no log."""

    def __init__(self, port: str, count: Callable[[str, str], None], clock: Callable[[], float] = monotonic) -> None:
        self._port = port
        self._count = count
        self._clock = clock
        self._due: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()

    def note(self, reason: str, client: Client = None, detail: str = "") -> None:
        """Count one. The reason is one of a few words, the metric's label; address and detail are for the log."""
        self._count(self._port, reason)
        self._unlogged[reason] += 1
        now = self._clock()
        if now < self._due.get(reason, 0.0):
            return
        self._due[reason] = now + _SECONDS_BETWEEN_LINES
        count = self._unlogged.pop(reason)
        _log.warning(
            "refused", port=self._port, reason=reason, count=count, client=client[0] if client else "", detail=detail
        )


class Guest:
    """A connection of which little is known: it waits for its client, and nothing of it is held.

    Attributes:
        since: when it became whose turn it is now: connected, first byte of a request, answered.
        held: bytes that it is counted with.
        known: whether it was answered a review. A stranger's may be, where the paths have no tokens.
        client: its address.
    """

    since = 0.0
    held = 0
    known = False
    client: Client = None

    @property
    def waits(self) -> bool:
        """Whether it is its client's turn: to shake hands, to send, to read, or to hang up."""
        return True

    def overdue(self, now: float) -> str:  # noqa: ARG002 - there is no limit
        """Why it has waited too long; empty when it has not."""
        return ""

    def drop(self) -> None:
        """Cut it off, at once."""

    def shutdown(self) -> None:
        """End, once what has begun is answered."""
        self.drop()


class Crowd:
    """The guests. Where there is no room for one more, the one goes that has waited longest for its client.

    Those that were answered a review are the last to go, as long as they are no more than half of the room: whoever opens
    connections to keep the API server out only pushes out its own, and by answered ones can't keep out the rest.

    Attributes:
        held: bytes that all of them hold.
        gone: set while there is nobody.
    """

    def __init__(self, limits: Limits, refusals: Refusals, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self.refusals = refusals
        self.clock = clock
        self.held = 0
        self._guests: set[Guest] = set()
        self.gone = asyncio.Event()
        self.gone.set()
        self._most = limits.connections
        self._own = limits.memory // limits.connections // _OWN

    def __iter__(self) -> Iterator[Guest]:
        return iter(tuple(self._guests))

    def add(self, guest: Guest) -> None:
        """Let one in."""
        self._guests.add(guest)
        self.gone.clear()

    def discard(self, guest: Guest) -> None:
        """Forget one, with what it held."""
        self.hold(guest, 0)
        self._guests.discard(guest)
        if not self._guests:
            self.gone.set()

    def hold(self, guest: Guest, size: int) -> bool:
        """Count one as holding so many bytes; whether there is memory for it, after others were cut off if need be."""
        if guest not in self._guests:
            return True
        grows = size - guest.held
        self.held += grows
        guest.held = size
        while grows > 0 and self.held > self.limits.memory:
            if not self._make_room("memory", [other for other in self._guests if other.held and other is not guest]):
                return size <= self._own
        return True

    def has_room(self) -> bool:
        """Whether one more may come in, after somebody was asked to go if need be."""
        return len(self._guests) < self._most or self._make_room("connections", self._guests)

    def _make_room(self, reason: str, among: Collection[Guest]) -> bool:
        """Close the connection that has waited longest for its client; return whether there was one."""
        waiting = [guest for guest in among if guest.waits]
        first = sum(guest.known for guest in waiting) > self._most / 2
        oldest = min(waiting, key=lambda guest: (guest.known is not first, guest.since), default=None)
        if oldest is not None:
            self._drop(oldest, reason)
        return oldest is not None

    def free_descriptors(self) -> None:
        """Have fewer guests from now on: this process may open no more files, and needs some for others (probes, the log)."""
        self._most = max(1, len(self._guests) - _SPARE_DESCRIPTORS)
        while len(self._guests) > self._most and self._make_room("descriptors", self._guests):
            pass

    def sweep(self) -> None:
        """Cut off who has waited too long. Called about every second; requests need no timers of their own."""
        now = self.clock()
        for guest in self:
            if reason := guest.overdue(now):
                self._drop(guest, reason)

    def _drop(self, guest: Guest, reason: str) -> None:
        self.discard(guest)
        guest.drop()
        if reason != "idle":  # as agreed with every client of HTTP/1.1
            self.refusals.note(reason, guest.client)

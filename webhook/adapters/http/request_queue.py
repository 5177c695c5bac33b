"""The order in which waiting requests are answered, and which of them are shed because they have waited too long."""

import asyncio
from collections.abc import Callable
from functools import cached_property
from heapq import heappop, heappush
from itertools import count
from time import perf_counter
from typing import Protocol

_BASE = 4096  # the fixed cost of a request, in bytes of text
# Reading, deciding and sending push each other's code and data out of the processor's caches, and a write wakes the client's
# process. So each is done for many in a row (benchmarks/README.md), but nobody waits for many.
_MOST_AT_ONCE = 16
# A turn ends after this time, so that requests that have arrived meanwhile are read: they may be cheaper than those that still
# wait. It also ends after this cost, which takes about as long, because everything that was decoded in a turn stays in memory
# until the next one (``DeferredRecording``, and tasks), however fast the processor is.
_TURN_SECONDS = 0.02
_TURN_COST = 2 << 20


class Asker(Protocol):
    """A connection with a complete request."""

    def answer(self, *, late: bool) -> None:
        """Return the answer, or if ``late``, an overload error. Raises nothing, because others are waiting."""

    def send(self) -> None:
        """Send it."""


class RequestQueue:
    """The requests that wait for the event loop, in a fair order: weighted fair queueing (Demers, Keshav and Shenker 1989).

    Each connection has at most one request here. They are answered in the order in which they would finish if all were
    processed concurrently, byte by byte. So cheap requests do not wait for expensive ones that arrived earlier, and a flood of
    tiny ones does not starve the rest. A request that has waited for more than ``most`` seconds is shed unread, at almost no
    cost. In this order, an expensive request is shed before a cheap one.
    """

    def __init__(self, most: float = float("inf"), clock: Callable[[], float] = perf_counter) -> None:
        self._most = most
        self._clock = clock
        self._waiting: list[tuple[float, int, float, int, Asker]] = []
        self._number = count()
        self._progress = 0.0  # bytes of each request that would be processed by now
        self._called = False

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # a system call before Python 3.12, so it is made once

    def add(self, asker: Asker, weight: Callable[[], int]) -> None:
        """Queue a connection's request with its weight. The first one since the last turn is answered at once."""
        if not self._called:
            self._called = True
            self._loop.call_soon(self._turn)
            asker.answer(late=False)
            asker.send()
        else:
            cost = _BASE + weight()
            heappush(self._waiting, (self._progress + cost, next(self._number), self._clock(), cost, asker))

    def _turn(self) -> None:
        askers: list[Asker] = []
        spent = 0
        began = now = self._clock()
        try:
            while self._waiting and len(askers) < _MOST_AT_ONCE and spent < _TURN_COST and now - began < _TURN_SECONDS:
                waiting = len(self._waiting)
                _, _, since, cost, asker = heappop(self._waiting)
                self._progress += cost / waiting
                spent += cost
                asker.answer(late=now - since > self._most)
                askers.append(asker)
                now = self._clock()
            for asker in askers:
                asker.send()
        finally:  # or the waiting requests would wait forever
            self._called = bool(self._waiting)
            if self._called:
                self._loop.call_soon(self._turn)

"""How far the event loop is behind, and when it is so far that requests must be shed."""

import asyncio
from time import perf_counter

from webhook.adapters.http import failures
from webhook.adapters.http.refusals import Refusals

_TICK_SECONDS = 0.05


class Pace:
    """The begin of the event loop's turn, and how long a turn may last.

    One loop reads what has arrived, answers it, and begins anew: what arrives meanwhile waits for the next turn. Under
    more load than it can bear the turns grow, and with them the time that every request waits. So a timer notes when a
    turn began, and a request that comes to be answered later in it than ``most`` seconds is shed instead: shedding
    costs next to nothing, the turn ends, and nobody who is served has waited longer than about two of them.
    A single request that takes long delays one turn, and nobody is shed for it.

    Attributes:
        turn: when the turn began, by ``perf_counter``.
        most: seconds that a turn may last.
    """

    __slots__ = ("_refusals", "_timer", "most", "turn")

    def __init__(self, refusals: Refusals | None = None, most: float = float("inf")) -> None:
        self.turn = float("inf")
        self.most = most
        self._refusals = refusals
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look, in the running loop."""
        self._tick()

    def stop(self) -> None:
        """Look no more: nothing is shed."""
        if self._timer:
            self._timer.cancel()
        self.turn = float("inf")

    def keep(self, now: float) -> None:
        """Let a request be answered, if it is not too late.

        Raises:
            Failure: it is shed.
        """
        behind = now - self.turn
        if behind > self.most:
            if self._refusals:
                self._refusals.note("overload", detail=f"the event loop is {behind:.1f} s behind")
            raise failures.overloaded()

    def _tick(self) -> None:
        self.turn = perf_counter()
        self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

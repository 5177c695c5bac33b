"""Delays between retries: longer each time, different for each replica, and bounded."""

from collections.abc import Callable

# A server that is overloaded may ask for minutes; one that asks for a day is broken, and must not silence us that long.
LONGEST_REQUESTED_WAIT = 60.0


class Backoff:
    """Exponential back-off with jitter and a cap.

    Args:
        random: gives numbers in [0, 1), as ``random.random``.
        first: seconds of the first delay, before jitter.
        cap: seconds no delay exceeds unless the server asked for more. Ten by default: a replica or three asking every
            few seconds is no load for an API server that is coming back, and a cache that is behind judges by old labels.
    """

    def __init__(self, random: Callable[[], float], *, first: float = 0.2, cap: float = 10.0) -> None:
        self._random = random
        self._first = first
        self._cap = cap
        self._next = first

    def delay(self, retry_after: float | None = None) -> float:
        """Give the next delay in seconds, and double the one after it.

        Jitter takes up to half of it away, so that replicas that lost the server together don't return together. What
        the server asked for (``Retry-After``) comes first, and the jittered delay on top of it.
        """
        delay = self._next * (1 - self._random() / 2)
        self._next = min(self._next * 2, self._cap)
        return delay + min(max(retry_after or 0.0, 0.0), LONGEST_REQUESTED_WAIT)

    def reset(self) -> None:
        """Start over: something worked."""
        self._next = self._first

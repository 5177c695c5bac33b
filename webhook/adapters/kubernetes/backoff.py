"""Delays between retries: longer each time, different for each replica, and bounded."""

from collections.abc import Callable

# An overloaded server may ask for minutes. Longer values are wrong, and must not stop the retries for that long.
LONGEST_REQUESTED_WAIT = 60.0


class Backoff:
    """Exponential back-off with jitter and a cap.

    Args:
        random: gives numbers in [0, 1), as ``random.random``.
        first: seconds of the first delay, before jitter.
        cap: the longest delay in seconds, unless the server asked for more. Ten by default: a few replicas that retry every few
            seconds are no significant load for a recovering API server, and in the meantime, labels are out of date.
    """

    def __init__(self, random: Callable[[], float], *, first: float = 0.2, cap: float = 10.0) -> None:
        self._random = random
        self._first = first
        self._cap = cap
        self._next = first

    def delay(self, retry_after: float | None = None) -> float:
        """Return the next delay in seconds, and double the following one.

        Jitter reduces it by up to half, so that replicas do not retry at the same time. The jittered delay is added to what the
        server asked for (``Retry-After``).
        """
        delay = self._next * (1 - self._random() / 2)
        self._next = min(self._next * 2, self._cap)
        return delay + min(max(retry_after or 0.0, 0.0), LONGEST_REQUESTED_WAIT)

    def reset(self) -> None:
        """Reset after a success."""
        self._next = self._first

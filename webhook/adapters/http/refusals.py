"""Who is turned away and why: every time counted, now and then logged, so that a flood of strangers floods no log."""

from collections import Counter
from collections.abc import Callable
from time import monotonic

import structlog

_SECONDS_BETWEEN_LINES = 30.0

Client = tuple[str, int] | None
_log = structlog.get_logger("gpuwarden.http")


class Refusals:
    """What one port refuses before it is read."""

    def __init__(self, port: str, count: Callable[[str, str], None], clock: Callable[[], float] = monotonic) -> None:
        """Count by ``count(port, reason)``; log each reason at once, and then at most every half minute."""
        self._port = port
        self._count = count
        self._clock = clock
        self._due: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()

    def note(self, reason: str, client: Client = None, detail: str = "") -> None:
        """Take note of one: the reason is one of a few words, the metric's label; address and detail are for the log."""
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

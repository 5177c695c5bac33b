"""The time, checked against the API server's, because a machine's clock may be grossly wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

_RESOLUTION = timedelta(seconds=1)  # of a Date header, RFC 9110, 5.6.7


@dataclass(frozen=True, slots=True)
class _ServerTime:
    date: datetime  # the server's time, somewhere in the second that begins here
    received: float  # when its answer arrived, by the monotonic clock
    took: timedelta  # between the question and the answer: how much older it may be


class WitnessedClock:
    """This machine's clock, or the API server's if the two contradict each other.

    API servers check the certificates that replicas serve by their own clocks. So a replica whose clock differs by more than
    the settings allow uses the last ``Date`` of an answer, plus the seconds since then by the monotonic clock, which does not
    jump. Then it neither signs certificates that the API server rejects nor treats valid ones as expired. Either of the two
    clocks may be wrong. While they differ, ``doubt`` has the reason, and nothing that other replicas rely on is written.

    Without any answer (no API server yet, or one that sends no dates) it is this machine's clock, without doubt.
    """

    def __init__(
        self, own: Callable[[], datetime], monotonic: Callable[[], float], tolerance: timedelta = timedelta()
    ) -> None:
        self._own = own
        self._monotonic = monotonic
        self._tolerance = tolerance
        self._reading: _ServerTime | None = None

    def witnessed(self, date: datetime, took: float) -> None:
        """Take an API server's time, from an answer that came just now, ``took`` seconds after the request. Any thread."""
        self._reading = _ServerTime(date, self._monotonic(), timedelta(seconds=took))

    def __call__(self) -> datetime:
        """The time, as well as it is known."""
        own = self._own()
        off = self._off(own)
        return own - off if abs(off) > self._tolerance else own

    def offset(self) -> timedelta:
        """The minimum by which this machine's clock is ahead of the API server's; negative if it is behind."""
        return self._off(self._own())

    def doubt(self) -> str:
        """Return why this clock is too uncertain for writing state that replicas share; empty if it is not."""
        off = self.offset()
        if abs(off) <= self._tolerance:
            return ""
        size = timedelta(seconds=round(abs(off).total_seconds()))
        return (
            f"this machine's clock is {size} {'ahead of' if off > timedelta() else 'behind'} the API server's, "
            f"more than the {self._tolerance} that clocks may differ by; correct the clocks (NTP)"
        )

    def _off(self, own: datetime) -> timedelta:
        """The smallest difference that the API server's times allow."""
        reading = self._reading
        if reading is None:
            return timedelta()
        earliest = reading.date + timedelta(seconds=self._monotonic() - reading.received)
        latest = earliest + _RESOLUTION + reading.took
        return min(own - earliest, timedelta()) if own < latest else own - latest

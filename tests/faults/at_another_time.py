"""``python -m tests.faults.at_another_time FILE serve ...``: gpuwarden on a machine whose clock is as wrong as FILE says.

FILE holds seconds, read at every look at the clock, so that a test can let it jump. Only the wall clock is wrong: the
monotonic one of a real machine does not jump either. (``make faults`` does the same from outside, with libfaketime.)
"""

import datetime as dt
import sys
import time
from pathlib import Path

from webhook.cli import certificate_source
from webhook.cli.main import app

OFFSET = Path(sys.argv.pop(1))
_time = time.time


class Shifted(dt.datetime):
    """A ``datetime`` whose ``now`` is wrong."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> "Shifted":
        """The time on this machine."""
        return cls.fromtimestamp(time.time(), tz)


def shifted() -> float:
    """The same, for all that asks for seconds."""
    return _time() + float(OFFSET.read_text(encoding="ascii"))


time.time = shifted
certificate_source.datetime = Shifted  # type: ignore[attr-defined]  # where the serving process takes its time from
app()

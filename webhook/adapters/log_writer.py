"""Log lines, written by a thread: logging never waits for the reader of the log."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

# Bytes that may wait. Some ten thousand lines; what comes on top is dropped and counted.
MOST_WAITING = 4 << 20
_STDERR = 2
_LAST_WORDS = 2.0  # seconds for what waits when the process ends


class LogWriter:
    """A text stream, as far as ``logging.StreamHandler`` needs one, that takes whole lines, one or several, and never blocks.

    A log reader that stalls (a full pipe), a full disk and a closed descriptor are handled alike: the
    line waits while there is room, and is dropped and counted when there is none or when it can't be written. ``logging``
    holds its lock while it writes: without this, one blocked line would hold up the event loop, the watch and the rotation.

    Args:
        descriptor: where lines go; ``None`` is nowhere, and every line counts as dropped.
        dropped: called with how many lines were not written, from any thread.
    """

    def __init__(self, descriptor: int | None, dropped: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._dropped = dropped
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._write_forever, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Take lines."""
        lines = text.encode(errors="backslashreplace")
        with self._changed:
            room = self._size + len(lines) <= MOST_WAITING
            if room:
                self._waiting.append(lines)
                self._size += len(lines)
                self._changed.notify()
        if not room:
            self._dropped(_count(lines))

    def flush(self) -> None:
        """Do nothing: logging does not wait. See ``close``."""

    def close(self) -> None:
        """Write what waits, for a moment; a stalled reader does not keep the process from ending."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_LAST_WORDS)

    def _write_forever(self) -> None:
        while (lines := self._next()) is not None:
            try:
                self._write_out(lines)
            except OSError:  # no room, nobody reads, closed
                self._dropped(_count(lines))
            with self._changed:
                self._size -= len(lines)

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting.popleft() if self._waiting else None

    def _write_out(self, lines: bytes) -> None:
        if self._descriptor is None:
            raise OSError("there is no log")
        while lines:
            try:
                lines = lines[os.write(self._descriptor, lines) :]
            except BlockingIOError:  # the terminal or pipe is shared with someone who set it so
                select.select([], [self._descriptor], [])


def _count(lines: bytes) -> int:
    return max(lines.count(b"\n"), 1)


def standard_error() -> int | None:
    """A descriptor of our own for standard error, or ``None`` when the process was started without one.

    What is missing of the three standard descriptors is opened on nothing: else the next thing that is opened would have its
    number, a listener say, and libuv ends a process that closes such a one.
    """
    missing = set()
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            missing.add(number)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    return None if _STDERR in missing else os.dup(_STDERR)

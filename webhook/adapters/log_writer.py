"""Log lines are written by a thread, so that logging never waits for whatever reads the log."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

# Bytes that may wait, some ten thousand lines; more are dropped and counted.
MOST_WAITING = 4 << 20
_STDERR = 2
_CLOSE_TIMEOUT = 2.0  # seconds to write waiting lines when the process ends


class LogWriter:
    """A text stream for ``logging.StreamHandler`` that takes one or several whole lines and never blocks.

    Lines wait if the reader of the log stalls (a full pipe). They are dropped and counted if too many wait, or if they can't be
    written (a full disk, a closed descriptor). ``logging`` holds a lock while it writes, so without this class one blocked line
    would block the event loop, the watch and the certificate rotation.

    Args:
        descriptor: where lines go; if it is ``None``, every line is dropped and counted.
        dropped: called from any thread with the number of lines that were not written.
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
        """Do nothing; ``close`` writes what waits."""

    def close(self) -> None:
        """Write what waits, within a short time: a stalled reader must not keep the process alive."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_CLOSE_TIMEOUT)

    def _write_forever(self) -> None:
        while (lines := self._next()) is not None:
            try:
                self._write_out(lines)
            except OSError:  # a full disk, a pipe without a reader, a closed descriptor
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
            except BlockingIOError:  # another process that shares the terminal or pipe made it non-blocking
                select.select([], [self._descriptor], [])


def _count(lines: bytes) -> int:
    return max(lines.count(b"\n"), 1)


def standard_error() -> int | None:
    """Return a descriptor of our own for standard error, or ``None`` if the process was started without one.

    Missing standard descriptors are opened on ``/dev/null``. Otherwise the next file or socket would get the number, such as a
    listener, and libuv ends a process that closes one of these numbers.
    """
    missing = set()
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            missing.add(number)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    return None if _STDERR in missing else os.dup(_STDERR)

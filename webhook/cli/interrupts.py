"""Ctrl-C while threads wait for a server."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_interrupt(close: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C end the process at once, by the signal, after ``close()``.

    Without this, Python waits for all threads first, and so for answers of a server that stalls (up to its time limit). Use it
    only around code that writes nothing, in the main thread.
    """

    def end(*_: object) -> None:
        try:
            close()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

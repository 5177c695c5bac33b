"""Ctrl-C while threads wait for a server."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of a program that Ctrl-C ends, as shells report it."""


@contextmanager
def ended_by_interrupt(close: Callable[[], None]) -> Iterator[None]:
    """End the process at once at Ctrl-C, after ``close()``.

    Without this, Python waits for all threads first, and so for answers of a server that stalls (up to its time limit). Use it
    only around code that writes nothing, in the main thread.
    """

    def end(*_: object) -> None:
        try:
            close()
        finally:
            os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""Standard error while the server runs: everything written there becomes log lines, and writing never blocks.

The interpreter and the standard library write there: exceptions in ``__del__`` and in callbacks of C code
(``sys.unraisablehook``, as for the server name of a ClientHello), warnings, threads that end with an exception, and failures of
``logging``. A full pipe would block the event loop.
"""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from ..engine.text import cut
from .logs import LineSink, LogFormat
from .reports.text import printable

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_LONGEST = 4096  # characters of a line
_log = structlog.get_logger("gpuwarden")


@contextmanager
def logged_standard_error(to: LineSink, form: LogFormat) -> Iterator[None]:
    """Turn everything that is written to ``sys.stderr`` in the body into log lines, and log exceptions that nobody can catch.

    ``to`` takes whole lines, and never blocks.
    """
    stream, hook = sys.stderr, sys.unraisablehook
    sys.stderr, sys.unraisablehook = _LineStream(to, form), _log_unraisable
    try:
        yield
    finally:
        sys.stderr, sys.unraisablehook = stream, hook


class _LineStream(io.TextIOBase):
    """A text stream whose lines are written as lines of the log.

    Not through ``logging``: that writes here when it fails.
    """

    def __init__(self, to: LineSink, form: LogFormat) -> None:
        self._to = to
        self._form = form
        self._begun = ""
        self._lock = threading.RLock()  # reentrant, because a ``__del__`` may raise while this thread writes

    def writable(self) -> bool:
        """Whether it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Take text; a line is written when it ends or gets too long."""
        with self._lock:
            *lines, self._begun = (self._begun + text[: _LONGEST * 64]).split("\n")
            if len(self._begun) > _LONGEST:
                lines.append(self._begun)
                self._begun = ""
        for line in lines:
            if line.strip():
                self._to.write(self._formatted(cut(line, _LONGEST)) + "\n")
        return len(text)

    def _formatted(self, line: str) -> str:
        if self._form is LogFormat.TEXT:
            return printable(line)
        fields = {"event": line, "level": "error", "logger": "stderr", "timestamp": datetime.now(UTC)}
        return msgspec.json.encode(fields).decode()


def _log_unraisable(unraisable: "UnraisableHookArgs") -> None:
    """Log an exception that nobody can catch; keep no reference to it or to the object that raised it."""
    value = unraisable.exc_value or unraisable.exc_type()  # C code may have raised a type alone
    raised = (unraisable.exc_type, value, unraisable.exc_traceback)
    where = unraisable.err_msg or "Exception ignored in"
    _log.error("exception ignored", where=where, of=type(unraisable.object).__qualname__, exc_info=raised)

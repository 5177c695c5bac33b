"""The standard streams of a command: exits with an error if output can't be written."""

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from .exit_codes import EXIT_PIPE, EXIT_UNWRITTEN


class _Descriptor(io.FileIO):
    """A file descriptor for writing, which stores its first failure. With ``quiet``, failures are not raised."""

    def __init__(self, number: int, *, quiet: bool) -> None:
        super().__init__(number, "wb", closefd=False)
        self._quiet = quiet
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            self.failure = self.failure or error
            if not self._quiet:
                raise
            return memoryview(data).nbytes


def guarded(command: Callable[[], None]) -> None:
    """Run a command that ends by ``SystemExit``, and flush its output.

    Standard output that is closed, full or broken ends the command with a line on standard error and code 2, whatever its own
    code was: the report is not complete. If the reader of a pipe has closed it (``| head``), nothing is printed, and the code
    is 141, as for any program that SIGPIPE ends. What can't be written to standard error is lost, and the code stays.

    Raises:
        SystemExit: the command's, or one of the two above.
    """
    out = _open(sys.stdout, quiet=False)
    errors = _open(sys.stderr, quiet=True)
    sys.stdout, sys.stderr = _text(out, sys.stdout), _text(errors, sys.stderr)
    try:
        command()
    except OSError as error:
        if error is not out.failure:
            raise
    except SystemExit:
        if _written(out):
            raise
    if not _written(out):
        raise SystemExit(_lost(out))


def _open(stream: TextIO | None, *, quiet: bool) -> _Descriptor:
    if stream is not None:
        return _Descriptor(stream.fileno(), quiet=quiet)
    # Closed before the start (">&-"). Its number must stay in use, or the next file to be opened would get it. Writing to
    # a file that is open for reading fails as it does for a closed descriptor (EBADF).
    return _Descriptor(os.open(os.devnull, os.O_RDONLY), quiet=quiet)


def _text(descriptor: _Descriptor, like: TextIO | None) -> TextIO:
    buffered = io.BufferedWriter(descriptor)
    if like is None:
        return io.TextIOWrapper(buffered, "utf-8", "backslashreplace")
    return io.TextIOWrapper(buffered, like.encoding, like.errors, line_buffering=getattr(like, "line_buffering", False))


def _written(out: _Descriptor) -> bool:
    """Whether everything that was printed is out."""
    if out.failure is None:
        try:
            sys.stdout.flush()
        except OSError as error:
            out.failure = error
    return out.failure is None


def _lost(out: _Descriptor) -> int:
    # What is still in the buffer is discarded, or the interpreter would report an error when it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    failure = out.failure
    if failure is None or failure.errno == errno.EPIPE:
        return EXIT_PIPE
    reason = "it is closed" if failure.errno == errno.EBADF else (failure.strerror or str(failure)).lower()
    sys.stderr.write(f"error: standard output can't be written: {reason}; the output is incomplete\n")
    sys.stderr.flush()
    return EXIT_UNWRITTEN

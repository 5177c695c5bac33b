"""A file that is reloaded when it changes; the last valid content stays if the new one is invalid."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from .file_errors import why

_T = TypeVar("_T")
_Mark = tuple[int, int, int, int, int]


class WatchedFile(Generic[_T]):
    """A file that is polled with ``stat``, not watched with inotify.

    The kubelet replaces a mounted ConfigMap by swapping a symlink two folders up, editors replace files by renaming, and network
    file systems send no notifications. One ``stat`` a second, which follows symlinks, detects all of these at no cost.
    """

    def __init__(self, path: Path, parse: Callable[[str], _T]) -> None:
        """Watch ``path``; ``parse`` turns its text into a value or raises."""
        self.path = path
        self._parse = parse
        self._mark: _Mark | None = None

    def read(self) -> _T:
        """Read the file now.

        Raises:
            OSError: the file can't be read.
            UnicodeDecodeError: it is not text.
            Exception: whatever ``parse`` raises.
        """
        self._mark = self._look()
        return self._parse(self.path.read_text(encoding="utf-8"))

    def changed(self) -> bool:
        """Whether the file differs from the one that was read last; a missing file has not changed."""
        mark = self._look()
        return mark is not None and mark != self._mark

    def missing(self) -> str:
        """Return why the file can't be found; empty when it can."""
        try:
            os.stat(self.path)  # noqa: PTH116 - as below
        except OSError as error:
            return why(self.path, error)
        return ""

    def _look(self) -> _Mark | None:
        try:
            status = os.stat(self.path)  # noqa: PTH116 - Path.stat does the same with more steps
        except OSError:
            return None
        # The change time too: fixing the permissions of a file changes nothing else.
        return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size

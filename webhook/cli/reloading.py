"""Files that are reloaded while the server runs; the last valid content stays in use until it can be replaced."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from ..adapters.asgi.application import ReadinessPart
from ..adapters.file_errors import why
from ..adapters.metrics import Metrics
from ..adapters.watched_file import WatchedFile
from .options import StartError

_T = TypeVar("_T")
_log = structlog.get_logger("gpuwarden.files")


# By the kind of file: its option.
_OPTIONS = {"configuration": "--config", "namespaces": "--namespaces", "client-ca": "--client-ca-file"}


class Reload(Generic[_T]):
    """One file, which is parsed and used again whenever it changes."""

    def __init__(
        self, name: str, path: Path, parse: Callable[[str], _T], use: Callable[[_T], Any], metrics: Metrics
    ) -> None:
        """Read the file for the first time.

        Raises:
            StartError: it can't be used; one line per reason.
        """
        self._name = name
        self._file = WatchedFile(path, parse)
        self._use = use
        self._metrics = metrics
        self._failure = ""
        self._again = False
        try:
            use(self._file.read())
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"{_OPTIONS[name]} {path}: {why(path, error)}") from error
        except Exception as error:  # whatever is wrong with the file ends the start
            raise StartError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
        metrics.loaded(name)

    def poll(self) -> None:
        """Read a changed file. If it is invalid, the old content stays; the log (once), a metric and ``/readyz`` report it.

        A file that is missing or can't be read is handled in the same way, and is read again at each poll, because a fix may not
        change what is compared.
        """
        if reason := self._file.missing():
            self._unread(reason)
            return
        if not (self._again or self._file.changed()):
            return
        try:
            self._use(self._file.read())
        except OSError as error:
            self._unread(why(self._file.path, error))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new file, the old content stays in use; counted
            self._again = False
            self._failed(str(error))
        else:
            self._again = False
            self._failure = ""
            self._metrics.reloaded(self._name, good=True)
            _log.info("file reloaded", file=self._name)

    def _unread(self, reason: str) -> None:
        self._again = True
        # The fix for a file that was readable before differs from that for a wrong name.
        if (reason_and_fix := f"{reason.partition('; ')[0]}; restore it, readable for this user") != self._failure:
            self._failed(reason_and_fix)

    def _failed(self, reason: str) -> None:
        self._failure = reason
        self._metrics.reloaded(self._name, good=False)
        _log.error("file not reloaded, the last valid content stays in use", file=self._name, reason=reason)

    def part(self) -> ReadinessPart:
        """Always ready: the last valid content is in use."""
        message = (
            f"the file on disk is invalid, the last valid content is in use: {self._failure}"
            if self._failure
            else "loaded"
        )
        return ReadinessPart(name=self._name, ready=True, message=message)

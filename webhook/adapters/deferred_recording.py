"""Records decisions after the answer has been written: metrics, and the decision log."""

import asyncio
from collections.abc import Callable
from functools import cached_property
from typing import Any

from ..application.recorder import RecordedDecision, Recorder
from .http.endpoint import Observe


class DeferredRecording:
    """Passes on what it receives in the next turn of the event loop.

    uvloop sends the answers of a turn at its end. So recording neither delays an answer nor, if it has a bug, prevents it.
    """

    def __init__(self, observe: Observe, *recorders: Recorder) -> None:
        self._observe = observe
        self._recorders = recorders
        self._waiting: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # a system call before Python 3.12, so it is made once

    def decided(self, recorded: RecordedDecision) -> None:
        """Record a decision."""
        for recorder in self._recorders:
            self._wait(recorder.decided, recorded)

    def answered(self, path: str, code: int, seconds: float) -> None:
        """Observe an answer."""
        self._wait(self._observe, path, code, seconds)

    def _wait(self, record: Callable[..., None], *arguments: Any) -> None:
        if not self._waiting:
            self._loop.call_soon(self._record)
        self._waiting.append((record, arguments))

    def _record(self) -> None:
        waiting, self._waiting = self._waiting, []
        for record, arguments in waiting:
            try:
                record(*arguments)
            except Exception as error:  # noqa: BLE001 - a bug, which the loop logs; the other records are kept
                self._loop.call_exception_handler({"message": "recording failed", "exception": error})

"""Records decisions after the answer has been written: metrics, and the decision log."""

import asyncio
from functools import cached_property

from webhook.adapters.http.endpoint import Observe
from webhook.application.recorder import Recorded, Recorder


class DeferredRecording:
    """Passes on what it receives in the next turn of the event loop.

    Until this turn ends, the answers that are written in it wait (uvloop writes after it has handled all input). So what is
    recorded costs the caller nothing, and a bug in recording does not cost it its answer.
    """

    def __init__(self, observe: Observe, *recorders: Recorder) -> None:
        self._observe = observe
        self._recorders = recorders

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # until Python 3.12 each time a system call

    def decided(self, recorded: Recorded) -> None:
        """Record a decision."""
        for recorder in self._recorders:
            self._loop.call_soon(recorder.decided, recorded)

    def answered(self, path: str, code: int, seconds: float) -> None:
        """Observe an answer."""
        self._loop.call_soon(self._observe, path, code, seconds)

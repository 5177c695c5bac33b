"""What is recorded after an answer: nothing in its own turn, all of it in the next, and a bug of one costs no other."""

import asyncio
from typing import Any, cast

from webhook.adapters.deferred_recording import DeferredRecording
from webhook.application.recorder import RecordedDecision

ONE = cast("RecordedDecision", object())


class Notes:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def decided(self, recorded: RecordedDecision) -> None:
        self.seen.append(recorded)

    def answered(self, path: str, code: int, seconds: float) -> None:
        self.seen.append((path, code, seconds))


class Broken:
    def decided(self, _recorded: RecordedDecision) -> None:
        raise ZeroDivisionError


async def test_what_is_recorded_waits_for_the_next_turn() -> None:
    notes, log = Notes(), Notes()
    afterwards = DeferredRecording(notes.answered, notes, log)
    afterwards.decided(ONE)
    afterwards.answered("/mutate", 200, 0.1)
    assert (notes.seen, log.seen) == ([], [])
    await asyncio.sleep(0)
    assert (notes.seen, log.seen) == ([ONE, ("/mutate", 200, 0.1)], [ONE])


async def test_a_bug_in_recording_is_told_and_costs_no_other_record() -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
    notes = Notes()
    DeferredRecording(notes.answered, Broken(), notes).decided(ONE)
    await asyncio.sleep(0)
    assert notes.seen == [ONE]
    assert [type(error["exception"]) for error in errors] == [ZeroDivisionError]

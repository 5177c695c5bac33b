"""The pace of the event loop: late only in a turn that lasts, never for what one request cost."""

import asyncio
import time
from time import perf_counter

import pytest

from webhook.adapters.http.failures import Failure
from webhook.adapters.http.pace import Pace
from webhook.adapters.http.refusals import Refusals


async def test_a_loop_that_turns_is_on_time_and_one_that_is_held_up_is_behind() -> None:
    pace = Pace()
    assert perf_counter() - pace.turn < 0, "before it begins nothing is late"
    pace.start()
    await asyncio.sleep(0.2)
    first = pace.turn

    time.sleep(0.3)  # noqa: ASYNC251 - holding up the loop is the point
    assert perf_counter() - pace.turn >= 0.3
    assert pace.turn == first

    await asyncio.sleep(0.2)
    assert pace.turn > first + 0.3, "the next turn begins anew"
    pace.stop()
    assert perf_counter() - pace.turn < 0


async def test_when_it_is_stopped_it_looks_no_more() -> None:
    pace = Pace()
    pace.start()
    pace.stop()

    await asyncio.sleep(0.1)

    assert pace.turn == float("inf")


def test_what_is_shed_is_counted() -> None:
    noted: list[tuple[str, str]] = []
    pace = Pace(Refusals("admission", lambda *args: noted.append(args)), 0.5)

    pace.turn = 10.0
    pace.keep(10.5)
    assert noted == []
    for now in (10.6, 10.7):
        with pytest.raises(Failure, match="more to answer than it can"):
            pace.keep(now)

    assert noted == [("admission", "overload")] * 2

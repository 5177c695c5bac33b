"""Waiting for something to become true, with a deadline and an error that tells what was seen last."""

import time
from collections.abc import Callable
from typing import TypeVar

INTERVAL = 0.05  # seconds

T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], T], seconds: float = 120.0) -> T:
    """Call ``probe`` until it answers something truthy, and return that.

    Args:
        what: completes "waited 120 s for ...".
        probe: what to ask; an exception of it counts as "not yet" and is shown if the deadline passes.
        seconds: the deadline.

    Raises:
        TimeoutError: the deadline passed; the message has the last answer or exception.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = probe()
            if answer:
                return answer
            seen = repr(answer)
        except Exception as error:  # noqa: BLE001  whatever the probe meets, the deadline decides
            seen = repr(error)
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}; last seen: {seen}")
        time.sleep(INTERVAL)

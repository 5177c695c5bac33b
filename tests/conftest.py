"""What every test has: hypothesis without a stopwatch, and our log lines as a list."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import structlog

from webhook.adapters import logs

# Machines that run tests are busy: a deadline would fail on their load. The examples are the same in every run, so a
# failure is one of the code, not of luck; `--hypothesis-seed=random` looks further.
hypothesis.settings.register_profile("gpuwarden", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("gpuwarden")

Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged() -> Iterator[Logged]:
    """The lines that the process logs during a test, as the server would write them: call it to read them so far."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stderr", written)
        logs.configure(logs.LogFormat.JSON, logs.LogLevel.DEBUG)
    try:
        yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()

"""What every test has: hypothesis without a stopwatch, and our log lines as a list."""

from collections.abc import Iterator

import hypothesis
import pytest

from tests.logged import Logged, log_lines

# Machines that run tests are busy: a deadline would fail on their load. The examples are the same in every run, so that a
# failure is one of the code, not of luck.
hypothesis.settings.register_profile("gpuwarden", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("gpuwarden")


@pytest.fixture
def logged() -> Iterator[Logged]:
    """The lines that the process logs during a test, as the server would write them: call it to read them so far."""
    with log_lines() as lines:
        yield lines

"""What every test has: hypothesis without a stopwatch, our log lines as a list, time measured alone, Prometheus' checker."""

import gc
from collections.abc import Iterator

import hypothesis
import pytest

from tests.logged import Logged, log_lines
from tests.promtool import Promtool, find

# Machines that run tests are busy: a deadline would fail on their load. The examples are the same in every run, so that a
# failure is one of the code, not of luck.
hypothesis.settings.register_profile("gpuwarden", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("gpuwarden")


@pytest.fixture
def logged() -> Iterator[Logged]:
    """The lines that the process logs during a test, as the server would write them: call it to read them so far."""
    with log_lines() as lines:
        yield lines


@pytest.fixture
def own_garbage() -> Iterator[None]:
    """For a test that measures processor time: the collector does not walk through the objects that other tests left."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Prometheus' own checker; the test is skipped where there is none."""
    return find()

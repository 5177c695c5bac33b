"""Prometheus' own programs, which some tests run."""

import os

import pytest

from testing.prometheus import programs


def needed_programs() -> tuple[str, str]:
    """``prometheus`` and ``promtool``; without them the test is skipped, or fails where they are required."""
    found = programs()
    if found is None:
        missing = "no prometheus or promtool; on Debian: apt-get install prometheus"
        if os.environ.get("GPUWARDEN_REQUIRE_PROMTOOL") == "1":
            pytest.fail(f"there is {missing}")
        pytest.skip(missing)
    return found

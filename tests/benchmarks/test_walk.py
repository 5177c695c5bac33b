"""The files that a review passes through stay few: each is one more that a reader has to open."""

import asyncio

from benchmarks.walk import walks

MOST = {"first": 20, "cold": 20, "warm": 12}


def test_a_review_passes_through_few_files() -> None:
    found = asyncio.run(walks())

    assert {name: len(walk.files) <= MOST[name] for name, walk in found.items()} == dict.fromkeys(MOST, True)
    for walk in found.values():
        assert walk.files[0] == "adapters/http/connection.py"
        assert "adapters/metrics.py" in walk.recorded_by
    assert "engine/decision.py" in found["cold"].files
    assert "engine/decision.py" not in found["warm"].files

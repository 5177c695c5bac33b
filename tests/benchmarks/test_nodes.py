"""What the node view costs, by the bench's own measurement with fewer nodes and a generous bar."""

from pathlib import Path

import pytest

from benchmarks.nodes import MOST_MEBIBYTES, measure, stand_in
from benchmarks.processes import Cores


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="processor time is read from /proc")
def test_many_nodes_cost_little_memory_and_little_time(tmp_path: Path) -> None:
    with stand_in(tmp_path, 1000, 500) as cluster:
        found = measure(Cores(), tmp_path, cluster, nodes=1000, pods=500, updates=50, seconds=2.0, settle=0.2)
    assert found.updates > 40, "a second"
    assert found.mebibytes < MOST_MEBIBYTES
    assert found.of_a_core < 0.15

"""The bench measures: a short run of it, its reviews, its bars, and what it writes."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from benchmarks import __main__ as command
from benchmarks import bars, cluster, plot, report, results, reviews
from benchmarks.bars import Bar
from benchmarks.on_the_wire import BAR_CONNECTIONS, Measured
from benchmarks.processes import Cores, Running
from benchmarks.results import Results
from benchmarks.samples import Spread, ratios
from benchmarks.servers import GPUWARDEN, USUAL, WIRE

needs_wrk = pytest.mark.skipif(
    shutil.which("wrk") is None and os.environ.get("GPUWARDEN_REQUIRE_WRK") != "1", reason="wrk is not installed"
)


@needs_wrk
def test_a_quick_run_measures_everything_but_a_cluster_and_writes_it_down(tmp_path: Path) -> None:
    pages = tmp_path / "performance.md", tmp_path / "README.md"
    for page in pages:
        page.write_text(f"# Before\n\n{report.BEGIN}\nold\n{report.END}\n\nBehind.\n")
    parts = [f"--only={part}" for part in ("wire", "engine", "start", "check")]
    written = [
        f"--json={tmp_path / 'found.json'}",
        f"--svg={tmp_path / 'plot.svg'}",
        f"--bars={pages[0]}",
        f"--tables={pages[1]}",
    ]
    assert command.main(["--quick", *parts, *written]) == 0

    found = json.loads((tmp_path / "found.json").read_text())
    asked = {(each["path"], each["case"], each["server"]) for each in found["wire"]}
    assert {(path, case.name, GPUWARDEN) for path in ("mutate",) for case in (reviews.ONE, reviews.NO_GPU)} <= asked
    assert all(each["throughput"]["median"] > 0 for each in found["wire"])
    assert all(each["cpu"]["median"] > 0 for each in found["wire"])
    assert set(found["engine"]["cases"]) == {case.name for case in reviews.CASES}
    assert found["start"]["idle"] > 10
    assert found["check"]["a_second"]["table"]["median"] > 0
    assert len(found["bars"]) == 13
    for page, telling in zip(pages, ("| throughput, 1 container", "### The engine alone"), strict=True):
        text = page.read_text()
        assert text.startswith("# Before\n\n")
        assert text.endswith("\n\nBehind.\n")
        assert "old" not in text
        assert telling in text
    assert ET.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")  # noqa: S314 - we wrote it


def test_what_is_measured_keeps_the_bytecode_of_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    written = tmp_path / "written"
    program = f"import pathlib, sys; pathlib.Path({str(written)!r}).write_text(str(sys.dont_write_bytecode))"
    with (
        Running([sys.executable, "-c", program], Cores()) as running,
        pytest.raises(RuntimeError, match="ended with 0"),
    ):
        running.wait_until(lambda: False, "the program")
    assert written.read_text() == "False"


def test_without_wrk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("benchmarks.wrk.shutil.which", lambda _: None)
    assert command.main(["--quick", "--only=wire"]) == command.EXIT_CANNOT
    assert "apt-get install wrk" in capsys.readouterr().err


class TestReviews:
    @pytest.mark.parametrize("case", reviews.CASES, ids=lambda case: case.name)
    def test_no_two_of_a_case_are_the_same(self, case: reviews.Case) -> None:
        made = reviews.bodies(case)
        assert len(set(made)) == len(made) == reviews.VARIANTS

    @pytest.mark.parametrize(("case", "gpus"), [(reviews.ONE, 1), (reviews.CASES[2], 20), (reviews.NO_GPU, 0)])
    def test_they_ask_for_what_their_case_says(self, case: reviews.Case, gpus: int) -> None:
        pod = json.loads(reviews.bodies(case)[0])["request"]["object"]
        asking = [each for each in pod["spec"]["containers"] if reviews.GPU in each["resources"]["limits"]]
        assert len(asking) == gpus

    def test_a_pod_of_one_container_is_as_large_as_real_ones(self) -> None:
        assert 4_000 < len(reviews.bodies(reviews.ONE)[0]) < 8_000

    def test_the_namespace_that_they_name_has_the_policy(self) -> None:
        labels = {each["metadata"]["name"]: each["metadata"]["labels"] for each in reviews.namespaces(10)}
        assert labels[reviews.NAMESPACE] == {"gpuwarden.io/enforce": reviews.POLICY}


class TestBars:
    @pytest.mark.parametrize(("relation", "reached", "missed"), [("≥", 2.0, 1.9), ("≤", 2.0, 2.1)])
    def test_a_bar_is_reached_or_missed(self, relation: str, reached: float, missed: float) -> None:
        assert Bar("it", reached, relation, 2.0).passed
        assert not Bar("it", missed, relation, 2.0).passed

    def test_ratios_are_of_the_same_round(self) -> None:
        """A round in which the machine did other things slows both; medians of their own would not see that."""
        assert ratios([50.0, 10.0, 40.0], [100.0, 20.0, 80.0]) == Spread(0.5, 0.5, 0.5)

    @pytest.mark.parametrize(("own", "passed"), [(0.7, True), (0.5, False)])
    def test_throughput_is_held_against_the_wire_and_the_usual_way(self, own: float, *, passed: bool) -> None:
        found = {bar.name: bar for bar in bars.on_wire(on_the_wire(own))}
        assert found["throughput, 1 container, 16 connections, relative to wire"].passed is passed
        assert found["throughput, 1 container, 16 connections, relative to usual"].passed is passed

    @pytest.mark.parametrize(("own", "code"), [(0.9, 0), (0.5, command.EXIT_BAR)])
    def test_a_missed_bar_fails_the_run(self, monkeypatch: pytest.MonkeyPatch, own: float, code: int) -> None:
        monkeypatch.setattr(command, "_measure", lambda *_: a_run(own))
        assert command.main([]) == code


class TestWriting:
    def test_a_page_without_marks_is_left_as_it_is(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text("no marks")
        with pytest.raises(ValueError, match="lacks the lines"):
            report.write_bars(page, a_run(0.9))
        assert page.read_text() == "no marks"

    def test_the_plot_has_a_bar_for_every_server_and_follows_the_readers_colours(self) -> None:
        root = ET.fromstring(plot.svg(a_run(0.9)))  # noqa: S314 - we wrote it
        text = ET.tostring(root, encoding="unicode")
        assert len(re.findall(r"<\S*rect ", text)) == 6 + 1  # and the ground
        assert "prefers-color-scheme: dark" in text

    def test_the_json_holds_the_bars(self) -> None:
        told: list[dict[str, Any]] = msgspec.json.decode(results.encode(a_run(0.5)))["bars"]
        assert [bar["passed"] for bar in told] == [False, False, True, False]


def test_a_compiled_policy_is_compared_with_none_and_with_one_written_by_hand() -> None:
    taken = {cluster.WITHOUT: 2.0, cluster.HAND_WRITTEN: 2.5, cluster.COMPILED: 3.0}
    measured = cluster.Measured("v1.36.3", 1, {way: Spread(ms, ms, ms) for way, ms in taken.items()}, [])
    assert [(bar.measured, bar.passed) for bar in bars.of_cluster(measured)] == [(1.0, True), (1.2, False)]
    older = cluster.Measured("v1.35.0", 1, {cluster.WITHOUT: Spread(2.0, 2.0, 2.0)}, [])
    assert not [*bars.of_cluster(older)]


def on_the_wire(own: float) -> list[Measured]:
    """Results in which gpuwarden reaches a part of the wire's throughput, and the usual way a fifth."""
    one = Spread(1.0, 1.0, 1.0)
    return [
        Measured("mutate", case.name, BAR_CONNECTIONS, server, 1, one, one, one, one, Spread(part, part, part), one)
        for case in (reviews.ONE, reviews.NO_GPU)
        for server, part in ((GPUWARDEN, own), (WIRE, 1.0), (USUAL, 0.22))
    ]


def a_run(own: float) -> Results:
    """A run of nothing else."""
    machine = results.machine()
    return Results(
        machine=machine, quick=False, wire=on_the_wire(own), engine=None, start=None, cluster=None, check=None
    )

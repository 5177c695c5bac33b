"""The benchmark of recommend, with one workload of each kind: what it writes gets the advice that a person would give."""

import json
from pathlib import Path

import pytest

from benchmarks.recommend import main
from tests.prometheus_programs import needed_programs

pytestmark = pytest.mark.programs


def test_every_kind_of_workload_is_measured_and_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needed_programs()
    assert main([str(tmp_path), "--workloads", "10"]) == 0
    cost = json.loads(capsys.readouterr().out)
    assert cost["requests"] >= 4 + 2  # series of four metrics, and one query each for compute and memory
    assert min(cost.values()) > 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["notes"] == []
    assert {line["name"].split("-")[0]: line["verdict"]["form"] for line in report["workloads"]} == {
        "train": "exclusive",
        "finetune": "exclusive",
        "nightly": "exclusive",
        "embed": "mig-1g.10gb",
        "ocr": "exclusive",
        "rerank": "exclusive",
        "llm": "exclusive",
        "idle": "none",
        "slice": "mig-1g.10gb",
        "notebook": "time-slicing",
    }
    # One more where the run falls on the time of a sample.
    assert {line["used"]["points"] for line in report["workloads"]} <= {14 * 24 * 12, 14 * 24 * 12 + 1}

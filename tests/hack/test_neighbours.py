"""`hack/neighbours.py`: what it does without Go, and where all is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack import neighbours

ROOT = Path(__file__).resolve().parents[2]


def run(cache: Path) -> subprocess.CompletedProcess[str]:
    """Run it on a machine without Go."""
    environment = {"GPUWARDEN_CACHE": str(cache), "PATH": "", "HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-m", "hack.neighbours"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_go_it_says_so_and_leaves_nothing_that_a_test_would_take_for_a_build(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert "there is no go on the PATH; install Go 1.26.0" in done.stdout
    assert not (tmp_path / "neighbours/current").exists()


def test_what_is_there_is_kept_and_pointed_to(tmp_path: Path) -> None:
    built = tmp_path / "neighbours" / neighbours.key()
    built.mkdir(parents=True)
    (built / "COMPLETE").touch()
    assert run(tmp_path).returncode == 0
    assert (tmp_path / "neighbours/current").readlink() == Path(built.name)


def test_another_version_is_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "go.mod").write_text("module a")
    monkeypatch.setattr(neighbours, "MODULES", tmp_path)
    before = neighbours.key()
    (tmp_path / "go.mod").write_text("module b")
    assert neighbours.key() != before


def test_the_cache_is_where_the_project_keeps_its_others() -> None:
    assert neighbours.directory({}) == ROOT / ".cache/neighbours"
    assert neighbours.directory({"GPUWARDEN_CACHE": os.sep}) == Path("/neighbours")

"""Output that can't be written never passes for a success, whatever the command and its format."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import deployment

PROGRAM = f"{sys.executable} -m webhook"
CLOSED = "error: standard output can't be written: it is closed; the output is incomplete\n"
FULL = "error: standard output can't be written: no space left on device; the output is incomplete\n"
COMMANDS = [
    "check -o table",
    "check -o json",
    "check -o diff",
    "check -o sarif",
    "check -o junit",
    "audit -o table",
    "audit -o json",
    "audit -o csv",
    "audit -o html",
    "rewrite",
]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "web.yaml"
    path.write_text(deployment())
    return path


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, its last code that of the first program in a pipe that failed."""
    return subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {line}"], check=False, capture_output=True, text=True, timeout=300
    )


def policy(command: str) -> str:
    return "--assume '*=shared'" if command.startswith("audit") else "--policy shared"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_ends_with_2_and_a_line_on_standard_error(command: str, manifest: Path) -> None:
    ran = shell(f"{PROGRAM} {command} {policy(command)} {manifest} > /dev/full")
    assert (ran.returncode, ran.stderr) == (2, FULL)


@pytest.mark.parametrize("command", ["check", "check -o json", "audit -o json", "rewrite"])
def test_closed_output_ends_likewise(command: str, manifest: Path) -> None:
    ran = shell(f"{PROGRAM} {command} {policy(command)} {manifest} >&-")
    assert (ran.returncode, ran.stderr) == (2, CLOSED)


@pytest.mark.parametrize("command", ["--help", "--version", "check --help"])
def test_so_do_help_and_version(command: str) -> None:
    assert shell(f"{PROGRAM} {command} > /dev/full").returncode == 2


def test_a_refusal_that_can_t_be_told_is_2_too(manifest: Path) -> None:
    assert shell(f"{PROGRAM} check --policy none {manifest} > /dev/null").returncode == 1
    assert shell(f"{PROGRAM} check --policy none {manifest} > /dev/full").returncode == 2


def test_a_command_that_prints_nothing_needs_no_output(manifest: Path) -> None:
    ran = shell(f"{PROGRAM} rewrite -i --policy shared {manifest} >&-")
    assert (ran.returncode, ran.stderr) == (0, f"rewritten: {manifest}\n")
    assert "nvidia.com/gpu.shared" in manifest.read_text()


def test_a_reader_that_has_had_enough_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "many.yaml").write_text("---\n".join(deployment(f"web-{number}") for number in range(500)))
    ran = shell(f"{PROGRAM} check --policy shared -o json {tmp_path} | head -1")
    assert (ran.returncode, ran.stdout, ran.stderr) == (141, "{\n", "")


@pytest.mark.parametrize("errors", ["2> /dev/full", "2>&-"])
def test_what_can_t_be_said_on_standard_error_changes_no_code(errors: str, manifest: Path) -> None:
    assert shell(f"{PROGRAM} rewrite --policy none {manifest} {errors}").returncode == 1
    assert shell(f"{PROGRAM} rewrite --policy shraed {manifest} {errors}").returncode == 2


def test_standard_input_that_is_closed_can_t_be_read() -> None:
    ran = shell(f"{PROGRAM} check - <&-")
    assert ran.returncode == 2
    assert "-: not read: standard input is closed: pipe manifests into gpuwarden, or name files" in ran.stdout

"""``gpuwarden check`` on configurations of the NVIDIA device plugin: files of their own, and values of ConfigMaps."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from webhook.cli.main import app

VALID = """\
version: v1
sharing:
  timeSlicing:
    renameByDefault: true
    failRequestsGreaterThanOne: true
    resources:
    - name: nvidia.com/gpu
      replicas: 4
"""
IGNORED = VALID + "      rename: nvidia.com/slot\n"
REJECTED = VALID.replace("replicas: 4", "replicas: 1")
KEPT = "apiVersion: gpuwarden.io/v1\nkind: Configuration\ndevicePlugin: {renameByDefault: false}\n"


def config_map(text: str, *, key: str = "any") -> str:
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  {key}: |\n{indented}"


def check(folder: Path, text: str, *options: str) -> tuple[int, list[dict[str, Any]], str]:
    """Check one file: the exit code, the problems, and what is said beside the report."""
    (folder / "plugin.yaml").write_text(text)
    result = CliRunner().invoke(app, ["check", "-o", "json", *options, str(folder / "plugin.yaml")])
    assert result.exit_code in {0, 1}, result.output
    return result.exit_code, json.loads(result.stdout)["problems"], result.stderr


@pytest.mark.parametrize("text", [VALID, config_map(VALID), f"{VALID}---\n{config_map(VALID)}"])
def test_a_valid_one_is_well_even_if_there_is_nothing_else(tmp_path: Path, text: str) -> None:
    code, problems, said = check(tmp_path, text, "--strict")
    assert (code, problems) == (0, [])
    assert "checked, no faults" in said


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        (REJECTED, 8, "device plugin configuration: sharing.timeSlicing.resources[0].replicas: is 1"),
        (config_map(REJECTED), 5, "data[any]: device plugin configuration: sharing.timeSlicing.resources[0].replicas"),
        (config_map("sharing:\n  mps: ["), 5, "data[any]: device plugin configuration: line 2: expected a value"),
    ],
)
def test_one_that_the_plugin_does_not_start_with_exits_1(tmp_path: Path, text: str, line: int, field: str) -> None:
    code, problems, said = check(tmp_path, text)
    assert code == 1
    (problem,) = problems
    assert (problem["line"], problem["fatal"]) == (line, False)
    assert problem["message"].startswith(field)
    assert "1 device plugin configuration checked, 1 fault" in said


def test_what_the_plugin_ignores_exits_1_only_where_strict(tmp_path: Path) -> None:
    assert check(tmp_path, IGNORED)[0] == 0
    code, (problem,), _ = check(tmp_path, IGNORED, "--strict")
    assert code == 1
    assert "the device plugin ignores it" in problem["message"]


def test_the_name_is_compared_with_the_configuration_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(KEPT)
    _, (problem,), _ = check(tmp_path, VALID, "--config", str(tmp_path / "config.yaml"))
    assert "devicePlugin.renameByDefault: false" in problem["message"]


@pytest.mark.parametrize(
    "text",
    [
        config_map("mig-configs:\n  all: []", key="config.yaml"),
        config_map("#!/bin/sh\nexport flags=[", key="run.sh"),
        config_map(VALID).replace("kind: ConfigMap", "kind: Secret"),
    ],
)
def test_other_objects_are_none(tmp_path: Path, text: str) -> None:
    code, problems, said = check(tmp_path, text)
    assert (code, problems) == (0, [])
    assert "device plugin" not in said


def test_audit_of_files_reports_them_too(tmp_path: Path) -> None:
    (tmp_path / "plugin.yaml").write_text(REJECTED)
    result = CliRunner().invoke(app, ["audit", str(tmp_path / "plugin.yaml"), "-o", "json"])
    assert "number of replicas must be >= 2" in result.stdout

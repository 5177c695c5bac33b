"""The templates for other repositories' CI: their steps, run on a repository with a denied manifest and one that is not."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from hack.tools import ROOT
from tests.cli.commands import deployment

UV = ROOT / ".cache" / "uv" / "bin" / "uv"
BIN = Path(sys.executable).parent
ARGUMENTS = "--policy shared"
DENIED = "manifests/denied.yaml"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A Git repository with two Deployments and a file that is no Kubernetes object."""
    folder = tmp_path / "repository"
    (folder / "manifests").mkdir(parents=True)
    (folder / "manifests/fine.yaml").write_text(deployment("fine", 1))
    (folder / DENIED).write_text(deployment("denied", 2))
    (folder / "manifests/values.yaml").write_text("replicas: 2\n")
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--wheel", "--quiet", "--out-dir", folder, ROOT], check=True)
    [built] = folder.glob("*.whl")
    return built


def bash(script: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a step as the runners do: bash that stops at the first error, in the repository."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), **environment}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "init.defaultBranch=main", *arguments], cwd=folder, check=True, capture_output=True)


def test_the_action_installs_gpuwarden_and_annotates_the_line(repository: Path, wheel: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yaml").read_text())
    python, install, check = action["runs"]["steps"]
    assert python["uses"].startswith("actions/setup-python@")
    assert install["env"] == {"PACKAGE": "${{ inputs.package }}"}
    github_path = repository.parent / "path"
    runner = {"RUNNER_TEMP": str(repository.parent), "GITHUB_PATH": str(github_path), "PIP_NO_DEPS": "1"}
    done = bash(install["run"], repository, {**runner, "PACKAGE": str(wheel)})
    assert done.returncode == 0, done.stderr
    assert (Path(github_path.read_text().strip()) / "gpuwarden").is_file()

    # The dependencies are those of this environment: installing them takes a minute and the network.
    def checked(paths: str) -> subprocess.CompletedProcess[str]:
        given = {"CHECK_PATHS": paths, "CHECK_ARGUMENTS": ARGUMENTS}
        assert set(check["env"]) == set(given)
        return bash(check["run"], repository, {"PATH": f"{BIN}:{os.environ['PATH']}", **given})

    denied = checked("manifests")
    assert denied.returncode == 1
    assert f"::error file={DENIED},line=14,col=13,title=gpuwarden shared-request-above-one::" in denied.stdout
    assert checked("manifests/fine.yaml $(touch${IFS}hacked)").returncode == 2
    assert not (repository / "hacked").exists()


def test_the_gitlab_job_prints_the_findings_and_writes_the_report(repository: Path) -> None:
    [job] = yaml.safe_load((ROOT / "deploy/ci/gitlab.yaml").read_text()).values()
    *installing, unexpanded, junit, concise = job["script"]
    assert installing == [
        "python3 -m venv .gpuwarden",
        '.gpuwarden/bin/pip install --quiet --disable-pip-version-check "$GPUWARDEN_PACKAGE"',
    ]
    (repository / ".gpuwarden").mkdir()
    (repository / ".gpuwarden/bin").symlink_to(BIN)
    variables = {**job["variables"], "CHECK_PATHS": "manifests", "CHECK_ARGUMENTS": ARGUMENTS}
    script = f"{unexpanded}\n{junit}\n{concise}"
    done = bash(script, repository, variables)
    assert done.returncode == 1
    assert f"{DENIED}:14:13: shared-request-above-one: " in done.stdout
    [report] = [repository / job["artifacts"]["reports"]["junit"]]
    assert [case.get("name") for case in ET.parse(report).iter("testcase") if case.find("failure") is not None]  # noqa: S314 - our own output


def test_the_hook_runs_in_pre_commit(repository: Path) -> None:
    manifest = ROOT / ".pre-commit-hooks.yaml"
    subprocess.run([BIN / "pre-commit", "validate-manifest", manifest], check=True, capture_output=True)
    [hook] = yaml.safe_load(manifest.read_text())
    assert hook["language"] == "python"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        local: dict[str, Any] = {**hook, "language": "system", "args": [ARGUMENTS.replace(" ", "="), *arguments]}
        config = yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]})
        (repository / ".pre-commit-config.yaml").write_text(config)
        git(repository, "add", ".")
        environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "PRE_COMMIT_HOME": str(repository.parent / "home")}
        return bash("pre-commit run --all-files", repository, environment)

    git(repository, "init")
    denied = run("manifests/")
    assert denied.returncode == 1
    assert f"{DENIED}:14:13: shared-request-above-one: " in denied.stdout
    assert run("manifests/fine.yaml").returncode == 0

"""Completion in a shell, by typer's protocol: what the scripts of ``gpuwarden completion`` run when somebody presses tab."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hack import tools
from tests.cli.commands import run

PROGRAM = [Path(sys.executable).parent / "gpuwarden"]  # the protocol goes by the name of the program


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    context = {"cluster": "c", "user": "u"}
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": name, "context": context} for name in ("prod", "preview", "test")],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(document))
    return path


def completed(line: str, **environment: str) -> list[str]:
    """What bash would offer at the end of a line."""
    words = ("gpuwarden " + line).split(" ")
    ran = subprocess.run(
        PROGRAM,
        env={
            **os.environ,
            "_GPUWARDEN_COMPLETE": "complete_bash",
            "COMP_WORDS": "gpuwarden " + line,
            "COMP_CWORD": str(len(words) - 1),
            **environment,
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_own_script(shell: str) -> None:
    script = subprocess.run([*PROGRAM, "completion", shell], check=True, capture_output=True, text=True).stdout
    assert f"complete_{shell}" in script
    assert "gpuwarden" in script


def test_other_shells_are_a_usage_error() -> None:
    assert run("completion", "ksh").code == 2
    assert run("--show-completion").code == 2, "typer's own option guesses the shell"


def test_commands_and_options() -> None:
    assert completed("rew") == ["rewrite"]
    assert "--policy" in completed("check --po")


def test_policies_are_those_of_the_configuration_and_built_in(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("apiVersion: gpuwarden.io/v1\nkind: Configuration\npolicies: {inference: {forms: [mps]}}\n")
    offered = completed(f"check --config {config} --policy ")
    assert offered[0] == "inference"
    assert {"shared", "none", "mig-1g.5gb"} <= set(offered)
    assert completed("check --policy time") == ["time-slicing"]
    assert completed("check --policy infer", GPUWARDEN_CONFIG=str(config)) == ["inference"]
    config.write_text("kind: [")
    assert completed(f"check --config {config} --policy infer") == []


def test_contexts_are_those_of_the_kubeconfig(kubeconfig: Path) -> None:
    assert completed(f"audit --kubeconfig {kubeconfig} --context pr") == ["preview", "prod"]
    assert completed("audit --context t", KUBECONFIG=str(kubeconfig)) == ["test"]
    assert completed("audit --kubeconfig /none --context t") == []


def test_namespaces_of_a_cluster_that_does_not_answer_complete_nothing(kubeconfig: Path) -> None:
    assert completed(f"audit --kubeconfig {kubeconfig} -n ") == []


def offered_by_kubectl(*words: str) -> list[str]:
    """What kubectl offers behind ``kubectl gpuwarden``: cobra's own command for completion, with our program on the PATH."""
    try:
        kubectl = tools.find("kubectl", os.environ)
    except tools.UnavailableError as error:
        pytest.skip(str(error))
    path = f"{PROGRAM[0].parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [kubectl, "__complete", "gpuwarden", *words],
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout.split()


class TestKubectl:
    def test_completes_every_command(self) -> None:
        *names, directive = offered_by_kubectl("")
        listed = completed("")
        assert names == listed
        assert {"check", "recommend", "explain", "completion"} <= set(names)
        assert directive == ":4"

    def test_completes_options_and_their_values(self) -> None:
        assert offered_by_kubectl("recommend", "--name") == ["--namespace", ":4"]
        assert offered_by_kubectl("check", "--policy", "time") == ["time-slicing", ":4"]
        assert offered_by_kubectl("explain", "shared-r") == ["shared-request-above-one", ":4"]

    def test_leaves_files_to_the_shell(self) -> None:
        assert offered_by_kubectl("check", "some fi") == [":0"]


def test_rules_and_what_is_explained() -> None:
    assert completed("check --ignore shared-req") == ["shared-request-above-one"]
    assert "shared" in completed("explain sh")

"""`gpuwarden rewrite` as a post-renderer: of Helm 4 by the plugin that comes with it, of Helm 3 by its name."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from hack.tools import ROOT
from tests.deploy.chart import Chart, Json

PLUGIN = ROOT / "deploy/helm-plugin"
POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "train"},
    "spec": {"containers": [{"name": "train", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
}


@pytest.fixture
def somebodys_chart(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (folder / "templates/pod.yaml").write_text(yaml.safe_dump(POD))
    return folder


@pytest.mark.parametrize("policy", ["shared", "none"])
def test_helm_renders_through_it_and_shows_why_it_does_not(
    chart: Chart, somebodys_chart: Path, tmp_path: Path, policy: str
) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}", "HOME": str(tmp_path)}

    def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(chart.program), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    words = [f"--policy={policy}"]
    if chart.helm("version", "--short").startswith("v3"):
        words = ["rewrite", "-", *words]
    else:
        assert helm("plugin", "install", str(PLUGIN)).returncode == 0
    arguments = [part for word in words for part in ("--post-renderer-args", word)]
    done = helm("template", "app", str(somebodys_chart), "--post-renderer", "gpuwarden", *arguments)
    if policy == "none":
        assert done.returncode == 1
        assert 'container "train": nvidia.com/gpu: 1' in done.stderr
        assert "nothing was written: 1 object is denied" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    (container,) = yaml.safe_load(done.stdout)["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu.shared": "1"}


def test_the_plugin_has_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((PLUGIN / "plugin.yaml").read_text())["version"] == project

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


def test_helm_renders_through_it(chart: Chart, somebodys_chart: Path, tmp_path: Path) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}", "HOME": str(tmp_path)}

    def helm(*arguments: str) -> str:
        command = [str(chart.program), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    words = ["--policy=shared"]
    if chart.helm("version", "--short").startswith("v3"):
        words = ["rewrite", "-", *words]
    else:
        helm("plugin", "install", str(PLUGIN))
    arguments = [part for word in words for part in ("--post-renderer-args", word)]
    rendered = helm("template", "app", str(somebodys_chart), "--post-renderer", "gpuwarden", *arguments)
    (container,) = yaml.safe_load(rendered)["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu.shared": "1"}


def test_the_plugin_has_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((PLUGIN / "plugin.yaml").read_text())["version"] == project

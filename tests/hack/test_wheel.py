"""The package as users install it: the wheel that is built from this checkout, without the checkout."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from hack.tools import ROOT
from webhook import __version__

UV = ROOT / ".cache" / "uv" / "bin" / "uv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    """Built from the source distribution, as the package index would have it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--out-dir", folder, ROOT], check=True)
    [built] = folder.glob("*.whl")
    with ZipFile(built) as file:
        yield file


@pytest.fixture(scope="module")
def installed(wheel: ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    wheel.extractall(folder)
    return folder


def test_it_installs_one_package_that_clashes_with_nobody_and_a_man_page(wheel: ZipFile) -> None:
    data = f"gpuwarden-{__version__}.data"
    assert {name.partition("/")[0] for name in wheel.namelist()} == {
        "gpuwarden",
        f"gpuwarden-{__version__}.dist-info",
        data,
    }
    assert [name for name in wheel.namelist() if name.startswith(data)] == [f"{data}/data/share/man/man1/gpuwarden.1"]


def test_it_holds_every_file_of_the_source(wheel: ZipFile) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "webhook"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    held = {name for name in wheel.namelist() if name.startswith("gpuwarden/")}
    assert held == {name.replace("webhook/", "gpuwarden/", 1) for name in tracked}


@pytest.mark.parametrize("arguments", [["--version"], ["check", "pod.yaml", "--policy", "shared"]])
def test_it_runs_beside_a_module_of_the_user_that_is_called_webhook(
    installed: Path, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "webhook.py").write_text("raise RuntimeError('the module of the user was imported')\n")
    (tmp_path / "pod.yaml").write_text(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: "
        "[{name: a, image: a, resources: {limits: {nvidia.com/gpu: 1}}}]}}\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "gpuwarden", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{installed}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")

"""`hack/control_plane.py`: what it takes, what it refuses, and what it says when it can't."""

import hashlib
import importlib.util
import io
import os
import platform
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "hack/control_plane.py"
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]

Fill = Callable[..., subprocess.CompletedProcess[str]]


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """A directory laid out as the releases are published."""
    programs = tmp_path / f"releases/v1.99.0/bin/linux/{ARCHITECTURE}"
    programs.mkdir(parents=True)
    for name in KUBERNETES:
        content = f"#!/bin/sh\necho {name}\n".encode()
        (programs / name).write_bytes(content)
        (programs / f"{name}.sha256").write_text(hashlib.sha256(content).hexdigest())  # published without a newline
    etcd = tmp_path / "releases/v3.99.0"
    etcd.mkdir()
    archive = etcd / f"etcd-v3.99.0-linux-{ARCHITECTURE}.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        member = tarfile.TarInfo(f"etcd-v3.99.0-linux-{ARCHITECTURE}/etcd")
        member.size = len(b"etcd")
        packed.addfile(member, io.BytesIO(b"etcd"))
    sums = f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n{'0' * 64}  another.tar.gz\n"
    (etcd / "SHA256SUMS").write_text(sums)
    return tmp_path / "releases"


@pytest.fixture
def server(releases: Path) -> Iterator[str]:
    """The URL, on loopback, where ``releases`` is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(releases))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def fill(tmp_path: Path, server: str) -> Fill:
    """Run the script against ``server``, on a machine without apt."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "GPUWARDEN_CACHE": str(tmp_path / "cache"),
            "KUBERNETES_RELEASES": server,
            "KUBERNETES_VERSION": "v1.99.0",
            "ETCD_RELEASES": server,
            "ETCD_VERSION": "v3.99.0",
            "PATH": "",
        }
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments],
            env=settings | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def found(tmp_path: Path) -> set[str]:
    cache = tmp_path / "cache/control-plane"
    return {file.name for file in cache.iterdir() if os.access(file, os.X_OK) and file.is_file()}


def test_the_official_releases_fill_the_cache_and_a_second_run_fetches_nothing(tmp_path: Path, fill: Fill) -> None:
    first = fill()
    assert first.returncode == 0, first.stdout + first.stderr
    assert found(tmp_path) == {"etcd", *KUBERNETES}
    assert "done in 0 s: Kubernetes v1.99.0, official release; etcd v3.99.0, official release" in first.stdout
    assert not (tmp_path / "cache/control-plane/build").exists()
    second = fill(KUBERNETES_RELEASES="http://127.0.0.1:1")
    assert second.returncode == 0
    assert second.stdout.startswith("control-plane: already there: Kubernetes v1.99.0")


def test_a_program_that_was_removed_is_fetched_again(tmp_path: Path, fill: Fill) -> None:
    fill()
    (tmp_path / "cache/control-plane/kubectl").unlink()
    assert fill().returncode == 0
    assert "kubectl" in found(tmp_path)


def test_a_program_whose_sum_differs_is_not_used(tmp_path: Path, releases: Path, fill: Fill) -> None:
    with next(releases.rglob("kube-scheduler")).open("ab") as program:
        program.write(b"and more")
    refused = fill("download")
    assert refused.returncode == 1
    assert "kube-scheduler has the SHA-256 sum" in refused.stdout
    assert "kube-scheduler" not in found(tmp_path)


def test_an_etcd_archive_without_a_published_sum_is_not_used(tmp_path: Path, releases: Path, fill: Fill) -> None:
    next(releases.rglob("SHA256SUMS")).write_text(f"{'0' * 64}  another.tar.gz\n")
    refused = fill("download")
    assert refused.returncode == 1
    assert "but none is published: not used" in refused.stdout
    assert "etcd" not in found(tmp_path)


def test_without_network_and_without_apt_it_says_what_would_help(tmp_path: Path, fill: Fill) -> None:
    refused = fill(KUBERNETES_RELEASES="http://127.0.0.1:1")
    assert refused.returncode == 1
    assert "can't be downloaded from here" in refused.stdout
    assert "apt-get install dpkg-dev make patch" in refused.stdout
    assert "set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver" in refused.stdout
    assert found(tmp_path) == set()


def test_complete_assets_leave_nothing_to_do_and_incomplete_ones_are_named(tmp_path: Path, fill: Fill) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("etcd", *KUBERNETES):
        (assets / name).touch(mode=0o755)
    assert fill(KUBEBUILDER_ASSETS=str(assets)).returncode == 0
    (assets / "kube-scheduler").unlink()
    refused = fill(KUBEBUILDER_ASSETS=str(assets))
    assert refused.returncode == 1
    assert refused.stdout == "control-plane: KUBEBUILDER_ASSETS lacks kube-scheduler\n"
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("control_plane_script", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param(
            "debian.sources",
            "Types: deb\n# a comment\nURIs: http://archive.test/debian\nSuites: bookworm\n\nTypes: deb deb-src\nURIs: x\n",
            "Types: deb deb-src\n# a comment\nURIs: http://archive.test/debian\nSuites: bookworm\n\n"
            "Types: deb deb-src\nURIs: x\n",
            id="deb822",
        ),
        pytest.param(
            "sources.list",
            "# deb http://archive.test/old x main\ndeb [signed-by=/k] http://archive.test/debian bookworm main\n"
            "deb-src http://archive.test/debian bookworm main\n",
            "deb [signed-by=/k] http://archive.test/debian bookworm main\n"
            "deb-src [signed-by=/k] http://archive.test/debian bookworm main\n",
            id="one line each",
        ),
        pytest.param("empty.list", "", "", id="empty"),
    ],
)
def test_apts_own_sources_get_their_source_packages(script: ModuleType, name: str, content: str, expected: str) -> None:
    assert script.with_sources(name, content) == expected

"""`hack/control_plane.py`: what it takes, what it refuses, and what it says when it can't."""

import hashlib
import importlib.util
import io
import os
import platform
import re
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
    """Run the script against ``server``, on a machine without Go."""

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
            timeout=300,
        )

    return run


def found(tmp_path: Path) -> set[str]:
    """The programs that the cache offers to the tests, under whatever version."""
    programs = (tmp_path / "cache/control-plane").glob("*/*")
    return {file.name for file in programs if os.access(file, os.X_OK) and file.is_file()}


def source(tmp_path: Path) -> str:
    """Where the programs are from that the tests would start."""
    return (tmp_path / "cache/control-plane/current/SOURCE").read_text()


def test_the_official_releases_fill_the_cache_and_a_second_run_fetches_nothing(tmp_path: Path, fill: Fill) -> None:
    first = fill()
    assert first.returncode == 0, first.stdout + first.stderr
    assert found(tmp_path) == {"etcd", *KUBERNETES}
    assert {"etcd", *KUBERNETES} < {file.name for file in (tmp_path / "cache/control-plane/current").iterdir()}
    assert re.search(
        r"done in \d+ s: Kubernetes v1\.99\.0, official release; etcd v3\.99\.0, official release", first.stdout
    )
    assert not (tmp_path / "cache/control-plane/build").exists()
    second = fill(KUBERNETES_RELEASES="http://127.0.0.1:1")
    assert second.returncode == 0
    assert second.stdout.startswith("control-plane: already there: Kubernetes v1.99.0")


def test_a_program_that_was_removed_is_fetched_again(tmp_path: Path, fill: Fill) -> None:
    fill()
    (tmp_path / "cache/control-plane/current/kubectl").unlink()
    assert fill().returncode == 0
    assert "kubectl" in found(tmp_path)


def test_each_version_is_kept_and_the_one_asked_for_is_current(tmp_path: Path, releases: Path, fill: Fill) -> None:
    (releases / "v1.98.0").symlink_to(releases / "v1.99.0")
    assert fill().returncode == 0
    assert fill(KUBERNETES_VERSION="v1.98.0").returncode == 0
    assert source(tmp_path).startswith("Kubernetes v1.98.0")
    back = fill(KUBERNETES_RELEASES="http://127.0.0.1:1")
    assert back.stdout.startswith("control-plane: already there: Kubernetes v1.99.0")
    assert source(tmp_path).startswith("Kubernetes v1.99.0")


def test_a_version_that_cannot_be_had_leaves_the_current_one(tmp_path: Path, fill: Fill) -> None:
    fill()
    assert fill(KUBERNETES_VERSION="v1.97.0").returncode == 1
    assert source(tmp_path).startswith("Kubernetes v1.99.0")


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


def test_without_network_and_without_the_pinned_versions_it_says_what_would_help(tmp_path: Path, fill: Fill) -> None:
    refused = fill(KUBERNETES_RELEASES="http://127.0.0.1:1")
    assert refused.returncode == 1
    assert "can't be downloaded from here" in refused.stdout
    assert "go: hack/control-plane/go.mod pins Kubernetes v1." in refused.stdout
    assert "set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver" in refused.stdout
    assert found(tmp_path) == set()


# What the script asks of Go: its version, its caches, the modules and a build. A build writes each package's program.
# A toolchain that is fetched is the same program again, not executable as a module's files are, and logs as "new".
GO = """#!/bin/sh
case $0 in */toolchain/*) who=new ;; *) who=old ;; esac
echo "$who: $@" >> {log}
case "$1 $2" in
  "env GOVERSION") echo {version} ;;
  "env "*) echo {caches} ;;
  "mod download")
    {download}
    [ "$3" = -json ] || exit 0
    mkdir -p {caches}/toolchain/bin
    cat "$0" > {caches}/toolchain/bin/go
    echo '{{"Dir": "{caches}/toolchain"}}' ;;
  "build "*)
    while [ "$1" != -o ]; do shift; done
    directory=$2; shift 2
    for package; do name=${{package##*/}}; [ "$name" = v3 ] && name=server; echo "$package" > "$directory/$name"; done ;;
esac
"""


@pytest.fixture
def build(tmp_path: Path, fill: Fill) -> Fill:
    """Run the script where nothing can be downloaded and Go is in the place of a real one."""

    def run(
        *arguments: str, version: str = "go1.99.0", download: str = ":", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        directory = tmp_path / "bin"
        directory.mkdir(exist_ok=True)
        go = directory / "go"
        go.write_text(GO.format(log=tmp_path / "log", version=version, caches=tmp_path, download=download))
        go.chmod(0o755)
        settings = {
            "KUBERNETES_RELEASES": "http://127.0.0.1:1",
            "KUBERNETES_VERSION": "",
            "ETCD_VERSION": "",
            "PATH": f"{directory}:/usr/bin:/bin",
        }
        return fill(*arguments, **settings | environment)

    return run


def test_what_cannot_be_downloaded_is_built_from_go_modules_and_a_second_run_builds_nothing(
    tmp_path: Path, build: Fill
) -> None:
    first = build()
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(r"Kubernetes v1\.\S+ and etcd v3\.\S+, built here from Go modules; in ", first.stdout)
    programs = tmp_path / "cache/control-plane/current"
    assert (programs / "etcd").read_text() == "go.etcd.io/etcd/server/v3\n"
    for name in KUBERNETES:
        assert (programs / name).read_text() == f"k8s.io/kubernetes/cmd/{name}\n"
        assert os.access(programs / name, os.X_OK)
    asked = (tmp_path / "log").read_text()
    assert build().stdout.startswith("control-plane: already there: Kubernetes v1.")
    assert (tmp_path / "log").read_text() == asked


def test_what_is_built_reports_the_version_that_is_pinned(tmp_path: Path, build: Fill, script: ModuleType) -> None:
    build("go")
    version = script.pinned("k8s.io/kubernetes", script.MODULE)
    (command,) = [line for line in (tmp_path / "log").read_text().splitlines() if " build " in line]
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        assert f"-X={package}.gitVersion={version} " in command
        assert f"-X={package}.gitMinor={version.split('.')[1]} " in command


@pytest.mark.parametrize("version", ["go1.19.8", "go1.9", "go1.26rc1"])
def test_a_go_that_is_too_old_fetches_the_one_that_builds(tmp_path: Path, build: Fill, version: str) -> None:
    done = build("go", version=version)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"{version} is older than the Go 1\.\d+\.\d+ that go\.mod needs; download that: ", done.stdout)
    said = (tmp_path / "log").read_text()
    assert re.search(r"(?m)^old: mod download -json golang.org/toolchain@v0\.0\.1-go1\.\d+\.\d+\.linux-", said)
    assert re.search(r"(?m)^new: build ", said)
    assert "old: build" not in said


def test_a_go_that_is_new_enough_fetches_no_other(tmp_path: Path, build: Fill) -> None:
    assert build("go").returncode == 0
    assert "toolchain" not in (tmp_path / "log").read_text()


def test_a_toolchain_that_cannot_be_had_is_named(tmp_path: Path, build: Fill) -> None:
    refused = build("go", version="go1.19.8", download="echo golang.org/toolchain: 404 Not Found >&2; exit 1")
    assert refused.returncode == 1
    assert "golang.org/toolchain: 404 Not Found" in refused.stdout
    assert "build" not in (tmp_path / "log").read_text()


def test_without_go_it_says_what_to_install(build: Fill) -> None:
    refused = build("go", PATH="")
    assert refused.returncode == 1
    assert re.search(
        r"go: there is no go on the PATH; install Go 1\.\d+\.\d+ .*apt-get install golang-go", refused.stdout
    )


def test_etcd_alone_is_built_where_only_kubernetes_can_be_downloaded(
    tmp_path: Path, releases: Path, build: Fill, server: str, script: ModuleType
) -> None:
    (releases / script.pinned("k8s.io/kubernetes", script.MODULE)).symlink_to(releases / "v1.99.0")
    done = build(KUBERNETES_RELEASES=server, ETCD_RELEASES="http://127.0.0.1:1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(
        r"Kubernetes v1\.\S+, official release; etcd v3\.\S+, built here from Go modules\n", source(tmp_path)
    )
    (command,) = [line for line in (tmp_path / "log").read_text().splitlines() if " build " in line]
    assert command.endswith(" go.etcd.io/etcd/server/v3")


def test_a_module_that_is_refused_is_named_and_the_next_run_builds(tmp_path: Path, build: Fill) -> None:
    refused = build("go", download="echo k8s.io/api@v0.36.9: 404 Not Found >&2; exit 1")
    assert refused.returncode == 1
    assert "k8s.io/api@v0.36.9: 404 Not Found" in refused.stdout
    assert found(tmp_path) == set()
    assert build("go").returncode == 0


def test_a_version_that_is_not_pinned_is_not_built(build: Fill, script: ModuleType) -> None:
    refused = build("go", KUBERNETES_VERSION="v1.97.0")
    assert refused.returncode == 1
    kubernetes, etcd = (script.pinned(name, script.MODULE) for name in ("k8s.io/kubernetes", script.ETCD_PACKAGE))
    pinned = f"pins Kubernetes {kubernetes} and etcd {etcd};"
    assert pinned in refused.stdout


def test_every_module_of_kubernetes_is_of_the_release_that_is_built(script: ModuleType) -> None:
    replaced = re.findall(r"(?m)^\t(k8s\.io/\S+) => (\S+) (\S+)$", (script.MODULE / "go.mod").read_text())
    release = script.pinned("k8s.io/kubernetes", script.MODULE).replace("v1.", "v0.")
    assert len(replaced) > 25
    assert replaced == [(name, name, release) for name, _, _ in replaced]


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

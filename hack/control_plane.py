#!/usr/bin/env python3
"""Fills the cache of control plane programs that the end-to-end tests start: etcd, kube-apiserver and the others.

Two ways, tried in this order:

download
    the official releases, each file checked against its published SHA-256 sum;
go
    built here from the Go modules that ``hack/control-plane/go.mod`` pins, each checked against ``go.sum``. Any Go will do:
    an older one than that file names fetches the one that it names, through the module proxy. Modules and compiled packages
    stay in Go's own caches, and nothing is installed.

Each version has a directory of its own in the cache, and the link ``current`` points to the one that the tests start.
Running it again is cheap: what is there is kept, and a build that was cut off goes on where it stopped. Only the standard
library is used, so that any Python from 3.11 on runs it, with or without the project's environment.
"""

import argparse
import fcntl
import hashlib
import http.client
import os
import shutil
import signal
import sys
import tarfile
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from hack.go_programs import Place, UnavailableError, architecture, go_build, keep, pinned, point, say, step

KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROGRAMS = ("etcd", *KUBERNETES_PROGRAMS)

# What is built from Go modules. Its go.mod names the versions for the downloads too.
MODULE = Path(__file__).resolve().parent / "control-plane"
ETCD_PACKAGE = "go.etcd.io/etcd/server/v3"
PACKAGES = {"etcd": ETCD_PACKAGE} | {program: f"k8s.io/kubernetes/cmd/{program}" for program in KUBERNETES_PROGRAMS}
BUILD_MEBIBYTES = 5120  # modules 0.9 GiB, compiled packages 3 GiB, programs 0.4 GiB twice

PROBE_SECONDS = 5.0  # to find out that there is no network
TRANSFER_SECONDS = 60.0  # for each silence in the middle of a download
BROKEN = (OSError, http.client.HTTPException)  # what a download can end with


@dataclass(frozen=True, slots=True)
class Settings(Place):
    """What is fetched, from where, and to which directory.

    Attributes:
        kubernetes: the version of Kubernetes, such as ``v1.36.3``.
        kubernetes_releases: the URL below which its releases are.
        etcd: the version of etcd.
        etcd_releases: the URL below which its releases are.
    """

    kubernetes: str
    kubernetes_releases: str
    etcd: str
    etcd_releases: str

    @property
    def cache(self) -> Path:
        """The directory of the whole cache."""
        return self.build.parent

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings that ``--help`` lists, with their defaults."""
        repository = Path(__file__).resolve().parent.parent
        cache = Path(environment.get("GPUWARDEN_CACHE") or repository / ".cache").absolute() / "control-plane"
        kubernetes = environment.get("KUBERNETES_VERSION") or pinned("k8s.io/kubernetes", MODULE)
        etcd = environment.get("ETCD_VERSION") or pinned(ETCD_PACKAGE, MODULE)
        return cls(
            build=cache / "build",
            into=cache / f"kubernetes-{kubernetes}-etcd-{etcd}",
            kubernetes=kubernetes,
            kubernetes_releases=environment.get("KUBERNETES_RELEASES", "https://dl.k8s.io/release"),
            etcd=etcd,
            etcd_releases=environment.get("ETCD_RELEASES", "https://github.com/etcd-io/etcd/releases/download"),
        )


def missing(directory: Path) -> list[str]:
    """Name the programs that are not in ``directory``."""
    return [program for program in PROGRAMS if not os.access(directory / program, os.X_OK)]


# --- the official releases -------------------------------------------------------------------------------------------


def fetch(url: str, to: Path, seconds: float = TRANSFER_SECONDS) -> Path:
    """Download ``url`` to the file ``to``; give up after ``seconds`` of silence."""
    with urllib.request.urlopen(url, timeout=seconds) as answer, to.open("wb") as file:
        shutil.copyfileobj(answer, file)
    return to


def check_sum(file: Path, published: str) -> None:
    """Refuse a file whose SHA-256 is not the published one.

    Raises:
        UnavailableError: the sums differ.
    """
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != published:
        raise UnavailableError(
            f"{file.name} has the SHA-256 sum {found}, but {published or 'none'} is published: not used"
        )


def download(settings: Settings) -> str:
    """Fill the cache from the official releases; answer where the programs are from."""
    base = f"{settings.kubernetes_releases}/{settings.kubernetes}/bin/linux/{architecture()}"
    try:
        fetch(f"{base}/kubectl.sha256", settings.build / "probe", PROBE_SECONDS)
    except BROKEN as error:
        raise UnavailableError(f"Kubernetes {settings.kubernetes} can't be downloaded from here: {error}") from error
    try:
        for program in KUBERNETES_PROGRAMS:
            with step(f"download {program} {settings.kubernetes} and check its sum"):
                published = fetch(f"{base}/{program}.sha256", settings.build / "sum").read_text().split()
                file = fetch(f"{base}/{program}", settings.build / program)
                check_sum(file, published[0] if published else "")
                keep(settings, program, file)
    except BROKEN as error:
        raise UnavailableError(f"the download broke off: {error}") from error
    return f"Kubernetes {settings.kubernetes}, official release; {download_etcd(settings)}"


def download_etcd(settings: Settings) -> str:
    """Take etcd from its official release, or build it where only Kubernetes' own host is reached."""
    name = f"etcd-{settings.etcd}-linux-{architecture()}"
    base = f"{settings.etcd_releases}/{settings.etcd}"
    try:
        with step(f"download etcd {settings.etcd} and check its sum"):
            lines = fetch(f"{base}/SHA256SUMS", settings.build / "sums").read_text().splitlines()
            archive = fetch(f"{base}/{name}.tar.gz", settings.build / f"{name}.tar.gz")
            check_sum(archive, next((line.split()[0] for line in lines if line.endswith(f" {archive.name}")), ""))
            with tarfile.open(archive) as content:
                content.extract(f"{name}/etcd", settings.build, filter="data")
            keep(settings, "etcd", settings.build / name / "etcd")
    except BROKEN as error:
        say(f"etcd {settings.etcd} can't be downloaded from here ({error}); building it")
        return build_modules(settings, "etcd")
    return f"etcd {settings.etcd}, official release"


# --- Go modules ------------------------------------------------------------------------------------------------------


def build_modules(settings: Settings, *programs: str) -> str:
    """Build programs (all, if none are named) from the pinned Go modules into the cache; answer where they are from."""
    programs = programs or PROGRAMS
    known = (pinned("k8s.io/kubernetes", MODULE), pinned(ETCD_PACKAGE, MODULE))
    if (settings.kubernetes, settings.etcd) != known:
        raise UnavailableError(
            f"hack/control-plane/go.mod pins Kubernetes {known[0]} and etcd {known[1]};"
            " unset KUBERNETES_VERSION and ETCD_VERSION to build these"
        )
    # Without these a server reports v0.0.0-master, and kubectl and charts that look at the version go wrong.
    major, minor = settings.kubernetes.removeprefix("v").split(".")[:2]
    said = {"gitVersion": settings.kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = ["-s", "-w"]
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        flags += [f"-X={package}.{name}={value}" for name, value in said.items()]
    say(f"building {', '.join(programs)}: up to 15 minutes on 2 cores, or seconds if Go has compiled them before")
    with step(f"build {', '.join(programs)}"):
        built = go_build(settings, MODULE, [PACKAGES[program] for program in programs], flags, BUILD_MEBIBYTES)
    (built / "server").rename(built / "etcd")
    for program in programs:
        keep(settings, program, built / program)
    kubernetes = "" if programs == ("etcd",) else f"Kubernetes {settings.kubernetes} and "
    return f"{kubernetes}etcd {settings.etcd}, built here from Go modules"


# --- which way -------------------------------------------------------------------------------------------------------

WAYS = {"download": download, "go": build_modules}


def fill(settings: Settings, way: str) -> Path:
    """Fill the cache by ``way`` (``auto`` or one of :data:`WAYS`) where it isn't full; answer the programs' directory.

    Raises:
        UnavailableError: no way that was tried worked; each one's reason has been said.
    """
    source = settings.into / "SOURCE"
    if source.exists() and not missing(settings.into):
        say(f"already there: {source.read_text().strip()}")
        return settings.into
    settings.into.mkdir(exist_ok=True)
    for name in WAYS if way == "auto" else (way,):
        began = time.monotonic()
        try:
            source.write_text(WAYS[name](settings) + "\n")
        except UnavailableError as error:
            say(f"{name}: {error}")
        else:
            say(f"done in {time.monotonic() - began:.0f} s: {source.read_text().strip()}; in {settings.into}")
            return settings.into
    raise UnavailableError(
        f"no control plane. Fix what is named above and run this again,"
        f" or set KUBEBUILDER_ASSETS to a directory with {', '.join(PROGRAMS)}"
    )


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Fill the cache if it isn't full; 0 when all the programs are there, 1 when not."""
    parser = argparse.ArgumentParser(
        description="Puts etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl into"
        " .cache/control-plane/current.",
        epilog="Environment: KUBEBUILDER_ASSETS (a directory that has them: nothing is done),"
        " GPUWARDEN_CACHE (in place of .cache), KUBERNETES_VERSION and ETCD_VERSION (what to download),"
        " KUBERNETES_RELEASES and ETCD_RELEASES (a mirror to download from), and Go's own (GOPROXY, GOCACHE, ...).",
    )
    parser.add_argument(
        "way",
        nargs="?",
        default="auto",
        choices=("auto", *WAYS),
        help="the official releases, a build from Go modules, or the first that works (default)",
    )
    way: str = parser.parse_args(arguments).way
    assets = environment.get("KUBEBUILDER_ASSETS")
    if assets:
        absent = missing(Path(assets))
        say(f"KUBEBUILDER_ASSETS lacks {', '.join(absent)}" if absent else f"KUBEBUILDER_ASSETS has all: {assets}")
        return 1 if absent else 0
    settings = Settings.from_environment(environment)
    settings.cache.mkdir(parents=True, exist_ok=True)
    with (settings.cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is filling {settings.cache}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        settings.build.mkdir(exist_ok=True)
        try:
            point(settings.cache / "current", fill(settings, way))
        except UnavailableError as error:
            say(str(error))
            return 1
        shutil.rmtree(settings.build)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what runs, as Ctrl-C does
    sys.exit(main(sys.argv[1:], os.environ))

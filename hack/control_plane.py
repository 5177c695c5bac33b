#!/usr/bin/env python3
"""Fills the cache of control plane programs that the end-to-end tests start: etcd, kube-apiserver and the others.

Three ways, tried in this order:

download
    the official releases, each file checked against its published SHA-256 sum;
go
    built here from the Go modules that ``hack/control-plane/go.mod`` pins, each checked against ``go.sum``. It needs the
    Go that this file names, or a newer one. Modules and compiled packages stay in Go's own caches;
debian
    the last resort, and an old Kubernetes: Debian's source package ``kubernetes`` (1.20.2, complete and vendored), found
    through apt's own configuration and built with Debian's Go, and etcd from Debian's package ``etcd-server``. Packages
    are unpacked inside the cache: nothing is installed, no service is started, and root is not needed.

Each version has a directory of its own in the cache, and the link ``current`` points to the one that the tests start.
Running it again is cheap: what is there is kept, and a build that was cut off goes on where it stopped. Only the standard
library is used, so that any Python from 3.11 on runs it, with or without the project's environment.
"""

import argparse
import fcntl
import hashlib
import http.client
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROGRAMS = ("etcd", *KUBERNETES_PROGRAMS)

# What is built from Go modules. Its go.mod names the versions for the downloads too.
MODULE = Path(__file__).resolve().parent / "control-plane"
ETCD_PACKAGE = "go.etcd.io/etcd/server/v3"
MODULE_BUILD_MEBIBYTES = 5120  # modules 0.9 GiB, compiled packages 3 GiB, programs 0.4 GiB twice

# Of Debian's way: Kubernetes 1.20 asks for Go 1.15 or later; 1.19 is the newest that Debian's release with that source carries.
GO = "1.19"
BUILD_TOOLS = ("apt-get", "apt-config", "bash", "dpkg-deb", "dpkg-parsechangelog", "dpkg-source", "make", "patch")
BUILD_MEBIBYTES = 4096
PROBE_SECONDS = 5.0  # to find out that there is no network
TRANSFER_SECONDS = 60.0  # for each silence in the middle of a download
BROKEN = (OSError, http.client.HTTPException)  # what a download can end with


class UnavailableError(Exception):
    """This way can't fill the cache; the message says why and what would mend it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is fetched, from where, and to which directory.

    Attributes:
        cache: the directory of the whole cache.
        into: the directory of the version that is being fetched.
        kubernetes: the version of Kubernetes, such as ``v1.36.3``.
        kubernetes_releases: the URL below which its releases are.
        etcd: the version of etcd.
        etcd_releases: the URL below which its releases are.
    """

    cache: Path
    into: Path
    kubernetes: str
    kubernetes_releases: str
    etcd: str
    etcd_releases: str

    @property
    def build(self) -> Path:
        """The scratch directory: removed at the end, left behind by a failed run for the next one to go on with."""
        return self.cache / "build"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings that ``--help`` lists, with their defaults."""
        repository = Path(__file__).resolve().parent.parent
        cache = Path(environment.get("GPUWARDEN_CACHE") or repository / ".cache").absolute() / "control-plane"
        kubernetes = environment.get("KUBERNETES_VERSION") or pinned("k8s.io/kubernetes")
        etcd = environment.get("ETCD_VERSION") or pinned(ETCD_PACKAGE)
        return cls(
            cache=cache,
            into=cache / f"kubernetes-{kubernetes}-etcd-{etcd}",
            kubernetes=kubernetes,
            kubernetes_releases=environment.get("KUBERNETES_RELEASES", "https://dl.k8s.io/release"),
            etcd=etcd,
            etcd_releases=environment.get("ETCD_RELEASES", "https://github.com/etcd-io/etcd/releases/download"),
        )


class Place(Protocol):
    """Where a build works (``build``), and the directory that it fills (``into``)."""

    @property
    def build(self) -> Path:
        """The scratch directory."""
        ...

    @property
    def into(self) -> Path:
        """The directory of the finished programs."""
        ...


def pinned(name: str, module: Path = MODULE) -> str:
    """The version of a Go module, or of ``go`` itself, that the go.mod of ``module`` requires."""
    (version,) = re.findall(rf"(?m)^\s*{re.escape(name)} (v?[\d.]\S+)", (module / "go.mod").read_text())
    return str(version)


def say(sentence: str) -> None:
    """Print one line of progress at once."""
    print(f"{Path(sys.argv[0]).stem.replace('_', '-')}: {sentence}", flush=True)  # noqa: T201  a script speaks on standard output


@contextmanager
def step(sentence: str) -> Iterator[None]:
    """Say in one line what was done and how long it took, or that it failed."""
    began = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{sentence}: FAILED after {time.monotonic() - began:.0f} s")
        raise
    say(f"{sentence}: {time.monotonic() - began:.0f} s")


def run(settings: Place, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return its standard output.

    Raises:
        UnavailableError: it failed; the message carries the end of what it printed.
    """
    log = settings.build / "log"
    with log.open("w+") as output:
        started = subprocess.Popen(
            command, cwd=cwd or settings.build, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=output, text=True, process_group=0,
        )  # fmt: skip
        try:
            printed, _ = started.communicate()
        except BaseException:  # a build that went on by itself would be in the way of the next one
            os.killpg(started.pid, signal.SIGKILL)
            raise
        if started.returncode != 0:
            output.seek(0)
            tail = "\n    ".join((output.read() + printed).splitlines()[-20:])
            raise UnavailableError(f"`{' '.join(map(str, command))}` ended with {started.returncode}:\n    {tail}")
    return printed


def missing(directory: Path) -> list[str]:
    """Name the programs that are not in ``directory``."""
    return [program for program in PROGRAMS if not os.access(directory / program, os.X_OK)]


def keep(settings: Place, program: str, file: Path) -> None:
    """Put a finished program into the cache in one move, so that a half-written one is never found there."""
    new = settings.into / f".{program}.new"
    shutil.copyfile(file, new)
    new.chmod(0o755)
    new.rename(settings.into / program)


def need_room(directory: Path, mebibytes: int, remedy: str) -> None:
    """Refuse a build that would fill the disk.

    Raises:
        UnavailableError: the file system of ``directory`` has less than ``mebibytes`` free.
    """
    while not directory.exists():
        directory = directory.parent
    free = shutil.disk_usage(directory).free >> 20
    if free < mebibytes:
        raise UnavailableError(f"the build needs {mebibytes} MiB in {directory} and {free} MiB are free; {remedy}")


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


def architecture() -> str:
    """Name this machine as the releases do."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    if platform.machine() not in names:
        raise UnavailableError(f"no release is published for {platform.machine()}")
    return names[platform.machine()]


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
    """Take etcd from its official release, or from Debian where only Kubernetes' own host is reached."""
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
        say(f"etcd {settings.etcd} can't be downloaded from here ({error}); taking Debian's")
        return debian_etcd(settings)
    return f"etcd {settings.etcd}, official release"


# --- Go modules ------------------------------------------------------------------------------------------------------


def go_environment() -> dict[str, str]:
    """The user's own settings of Go (proxy, caches), for programs of this machine without C."""
    environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH")}
    return environment | {"GOWORK": "off", "CGO_ENABLED": "0"}


def need_go(settings: Place, module: Path) -> None:
    """Refuse a machine without Go, or with one that is older than the go.mod of ``module`` asks for.

    A Go that may switch to a newer toolchain (``GOTOOLCHAIN=auto``) does so here.

    Raises:
        UnavailableError: there is none that builds the module.
    """
    wanted = pinned("go", module)
    needed = f"Go {wanted} or newer is needed"
    if shutil.which("go") is None:
        raise UnavailableError(f"{needed}, and there is no go on the PATH")
    found = run(settings, "go", "env", "GOVERSION", cwd=module, env=go_environment()).strip()
    if numbers(found.removeprefix("go")) < numbers(wanted):
        raise UnavailableError(f"{needed}, and the one on the PATH is {found}")


def numbers(version: str) -> tuple[int, ...]:
    """Read the leading numbers of a version such as ``1.26.8`` or ``1.27rc1``."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def go_build(settings: Place, module: Path, packages: Sequence[str], flags: Sequence[str], mebibytes: int) -> Path:
    """Download the Go modules of ``module`` and build programs from them; answer the directory of the programs.

    Args:
        settings: where to build.
        module: the directory of the go.mod and go.sum that pin everything.
        packages: what to build.
        flags: the linker's.
        mebibytes: how much room modules and compiled packages take.

    Raises:
        UnavailableError: there is no Go, no room, no proxy, or it does not compile.
    """
    need_go(settings, module)
    environment = go_environment()
    for variable in ("GOMODCACHE", "GOCACHE"):
        directory = Path(run(settings, "go", "env", variable, cwd=module, env=environment).strip())
        need_room(directory, mebibytes, f"set {variable} to a directory with more room")
    with step("download the Go modules"):
        run(settings, "go", "mod", "download", cwd=module, env=environment)
    built = settings.build / "go"
    built.mkdir(exist_ok=True)
    run(
        settings, "nice", "-n", "10", "go", "build", "-mod=readonly", "-trimpath", "-ldflags", " ".join(flags),
        "-o", f"{built}/", *packages, cwd=module, env=environment,
    )  # fmt: skip
    return built


def build_modules(settings: Settings) -> str:
    """Fill the cache from the pinned Go modules; answer where the programs are from."""
    known = (pinned("k8s.io/kubernetes"), pinned(ETCD_PACKAGE))
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
    packages = [ETCD_PACKAGE, *(f"k8s.io/kubernetes/cmd/{program}" for program in KUBERNETES_PROGRAMS)]
    say(f"building {', '.join(PROGRAMS)}: 7 to 15 minutes on 2 cores, seconds where Go has compiled them before")
    with step(f"build Kubernetes {settings.kubernetes} and etcd {settings.etcd}"):
        built = go_build(settings, MODULE, packages, flags, MODULE_BUILD_MEBIBYTES)
    (built / "server").rename(built / "etcd")
    for program in PROGRAMS:
        keep(settings, program, built / program)
    return f"Kubernetes {settings.kubernetes} and etcd {settings.etcd}, built here from Go modules"


# --- Debian's packages -----------------------------------------------------------------------------------------------


def with_sources(name: str, content: str) -> str:
    """Turn one of apt's lists into one that has the source packages too.

    ``name`` tells the format: ``.sources`` is deb822 (a ``Types:`` field), anything else has one source a line.
    """
    if name.endswith(".sources"):
        return re.sub(r"(?mi)^Types:.*$", "Types: deb deb-src", content)
    lines = [line for line in content.splitlines() if re.match(r"\s*deb\s", line)]
    return "".join(f"{line}\n{line.replace('deb', 'deb-src', 1)}\n" for line in lines)


def apt(settings: Settings, tool: str, *arguments: str, cwd: Path | None = None) -> str:
    """Run an apt tool over the configured archives, with lists, state and cache of our own."""
    directory = settings.build / "apt"
    options = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": f"{directory}/sources",
        "Dir::State::lists": f"{directory}/lists",
        "Dir::Cache": f"{directory}/cache",
        "APT::Sandbox::User": "",  # the private directories need not be open to apt's own user
    }
    flags = [word for option, value in options.items() for word in ("-o", f"{option}={value}")]
    return run(settings, tool, *flags, *arguments, cwd=cwd)


def read_package_lists(settings: Settings) -> None:
    """Read the lists of the configured archives, source packages included, into the scratch directory."""
    directory = settings.build / "apt"
    if (directory / "done").exists():
        return
    shell = run(settings, "apt-config", "shell", "list", "Dir::Etc::sourcelist/f", "parts", "Dir::Etc::sourceparts/d")
    configured = dict(re.findall(r"(\w+)='([^']*)'", shell))
    shutil.rmtree(directory, ignore_errors=True)
    for folder in ("sources", "lists/partial", "cache/archives/partial"):
        (directory / folder).mkdir(parents=True)
    parts = Path(configured["parts"])
    for file in (Path(configured["list"]), *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))):
        if file.is_file():
            (directory / "sources" / file.name).write_text(with_sources(file.name, file.read_text()))
    try:
        with step("read the package lists of the archives that apt is configured for"):
            apt(settings, "apt-get", "update")
    except (
        UnavailableError
    ) as error:  # one broken archive of a third party decides nothing: what counts is what is found
        say(f"going on with what could be read: {error}")
    (directory / "done").touch()


def unpack(settings: Settings, into: str, *packages: str) -> Path:
    """Download binary packages, checked by apt, and unpack them into a folder of the scratch directory, once."""
    folder, done = settings.build / into, settings.build / f"{into}.done"
    if not done.exists():
        packed = settings.build / f"{into}.debs"
        for directory in (folder, packed):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
        apt(settings, "apt-get", "download", *packages, cwd=packed)
        for package in packed.glob("*.deb"):
            run(settings, "dpkg-deb", "-x", package, folder)
        shutil.rmtree(packed)
        done.touch()
    return folder


def need_build_tools() -> None:
    """Refuse at once, by name, what would otherwise be missing in the middle of the work."""
    absent = [tool for tool in BUILD_TOOLS if shutil.which(tool) is None]
    if absent:
        raise UnavailableError(
            f"Debian's packages need the commands {', '.join(absent)} (on Debian: apt-get install dpkg-dev make patch)"
        )


def debian_etcd(settings: Settings) -> str:
    """Take etcd from Debian's package, unpacked and not installed; answer where it is from."""
    if not (settings.into / "etcd").exists():
        need_build_tools()
        read_package_lists(settings)
        with step("unpack etcd from Debian's etcd-server"):
            keep(settings, "etcd", unpack(settings, "etcd", "etcd-server") / "usr/bin/etcd")
    return "etcd of Debian's etcd-server"


def unpack_kubernetes(settings: Settings) -> Path:
    """Download Debian's source package, checked by apt, and unpack it once, with Debian's patches."""
    tree, done = settings.build / "kubernetes", settings.build / "kubernetes.done"
    if not done.exists():
        source = settings.build / "source"
        for directory in (source, tree):
            shutil.rmtree(directory, ignore_errors=True)
        source.mkdir()
        apt(settings, "apt-get", "source", "--download-only", "kubernetes", cwd=source)
        # apt has checked the sums that the archive's key signs; the packager's own key need not be installed.
        run(settings, "dpkg-source", "--no-check", "-x", next(source.glob("*.dsc")), tree)
        shutil.rmtree(source)
        done.touch()
    if not (tree / "vendor/github.com").is_dir() or not (tree / "hack/make-rules/build.sh").is_file():
        raise UnavailableError(
            "this Debian release's source package kubernetes is no complete, vendored tree (bookworm's is)"
        )
    return tree


def mend_reflect2(settings: Settings, tree: Path) -> None:
    """Put Debian's reflect2 1.0.2 in the place of the 1.0.1 that Kubernetes 1.20 carries.

    1.0.1 calls the runtime's ``mapiterinit`` as it was before Go 1.18, with one argument less. The runtime then writes
    where a left-over register points whenever a map becomes JSON, and the API server dies of it: not often, but surely
    when a mutating webhook answers with a patch (reflect2's go_above_118.go is the mending).
    """
    package = unpack(settings, "reflect2", "golang-github-modern-go-reflect2-dev")
    mended = package / "usr/share/gocode/src/github.com/modern-go/reflect2"
    carried = tree / "vendor/github.com/modern-go/reflect2"
    if not (mended / "go_above_118.go").is_file() or not (carried / "unsafe_map.go").is_file():
        raise UnavailableError(
            "reflect2 is not where it was in Debian's packages: a build without it would not be sound"
        )
    for file in (*carried.glob("*.go"), *carried.glob("*.s")):
        file.unlink()
    for file in (*mended.glob("*.go"), *mended.glob("*.s")):
        if not file.stem.endswith("_test"):
            shutil.copy(file, carried)


def build_kubernetes(settings: Settings, tree: Path, go: Path) -> None:
    """Build the programs by Kubernetes' own make: a plain ``go build`` lacks the OpenAPI code that it generates."""
    tools = settings.build / "tools"
    tools.mkdir(exist_ok=True)
    # The build calls rsync for one thing, to copy each finished program: `rsync -pc FROM DIRECTORY`.
    (tools / "rsync").write_text('#!/bin/sh\nexec cp -p "$2" "$3"\n')
    (tools / "rsync").chmod(0o755)
    unwanted = ("GO", "KUBE", "MAKE", "MFLAGS", "CDPATH", "BASH_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    environment |= {
        "PATH": f"{tools}:{go}/bin:{environment['PATH']}",
        "GOROOT": str(go),
        "GOCACHE": str(settings.build / "go-cache"),
        "CGO_ENABLED": "0",  # as in Debian's own build; no C compiler is needed
    }
    targets = " ".join(f"cmd/{program}" for program in KUBERNETES_PROGRAMS)
    run(settings, "nice", "-n", "10", "make", f"WHAT={targets}", cwd=tree, env=environment)


def debian(settings: Settings) -> str:
    """Fill the cache from Debian's packages; answer where the programs are from."""
    need_build_tools()
    need_room(settings.cache, BUILD_MEBIBYTES, "set GPUWARDEN_CACHE to a directory with more room")
    read_package_lists(settings)
    etcd = debian_etcd(settings)
    with step(f"unpack Go {GO} from Debian's packages"):
        go = unpack(settings, "go", f"golang-{GO}-go", f"golang-{GO}-src") / f"usr/lib/go-{GO}"
    with step("unpack Debian's source package kubernetes"):
        tree = unpack_kubernetes(settings)
        mend_reflect2(settings, tree)
    version = run(settings, "dpkg-parsechangelog", "-l", tree / "debian/changelog", "-S", "Version").strip()
    say(f"building {', '.join(KUBERNETES_PROGRAMS)}: 5 to 10 minutes on 2 cores")
    with step(f"build kubernetes {version}"):
        build_kubernetes(settings, tree, go)
    for program in KUBERNETES_PROGRAMS:
        keep(settings, program, tree / "_output/bin" / program)
    return f"Debian's kubernetes {version} with reflect2 1.0.2, built here; {etcd}"


# --- which way -------------------------------------------------------------------------------------------------------

WAYS = {"download": download, "go": build_modules, "debian": debian}


def fill(settings: Settings, way: str) -> Path:
    """Fill the cache by ``way`` (``auto`` or one of :data:`WAYS`) where it isn't full; answer the programs' directory.

    Raises:
        UnavailableError: no way that was tried worked; each one's reason has been said.
    """
    for name in WAYS if way == "auto" else (way,):
        # Debian's version is what its archive has; the other ways lead to the version that was asked for.
        chosen = replace(settings, into=settings.cache / "debian") if name == "debian" else settings
        source = chosen.into / "SOURCE"
        if source.exists() and not missing(chosen.into):
            say(f"already there: {source.read_text().strip()}")
            return chosen.into
        chosen.into.mkdir(exist_ok=True)
        began = time.monotonic()
        try:
            source.write_text(WAYS[name](chosen) + "\n")
        except UnavailableError as error:
            say(f"{name}: {error}")
        else:
            say(f"done in {time.monotonic() - began:.0f} s: {source.read_text().strip()}; in {chosen.into}")
            return chosen.into
    raise UnavailableError(
        f"no control plane. Mend what is named above and run this again,"
        f" or set KUBEBUILDER_ASSETS to a directory with {', '.join(PROGRAMS)}"
    )


def point(link: Path, directory: Path) -> None:
    """Let the link ``link`` lead to ``directory``, beside it, in one move."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(directory.name)
    new.rename(link)


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
        help="the official releases, a build from Go modules, Debian's packages, or the first that works (default)",
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

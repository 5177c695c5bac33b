"""Builds programs from Go modules whose versions a go.mod pins, and keeps them in a cache. Only the standard library is used."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class UnavailableError(Exception):
    """This way can't fill the cache; the message says why and what would fix it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a build works, and the directory of the finished programs that it fills.

    ``build`` is removed at the end, and left behind by a failed run for the next one to go on with.
    """

    build: Path
    into: Path


def pinned(name: str, module: Path) -> str:
    """The version of a Go module, or of ``go`` itself, that the go.mod of ``module`` requires."""
    (version,) = re.findall(rf"(?m)^\s*{re.escape(name)} (v?[\d.]\S+)", (module / "go.mod").read_text())
    return str(version)


def say(sentence: str) -> None:
    """Print one line of progress at once."""
    print(f"control-plane: {sentence}", flush=True)  # noqa: T201  a script speaks on standard output


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


def run(place: Place, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return its standard output.

    Raises:
        UnavailableError: it failed; the message carries the end of what it printed.
    """
    log = place.build / "log"
    with log.open("w+") as output:
        started = subprocess.Popen(
            command, cwd=cwd or place.build, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
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


def keep(place: Place, program: str, file: Path) -> None:
    """Put a finished program into the cache in one move, so that a half-written one is never found there."""
    new = place.into / f".{program}.new"
    shutil.copyfile(file, new)
    new.chmod(0o755)
    new.rename(place.into / program)


def point(link: Path, directory: Path) -> None:
    """Let the link ``link`` lead to ``directory``, beside it, in one move."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(directory.name)
    new.rename(link)


def need_room(directory: Path, mebibytes: int, remedy: str) -> None:
    """Refuse a build that would fill the disk.

    Raises:
        UnavailableError: the file system of ``directory`` has less than ``mebibytes`` free.
    """
    while not directory.exists():
        directory = directory.parent
    free = shutil.disk_usage(directory).free >> 20
    if free < mebibytes:
        raise UnavailableError(f"a build needs {mebibytes} MiB in {directory}; {free} MiB are free; {remedy}")


def architecture() -> str:
    """Name this machine as the releases do."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    if platform.machine() not in names:
        raise UnavailableError(f"no release is published for {platform.machine()}")
    return names[platform.machine()]


def go_environment(place: Place, module: Path) -> dict[str, str]:
    """Find a Go that builds a module: the one on the PATH, or the one that go.mod names, which it fetches.

    Returns:
        The environment of its commands: the user's own settings (proxy, caches), for programs of this machine without C.

    Raises:
        UnavailableError: there is no Go at all, or the one that go.mod names can't be had.
    """
    wanted = pinned("go", module)
    if shutil.which("go") is None:
        raise UnavailableError(
            f"there is no go on the PATH; install Go {wanted} (https://go.dev/dl), or any older Go, which can fetch it"
            " (on Debian: apt-get install golang-go)"
        )
    environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH")}
    environment |= {"GOWORK": "off", "CGO_ENABLED": "0"}
    found = run(place, "go", "env", "GOVERSION", env=environment | {"GOTOOLCHAIN": "local"}).strip()
    if numbers(found.removeprefix("go")) >= numbers(wanted):
        return environment
    # By name, which Go before 1.21 can do too, and whatever GOTOOLCHAIN is set to: Debian sets it to `local`.
    toolchain = f"golang.org/toolchain@v0.0.1-go{wanted}.linux-{architecture()}"
    with step(f"{found} is older than the Go {wanted} that go.mod needs; download that"):
        said = run(place, "go", "mod", "download", "-json", toolchain, env=environment | {"GOTOOLCHAIN": "local"})
    fetched = Path(json.loads(said)["Dir"])
    for program in (*fetched.glob("bin/*"), *fetched.glob("pkg/tool/*/*")):
        program.chmod(0o755)  # a module's files are not executable
    return environment | {"PATH": f"{fetched}/bin:{os.environ['PATH']}", "GOROOT": str(fetched), "GOTOOLCHAIN": "local"}


def numbers(version: str) -> tuple[int, ...]:
    """Read the leading numbers of a version such as ``1.26.8`` or ``1.27rc1``."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def go_build(place: Place, module: Path, packages: Sequence[str], flags: Sequence[str], mebibytes: int) -> Path:
    """Download the Go modules of ``module`` and build programs from them; answer the directory of the programs.

    Args:
        place: where to work.
        module: the directory with the go.mod.
        packages: what to build.
        flags: of the linker.
        mebibytes: the room that modules and compiled packages may need, each.

    Raises:
        UnavailableError: Go, a module or room is missing, or something does not compile.
    """
    environment = go_environment(place, module)
    for variable in ("GOMODCACHE", "GOCACHE"):
        directory = Path(run(place, "go", "env", variable, cwd=module, env=environment).strip())
        need_room(directory, mebibytes, f"set {variable} to a directory with more room")
    with step("download the Go modules"):
        run(place, "go", "mod", "download", cwd=module, env=environment)
    built = place.build / "go"
    built.mkdir(exist_ok=True)
    run(
        place, "nice", "-n", "10", "go", "build", "-mod=readonly", "-trimpath", "-ldflags", " ".join(flags),
        "-o", f"{built}/", *packages, cwd=module, env=environment,
    )  # fmt: skip
    return built

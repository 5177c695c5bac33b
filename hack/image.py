"""Builds the image with the first engine that works (docker, podman, buildah), and unpacks it for its tests.

buildah needs no engine and no rights over cgroups, only root: it builds in a chroot, on plain folders. If no registry can be
reached, the base is Debian 13 made by debootstrap (hack/trixie.py). What was done and why is printed. Only the standard
library is needed.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from hack import trixie

ROOT = trixie.ROOT
NAME = "localhost/gpuwarden:dev"
DEBIAN = "localhost/gpuwarden-base:trixie"
# The variables that configure where pip and uv get packages; a folder of this machine does not exist in the build.
INDEX_VARIABLES = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT",
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT",
)  # fmt: skip


class BuildError(Exception):
    """The image can't be built here; the message says why and what would fix that."""


def folder(environment: Mapping[str, str]) -> Path:
    """Where the unpacked image is kept, below ``.cache`` or $GPUWARDEN_CACHE: ``rootfs``, ``base`` and ``config.json``."""
    return Path(environment.get("GPUWARDEN_CACHE") or ROOT / ".cache").absolute() / "image"


def secrets(environment: Mapping[str, str], into: Path) -> list[str]:
    """Write the build's secrets, and return the options that hand them over: they are in no layer.

    ``packages`` holds pip's and uv's indexes, as shell assignments; ``ca`` the certificates that this machine trusts.
    """
    lines = [f"{name}={shlex.quote(environment[name])}" for name in INDEX_VARIABLES if environment.get(name)]
    options = []
    authority = environment.get("SSL_CERT_FILE") or environment.get("PIP_CERT")
    if authority:
        lines += [f"{name}=/run/secrets/ca" for name in ("SSL_CERT_FILE", "PIP_CERT")]
        options += ["--secret", f"id=ca,src={authority}"]
    packages = into / "packages"
    packages.touch(0o600)
    packages.write_text("".join(f"{line}\n" for line in lines))
    return [*options, "--secret", f"id=packages,src={packages}"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that builds images.

    Args:
        command: how each of its commands starts.
        build: its build command, with the options that it needs here.
    """

    command: tuple[str, ...]
    build: tuple[str, ...]

    @property
    def name(self) -> str:
        """The program's name."""
        return self.command[0]

    def run(self, *arguments: str | Path, show: bool = False) -> str:
        """Run a command and return what it prints.

        Raises:
            BuildError: it failed; the message ends with the last lines that it wrote.
        """
        done = subprocess.run(
            [*self.command, *arguments], stdin=subprocess.DEVNULL, stdout=None if show else subprocess.PIPE,
            stderr=None if show else subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            tail = "\n    ".join((done.stderr or "").splitlines()[-10:])
            raise BuildError(f"{self.name} {arguments[0]}: exit code {done.returncode}\n    {tail}")
        return done.stdout or ""

    def works(self) -> bool:
        """Whether it is installed, and answers."""
        try:
            self.run("info")
        except (OSError, BuildError):
            return False
        return True

    @contextmanager
    def container(self, image: str) -> Iterator[str]:
        """The id of a container of an image; it is never started, and removed at the end."""
        name = self.run(*(("from", "--pull-never") if self.name == "buildah" else ("create",)), image).strip()
        try:
            yield name
        finally:
            self.run("rm", name)

    def unpack(self, image: str, into: Path) -> None:
        """Write the files of an image into a folder, which is emptied first."""
        shutil.rmtree(into, ignore_errors=True)
        with self.container(image) as container:
            if self.name == "buildah":
                mounted = self.run("mount", container).strip()
                subprocess.run(["cp", "-a", mounted, into], check=True)
                self.run("umount", container)
                return
            into.mkdir(parents=True)
            with subprocess.Popen([*self.command, "export", container], stdout=subprocess.PIPE) as export:
                subprocess.run(["tar", "-x", "-C", into], stdin=export.stdout, check=True)

    def configuration(self, image: str) -> dict[str, object]:
        """What the image says about running it: User, Env, Entrypoint, Cmd."""
        inspected = json.loads(self.run("inspect", *(("--type=image",) if self.name == "buildah" else ()), image))
        found = inspected["OCIv1"]["config"] if self.name == "buildah" else inspected[0]["Config"]
        return {key: found.get(key) for key in ("User", "Env", "Entrypoint", "Cmd")}


def engines(cache: Path) -> tuple[Engine, ...]:
    """Every engine, in the order in which they are tried."""
    storage = ("--storage-driver", "vfs", "--root", f"{cache}/storage", "--runroot", f"{cache}/run")
    return (
        Engine(("docker",), ("build",)),
        Engine(("podman",), ("build",)),
        Engine(("buildah", *storage), ("bud", "--isolation", "chroot", "--layers=false")),
    )


def choose(candidates: tuple[Engine, ...]) -> Engine:
    """Return the first engine that works.

    Raises:
        BuildError: none does.
    """
    for engine in candidates:
        if engine.works():
            return engine
        say(f"{engine.name} does not work here or is not installed")
    raise BuildError("no engine to build an image with; on Debian: apt-get install buildah, and run as root")


def debian(engine: Engine, environment: Mapping[str, str]) -> str:
    """Make the base without a registry, and return its name.

    Raises:
        trixie.UnavailableError: debootstrap can't make it.
    """
    made = trixie.make(environment)
    with TemporaryDirectory(dir=made.parent) as scratch:
        subprocess.run(["tar", "-c", "-C", made, "-f", f"{scratch}/base.tar", "."], check=True)
        Path(scratch, "Dockerfile").write_text(
            "FROM scratch\nADD base.tar /\nENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n"
        )
        engine.run(*engine.build, "--tag", DEBIAN, scratch)
    return DEBIAN


def base(engine: Engine, wanted: str | None, environment: Mapping[str, str]) -> str:
    """Return the base image: the wanted one, or the Dockerfile's if it can be pulled, or Debian 13 by debootstrap."""
    if wanted:
        return debian(engine, environment) if wanted == "debootstrap" else wanted
    default = str(re.findall(r"(?m)^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text())[0])
    try:
        engine.run("pull", *(("docker.io/library/" + default,) if engine.name == "buildah" else (default,)))
    except BuildError as error:
        say(
            f"{default} can't be pulled, so the base is Debian 13 by debootstrap: {str(error).splitlines()[-1].strip()}"
        )
        return debian(engine, environment)
    return default


def say(what: str) -> None:
    """Print a line of what is done."""
    print(f"image: {what}", flush=True)  # noqa: T201 - a script speaks


def build(wanted: str | None, environment: Mapping[str, str]) -> None:
    """Build the image, and unpack it and its base for tests/image.

    Raises:
        BuildError: it can't be built; nothing of an older one is left.
        trixie.UnavailableError: its base can't be made.
    """
    cache = folder(environment)
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "config.json").unlink(missing_ok=True)
    engine = choose(engines(cache))
    python = base(engine, wanted, environment)
    say(f"{engine.run('--version').strip()} builds {NAME} on {python}")
    with TemporaryDirectory() as scratch:
        given = secrets(environment, Path(scratch))
        engine.run(*engine.build, "--build-arg", f"PYTHON_IMAGE={python}", *given, "--tag", NAME, ROOT, show=True)
    for image, name in ((python, "base"), (NAME, "rootfs")):
        engine.unpack(image, cache / name)
    if engine.name == "buildah":
        engine.run("rmi", "--prune")  # earlier builds: each is a whole copy in this project's own storage
    # Written last: if it exists, the rest is complete.
    (cache / "config.json").write_text(json.dumps(engine.configuration(NAME) | {"base": python}, indent=1) + "\n")
    [settings] = (cache / "rootfs/opt/gpuwarden").glob("pyvenv.cfg")
    version = re.findall(r"(?m)^version_info = (\S+)$", settings.read_text())
    say(f"{NAME} is built with Python {', '.join(version)}, and unpacked in {cache / 'rootfs'}")


def main() -> int:
    """Build; 0 when it is built, 1 when not."""
    parser = argparse.ArgumentParser(description="Build the image and unpack it for its tests.")
    parser.add_argument(
        "--base", help="an image with Python, or debootstrap; by default the Dockerfile's, if it can be pulled"
    )
    try:
        build(parser.parse_args().base, os.environ)
    except (BuildError, trixie.UnavailableError, OSError, subprocess.CalledProcessError) as error:
        print(f"image: {error}", file=sys.stderr)  # noqa: T201 - a script speaks
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

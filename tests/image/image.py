"""The image that `make image` built, unpacked: its files, and its programs run on them as a kubelet would run them.

A program runs in a mount namespace of its own, on the image's files mounted read-only, as the image's user, without a way to new
privileges. That needs root and util-linux only: no container runtime, no cgroups. The network is this machine's.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hack.image import ROOT, folder

SITE = "opt/gpuwarden/lib"
# Arguments: the root, USER:GROUP, pairs of what is mounted where, "--", the program.
_START = """
set -eu
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
for device in null zero full random urandom; do
  [ -e "$root/dev/$device" ] || touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
while [ "$1" != -- ]; do
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
  shift 2
done
shift
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" --groups="${user#*:}" "$root" "$@"
"""


class NoImageError(Exception):
    """There is no image to test; the message says what to run."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program printed, and how it ended."""

    code: int
    out: str
    err: str


class Image:
    """The image.

    Attributes:
        root: its files.
        base: the files of the image that it is built on.
        config: User, Env, Entrypoint and Cmd, as the image has them.
    """

    def __init__(self, built: Path) -> None:
        """Read what `make image` left in a folder.

        Raises:
            NoImageError: there is none, it is not of this source, or it can't be run here.
        """
        if not (built / "config.json").exists():
            raise NoImageError("no image: run `make image`")
        self.root = built / "rootfs"
        self.base = built / "base"
        self.config: dict[str, Any] = json.loads((built / "config.json").read_text())
        if {name: path.read_bytes() for name, path in own_files(self.packages / "gpuwarden")} != {
            name: path.read_bytes() for name, path in own_files(ROOT / "webhook")
        }:
            raise NoImageError("the image is of another state of webhook/: run `make image` again")
        if os.geteuid() != 0:
            raise NoImageError("running the image without an engine needs root")

    @cached_property
    def packages(self) -> Path:
        """Where its packages are installed."""
        [packages] = self.root.glob(f"{SITE}/python3*/site-packages")
        return packages

    def command(
        self, *program: str, mounts: Mapping[Path, str] | None = None, environment: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return the command line that runs a program of the image.

        Args:
            program: the program and its arguments.
            mounts: folders of this machine, and where they appear, read-only.
            environment: what is set besides the image's own variables.
        """
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in (environment or {}).items())]
        pairs = [str(part) for pair in (mounts or {}).items() for part in pair]
        started = ["sh", "-c", _START, "sh", str(self.root), self.config["User"], *pairs, "--"]
        return ["unshare", "--mount", *started, "/usr/bin/env", "-i", *variables, *program]

    def entrypoint(self, *arguments: str | Path) -> list[str]:
        """Return the image's entry point with arguments."""
        return [*self.config["Entrypoint"], *map(str, arguments)]

    def run(
        self, program: Sequence[str], *, mounts: Mapping[Path, str] | None = None, stdin: str = "", **environment: str
    ) -> Ran:
        """Run a program of the image to its end."""
        command = self.command(*program, mounts=mounts, environment=environment)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)
        return Ran(done.returncode, done.stdout, done.stderr)


def own_files(package: Path) -> Iterator[tuple[str, Path]]:
    """Every file of gpuwarden's package in a folder, by its name when it is installed."""
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"gpuwarden/{path.relative_to(package)}", path


def find() -> Image:
    """Return the image.

    Raises:
        NoImageError: there is none that can be tested here.
    """
    if sys.platform != "linux":
        raise NoImageError("the image runs on Linux")
    return Image(folder(os.environ))

"""Runs the unit tests on the supported Python that the project's environment does not have: 3.13, that of Debian 13.

It is a chroot made by debootstrap (hack/trixie.py), read-only but for this repository and /tmp, on this machine's network. The
environment is that of uv.lock, in .cache/python3.13. Only the standard library is needed; root is.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from hack import trixie
from hack.image import secrets

ROOT = trixie.ROOT
VERSION = "3.13"
ENVIRONMENT = f".cache/python{VERSION}"
TESTS = ("tests/engine", "tests/application", "tests/adapters", "tests/cli")
# Tests that run a program of the machine (git, Chromium, Prometheus): the chroot has none, and its answer does not depend on
# the Python that asks.
NOT_HERE = ("-m", "not programs")
# Arguments: the chroot, this repository, the folder of secrets, the script.
_START = """
set -eu
root=$1 repository=$2 secrets=$3
shift 3
mount --bind "$root" "$root"
mount --bind "$repository" "$root/mnt"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for folder in tmp root run; do mount -t tmpfs "$folder" "$root/$folder"; done
mkdir "$root/run/secrets"
mount --bind "$secrets" "$root/run/secrets"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount -o remount,bind,ro "$root"
exec chroot "$root" /usr/bin/env -i -C /mnt PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 CI="${CI:-}" sh -euc "$@"
"""
_TEST = f"""
python{VERSION} --version
( set -a; . /run/secrets/packages
  UV_PROJECT_ENVIRONMENT={ENVIRONMENT} UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy \
    .cache/uv/bin/uv sync --locked --quiet --no-default-groups --group test --python /usr/bin/python{VERSION} )
exec {ENVIRONMENT}/bin/python -B -m pytest -q -p no:cacheprovider --numprocesses auto --dist loadfile "$@"
"""


def run(chroot: Path, arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run pytest in the chroot; its exit code."""
    with TemporaryDirectory() as scratch:
        for option in secrets(environment, Path(scratch)):
            if option.startswith("id=ca,src="):
                shutil.copy(option.removeprefix("id=ca,src="), Path(scratch, "ca"))
        started = ["sh", "-c", _START, "sh", str(chroot), str(ROOT), scratch, _TEST, "pytest", *arguments]
        return subprocess.run(["unshare", "--mount", *started], env=dict(environment), check=False).returncode


def main() -> int:
    """Run the tests, or what the arguments name instead."""
    try:
        chroot = trixie.make(os.environ)
    except trixie.UnavailableError as error:
        print(f"pythons: {error}", file=sys.stderr)  # noqa: T201 - a script speaks
        return 1
    arguments = sys.argv[1:] or [*TESTS, *NOT_HERE]
    return run(chroot, arguments, os.environ)


if __name__ == "__main__":
    sys.exit(main())

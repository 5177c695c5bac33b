"""Makes Debian 13 with its Python 3.13 as a folder: another Python for the tests, and the image's base without a registry.

debootstrap fetches it from the archive that this machine's apt uses. Only the standard library is needed; root is.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITE = "trixie"
PACKAGES = ("ca-certificates", "python3")
# What no program reads; installing a package fetches apt's lists again.
UNNEEDED = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)


class UnavailableError(Exception):
    """It can't be made here; the message says why and what would fix that."""


def folder(environment: Mapping[str, str]) -> Path:
    """Where it is kept: ``.cache/trixie``, or ``trixie`` below $GPUWARDEN_CACHE."""
    return Path(environment.get("GPUWARDEN_CACHE") or ROOT / ".cache").absolute() / SUITE


def sources(targets: str, release: str) -> list[str]:
    """The lines of a sources.list for Debian 13, from what apt on this machine reads for its own release.

    Args:
        targets: lines of ``REPOSITORY SUITE COMPONENT``, as ``apt-get indextargets`` prints them.
        release: this machine's release, such as ``bookworm``; repositories of anything else are left out.
    """
    lines = []
    for repository, suite, component in map(str.split, targets.splitlines()):
        name, separator, pocket = suite.partition("-")
        if name == release and component == "main":
            lines.append(f"deb {repository} {SUITE}{separator}{pocket} {component}")
    return list(dict.fromkeys(lines))


def _run(*command: str | Path) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, check=False
    )
    if done.returncode != 0:
        tail = "\n    ".join((done.stdout + done.stderr).splitlines()[-10:])
        raise UnavailableError(f"{' '.join(map(str, command))}: exit code {done.returncode}:\n    {tail}")
    return done.stdout


def _sources() -> list[str]:
    system = platform.freedesktop_os_release()
    if system["ID"] != "debian":
        raise UnavailableError(f"this machine runs {system['NAME']}; the archive is taken from the apt of a Debian")
    targets = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
    release = system["VERSION_CODENAME"]
    lines = sources(_run(*targets), release)
    if not lines:
        _run("apt-get", "update", "-qq")  # before the first update, apt knows no release names
        lines = sources(_run(*targets), release)
    if not lines:
        raise UnavailableError(f"apt has no index of {release} here, so where {SUITE} is fetched from is not known")
    return lines


def make(environment: Mapping[str, str]) -> Path:
    """Return the folder, made by debootstrap unless it is there.

    Raises:
        UnavailableError: not root, no debootstrap, or no Debian archive.
    """
    wanted = folder(environment)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with wanted.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if wanted.exists():
            return wanted
        if os.geteuid() != 0:
            raise UnavailableError("debootstrap needs root; run as root, or use an engine that can pull an image")
        if shutil.which("debootstrap") is None:
            raise UnavailableError("no debootstrap; on Debian: apt-get install debootstrap")
        lines = _sources()
        new = wanted.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        _run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, new, lines[0].split()[1])
        Path(new, "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in lines))
        _run("chroot", new, "apt-get", "update", "-qq")
        _run("chroot", new, "apt-get", "upgrade", "--yes", "-qq")
        for name in UNNEEDED:
            shutil.rmtree(new / name, ignore_errors=True)
            Path(new, name).mkdir()
        Path(new, "etc/resolv.conf").write_text("")  # debootstrap copies this machine's
        Path(new, "etc/hostname").write_text("")
        new.rename(wanted)
    return wanted


if __name__ == "__main__":
    try:
        print(f"trixie: {make(os.environ)}")  # noqa: T201 - a script speaks
    except UnavailableError as error:
        sys.exit(f"trixie: {error}")

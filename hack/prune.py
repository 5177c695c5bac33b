"""Removes from the image's environment what gpuwarden never imports. tests/image runs what is left, with every login.

The Kubernetes client is most of it: gpuwarden uses its login and its connections, not its 700 models and their API
classes, nor its asynchronous copy, which alone needs aiohttp.
"""

import csv
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

# Only for kubernetes.aio.
PACKAGES = ("aiohappyeyeballs", "aiohttp", "aiohttp-retry", "aiosignal", "frozenlist", "multidict", "propcache", "yarl")
FOLDERS = ("kubernetes/aio", "kubernetes/client/apis")
# Their __init__.py is imported, and loads a module only when it is used.
LAZY = ("kubernetes/client/api", "kubernetes/client/models")
# Tests, and what a compiler would need.
PATTERNS = ("*_test.py", "test_*.py", "test", "tests", "*.c", "*.h", "*.pxd", "*.pyx")
PROGRAMS = ("gpuwarden", "python", "python3", "python3.*")


def remove(path: Path) -> None:
    """Remove a file or a folder.

    Raises:
        FileNotFoundError: there is none: this list no longer fits what is installed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def prune(environment: Path) -> None:
    """Remove it from a virtual environment.

    Raises:
        FileNotFoundError: something that is listed here is not installed.
    """
    [packages] = environment.glob("lib/python3*/site-packages")
    for path in list(listed(packages)):
        remove(path)
    for pattern in PATTERNS:
        for path in list(packages.rglob(pattern)):
            remove(path)
    for path in Path(environment, "bin").iterdir():
        if not any(path.match(pattern) for pattern in PROGRAMS):
            remove(path)
    Path(environment, ".lock").unlink(missing_ok=True)  # uv's, writable by everyone


def listed(packages: Path) -> Iterator[Path]:
    """What PACKAGES, FOLDERS and LAZY name, below site-packages."""
    for name in PACKAGES:
        metadata = list(packages.glob(f"{name.replace('-', '_')}-*.dist-info"))
        if len(metadata) != 1:
            raise FileNotFoundError(f"{name} is not installed; remove it from PACKAGES in hack/prune.py")
        with Path(metadata[0], "RECORD").open(newline="") as record:
            yield from {packages / Path(row[0]).parts[0] for row in csv.reader(record) if not row[0].startswith("..")}
    yield from (packages / folder for folder in FOLDERS)
    for folder in LAZY:
        yield from (path for path in (packages / folder).iterdir() if path.name != "__init__.py")


if __name__ == "__main__":
    prune(Path(sys.argv[1]))

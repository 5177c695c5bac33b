"""What is in the image: exactly the locked packages less what hack/prune.py removes, and nothing to build or test with."""

import os
import platform
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hack.image import ROOT
from hack.prune import prune
from tests.image.image import Image, own_files

MEGABYTE = 1_000_000
# What an installer writes about its own work. uv's environments start with two files of virtualenv's.
WRITTEN_BY_UV = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"}
VIRTUALENV = {"_virtualenv.pth", "_virtualenv.py"}
COMPILERS = {
    "as",
    "c++",
    "c89",
    "c99",
    "cc",
    "cc1",
    "cc1plus",
    "clang",
    "g++",
    "gcc",
    "ld",
    "make",
    "rustc",
    "cargo",
    "go",
}
INSTALLERS = {"conda", "easy_install", "pip", "pip3", "pipx", "uv", "uvx", "poetry"}
# Prints how many sources there are, and those without compiled code of theirs. The hash is of the image's own Python.
COMPILED = """
import importlib.util, pathlib, sys
sources = list(pathlib.Path(sys.argv[1]).rglob("*.py"))
compiled = list(pathlib.Path(sys.argv[1]).rglob("*.pyc"))
print(len(sources))
unchecked = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
for source in sources:
    cached = pathlib.Path(importlib.util.cache_from_source(source))
    if not cached.exists() or cached.read_bytes()[:16] != unchecked + importlib.util.source_hash(source.read_bytes()):
        print("not compiled:", source)
for cached in compiled:
    if not pathlib.Path(importlib.util.source_from_cache(cached)).exists():
        print("no source:", cached)
"""
# Prints the modules that Python compiles when a server starts.
COMPILED_AT_START = """
from importlib.machinery import SourceFileLoader
compiled_by = SourceFileLoader.source_to_code
def shown(self, source, path, **options):
    print(path)
    return compiled_by(self, source, path, **options)
SourceFileLoader.source_to_code = shown
from gpuwarden.cli import main, serve, server
from gpuwarden.adapters.kubernetes import client, pod_login
"""


def files(root: Path, *, but: tuple[str, ...] = ("proc", "sys")) -> dict[str, os.stat_result]:
    """Every file and link below a folder, by its path there."""
    found = {}
    for folder, folders, names in os.walk(root):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name not in but]
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*names, *links):
            path = Path(folder, name)
            found[str(path.relative_to(root))] = path.lstat()
    return found


def unwanted(paths: set[str]) -> set[str]:
    """Those of some paths that install, compile or test something, or are a repository's."""
    found = set()
    for path in paths:
        *folders, name = Path(path).parts
        program = "bin" in folders[-1:] or "sbin" in folders[-1:]
        packages = {"ensurepip", "pip", "setuptools", "wheel", "uv"} & set(folders)
        tests = {"test", "tests"} & set(folders) or name.startswith("test_") or name.endswith("_test.py")
        if (
            (program and (name in COMPILERS | INSTALLERS or name.startswith(("gcc-", "pip3."))))
            or (packages and name.endswith((".py", ".whl")))
            or (tests and name.endswith(".py"))
            or ".git" in (*folders, name)
            or name.endswith((".c", ".pyx"))
        ):
            found.add(path)
    return found


@pytest.fixture(scope="module")
def locked(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of uv.lock for the image's Python, from wheels whose hashes uv checked, pruned as the image's are."""
    environment = tmp_path_factory.mktemp("locked")
    packages = environment / "lib" / image.packages.parent.name / "site-packages"
    (environment / "bin").mkdir()
    facts = image.run(["python3", "-c", "import platform; print(platform.python_version(), platform.libc_ver()[1])"])
    version, libc = facts.out.split()
    uv = ROOT / ".cache/uv/bin/uv"
    requirements = environment / "locked.txt"
    exported = ["--format", "requirements.txt", "--frozen", "--no-default-groups", "--no-emit-project", "--quiet"]
    subprocess.run([uv, "export", *exported, "--output-file", requirements], cwd=ROOT, check=True)
    machine = f"{platform.machine()}-manylinux_{'_'.join(map(str, min((2, 40), tuple(map(int, libc.split('.'))))))}"
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", sys.executable, "--python-version", version,
         "--python-platform", machine, "--target", packages, "--require-hashes", "--no-deps", "--only-binary", ":all:",
         "--link-mode", "copy", "-r", requirements],
        check=True,
    )  # fmt: skip
    shutil.rmtree(packages / "bin")
    prune(environment)
    return packages


def compared(packages: Path) -> dict[str, bytes]:
    """The content of every file of packages, less what an installer writes, or Python from them."""
    return {
        str(path.relative_to(packages)): path.read_bytes()
        for path in packages.rglob("*")
        if path.is_file() and path.name not in WRITTEN_BY_UV and path.suffix != ".pyc"
        if path.name not in {".lock", ".gitignore", *VIRTUALENV}
    }


def test_every_file_is_a_locked_wheels_or_gpuwardens_own(image: Image, locked: Path) -> None:
    there = compared(image.packages)
    own = {name: path.read_bytes() for name, path in own_files(ROOT / "webhook")}
    metadata = {name for name in there if name.startswith("gpuwarden-")}
    wheels = {name: content for name, content in there.items() if name not in own and name not in metadata}
    expected = compared(locked)
    assert sorted(wheels) == sorted(expected)
    assert [name for name in wheels if wheels[name] != expected[name]] == []
    assert {name: there.get(name) for name in own} == own
    assert {Path(name).name for name in metadata} == {"METADATA", "WHEEL", "entry_points.txt", "LICENSE"}


def test_compiled_code_is_of_the_source_beside_it(image: Image) -> None:
    """Nothing can be compiled at run time, so all of it is there, bound to its source by hash and not by date."""
    ran = image.run(["python3", "-c", COMPILED, f"/{image.packages.relative_to(image.root)}"])
    assert (ran.code, ran.err) == (0, "")
    count, *wrong = ran.out.splitlines()
    assert wrong == []
    assert int(count) > 500


def test_a_start_compiles_nothing(image: Image) -> None:
    """The standard library is compiled too, so that a start takes a third less CPU time and a replica 1 MiB less."""
    ran = image.run(["python3", "-c", COMPILED_AT_START])
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_nothing_installs_compiles_or_tests(image: Image) -> None:
    assert unwanted(set(files(image.root))) == set()


def test_what_is_unwanted_is_recognised() -> None:
    bad = {
        "usr/bin/gcc", "usr/bin/x86_64-linux-gnu/bin/cc", "usr/local/bin/pip3.13", "opt/x/site-packages/pip/__init__.py",
        "usr/lib/python3.13/ensurepip/_bundled/pip.whl", "src/.git/config", "opt/x/kubernetes/config/dateutil_test.py",
        "opt/x/yaml/tests/a.py", "src/a.c",
    }  # fmt: skip
    good = {"usr/bin/python3", "usr/bin/test", "usr/share/gcc/python/x.py", "opt/x/pydantic/experimental/pipeline.py"}
    assert unwanted(bad | good) == bad


def test_it_is_small(image: Image) -> None:
    base = files(image.base)
    added = {
        path: found
        for path, found in files(image.root).items()
        if path not in base or (base[path].st_size, base[path].st_mtime) != (found.st_size, found.st_mtime)
    }
    size = sum(found.st_blocks * 512 for found in added.values())
    assert 20 * MEGABYTE < size < 160 * MEGABYTE, f"{size / MEGABYTE:.0f} MB above the base"


def test_its_user_owns_nothing_and_nothing_of_ours_is_writable(image: Image) -> None:
    user, _, group = image.config["User"].partition(":")
    assert (user, group) == ("65532", "65532")
    there = files(image.root)
    assert [path for path, found in there.items() if found.st_uid == int(user) or found.st_gid == int(group)] == []
    ours = {path: found for path, found in there.items() if path.startswith("opt/") and not stat.S_ISLNK(found.st_mode)}
    assert [path for path, found in ours.items() if found.st_mode & 0o022] == []


def test_no_secret_of_the_build_is_left(image: Image) -> None:
    assert not (image.root / "run/secrets/packages").exists()
    assert not (image.root / "run/secrets/ca").exists()
    assert not any((image.root / name).exists() for name in ("src", "opt/uv", "root/.cache", "root/.config"))

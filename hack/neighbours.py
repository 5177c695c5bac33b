"""Builds the programs that run with gpuwarden in the end-to-end tests, from the Go modules that ``hack/neighbours`` pins.

cert-manager's controller and cainjector, JobSet's and Kueue's managers, and the manifests that the tests install with them:
CRDs, roles and webhook configurations, copied from the same modules. They go to ``.cache/neighbours``, into a directory named
after the content of ``hack/neighbours``; the link ``current`` points to the one that the tests use. Nothing is done
where all is there.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from hack.go_programs import Place, UnavailableError, go_build, go_environment, keep, point, run, say, step

MODULES = Path(__file__).resolve().parent / "neighbours"
PACKAGES: Mapping[str, Mapping[str, str]] = {
    ".": {
        "cert-manager-controller": "./cert-manager-controller",
        "cert-manager-cainjector": "./cert-manager-cainjector",
        "jobset": "sigs.k8s.io/jobset",
    },
    # Not with the others: it compiles with older Kubernetes libraries only than they do.
    "kueue": {"kueue": "sigs.k8s.io/kueue/cmd/kueue"},
}
"""What is built: by the folder of a go.mod, a program's name and its package."""
MANIFESTS = {
    "cert-manager": (".", "github.com/cert-manager/cert-manager", "deploy/crds"),
    "jobset": (".", "sigs.k8s.io/jobset", "config"),
    "kueue": ("kueue", "sigs.k8s.io/kueue", "config"),
}
"""What is copied: a neighbour's name, the folder of a go.mod, a module of its, and the folder of what users apply."""
BUILD_MEBIBYTES = 3072


def directory(environment: Mapping[str, str]) -> Path:
    """Where the neighbours are kept: ``.cache/neighbours``, or ``neighbours`` below $GPUWARDEN_CACHE."""
    repository = Path(__file__).resolve().parent.parent
    return Path(environment.get("GPUWARDEN_CACHE") or repository / ".cache").absolute() / "neighbours"


def key() -> str:
    """Name what ``hack/neighbours`` pins: the start of the SHA-256 of its files."""
    content = hashlib.sha256(Path(__file__).read_bytes())
    for file in sorted(MODULES.rglob("*")):
        if file.is_file():
            content.update(file.read_bytes())
    return content.hexdigest()[:16]


def fill(place: Place) -> None:
    """Build the programs and copy the manifests.

    Raises:
        UnavailableError: Go, a module or room is missing, or something does not compile.
    """
    for folder, packages in PACKAGES.items():
        with step(f"build {', '.join(packages)}"):
            built = go_build(place, MODULES / folder, list(packages.values()), ["-s", "-w"], BUILD_MEBIBYTES)
        for program in packages:
            keep(place, program, built / program)
    for name, (pinned, module, folder) in MANIFESTS.items():
        listing = ("go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module)
        said = run(place, *listing, cwd=MODULES / pinned, env=go_environment(place, MODULES / pinned))
        target = place.into / "manifests" / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(said.strip()) / folder, target, copy_function=shutil.copyfile)
        # Folders of Go's module cache are read-only; a copy of one that is could not be removed again.
        for made in (target, *target.rglob("*/")):
            made.chmod(0o755)


def main(environment: Mapping[str, str]) -> int:
    """Fill the cache if what is pinned isn't there; 0 when everything is, 1 when not."""
    cache = directory(environment)
    place = Place(build=cache / "build", into=cache / key())
    complete = place.into / "COMPLETE"
    place.into.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            place.build.mkdir(exist_ok=True)
            try:
                fill(place)
            except UnavailableError as error:
                say(str(error))
                return 1
            complete.touch()
            shutil.rmtree(place.build)
        point(cache / "current", place.into)
    say(f"all there: {place.into}")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what runs, as Ctrl-C does
    sys.exit(main(os.environ))

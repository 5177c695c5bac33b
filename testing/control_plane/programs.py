"""Finding the control plane's programs, and their versions."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


class NoControlPlaneError(Exception):
    """The programs are not all there; the message is one line that says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where each program is."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubectl: Path


def find(environment: Mapping[str, str], repository: Path) -> Programs:
    """Find the programs in ``$KUBEBUILDER_ASSETS`` if that is set, or else in the cache of ``make control-plane``.

    The two are never mixed: the programs of one directory are of one version. Only kubectl, which works across
    versions, is taken from the PATH where the directory has none.

    Raises:
        NoControlPlaneError: some are missing.
    """
    assets = environment.get("KUBEBUILDER_ASSETS")
    cache = Path(environment.get("GPUWARDEN_CACHE") or repository / ".cache") / "control-plane/current"
    directory = Path(assets) if assets else cache
    found = {name: directory / name for name in NAMES if os.access(directory / name, os.X_OK)}
    if "kubectl" not in found and (kubectl := shutil.which("kubectl", path=environment.get("PATH"))):
        found["kubectl"] = Path(kubectl)
    missing = [name for name in NAMES if name not in found]
    if missing and assets:
        raise NoControlPlaneError(f"no control plane: KUBEBUILDER_ASSETS lacks {', '.join(missing)}")
    if missing:
        raise NoControlPlaneError("no control plane: run `make control-plane`, or set KUBEBUILDER_ASSETS")
    return Programs(**{name.replace("-", "_"): path.absolute() for name, path in found.items()})


def parse_version(text: str) -> tuple[int, int]:
    """Read the first ``v1.36...`` or ``1.36+`` in a program's or a server's own words.

    >>> parse_version("Kubernetes v1.36.2")
    (1, 36)
    """
    match = re.search(r"\bv?(\d+)\.(\d+)", text)
    if match is None:
        raise ValueError(f"no version in {text!r}")
    return int(match[1]), int(match[2])


def version_of(program: Path) -> tuple[int, int]:
    """Ask a Kubernetes component for its version."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=300)
    return parse_version(said.stdout)

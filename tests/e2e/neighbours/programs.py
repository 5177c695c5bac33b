"""Finding what runs beside gpuwarden. Where it is missing, a test is skipped, or fails if GPUWARDEN_REQUIRE_NEIGHBOURS is 1."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.neighbours import directory

Json = dict[str, Any]


def built(name: str) -> Path:
    """A program that ``make neighbours`` builds."""
    program = directory(os.environ) / "current" / name
    return program if os.access(program, os.X_OK) else _missing(name, "run `make neighbours`")


def installed(name: str) -> Path:
    """A program of Debian's."""
    found = shutil.which(name)
    return Path(found) if found else _missing(name, f"on Debian: apt-get install {name}")


def crds(neighbour: str) -> list[Json]:
    """The CRDs of a neighbour that ships them as plain files."""
    files = sorted((directory(os.environ) / "current/manifests" / neighbour).glob("*.yaml"))
    return [yaml.load(file.read_text(), yaml.CSafeLoader) for file in files]


def configuration(neighbour: str) -> Path:
    """The folder that a neighbour has its users pass to ``kubectl apply --kustomize``."""
    return directory(os.environ) / "current/manifests" / neighbour / "default"


def _missing(name: str, remedy: str) -> Path:
    if os.environ.get("GPUWARDEN_REQUIRE_NEIGHBOURS") == "1":
        pytest.fail(f"GPUWARDEN_REQUIRE_NEIGHBOURS is 1, and there is no {name}: {remedy}", pytrace=False)
    pytest.skip(f"no {name}: {remedy}")

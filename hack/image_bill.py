"""Writes dist/gpuwarden-image.cdx.json: everything in the image that `make image` built, as CycloneDX.

What is installed is read from the unpacked image; the hashes of Python packages are taken from the bill of what is locked.
"""

import copy
import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hack.image import ROOT, folder

LOCKED = ROOT / "dist/gpuwarden.cdx.json"
WRITTEN = ROOT / "dist/gpuwarden-image.cdx.json"
Json = dict[str, Any]


def normal(name: str) -> str:
    """A Python package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_packages(root: Path) -> Iterator[tuple[str, str]]:
    """Name and version of every Python package that is installed beside gpuwarden, and itself."""
    for metadata in sorted(root.glob("opt/gpuwarden/lib/python3*/site-packages/*.dist-info/METADATA")):
        fields = HeaderParser().parsestr(metadata.read_text())
        yield normal(fields["Name"]), fields["Version"]


def debian_packages(root: Path, release: str) -> Iterator[Json]:
    """Every package that dpkg has installed, as a component."""
    for paragraph in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if fields.get("Status", "").split()[-1:] == ["installed"]:
            name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro=debian-{release}"
            yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def base(root: Path) -> Iterator[Json]:
    """The operating system, its packages, and a Python that is none of them, as the official images have."""
    lines = (root / "etc/os-release").read_text().splitlines()
    system = {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
    version = system.get("DEBIAN_VERSION_FULL") or system["VERSION_ID"]
    yield {"type": "operating-system", "bom-ref": "base", "name": system["ID"], "version": version}
    yield from debian_packages(root, system["VERSION_ID"])
    for header in root.glob("usr/local/include/python3*/patchlevel.h"):
        [python] = re.findall(r'(?m)^#define PY_VERSION\s+"([^"]+)"', header.read_text())
        purl = f"pkg:generic/python@{python}"
        yield {"type": "application", "bom-ref": purl, "name": "python", "version": python, "purl": purl}


def bill(root: Path, locked: Json) -> Json:
    """Return the image's bill of materials.

    Args:
        root: the image's files.
        locked: the bill of what is locked.

    Raises:
        KeyError: a Python package is installed that is not locked, in this version.
    """
    known = {(normal(component["name"]), component["version"]): component for component in locked["components"]}
    own = locked["metadata"]["component"]
    itself = (normal(own["name"]), own["version"])
    installed = [known[package] for package in python_packages(root) if package != itself]
    present = {component["bom-ref"] for component in installed} | {own["bom-ref"]}
    written = copy.deepcopy({key: locked[key] for key in ("bomFormat", "specVersion", "version")})
    written["serialNumber"] = f"urn:uuid:{uuid.uuid4()}"
    written["metadata"] = {
        "timestamp": locked["metadata"]["timestamp"],
        "tools": locked["metadata"]["tools"],
        "component": {"type": "container", "bom-ref": "image", "name": own["name"], "version": own["version"]},
    }
    written["components"] = [own, *installed, *base(root)]
    written["dependencies"] = [
        entry | {"dependsOn": [name for name in entry.get("dependsOn", []) if name in present]}
        for entry in locked["dependencies"]
        if entry["ref"] in present
    ]
    return written


def main() -> int:
    """Write it if an image was built; otherwise print that there is none."""
    built = folder(os.environ)
    if not (built / "config.json").exists():
        print("sbom: no image was built, so there is none of the image: run `make image` first")  # noqa: T201 - a script speaks
        return 0
    written = bill(built / "rootfs", json.loads(LOCKED.read_text()))
    WRITTEN.write_text(json.dumps(written, indent=1) + "\n")
    print(f"sbom: {WRITTEN.relative_to(ROOT)} lists {len(written['components'])} components of the image")  # noqa: T201 - a script speaks
    return 0


if __name__ == "__main__":
    sys.exit(main())

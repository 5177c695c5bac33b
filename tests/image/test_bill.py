"""The image's bill of materials lists exactly what Python and dpkg in the image say is installed."""

import json
from functools import cache
from typing import Any

from hack.image_bill import bill, normal
from tests.hack.cyclonedx import bill as locked
from tests.hack.cyclonedx import validator
from tests.image.image import Image

PYTHON = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name, d.version)"


@cache
def of(image: Image) -> Any:
    return bill(image.root, locked())


def listed(image: Image, kind: str) -> set[tuple[str, str]]:
    """Name and version of the components of a kind of package."""
    components = [c for c in of(image)["components"] if c.get("purl", "").startswith(f"pkg:{kind}/")]
    return {(normal(c["name"]) if kind == "pypi" else c["name"], c["version"]) for c in components}


def test_it_is_what_the_standard_says(image: Image) -> None:
    validator().validate(of(image))
    assert of(image)["metadata"]["component"]["type"] == "container"


def test_it_lists_every_python_package_with_the_hashes_of_the_lock(image: Image) -> None:
    ran = image.run(["python3", "-c", PYTHON])
    assert ran.code == 0, ran.err
    installed = {(normal(name), version) for name, version in map(str.split, ran.out.splitlines())}
    assert ("aiohttp", "3") not in {(name, version[:1]) for name, version in installed}  # removed
    assert listed(image, "pypi") | {("gpuwarden", of(image)["metadata"]["component"]["version"])} == installed
    for component in of(image)["components"]:
        if component.get("purl", "").startswith("pkg:pypi/"):
            assert all(file["hashes"] for file in component["externalReferences"])


def test_it_lists_every_debian_package(image: Image) -> None:
    ran = image.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n"])
    assert ran.code == 0, ran.err
    assert listed(image, "deb") == {(name, version) for name, version in map(str.split, ran.out.splitlines())}
    assert json.dumps(of(image)).count('"operating-system"') == 1


def test_what_depends_on_what_names_only_what_is_there(image: Image) -> None:
    there = {component["bom-ref"] for component in of(image)["components"]}
    assert {
        name for entry in of(image)["dependencies"] for name in (entry["ref"], *entry.get("dependsOn", []))
    } <= there

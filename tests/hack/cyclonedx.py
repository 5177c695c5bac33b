"""The bill of materials of what is locked, and the standard that bills are checked against."""

import json
import re
import shutil
import subprocess
from functools import cache
from importlib import resources
from typing import Any

import jsonschema
from referencing import Registry, Resource

from hack.tools import ROOT


@cache
def bill() -> Any:
    """What `make sbom` writes: the command stands in the Makefile, and is read from there."""
    own = ROOT / ".cache/uv/bin/uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    assert uv, "no uv: run `make setup`"
    [options] = re.findall(r"(?m)^\t@\$\(UV\) (export --format cyclonedx.*?) > ", (ROOT / "Makefile").read_text())
    done = subprocess.run([uv, *options.split()], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@cache
def validator() -> jsonschema.Draft7Validator:
    """CycloneDX' own schema, as its library brings it."""
    folder = resources.files("cyclonedx.schema._res")

    def read(name: str) -> Any:
        return json.loads((folder / name).read_text())

    beside = {"spdx.schema.json": "spdx", "jsf-0.82.schema.json": "jsf-0.82"}
    schema = read("bom-1.5.SNAPSHOT.schema.json")
    named: list[tuple[str, Resource[Any]]] = []
    for file, name in beside.items():
        resource: Resource[Any] = Resource.from_contents(read(f"{name}.SNAPSHOT.schema.json"))
        named += [(file, resource), (f"http://cyclonedx.org/schema/{file}", resource)]
        named.append((f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", resource))
    registry: Registry[Any] = Registry().with_resources(named)
    return jsonschema.Draft7Validator(schema, registry=registry)

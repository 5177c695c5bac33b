"""The supply chain as far as files show it: hashes in the lock, the bill of materials, what the image is made of."""

import re
import tomllib

import jsonschema
import pytest

from hack.licences import LOCK, installed
from hack.tools import ROOT
from tests.hack.cyclonedx import bill, validator

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_every_locked_package_has_hashes() -> None:
    packages = tomllib.loads(LOCK.read_text())["package"]
    files = [
        file for package in packages for file in (*package.get("wheels", []), *filter(None, [package.get("sdist")]))
    ]
    assert len(files) > len(packages)
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]) for file in files)
    from_elsewhere = [package["name"] for package in packages if "registry" not in package["source"]]
    assert from_elsewhere == ["gpuwarden"]


def test_the_bill_of_materials_is_what_the_standard_says() -> None:
    validator().validate(bill())
    assert (bill()["bomFormat"], bill()["specVersion"]) == ("CycloneDX", "1.5")


def test_a_bill_that_is_not_is_noticed() -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator().validate({**bill(), "components": [{"type": "library"}]})


def test_the_bill_lists_what_is_installed_with_hashes_and_nothing_of_the_tests() -> None:
    components = {component["name"].replace(".", "-"): component for component in bill()["components"]}
    assert set(installed()) <= set(components)
    assert not {"pytest", "ruff", "hypothesis", "atheris"} & set(components)
    for component in components.values():
        files = component["externalReferences"]
        assert all(hash_["alg"] == "SHA-256" for file in files for hash_ in file["hashes"])
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"


def test_the_image_installs_only_what_is_locked_and_runs_as_nobody() -> None:
    assert DOCKERFILE.count("uv sync --locked --no-default-groups") == 2
    assert re.findall(r"(?m)^USER (.*)$", DOCKERFILE) == ["65532:65532"]
    assert re.findall(r"(?m)^(?:ADD|RUN curl|RUN wget).*$", DOCKERFILE) == []
    bases = re.findall(r"(?m)^FROM (\S+)", DOCKERFILE)
    assert bases == ["${PYTHON_IMAGE}"] * 2  # one argument pins both by digest


def test_the_image_and_the_makefile_use_the_same_uv() -> None:
    [made] = re.findall(r"(?m)^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text())
    assert re.findall(r"uv==(\S+)", DOCKERFILE) == [made]


def test_the_threat_model_names_tests_that_there_are() -> None:
    """Of each threat it says which test holds it off."""
    page = (ROOT / "docs/reference/threat-model.md").read_text()
    named = set(re.findall(r"`((?:tests|fuzz|hack|webhook|deploy|docs)/[\w./-]+)`", page))
    assert len([name for name in named if name.startswith("tests/")]) > 20
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_threat_model_answers_every_threat_of_the_paper() -> None:
    page = (ROOT / "docs/reference/threat-model.md").read_text()
    sections = re.split(r"(?m)^### ", page.partition("## The paper's mitigations")[0])[1:]
    assert [int(section.partition(".")[0]) for section in sections] == list(range(1, 19))
    for section in sections:
        answer = section.split("\n", 2)[2]
        assert answer.startswith(("Mitigated", "Yours", "Accepted")), section
        assert "Tests:" in answer or answer.startswith(("Yours", "Accepted")), section

"""The Pythons that the project declares are those that its tests run on."""

import re
import sys
import tomllib

from packaging.specifiers import SpecifierSet

from hack.pythons import ROOT, TESTS, VERSION

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# That of Debian 12, and what mypy checks for; the other one is Debian 13's.
TESTED = {PROJECT["tool"]["mypy"]["python_version"], VERSION}


def test_only_tested_versions_are_declared() -> None:
    prefix = "Programming Language :: Python :: "
    classifiers = [text.removeprefix(prefix) for text in PROJECT["project"]["classifiers"] if text.startswith(prefix)]
    assert set(classifiers) - {"3 :: Only"} == TESTED


def test_only_tested_versions_can_be_installed_on() -> None:
    permitted = SpecifierSet(PROJECT["project"]["requires-python"])
    assert {f"3.{minor}" for minor in range(30) if f"3.{minor}.5" in permitted} == TESTED


def test_this_is_one_of_them() -> None:
    assert ".".join(map(str, sys.version_info[:2])) in TESTED


def test_ci_runs_the_other() -> None:
    assert re.search(r"(?m) make test-pythons$", (ROOT / ".ci/run").read_text())
    assert [name for name in TESTS if not (ROOT / name).is_dir()] == []


def test_make_takes_no_other() -> None:
    [condition] = re.findall(r"sys\.version_info\[:2\] not in \(([^;]*)\)\)'", (ROOT / "Makefile").read_text())
    assert {".".join(pair) for pair in re.findall(r"\((\d), (\d+)\)", condition)} == TESTED

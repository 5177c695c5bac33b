"""Releases as code: what is made, what is refused, and that the workflow names what there is."""

import hashlib
import re
import tarfile
from pathlib import Path

import pytest
import yaml

from hack import release
from hack.tools import ROOT

VERSION = release.project_version()
CHANGELOG = f"# Changelog\n\n## Unreleased\n\n## {VERSION} - 2026-12-01\n\n- First.\n\n## 0.0.1\n\n- Old.\n"
WORKFLOWS = ROOT / ".github" / "workflows"


def test_a_release_has_wheel_source_chart_bill_notes_and_checksums(tmp_path: Path) -> None:
    into = tmp_path / "dist"
    release.make(VERSION, into, CHANGELOG)
    made = {str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()}
    assert made == {
        f"python/gpuwarden-{VERSION}-py3-none-any.whl",
        f"python/gpuwarden-{VERSION}.tar.gz",
        f"chart/gpuwarden-{VERSION}.tgz",
        "gpuwarden.cdx.json",
        "NOTES.md",
        "SHA256SUMS",
    }
    assert (into / "NOTES.md").read_text() == "- First.\n"
    sums = {name: hashlib.sha256((into / name).read_bytes()).hexdigest() for name in made - {"SHA256SUMS"}}
    assert (into / "SHA256SUMS").read_text() == "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


@pytest.mark.parametrize(
    ("environment", "home"),
    [
        ({}, ""),
        ({"GITHUB_REPOSITORY": "a/b"}, "https://github.com/a/b"),
        ({"GITHUB_REPOSITORY": "a/b", "GITHUB_SERVER_URL": "https://git.example"}, "https://git.example/a/b"),
    ],
)
def test_the_chart_names_the_repository_that_releases_it(
    tmp_path: Path, environment: dict[str, str], home: str
) -> None:
    assert release.repository(environment) == home
    release.package_chart(tmp_path, home)
    with tarfile.open(tmp_path / f"gpuwarden-{VERSION}.tgz") as archive:
        file = archive.extractfile("gpuwarden/Chart.yaml")
        assert file is not None
        chart = yaml.safe_load(file)
    assert (chart.get("home", ""), chart.get("sources", [])) == (home, [home] if home else [])


@pytest.mark.parametrize(
    ("version", "changelog", "said"),
    [
        ("", CHANGELOG, f"no version is given; run make tools dist VERSION={VERSION}"),
        ("9.9.9", CHANGELOG, f"the tag is for 9.9.9, and pyproject.toml says {VERSION}"),
        (VERSION, "## Unreleased\n\n- A.\n", f"CHANGELOG.md has no section for {VERSION}"),
        (VERSION, f"## {VERSION}\n\n## 0.0.1\n\n- Old.\n", f"CHANGELOG.md has no section for {VERSION}"),
    ],
)
def test_what_is_not_ready_is_refused(tmp_path: Path, version: str, changelog: str, said: str) -> None:
    with pytest.raises(release.NotReadyError, match=re.escape(said)):
        release.make(version, tmp_path / "dist", changelog)
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yaml")), ids=lambda path: path.name)
def test_workflows_have_least_rights_and_call_what_there_is(path: Path) -> None:
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    for job in jobs.values():
        assert set([needs] if isinstance(needs := job.get("needs", []), str) else needs) <= set(jobs)
        if called := job.get("uses"):
            assert (ROOT / called).is_file()
    targets = set(re.findall(r"(?m)^([a-z0-9-]+):", (ROOT / "Makefile").read_text()))
    for command in re.findall(r"- run: make ((?:[a-z0-9-]+ ?)+)", text):
        assert set(command.split()) <= targets

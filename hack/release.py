"""Makes what a release publishes, into dist/: wheel, source distribution, chart, bill of materials, notes and checksums.

The image is built by the workflow, for every platform. Nothing is published here, and nothing is signed.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hack import tools
from hack.tools import ROOT

UV = ROOT / ".cache" / "uv" / "bin" / "uv"
CHANGELOG = ROOT / "CHANGELOG.md"


class NotReadyError(Exception):
    """This state can't be released; the message says what to change."""


def project_version() -> str:
    """Return the version in pyproject.toml, which chart and package have too (a test compares)."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def notes(version: str, changelog: str) -> str:
    """Return what the changelog says about a version.

    Raises:
        NotReadyError: it has no section for the version, or an empty one.
    """
    found = re.search(rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE)
    if found is None or not found[1].strip():
        raise NotReadyError(
            f"CHANGELOG.md has no section for {version}; rename `## Unreleased` to `## {version} - YYYY-MM-DD`"
        )
    return found[1].strip() + "\n"


def repository(environment: Mapping[str, str]) -> str:
    """Return the URL of the repository whose workflow runs this, or an empty text outside of one."""
    name = environment.get("GITHUB_REPOSITORY", "")
    return f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}" if name else ""


def package_chart(into: Path, home: str) -> None:
    """Package the chart, with ``home`` and ``sources`` in its Chart.yaml if there is a URL for them."""
    helm = tools.find("helm", os.environ)
    with TemporaryDirectory() as folder:
        chart = shutil.copytree(ROOT / "deploy" / "chart", Path(folder, "chart"))
        if home:
            with (chart / "Chart.yaml").open("a") as file:
                file.write(f"home: {home}\nsources: [{home}]\n")
        subprocess.run([helm, "package", chart, "--destination", into], check=True)


def make(version: str, into: Path, changelog: str, home: str = "") -> None:
    """Write everything that a release of ``version`` has into a folder, which is emptied first.

    Args:
        version: the version, without v.
        into: the folder.
        changelog: the text of CHANGELOG.md.
        home: the URL of the project's repository, for the chart; empty: the chart names none.

    Raises:
        NotReadyError: the project has another version, or the changelog no section for it.
    """
    if not version:
        raise NotReadyError(f"no version is given; run make tools dist VERSION={project_version()}")
    if version != project_version():
        raise NotReadyError(
            f"the tag is for {version}, and pyproject.toml says {project_version()}; change pyproject.toml, "
            "webhook/__init__.py and deploy/chart/Chart.yaml in a commit before the tag"
        )
    said = notes(version, changelog)
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    (into / "NOTES.md").write_text(said)
    subprocess.run([UV, "build", "--quiet", "--no-create-gitignore", "--out-dir", into / "python", ROOT], check=True)
    package_chart(into / "chart", home)
    exported: list[str | Path] = [
        UV,
        "export",
        "--format",
        "cyclonedx1.5",
        "--frozen",
        "--no-default-groups",
        "--quiet",
    ]
    with (into / "gpuwarden.cdx.json").open("wb") as bill:
        subprocess.run(exported, cwd=ROOT, stdout=bill, check=True)
    files = sorted(path for path in into.rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(into)}\n" for path in files]
    (into / "SHA256SUMS").write_text("".join(lines))


def main() -> int:
    """Make the release that the command line names. Exit code 1: this state can't be released."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="the version, as in the tag, without v")
    try:
        make(parser.parse_args().version, ROOT / "dist", CHANGELOG.read_text(), repository(os.environ))
    except (NotReadyError, tools.UnavailableError) as error:
        print(f"dist: {error}", file=sys.stderr)  # noqa: T201 - a script speaks
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The documentation site: it builds, a broken link fails the build, and a page loads nothing from elsewhere."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack import site
from hack.tools import ROOT
from tests.adapters.reports.chromium import Chromium, find

MKDOCS = ROOT / ".cache/site/bin/mkdocs"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(["make", "site", f"SITE={folder}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there_and_loads_nothing_from_elsewhere(built: Path) -> None:
    pages = {str(page.relative_to(built)): page.read_text() for page in built.rglob("*.html")}
    for file in (ROOT / "docs").rglob("*.md"):
        name = str(file.relative_to(ROOT / "docs").with_suffix(""))
        assert ("index.html" if name == "README" else f"{name}/index.html") in pages
    loaded = r"<(?:script|img|iframe)[^>]* src=[\"']?(?:https?:)?//|<link[^>]* href=[\"']?(?:https?:)?//[^>]*stylesheet"
    assert {name for name, text in pages.items() if re.search(loaded, text)} == set()
    styles = "".join(file.read_text() for file in built.rglob("*.css"))
    assert re.findall(r"@import|url\([\"']?https?:", styles) == []


def test_a_page_is_called_by_its_heading_in_menus_and_search(built: Path) -> None:
    entries = json.loads((built / "search/search_index.json").read_text())["docs"]
    titles = {entry["location"]: entry["title"] for entry in entries if "#" not in entry["location"]}
    assert titles["repository/deploy/chart/"] == "The gpuwarden chart"
    assert titles["reference/policies/"] == "Policies and rules"


def test_lists_and_tables_are_not_left_as_text(built: Path) -> None:
    """In docs/: Python-Markdown needs four spaces and blank lines where GitHub does not."""
    for page in built.rglob("*.html"):
        if page.is_relative_to(built / "repository"):
            continue
        text = re.sub(r"(?s)<(pre|code|script)\b.*?</\1>", "", page.read_text())
        assert re.findall(r"```|\|---|\n- |\]\(", text) == [], page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find()
    if program is None:
        if os.environ.get("GPUWARDEN_REQUIRE_CHROMIUM") == "1":
            pytest.fail("GPUWARDEN_REQUIRE_CHROMIUM=1 and there is no Chromium; on Debian: apt-get install chromium")
        pytest.skip("no Chromium to look at the site with; on Debian: apt-get install chromium")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.parametrize("page", ["index.html", "concepts/index.html", "reference/policies/index.html"])
def test_on_a_phone_only_pictures_tables_and_code_are_wider_than_the_page(
    built: Path, browser: Chromium, page: str
) -> None:
    browser.open(built / page, width=400)
    assert browser.run("document.documentElement.scrollWidth") == 400
    # Text of 12 units in a picture that is 960 units wide: at least 9 pixels, and the picture scrolls, by keyboard too.
    pictures = browser.run(
        "[...document.querySelectorAll('p > img[src$=\".svg\"]')]"
        ".map((one) => [one.clientWidth >= 720, getComputedStyle(one.parentNode).overflowX, one.parentNode.tabIndex])"
    )
    assert pictures == [[True, "auto", 0]] * len(pictures)
    assert bool(pictures) is (page != "reference/policies/index.html")
    tables = browser.run(
        "[...document.querySelectorAll('.md-typeset__scrollwrap')]"
        ".filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.tabIndex)"
    )
    assert tables == [0] * len(tables)
    assert bool(tables) is (page != "index.html")
    assert browser.run("document.querySelector('.md-search').getAttribute('aria-label')") == "Search"


@pytest.mark.usefixtures("built")
def test_broken_links_fail_the_build(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    broken = "[a](nowhere.md) [b](#no-such-heading) [c](/absolute.md) [d]\n\n[d]: nowhere.json\n"
    (tmp_path / "pages/index.md").write_text(f"# A page\n\n{broken}")
    config = tmp_path / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {ROOT}/mkdocs.yml\ndocs_dir: {tmp_path}/pages\nnav: [index.md]\ntheme: {{name: mkdocs}}\n"
    )
    done = subprocess.run(
        [MKDOCS, "build", "--strict", "--config-file", config, "--site-dir", tmp_path / "built"],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    links = ["nowhere.md", "#no-such-heading", "/absolute.md", "nowhere.json"]
    assert len(warnings) == len(links)
    assert [link for link in links if not any(f"'{link}'" in line for line in warnings)] == []


@pytest.mark.parametrize(
    ("link", "on_the_site"),
    [
        ("[a](../concepts.md#modes)", "[a](../concepts.md#modes)"),
        ("[a](https://example.com/x.md)", "[a](https://example.com/x.md)"),
        ("[a](#here)", "[a](#here)"),
        ("[a](../../SECURITY.md#x)", "[a](../repository/SECURITY.md#x)"),
        ("[a](../../.github/workflows/ci.yaml)", "[a](../repository/github/workflows/ci.yaml)"),
        ("[a]: ../../SECURITY.md", "[a]: ../repository/SECURITY.md"),
        ("see [`a/`](../../examples).", "see `a/`."),
        ("```\n[a](../../SECURITY.md)\n```", "```\n[a](../../SECURITY.md)\n```"),
        ("<!-- Written by `make docs`. -->\n\n# Title\n<!-- x -->", "# Title\n<!-- x -->"),
    ],
)
def test_links_that_leave_docs_lead_to_copies(link: str, on_the_site: str) -> None:
    assert site.rewritten("docs/reference/cli.md", link, lambda _: None) == on_the_site

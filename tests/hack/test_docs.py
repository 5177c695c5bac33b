"""Pages, and what names them: links of pages outside of docs/ (`make site` checks the others), and what code and chart name."""

import re
from functools import cache
from pathlib import Path

import pytest

from webhook.application.recommendation.thresholds import TABLE

ROOT = Path(__file__).parents[2]
SKIPPED = {".venv", ".cache", ".git", "dist", "node_modules", "corpus"}
PAGES = [page for page in sorted(ROOT.rglob("*.md")) if not SKIPPED & set(page.relative_to(ROOT).parts)]
NAMED_IN = ["webhook", "deploy", "hack", "tests", "benchmarks", "examples", "fuzz", "Makefile", "pyproject.toml"]
NOT_OURS = {
    "docs/operations.md",  # the default of a chart value in older charts, which the chart still accepts
    "docs/gpu-feature-discovery/README.md",  # of the NVIDIA device plugin
}


def prose(text: str) -> str:
    """A page without its code, where brackets are no links and # starts a comment."""
    return re.sub(r"`[^`\n]*`", lambda code: code[0][1:-1], re.sub(r"(?ms)^ *```.*?^ *```", "", text))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings: a heading that occurs again gets a number."""
    found: list[str] = []
    for heading in re.findall(r"(?m)^#+ (.+)$", prose(page.read_text())):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.append(re.sub(r"[^\w -]", "", words).strip().replace(" ", "-").lower())
    return {name + (f"-{n}" if n else "") for name in found for n in range(found.count(name))}


def links(page: Path) -> list[str]:
    """The targets of a page's links that stay in the repository."""
    text = re.sub(r"(?ms)^ *```.*?^ *```", "", page.read_text())
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?m)^\[[^\]]+\]: (\S+)", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


OUTSIDE = [page for page in PAGES if not page.is_relative_to(ROOT / "docs")]


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_pages_have_links_to_check() -> None:
    assert sum(len(links(page)) for page in OUTSIDE) > 30


def test_every_page_of_docs_is_in_the_index() -> None:
    index = ROOT / "docs/README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert sorted(page for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in listed | {index}) == []


def named() -> list[tuple[str, str, str]]:
    """Every page of docs/ that a file outside of Markdown names: the file, the page, the anchor."""
    found = []
    for start in NAMED_IN:
        for file in [ROOT / start] if (ROOT / start).is_file() else sorted((ROOT / start).rglob("*")):
            if (
                not file.is_file()
                or file.suffix in {".md", ".pyc", ".tgz"}
                or SKIPPED & set(file.relative_to(ROOT).parts)
            ):
                continue
            text = file.read_text(errors="replace")
            found += [
                (str(file.relative_to(ROOT)), page, anchor)
                for page, anchor in re.findall(r"(?<![\w/.-])((?:docs|deploy)/[\w/-]+\.md)(?:#([\w-]+))?", text)
            ]
    return found


def test_every_page_that_code_or_the_chart_names_exists() -> None:
    assert len(named()) > 60
    broken = [
        (file, page, anchor)
        for file, page, anchor in named()
        if page not in NOT_OURS and (not (ROOT / page).is_file() or (anchor and anchor not in anchors(ROOT / page)))
    ]
    assert broken == []


WHERE = (ROOT / "CONTRIBUTING.md").read_text().partition("What is harder to find")[2].partition("\nA check of")[0]
OUTSIDE_PACKAGE = ("hack/", "tests/", "deploy/")


@pytest.mark.parametrize("cell", re.findall(r"(?m)^\| .* \| (.*`.*) \|$", WHERE))
def test_what_contributing_says_is_somewhere_is_there(cell: str) -> None:
    """Each path of a row is a module, a folder or a file, and one of them has each name in the row."""
    words = re.findall(r"`([^`]+)`", cell)
    paths = [
        ROOT / word if word.startswith(OUTSIDE_PACKAGE) else ROOT / "webhook" / word for word in words if "/" in word
    ]
    assert paths
    found = [path if path.exists() else path.with_name(f"{path.name}.py") for path in paths]
    assert [path for path in found if not path.exists()] == []
    text = "".join(path.read_text() for path in found if path.is_file())
    names = [word.rpartition(".")[2] for word in words if "/" not in word and not word.startswith("make ")]
    assert [name for name in names if not re.search(rf"(def|class) {name}\b|\b{name}\b.* = ", text)] == []


def test_contributing_has_rows_to_check() -> None:
    assert WHERE.count("\n| ") > 40


def test_the_page_of_recommend_describes_the_thresholds_as_they_are() -> None:
    page = (ROOT / "docs/how-to/recommend.md").read_text()
    described = re.findall(r"^\| `([a-z-]+)` \| ([0-9.]+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    assert described == [(one.name, f"{one.default:g}", one.decides, one.source) for one in TABLE]

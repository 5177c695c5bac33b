"""Gathers the pages of the documentation site for mkdocs: docs/ as it is, and what its pages link to elsewhere in the repository.

`make site` runs it. On the site, a file from outside of docs/ is at ``repository/<its path>``; a link to a folder becomes text.
"""

import re
import shutil
import sys
from collections.abc import Callable, Iterable
from os.path import normpath, relpath
from pathlib import Path

from hack.tools import ROOT

ALSO = ("CHANGELOG.md", "CONTRIBUTING.md", "RELEASE.md", "SECURITY.md")
"""Pages outside of docs/ that mkdocs.yml names."""
_LINK = re.compile(r"(?m)(\[[^\]]*\]\(|^\[[^\]]+\]: )(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?")
_GENERATED = re.compile(r"\A<!--.*?-->\s*", re.DOTALL)
_FOLDER = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)\)")


def place(path: str) -> str:
    """Return where the site has a file of the repository; mkdocs leaves out names that begin with a dot."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path.lstrip('.')}"


def rewritten(page: str, text: str, found: Callable[[str], None]) -> str:
    """Return a page with its links as the site has them.

    Args:
        page: its path in the repository.
        text: its Markdown.
        found: is called with the path of every file that it links to.
    """

    def target(link: str) -> str:
        return normpath(f"{Path(page).parent}/{link}")

    def unlinked(match: re.Match[str]) -> str:
        return match[1] if (ROOT / target(match[2])).is_dir() else match[0]

    def moved(match: re.Match[str]) -> str:
        found(target(match[2]))
        return f"{match[1]}{relpath(place(target(match[2])), Path(place(page)).parent)}{match[3] or ''}"

    # mkdocs takes a page's title from a heading on its first line.
    parts = re.split(r"(?ms)(^ *```.*?^ *```)", _GENERATED.sub("", text))
    return "".join(
        part if part.lstrip().startswith("```") else _LINK.sub(moved, _FOLDER.sub(unlinked, part)) for part in parts
    )


def gather(into: Path, pages: Iterable[str]) -> None:
    """Write pages, and every file that they or pages among those link to, into a folder, which is emptied first.

    A link to a file that does not exist stays, and mkdocs reports it.
    """
    shutil.rmtree(into, ignore_errors=True)
    waiting = list(pages)
    seen = set(waiting)

    def found(path: str) -> None:
        if path not in seen and (ROOT / path).is_file():
            seen.add(path)
            waiting.append(path)

    while waiting:
        path = waiting.pop()
        target = into / place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".md"):
            target.write_text(rewritten(path, (ROOT / path).read_text(), found))
        else:
            shutil.copyfile(ROOT / path, target)


if __name__ == "__main__":
    docs = (str(file.relative_to(ROOT)) for file in (ROOT / "docs").rglob("*") if file.is_file())
    gather(Path(sys.argv[1]), [*docs, *ALSO])

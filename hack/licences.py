"""Writes docs/reference/licences.md: the licence of everything that is installed with gpuwarden, from the packages' own metadata.

`make docs` writes it. With `--check` nothing is written, and it is an error when a package's row differs, or its licence is none
of those that are permitted here. Which packages there are depends a little on Python and on the platform: a row of a package that
is locked and not installed here is left alone.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/licences.md"
LOCK = ROOT / "uv.lock"
# All of them let a program under Apache-2.0 be distributed with the library unchanged.
PERMITTED = frozenset(
    {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Python-2.0"}
)
# What people write where an identifier of SPDX belongs.
_WRITTEN = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
# Longer is the licence's text, not its name.
_LONGEST_NAME = 60
HEAD = """<!-- Written by `make docs` from the packages' metadata; edit hack/licences.py, not this page. -->
# Licences

gpuwarden is under Apache-2.0. These packages are installed with it, each as its authors publish it; `make sbom` lists their
versions and hashes. A test fails if one has a licence that is not in the list of `hack/licences.py`.

| package | licence |
|---|---|
"""


def installed(name: str = "gpuwarden") -> dict[str, Distribution]:
    """What a package needs at run time, and what that needs, as it is installed here."""
    found: dict[str, Distribution] = {}
    waiting = [(name, frozenset[str]())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        package, extras = waiting.pop()
        if (package, extras) in seen:
            continue
        seen.add((package, extras))
        found[package] = at = distribution(package)
        for text in at.requires or ():
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((canonicalize_name(need.name), frozenset(need.extras)))
    del found[name]
    return found


def licence(package: Distribution) -> str:
    """The licence of a package as an expression of SPDX identifiers; a question mark if it is not known."""
    expressions, classifiers, named = (
        package.metadata.get_all(field) or [] for field in ("License-Expression", "Classifier", "License")
    )
    if expressions:
        return str(expressions[0])
    named = [name for name in named if len(name) < _LONGEST_NAME]
    named += [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    for name in named:
        if name in PERMITTED or name.lower() in _WRITTEN:
            return _WRITTEN.get(name.lower(), str(name))
    return "?"


def is_permitted(expression: str) -> bool:
    """Whether a licence expression leaves a choice that is permitted. ``AND`` binds more than ``OR``; brackets are for people."""
    choices = re.split(r"\bOR\b", expression)
    return any(all(one.strip() in PERMITTED for one in re.split(r"\bAND\b", choice)) for choice in choices)


def rows(text: str) -> dict[str, str]:
    """The packages and licences on a page."""
    return dict(re.findall(r"(?m)^\| ([a-z0-9.-]+) \| ([^|]+) \|$", text.partition("|---|---|")[2]))


def problems(page: str, here: Mapping[str, str], locked: frozenset[str]) -> Iterator[str]:
    """What is wrong with the page, or with a licence."""
    written = rows(page)
    for package, expression in sorted(here.items()):
        if not is_permitted(expression):
            yield f"{package} is under {expression}, which is not permitted here: see hack/licences.py"
        if written.get(package) != expression:
            listed = written.get(package, "nothing")
            yield f"{package}: docs/reference/licences.md says {listed}, its metadata {expression}; run make docs"
    yield from (
        f"{package} is on docs/reference/licences.md and not locked; run make docs"
        for package in sorted(set(written) - locked)
    )


def main() -> None:
    """Write the page, or with ``--check`` fail where it is not what the metadata says."""
    here = {name: licence(package) for name, package in installed().items()}
    if "--check" not in sys.argv[1:]:
        lines = "".join(f"| {name} | {expression} |\n" for name, expression in sorted(here.items()))
        PAGE.write_text(HEAD + lines, encoding="utf-8")
    locked = frozenset(package["name"] for package in tomllib.loads(LOCK.read_text())["package"])
    wrong = list(problems(PAGE.read_text(encoding="utf-8") if PAGE.exists() else "", here, locked))
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    try:
        main()
    except PackageNotFoundError as error:
        raise SystemExit(f"{error.name} is not installed; run make setup") from error

"""Licences: of everything that is installed at run time, each permitted, and each on the page."""

import pytest

from hack.licences import LOCK, PAGE, installed, is_permitted, licence, problems, rows


def test_what_is_installed_is_what_the_page_says_and_permitted() -> None:
    here = {name: licence(package) for name, package in installed().items()}
    locked = frozenset(line.split('"')[1] for line in LOCK.read_text().splitlines() if line.startswith('name = "'))
    assert {"cryptography", "fastapi", "starlette", "msgspec"} <= set(here)
    assert not {"pytest", "gpuwarden"} & set(here)
    assert list(problems(PAGE.read_text(), here, locked)) == []


@pytest.mark.parametrize(
    "expression", ["MIT", "Apache-2.0 OR BSD-3-Clause", "GPL-3.0-only OR MIT", "Apache-2.0 AND MIT"]
)
def test_what_may_be_used(expression: str) -> None:
    assert is_permitted(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "AGPL-3.0-only OR SSPL-1.0",
        "?",
        "",
        "(MIT OR GPL-2.0-only) AND GPL-2.0-only",
    ],
)
def test_what_may_not_be_used(expression: str) -> None:
    assert not is_permitted(expression)


def test_a_page_that_is_behind_is_noticed() -> None:
    page = "|---|---|\n| a | MIT |\n| gone | MIT |\n| b | MIT |\n"
    assert rows(page) == {"a": "MIT", "gone": "MIT", "b": "MIT"}
    said = list(problems(page, {"a": "MIT", "b": "BSD-3-Clause", "c": "GPL-3.0-only"}, frozenset("abc")))
    assert said == [
        "b: docs/reference/licences.md says MIT, its metadata BSD-3-Clause; run make docs",
        "c is under GPL-3.0-only, which is not permitted here: see hack/licences.py",
        "c: docs/reference/licences.md says nothing, its metadata GPL-3.0-only; run make docs",
        "gone is on docs/reference/licences.md and not locked; run make docs",
    ]

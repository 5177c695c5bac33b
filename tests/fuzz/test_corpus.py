"""The fuzzer's corpus, replayed without a fuzzer, and mutated a little by chance that is always the same."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.__main__ import HERE, NAMES, Outcome
from fuzz.targets import TARGETS, as_any

CORPUS = HERE / "corpus"
MUTANTS = 40  # of each unit
WORDS = (
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"\0",
    b"\xff",
    b"null",
    b"1e99",
    b"-",
    b"0",
    b"nvidia.com/gpu",
    b"mps",
    b"\n",
)


def units(name: str) -> list[Path]:
    return sorted((CORPUS / name).iterdir())


def mutants(unit: bytes, chance: random.Random) -> Iterator[bytes]:
    """A unit with one to three cuts, doublings or insertions."""
    for _ in range(MUTANTS):
        mutant = unit
        for _ in range(chance.randint(1, 3)):
            start = chance.randint(0, len(mutant))
            end = min(len(mutant), start + chance.randint(0, 12))
            middle = chance.choice((b"", mutant[start:end] * 2, chance.choice(WORDS)))
            mutant = mutant[:start] + middle + mutant[end:]
        yield mutant


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert set(TARGETS) == set(NAMES) == {folder.name for folder in CORPUS.iterdir()}
    assert all(len(units(name)) >= 4 for name in NAMES)


def test_the_corpus_is_small() -> None:
    assert sum(unit.stat().st_size for name in NAMES for unit in units(name)) < 256 * 1024


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_and_what_is_like_it_breaks_no_promise(name: str) -> None:
    target, chance = as_any(TARGETS[name]), random.Random(name)  # noqa: S311 - chance that can be had again
    for unit in units(name):
        data = unit.read_bytes()
        target(data)
        for mutant in mutants(data, chance):
            try:
                target(mutant)
            except Exception as error:
                raise AssertionError(f"{name} breaks by {mutant!r}, made of {unit.name}") from error


def test_a_broken_promise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets can fail: here the engine counts one too many, and there a refusal has no words."""
    monkeypatch.setattr("fuzz.targets.whole", lambda quantity: 7)
    with pytest.raises(AssertionError):
        TARGETS["quantity"](b"1")
    monkeypatch.setattr("fuzz.targets.parse", lambda value: None)
    TARGETS["label"](b"any")
    monkeypatch.setattr("fuzz.targets.decode", lambda content: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        TARGETS["manifests"](b"kind: Pod")


def test_the_totals_are_told() -> None:
    told = str(Outcome("pod", 1_234_567, 89, (Path("crash-1"),)))
    assert told.split() == ["pod", "1,234,567", "executions", "89", "new", "units", "1", "crashes"]

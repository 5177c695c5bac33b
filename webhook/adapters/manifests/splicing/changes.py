"""Matches the old members of a map or a list with the new ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from ..tree.values import same

BEFORE_ALL = -1


@dataclass(frozen=True, slots=True)
class Pairing:
    """The kept and the new members of a collection.

    Attributes:
        kept: pairs of an old and a new index, in order.
        added: new indexes by the old index they follow, ``BEFORE_ALL`` for those that follow none.
    """

    kept: list[tuple[int, int]]
    added: dict[int, list[int]]


def pair_keys(old: Sequence[str], new: Sequence[str]) -> Pairing:
    """Match two lists of keys. A new key in the place of an old one counts as the renamed old key."""
    kept: list[tuple[int, int]] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for _, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        kept += zip(range(old_start, old_end), range(new_start, new_end), strict=False)
    return _pairing(kept, len(new))


def pair_items(old: Sequence[Any], new: Sequence[Any]) -> Pairing:
    """Match two lists: equal items at the beginning and at the end, then those in between one by one."""
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if not same(old[i], new[i])), shorter)
    tail = next((i for i in range(shorter - head) if not same(old[-1 - i], new[-1 - i])), shorter - head)
    kept = [(i, i) for i in range(shorter - tail)]
    kept += [(len(old) - i, len(new) - i) for i in range(tail, 0, -1)]
    return _pairing(kept, len(new))


def _pairing(kept: list[tuple[int, int]], count: int) -> Pairing:
    added: dict[int, list[int]] = {}
    olds = {new: old for old, new in kept}
    before = BEFORE_ALL
    for index in range(count):
        if index in olds:
            before = olds[index]
        else:
            added.setdefault(before, []).append(index)
    return Pairing(kept, added)

"""Texts in messages: the maximum length of external names and quotes, and lists in sentences."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

LONGEST_NAME = 253 + 1 + 63
"""Characters of a name: no name, key or label value that Kubernetes accepts is longer than a label's key, which has a domain of
253 characters, a slash and a name of 63 (apimachinery pkg/util/validation)."""

Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
"""A name as it is decoded. A longer one is an error that names the field, so caches, messages and log lines never contain it.
The keys of mappings have no limit, so that msgspec can share equal keys. Code that keeps or quotes a key must shorten it."""


def cut(text: str, most: int) -> str:
    """The text, or its first ``most`` characters and an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"


def plural(number: int, one: str, many: str = "") -> str:
    """``1 pod``, ``2 pods``; ``many`` is the plural where it is not ``one`` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def all_of(names: Sequence[str]) -> str:
    """All names, of which there is at least one: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def first_of(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first names, and how many more there are: ``a, b and 3 more``."""
    more = len(names) - most
    return separator.join(names[:most]) + (f" and {more} more" if more > 0 else "")

"""Loads a library as if optional companions of it were not installed: they would cost megabytes, and nothing here needs them."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(*modules: str) -> Iterator[None]:
    """Let ``import`` of these fail in the body, as it does where they are not installed.

    What is loaded already is not touched. That a library warns of what it misses is not shown: it is meant.
    """
    missing = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # how Python says "there is none"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in missing:
            del sys.modules[name]

"""Imports a library as if its optional dependencies were not installed, which would cost megabytes and are not needed."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(*modules: str) -> Iterator[None]:
    """Make ``import`` of these modules fail in the body, unless they are loaded already; hide the library's warnings about it."""
    missing = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # how Python says "there is none"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in missing:
            del sys.modules[name]

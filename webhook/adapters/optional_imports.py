"""Loads libraries without what costs megabytes and nothing here needs: optional companions, models that are seldom used."""

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


@contextmanager
def deferred_models() -> Iterator[None]:
    """Let pydantic build the models that are defined in the body when they are first used (``ConfigDict.defer_build``)."""
    from pydantic import BaseModel  # noqa: PLC0415 - commands that serve nothing don't load it

    BaseModel.model_config["defer_build"] = True
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]

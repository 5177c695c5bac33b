"""Loads libraries without the modules and models that gpuwarden does not use, which saves megabytes."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


@contextmanager
def absent(*modules: str) -> Iterator[None]:
    """Make ``import`` of these modules fail in the body, unless they are loaded already; hide the library's warnings about it."""
    missing = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # None makes an import fail
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in missing:
            del sys.modules[name]


@contextmanager
def deferred(module: str, *names: str) -> Iterator[None]:
    """Import a package in the body without one of its modules, unless the package is loaded already.

    The module is loaded when one of these names of the package is first used.

    Args:
        module: the module, such as ``uvicorn.main``.
        names: what the package's ``__init__`` imports from it.
    """
    package = module.rpartition(".")[0]
    if package in sys.modules:
        yield
        return
    placeholder = ModuleType(module)
    vars(placeholder).update(dict.fromkeys(names))
    sys.modules[module] = placeholder
    try:
        yield
    finally:
        del sys.modules[module]
    loaded = sys.modules[package]
    for name in names:
        delattr(loaded, name)

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=loaded)
        vars(loaded).update({each: getattr(import_module(module), each) for each in names})
        return vars(loaded)[name]

    loaded.__getattr__ = load  # type: ignore[method-assign]  # what a module does for names that it lacks (PEP 562)


@contextmanager
def deferred_models() -> Iterator[None]:
    """Let pydantic build the models that are defined in the body when they are first used (``ConfigDict.defer_build``).

    A library resolves forward references with ``Model.model_rebuild()``, which would build the model at once; pydantic itself
    calls it with options, when a model is first used.
    """
    from pydantic import BaseModel  # noqa: PLC0415 - commands that serve nothing don't load it

    own = vars(BaseModel)["model_rebuild"]

    def rebuild(model: type[BaseModel], /, **options: Any) -> Any:
        return own.__func__(model, **options) if options else None

    BaseModel.model_config["defer_build"] = True
    BaseModel.model_rebuild = classmethod(rebuild)  # type: ignore[method-assign, assignment]  # in the body only
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]
        BaseModel.model_rebuild = own  # type: ignore[method-assign]  # as it was

"""No private name of another package is used: not imported, not read, and, in a subclass, neither read nor overridden."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

import webhook

ROOT = Path(webhook.__file__).parent
# Documented in spite of their names: typing.NamedTuple's.
PUBLIC = {"_asdict", "_fields", "_make", "_replace", "_field_defaults"}


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC


def foreign_names(tree: ast.AST) -> Iterator[str]:
    """Private names that are imported, or read from something that is not the own object."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if any(map(private, name.name.split("."))))
            case ast.ImportFrom(module=module, names=names):
                path = [*(module or "").split("."), *(name.name for name in names)]
                if module != "__future__" and any(map(private, path)):
                    yield ".".join(path)
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if private(name):
                yield name


def inherited_names(kind: type) -> set[str]:
    """Private names of a class of ours, used or defined, that a class of somebody else has whom it descends from."""
    theirs = {
        name
        for base in kind.__mro__[1:]
        if not base.__module__.startswith("webhook")
        for name in vars(base)
        if private(name)
    }
    tree = ast.parse(inspect.getsource(kind))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return theirs & (used | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)})


def classes() -> Iterator[type]:
    for found in pkgutil.walk_packages([str(ROOT)], "webhook."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            for kind in vars(module).values():
                if isinstance(kind, type) and kind.__module__ == found.name:
                    yield kind


def test_none_is_imported_or_read() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in ROOT.rglob("*.py")
        for name in foreign_names(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_none_is_used_or_overridden_by_a_subclass() -> None:
    found = {f"{kind.__module__}.{kind.__name__}": names for kind in classes() if (names := inherited_names(kind))}
    assert not found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import asyncio\nasyncio.Event()", []),
        ("self._socket\nsuper().serve()", []),
        ("one._asdict()", []),
        ("import uvicorn._types", ["uvicorn._types"]),
        ("from uvicorn import _types", ["uvicorn._types"]),
        ("server._serve()", ["_serve"]),
        ("super()._serve()", ["_serve"]),
        ("self.server._serve()", ["_serve"]),
    ],
)
def test_a_private_name_is_found(source: str, names: list[str]) -> None:
    assert list(foreign_names(ast.parse(source))) == names


class Upgrading(H11Protocol):
    def _should_upgrade(self) -> bool:
        return self._get_upgrade() is not None


def test_a_private_name_of_a_class_that_is_descended_from_is_found() -> None:
    assert inherited_names(Upgrading) == {"_should_upgrade", "_get_upgrade"}

"""Typed views of workloads: of an object's JSON only what leads to its pods is decoded, at msgspec's speed."""

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec

from ..engine.pods import Pod, PodSpec
from . import field_paths
from .field_paths import ITEMS, VALUES
from .workload_kinds import WorkloadKind, WorkloadPod, places

T = TypeVar("T", bound=msgspec.Struct)
_SPEC = "spec"
_Tree = dict[str, Any]  # steps with what follows them; of a leaf, under "", its type


@cache
def view(kind: WorkloadKind, base: type[T]) -> type[T]:
    """Return the type of a kind's objects: ``base`` with the fields on the way to their pods and counts."""
    tree: _Tree = {}
    for template in kind.templates:
        _add(tree, template.path, PodSpec)
        for count in template.replicas:
            _add(tree, count, int)
    if kind.suspend:
        _add(tree, kind.suspend, bool)
    made: type[T] = _extended(kind.kind, base, tree)
    return made


def pods(kind: WorkloadKind, item: Any) -> Iterator[tuple[WorkloadPod, Pod]]:
    """Return the pods and templates in an object of a type that ``view`` made, ``metadata`` among its fields."""
    for where, found in places(kind, item):
        if not where.is_whole:
            yield where, Pod(None, found)
        else:
            yield where, found if where.place else Pod(item.metadata, item.spec)


def _add(tree: _Tree, path: str, leaf: type) -> None:
    for step in field_paths.parse(path):
        tree = tree.setdefault(step, {})
    tree[""] = leaf


def _type(name: str, tree: _Tree) -> Any:
    inner = {step: below for step, below in tree.items() if step}
    leaf = tree.get("")
    if not inner:
        return leaf
    if ITEMS in inner:
        return list[_type(name, inner[ITEMS])]  # type: ignore[misc]  # a type that is made at run time
    if VALUES in inner:
        return dict[str, _type(name, inner[VALUES])]  # type: ignore[misc]  # as above
    if leaf is None and inner.keys() == {_SPEC} and inner[_SPEC] == {"": PodSpec}:
        return Pod
    is_pod = leaf is None and "" in inner.get(_SPEC, {})
    return _extended(name, leaf or (Pod if is_pod else msgspec.Struct), inner)


def _extended(name: str, base: Any, tree: _Tree) -> Any:
    fields = [(step, _type(f"{name}.{step}", below) | None, None) for step, below in tree.items()]
    return msgspec.defstruct(name, fields, bases=(base,), gc=False, rename={step: step for step in tree})

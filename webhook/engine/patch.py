"""The JSON Patch (RFC 6902) of a decision's edits, relative to the original pod."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from .edits import (
    AddEnv,
    AddNeed,
    AddNodeSelector,
    AddToleration,
    Annotate,
    ClaimInstead,
    DropKey,
    DropResource,
    Edit,
    RenameResource,
    ReplaceProduct,
    SetRuntimeClass,
)
from .pods import Container, Expression, Place, Pod, PodSpec, Term
from .products import PRODUCT, replaced

Operation = dict[str, Any]
_AFFINITY = "/spec/affinity"
_NODE = f"{_AFFINITY}/nodeAffinity"
_REQUIRED = f"{_NODE}/requiredDuringSchedulingIgnoredDuringExecution"
_TERMS = f"{_REQUIRED}/nodeSelectorTerms"
_OF_NODES: frozenset[type] = frozenset({AddNeed, AddNodeSelector, DropKey, ReplaceProduct})
# Edits, by their class.
_ByKind = dict[type, list[Any]]


def patch(pod: Pod, edits: Sequence[Edit], prefix: str = "") -> list[Operation]:
    """Return the operations that apply the edits.

    ``prefix`` is the JSON pointer of the pod within its object (``/spec/template`` in a Deployment).

    Returns:
        Operations that change only the fields of the edits, and add missing parents. List items are appended, and map keys
        added one by one.
    """
    spec = pod.spec
    if spec is None or not edits:
        return []
    by_kind: _ByKind = defaultdict(list)
    for edit in edits:
        by_kind[type(edit)].append(edit)
    operations = _resources(spec, by_kind)
    if ClaimInstead in by_kind:
        operations += _claims(spec, by_kind[ClaimInstead])
    if not _OF_NODES.isdisjoint(by_kind):
        operations += _nodes(spec, by_kind)
    if AddToleration in by_kind:
        operations += _tolerations(spec, by_kind[AddToleration])
    if SetRuntimeClass in by_kind:
        operations += [_add("/spec/runtimeClassName", edit.name) for edit in by_kind[SetRuntimeClass]]
    if AddEnv in by_kind:
        operations += _env(spec, by_kind[AddEnv])
    if Annotate in by_kind:
        operations += _annotations(pod, by_kind[Annotate])
    return _below(prefix, operations) if prefix else operations


def _below(prefix: str, operations: list[Operation]) -> list[Operation]:
    for operation in operations:
        operation["path"] = prefix + operation["path"]
        if "from" in operation:
            operation["from"] = prefix + operation["from"]
    return operations


# Only keys of forms, policies and our own annotations: few and of limited length.
@lru_cache(maxsize=1024)
def escape(key: str) -> str:
    """Escape a key for a JSON pointer (RFC 6901): ``nvidia.com/gpu`` is ``nvidia.com~1gpu``."""
    return key.replace("~", "~0").replace("/", "~1")


def keys_of(pointer: str) -> list[str]:
    """Return the unescaped keys of a JSON pointer."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _add(path: str, value: object) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _container(spec: PodSpec, place: Place) -> Container:
    return ((spec.init_containers if place.section == "initContainers" else spec.containers) or [])[place.index]


def _drop(place: Place, section: str, name: str) -> Operation:
    return {"op": "remove", "path": f"{place.pointer}/resources/{section}/{escape(name)}"}


def _claims(spec: PodSpec, edits: Sequence[ClaimInstead]) -> Iterator[Operation]:
    for edit in edits:
        yield from (_drop(edit.place, section, edit.resource) for section in edit.sections)
        resources = _container(spec, edit.place).resources
        used = resources.claims if resources else None
        yield from _list(f"{edit.place.pointer}/resources/claims", used, [{"name": edit.claim}])
    made = [{"name": edit.claim, "resourceClaimTemplateName": edit.template} for edit in edits]
    yield from _list("/spec/resourceClaims", spec.resource_claims, made)


def _resources(spec: PodSpec, edits: _ByKind) -> list[Operation]:
    """Removals of what LimitRanges added, then moves to new names."""
    operations: list[Operation] = []
    gone: set[tuple[Place, str]] = set()
    for edit in edits.get(DropResource, ()):
        gone.add((edit.place, edit.name))
        operations += [_drop(edit.place, section, edit.name) for section in edit.sections]
    for edit in edits.get(RenameResource, ()):
        old, new = escape(edit.old), escape(edit.new)
        path = f"{edit.place.pointer}/resources"
        for section in ("limits", "requests"):
            if section in edit.sections:
                operations.append({"op": "move", "from": f"{path}/{section}/{old}", "path": f"{path}/{section}/{new}"})
            elif (edit.place, edit.new) not in gone and edit.new in (
                getattr(_container(spec, edit.place).resources, section) or ()
            ):
                # A request of 0 under the new name has no effect, but would differ from the other section.
                operations.append({"op": "remove", "path": f"{path}/{section}/{new}"})
    return operations


def _map(path: str, existing: dict[str, str] | None, wanted: dict[str, str]) -> list[Operation]:
    """Additions to a map of strings that may be missing."""
    if existing is None:
        return [_add(path, wanted)] if wanted else []
    return [
        {"op": "replace" if key in existing else "add", "path": f"{path}/{escape(key)}", "value": value}
        for key, value in wanted.items()
    ]


def _list(path: str, existing: Sequence[object] | None, added: list[Any]) -> list[Operation]:
    """Additions to the end of a list that may be missing."""
    if existing is None:
        return [_add(path, added)] if added else []
    return [_add(f"{path}/-", value) for value in added]


def _nodes(spec: PodSpec, edits: _ByKind) -> list[Operation]:
    selectors: dict[str, str] = {}
    expressions: list[Operation] = []
    for edit in edits.get(AddNeed, ()):
        if edit.need.in_affinity:
            expressions.append(_as_json(edit.need.expression))
        else:
            selectors[edit.need.key] = edit.need.values[0]
    operations = _node_selector(spec, edits, selectors)
    if spec.affinity is not None or expressions:
        operations += _affinity(spec, edits, expressions)
    return operations


def _node_selector(spec: PodSpec, edits: _ByKind, wanted: dict[str, str]) -> list[Operation]:
    existing = spec.node_selector
    for edit in edits.get(AddNodeSelector, ()):
        wanted[edit.key] = edit.value
    if not existing:
        return _map("/spec/nodeSelector", existing, wanted)
    for product in edits.get(ReplaceProduct, ()):
        if existing.get(PRODUCT) == product.old:
            wanted[PRODUCT] = product.new
    dropped = [edit.key for edit in edits.get(DropKey, ()) if edit.key in existing and edit.key not in wanted]
    operations = [{"op": "remove", "path": f"/spec/nodeSelector/{escape(key)}"} for key in dropped]
    return operations + _map("/spec/nodeSelector", existing, wanted)


def _affinity(spec: PodSpec, edits: _ByKind, added: list[Operation]) -> Iterator[Operation]:
    """Changes to the required node affinity: in each term, labels of the form are added, and others removed."""
    dropped = {edit.key for edit in edits.get(DropKey, ())}
    terms = [(f"{_TERMS}/{i}", term) for i, term in enumerate(spec.terms) if not term.matches_nothing]
    if not terms:
        yield from _first_term(spec, added)
        return
    if not added and any(_left_open(term, dropped) for _, term in terms):
        # A term without requirements would match no node, but it permits every node, and so does the whole affinity.
        yield {"op": "remove", "path": _REQUIRED}
        return
    products = {edit.old: edit.new for edit in edits.get(ReplaceProduct, ())}
    for path, term in terms:
        expressions = list(enumerate(term.match_expressions or ()))
        for i, expression in expressions:
            if products and expression.key == PRODUCT:
                for j, value in enumerate(expression.values or ()):
                    if (new := replaced(expression.operator, value, products)) != value:
                        yield {"op": "replace", "path": f"{path}/matchExpressions/{i}/values/{j}", "value": new}
        for i, expression in reversed(expressions):
            if expression.key in dropped:
                yield {"op": "remove", "path": f"{path}/matchExpressions/{i}"}
        yield from _list(f"{path}/matchExpressions", term.match_expressions, added)


def _left_open(term: Term, dropped: set[str]) -> bool:
    return not term.match_fields and all(expression.key in dropped for expression in term.match_expressions or ())


def _first_term(spec: PodSpec, added: list[Operation]) -> Iterator[Operation]:
    """The first term of a pod that has none, with the missing parents."""
    if not added:
        return
    path: str = _TERMS
    value: Any = [{"matchExpressions": added}]
    node = spec.affinity and spec.affinity.node_affinity
    for parent, above in ((node and node.required, _REQUIRED), (node, _NODE), (spec.affinity, _AFFINITY)):
        if parent is not None:
            break
        path, value = above, {path.rpartition("/")[2]: value}
    yield _add(path, value)


def _as_json(expression: Expression) -> Operation:
    written: Operation = {"key": expression.key, "operator": expression.operator}
    if expression.values:
        written["values"] = expression.values
    return written


def _tolerations(spec: PodSpec, edits: Sequence[AddToleration]) -> list[Operation]:
    return _list("/spec/tolerations", spec.tolerations, [msgspec.to_builtins(edit.toleration) for edit in edits])


def _env(spec: PodSpec, edits: Sequence[AddEnv]) -> Iterator[Operation]:
    added: dict[Place, list[Operation]] = {}
    for edit in edits:
        added.setdefault(edit.place, []).append({"name": edit.name, "value": edit.value})
    for place, variables in added.items():
        yield from _list(f"{place.pointer}/env", _container(spec, place).env, variables)


def _annotations(pod: Pod, edits: Sequence[Annotate]) -> list[Operation]:
    wanted = {edit.key: edit.value for edit in edits}
    if pod.metadata is None:
        return [_add("/metadata", {"annotations": wanted})]
    return _map("/metadata/annotations", pod.metadata.annotations, wanted)

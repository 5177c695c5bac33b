"""The JSON Patch (RFC 6902) of a decision's edits, against the pod as it came."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from webhook.engine.edits import (
    AddEnv,
    AddNeed,
    AddNodeSelector,
    AddToleration,
    Annotate,
    DropKey,
    Edit,
    RenameResource,
    ReplaceProduct,
    SetRuntimeClass,
)
from webhook.engine.pods import Container, Expression, Place, Pod, PodSpec, Term
from webhook.engine.spelling import PRODUCT

Operation = dict[str, Any]
_AFFINITY = "/spec/affinity"
_NODE = f"{_AFFINITY}/nodeAffinity"
_REQUIRED = f"{_NODE}/requiredDuringSchedulingIgnoredDuringExecution"
_TERMS = f"{_REQUIRED}/nodeSelectorTerms"
_E = TypeVar("_E")


def patch(pod: Pod, edits: Sequence[Edit], prefix: str = "") -> list[Operation]:
    """The operations that make the edits.

    Args:
        pod: the view that the edits were decided on.
        edits: a decision's edits.
        prefix: the JSON pointer of the pod within its object (``/spec/template`` in a Deployment).

    Returns:
        Operations that only touch the fields that the edits name; missing parents are added with them. Lists grow at the
        end, maps key by key.
    """
    spec = pod.spec
    if spec is None or not edits:
        return []
    operations = [
        *_renames(spec, _of(edits, RenameResource)),
        *_node_selector(spec, edits),
        *_affinity(spec, edits),
        *_tolerations(spec, _of(edits, AddToleration)),
        *(_add("/spec/runtimeClassName", edit.name) for edit in _of(edits, SetRuntimeClass)),
        *_env(spec, _of(edits, AddEnv)),
        *_annotations(pod, _of(edits, Annotate)),
    ]
    if prefix:
        for operation in operations:
            operation["path"] = prefix + operation["path"]
            if "from" in operation:
                operation["from"] = prefix + operation["from"]
    return operations


def escape(key: str) -> str:
    """A key as a JSON pointer writes it (RFC 6901): ``nvidia.com/gpu`` is ``nvidia.com~1gpu``."""
    return key.replace("~", "~0").replace("/", "~1")


def _of(edits: Sequence[Edit], kind: type[_E]) -> list[_E]:
    return [edit for edit in edits if isinstance(edit, kind)]


def _add(path: str, value: object) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _container(spec: PodSpec, place: Place) -> Container:
    return ((spec.init_containers if place.section == "initContainers" else spec.containers) or [])[place.index]


def _renames(spec: PodSpec, edits: list[RenameResource]) -> Iterator[Operation]:
    for edit in edits:
        resources = _container(spec, edit.place).resources
        for section in ("limits", "requests"):
            path = f"{edit.place.pointer}/resources/{section}"
            if section in edit.sections:
                yield {"op": "move", "from": f"{path}/{escape(edit.old)}", "path": f"{path}/{escape(edit.new)}"}
            elif edit.new in (getattr(resources, section) or ()):
                # A request of 0 under the new name says nothing, but would now differ from the other section.
                yield {"op": "remove", "path": f"{path}/{escape(edit.new)}"}


def _map(path: str, existing: dict[str, str] | None, wanted: dict[str, str]) -> Iterator[Operation]:
    """Additions to a map of strings that may be missing."""
    if existing is None:
        if wanted:
            yield _add(path, wanted)
        return
    for key, value in wanted.items():
        operation = "replace" if key in existing else "add"
        yield {"op": operation, "path": f"{path}/{escape(key)}", "value": value}


def _list(path: str, existing: Sequence[object] | None, added: list[Any]) -> Iterator[Operation]:
    """Additions to the end of a list that may be missing."""
    if existing is None:
        if added:
            yield _add(path, added)
        return
    for value in added:
        yield _add(f"{path}/-", value)


def _node_selector(spec: PodSpec, edits: Sequence[Edit]) -> Iterator[Operation]:
    existing = spec.node_selector
    wanted = {edit.need.key: edit.need.values[0] for edit in _of(edits, AddNeed) if edit.need.is_selector}
    wanted |= {edit.key: edit.value for edit in _of(edits, AddNodeSelector)}
    if existing:
        for product in _of(edits, ReplaceProduct):
            if existing.get(PRODUCT) == product.old:
                wanted[PRODUCT] = product.new
        for edit in _of(edits, DropKey):
            if edit.key in existing and edit.key not in wanted:
                yield {"op": "remove", "path": f"/spec/nodeSelector/{escape(edit.key)}"}
    yield from _map("/spec/nodeSelector", existing, wanted)


def _affinity(spec: PodSpec, edits: Sequence[Edit]) -> Iterator[Operation]:
    """Changes to the required node affinity: each alternative gets what the form needs and loses what spelled another."""
    added = [_as_json(edit.need.expression) for edit in _of(edits, AddNeed) if not edit.need.is_selector]
    dropped = {edit.key for edit in _of(edits, DropKey)}
    terms = [(f"{_TERMS}/{i}", term) for i, term in enumerate(spec.terms) if not term.matches_nothing]
    if not terms:
        yield from _first_term(spec, added)
        return
    if not added and any(_left_open(term, dropped) for _, term in terms):
        # An alternative that asks for nothing any more lets every node through, and so does the whole.
        yield {"op": "remove", "path": _REQUIRED}
        return
    products = {edit.old: edit.new for edit in _of(edits, ReplaceProduct)}
    for path, term in terms:
        expressions = list(enumerate(term.match_expressions or ()))
        for i, expression in expressions:
            if products and expression.key == PRODUCT and expression.operator == "In":
                for j, value in enumerate(expression.values or ()):
                    if value in products:
                        yield {
                            "op": "replace",
                            "path": f"{path}/matchExpressions/{i}/values/{j}",
                            "value": products[value],
                        }
        for i, expression in reversed(expressions):
            if expression.key in dropped:
                yield {"op": "remove", "path": f"{path}/matchExpressions/{i}"}
        yield from _list(f"{path}/matchExpressions", term.match_expressions, added)


def _left_open(term: Term, dropped: set[str]) -> bool:
    return not term.match_fields and all(expression.key in dropped for expression in term.match_expressions or ())


def _first_term(spec: PodSpec, added: list[Operation]) -> Iterator[Operation]:
    """The first alternative of a pod that has none, with the parents that are missing."""
    if not added:
        return
    value: Any = [{"matchExpressions": added}]
    node = spec.affinity and spec.affinity.node_affinity
    if node and node.required:
        yield _add(_TERMS, value)
    elif node:
        yield _add(_REQUIRED, {"nodeSelectorTerms": value})
    elif spec.affinity:
        yield _add(_NODE, {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": value}})
    else:
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": value}}
        yield _add(_AFFINITY, {"nodeAffinity": required})


def _as_json(expression: Expression) -> Operation:
    written: Operation = {"key": expression.key, "operator": expression.operator}
    if expression.values:
        written["values"] = expression.values
    return written


def _tolerations(spec: PodSpec, edits: list[AddToleration]) -> Iterator[Operation]:
    added = []
    for edit in edits:
        toleration = edit.toleration
        fields = {
            "key": toleration.key,
            "operator": toleration.operator,
            "value": toleration.value,
            "effect": toleration.effect,
            "tolerationSeconds": toleration.toleration_seconds,
        }
        added.append({name: value for name, value in fields.items() if value is not None})
    yield from _list("/spec/tolerations", spec.tolerations, added)


def _env(spec: PodSpec, edits: list[AddEnv]) -> Iterator[Operation]:
    added: dict[Place, list[Operation]] = {}
    for edit in edits:
        added.setdefault(edit.place, []).append({"name": edit.name, "value": edit.value})
    for place, variables in added.items():
        yield from _list(f"{place.pointer}/env", _container(spec, place).env, variables)


def _annotations(pod: Pod, edits: list[Annotate]) -> Iterator[Operation]:
    wanted = {edit.key: edit.value for edit in edits}
    if not wanted:
        return
    if pod.metadata is None:
        yield _add("/metadata", {"annotations": wanted})
    else:
        yield from _map("/metadata/annotations", pod.metadata.annotations, wanted)

"""Structural search: the pods and GPU requests that an object of any kind describes, found by their shape.

The shapes are those of the custom resources of some 30 projects (Ray, Kubeflow, KServe, Argo, Volcano, Spark, NIM and others):
a list of containers with images, ``limits`` and ``requests`` in or outside of a container, the Spark operator's ``gpu``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from webhook.engine.quantity import whole
from webhook.engine.resources import classify

MOST_VALUES = 200_000
"""Values of one object that are looked at. etcd takes 1.5 MB an object, which is fewer."""

_CONTAINER_LISTS = frozenset({"containers", "initContainers", "sidecars", "steps"})  # sidecars: Argo; steps: Tekton
_CONTAINERS = frozenset({"container", "script", "mainContainer"})  # Argo, Argo, Dynamo
_AMOUNTS = frozenset({"limits", "requests"})
# Text that is a part of a manifest: Argo, Argo, Kustomize, Argo CD and HelmChart.
_EMBEDDED = frozenset({"podSpecPatch", "manifest", "patch", "values", "valuesContent"})
_NAME_IN_TEXT = re.compile(r"""(nvidia\.com/[A-Za-z0-9._-]+)["']?[ \t]*:""")
_SPARK = re.compile(r"spark\.(?:driver|executor)\.resource\.gpu\.amount")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE = "gpu"  # Dynamo's and vLLM's own word for the resource
# What the cluster has done, and who wrote which field: neither says what is to be made.
_SKIPPED = frozenset({"status", "managedFields"})

_Path = tuple[Any, str | int] | None  # what is above, and the last step
_Found = tuple[_Path, tuple[str, ...]]


class Traces(msgspec.Struct, frozen=True):
    """What was found in an object.

    Attributes:
        resources: the GPU resources that are requested, as they are written; each once.
        requests: where they are.
        templates: where containers are.
        complete: whether all of the object was looked at.
    """

    resources: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    complete: bool = True

    def __bool__(self) -> bool:
        """Whether the object may lead to pods."""
        return bool(self.requests or self.templates) or not self.complete


def search(manifest: Mapping[str, Any], *, most: int = MOST_VALUES) -> Traces:
    """Look for pods and GPU requests in an object, in the order in which it is written.

    Args:
        manifest: the object, as plain data. It may be nested and large without bounds.
        most: values to look at.
    """
    requests: list[_Found] = []
    templates: list[_Path] = []
    pending: list[tuple[Any, _Path]] = [
        (value, (None, key)) for key, value in reversed(manifest.items()) if key not in {*_SKIPPED, "metadata"}
    ]
    left = most
    while pending:
        value, path = pending.pop()
        left -= 1
        if left < 0:
            break
        requests += _requested(value, path)
        if _is_template(value, path):
            templates.append(path)
        pending += [(inner, (path, step)) for step, inner in reversed(list(_inner(value)))]
    names = dict.fromkeys(name for _, found in requests for name in found)
    places = _once_a_container([_written(path) for path, _ in requests])
    return Traces(tuple(names), places, tuple(map(_written, templates)), complete=left >= 0)


def _once_a_container(paths: Sequence[str]) -> tuple[str, ...]:
    """Paths without the ``requests`` that say again what ``limits`` beside them say."""
    limits = {path.removesuffix("limits") for path in paths if path.endswith("limits")}
    return tuple(path for path in paths if not (path.endswith("requests") and path.removesuffix("requests") in limits))


def _inner(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        yield from ((key, inner) for key, inner in value.items() if key not in _SKIPPED)
    elif isinstance(value, list):
        yield from enumerate(value)


def _requested(value: Any, path: _Path) -> Iterator[_Found]:
    """The GPU resources that a value requests by itself, without what is in it."""
    step, above = _last(path), _last(path[0]) if path else None
    if isinstance(value, Mapping):
        is_amount = step in _AMOUNTS and above != "spec"  # spec.limits is a node pool's
        if is_amount or (step == "resources" and above != "limits"):
            names = tuple(str(key) for key, amount in value.items() if _is_gpu(key) and _is_request(amount))
            if names:
                yield path, names
        elif step == "gpu" and "quantity" in value and classify(str(value.get("name"))):
            yield path, (str(value["name"]),)
    elif isinstance(value, str) and step in _EMBEDDED:
        names = tuple(name for name in _NAME_IN_TEXT.findall(value) if classify(name))
        if names:
            yield path, names
    elif isinstance(step, str) and _SPARK.fullmatch(step) and _is_request(value):
        yield path, (_BARE,)


def _is_gpu(key: object) -> bool:
    return isinstance(key, str) and (key == _BARE or classify(key) is not None)


def _is_request(amount: object) -> bool:
    """Whether an amount is more than 0, or text that a template engine has yet to fill in."""
    return isinstance(amount, str | int | float) and amount != "" and whole(amount) != 0


def _is_template(value: Any, path: _Path) -> bool:
    step = _last(path)
    if step in _CONTAINER_LISTS:
        return isinstance(value, list) and any(map(_has_image, value))
    return step in _CONTAINERS and _has_image(value)


def _has_image(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("image"), str)


def _last(path: _Path) -> str | int | None:
    return path[1] if path else None


def _written(path: _Path) -> str:
    """A path as Kubernetes writes it."""
    steps: list[str] = []
    while path:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else _key(step))
    return "".join(reversed(steps)).removeprefix(".")


def _key(step: str) -> str:
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f"[{step}]"

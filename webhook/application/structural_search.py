"""Structural search: the pods and GPU requests that an object of any kind describes, found by their shape.

The shapes are those of the custom resources of some 30 projects (Ray, Kubeflow, KServe, Argo, Volcano, Spark, NIM and others):
a list of containers with images, ``limits`` and ``requests`` in or outside of a container, the Spark operator's ``gpu``,
KubeVirt's ``deviceName``, fields that count GPUs (``gpuCount``, Ray's ``num-gpus``), KAI's annotations, and resource claims (DRA)
of a pod or a container.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ..engine.other_gpus import BUILT_IN, GpuNames
from ..engine.quantity import whole
from ..engine.resources import PREFIX, classify
from ..engine.schedulers import KAI_KEYS
from ..engine.text import cut
from .field_paths import written
from .gpu_fields import counts_gpus, gpu_fields, is_number
from .gpu_text import BARE, counts_in_text, decoded, gpus_in_text, is_gpu_key, parsed

MOST_VALUES = 200_000
"""Values of one object that are checked. etcd takes 1.5 MB an object, which is fewer."""

_CONTAINER_LISTS = frozenset({"containers", "initContainers", "sidecars", "steps"})  # sidecars: Argo; steps: Tekton
_CONTAINERS = frozenset({"container", "script", "mainContainer"})  # Argo, Argo, Dynamo
_AMOUNTS = frozenset({"limits", "requests"})
_AMOUNTS_OR_ABOVE = _AMOUNTS | {"resources"}
_SPARK = re.compile(r"spark\.(?:driver|executor)\.resource\.gpu\.amount")
_CLAIM_LISTS = frozenset({"resourceClaims", "draResources"})  # Kubernetes, NIM
_CLAIM_NAMES = frozenset({"resourceClaimName", "resourceClaimTemplateName", "deviceClassName"})
_CLAIMS_IN_TEXT = re.compile(r"""\bresourceClaims["']?[ \t]*:""")
_ANNOTATIONS = "annotations"
# A map of labels may have GPU names as keys, but requests no GPU.
_LABELS = frozenset({"labels", "annotations", "nodeSelector", "matchLabels", "selector"})
# Maps of capacities and limits of nodes, queues and quotas.
_BOUNDS = frozenset({
    "allocatable", "borrowingLimit", "capability", "capacity", "deserved", "guarantee", "hard", "max", "min", "minResources",
    "quota", "used",
})  # fmt: skip
_NOT_REQUESTS = _LABELS | _BOUNDS | {"limit", "limits", "requests", "resource", "resources"}
# A request as a list's item: the resource's name, and how many.
_NAMING = ("name", "resourceName", "resource", "gpuType", "type", "key")
_NUMBERING = ("quantity", "count", "amount", "value", "number", "request", "limit", "min")
_OF_TAINTS = frozenset({"effect", "operator", "tolerationSeconds"})  # with a key and a value too
# What the cluster has done, and who wrote which field; neither describes a pod.
_SKIPPED = frozenset({"status", "managedFields"})

POD_KEYS = _CONTAINER_LISTS | _CONTAINERS
"""Keys under which an object has containers."""
CLAIM_KEYS = _CLAIM_LISTS | _CLAIM_NAMES
"""Keys under which an object has resource claims."""

# Fields of a container with the options of its program, which request nothing.
_OF_PROGRAMS = frozenset({"args", "command", "env", "script", "source"})
# Fields of Kubernetes' own objects with texts, in which fields that count GPUs are searched only if the text is a manifest.
_DATA = frozenset({"data", "stringData", "binaryData"})
_MANIFEST = re.compile(r"""^[ \t]*["']?kind["']?[ \t]*:""", re.MULTILINE)
# Annotations that record what an object was, or became.
_RECORDS = re.compile(
    r"last-applied|last-handled|alm-examples|applied-configuration|objectset\.rio|kapp\.k14s\.io/original|argoproj\.io/tracking|gpuwarden\.io/"
)

_MOST_PLACES = 10  # that are kept for one object
_LONGEST_PLACE = 300  # characters

_Path = tuple[Any, str | int] | None  # what is above, and the last step
_Found = tuple[Any, _Path, Any]  # a map or list, its path, and what it is in


class Traces(msgspec.Struct, frozen=True):
    """The GPU requests, containers and claims that were found in an object.

    Attributes:
        resources: the GPU resources that are requested, as they are written; each once.
        requests: where they are, the first ten of these places; ``limits`` stand for the ``requests`` beside them.
        templates: where containers are: the first ten places.
        claims: where resource claims are: the first ten places.
        counts: how many places each of the three has in total.
        complete: whether all of the object was checked.
    """

    resources: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    counts: tuple[int, int, int] = (0, 0, 0)
    complete: bool = True

    def __bool__(self) -> bool:
        """Whether the object may lead to pods."""
        return bool(self.requests or self.templates or self.claims) or not self.complete


class _Places:
    """Places in an object: the first of them, and how many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._paths: list[_Path] = []

    def add(self, path: _Path) -> None:
        self.count += 1
        if len(self._paths) < _MOST_PLACES:
            self._paths.append(path)

    def written(self) -> tuple[str, ...]:
        return tuple(map(_written, self._paths))


class _Walk:
    """A walk over maps and lists, each with its path and its parent; it ends after a given number of values."""

    def __init__(self, root: Any, most: int = MOST_VALUES) -> None:
        self._pending: list[_Found] = [(root, None, None)]
        self._left = most

    def __iter__(self) -> Iterator[_Found]:
        while self._pending and self._left > 0:
            found = self._pending.pop()
            self._left -= len(found[0])
            yield found

    def enter(self, inner: Iterable[_Found]) -> None:
        """Continue the walk with these, the last first."""
        self._pending += inner

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return self._left >= 0 and not self._pending


def search(manifest: Mapping[str, Any], gpu_names: GpuNames = BUILT_IN, *, most: int = MOST_VALUES) -> Traces:
    """Look for pods and GPU requests in an object, in the order of the manifest.

    The object may be nested and large without bounds: at most ``most`` values are checked.
    """
    names: dict[str, None] = {}
    requests, templates, claims = _Places(), _Places(), _Places()
    walk = _Walk(_searched(manifest), most)
    for value, path, parent in walk:
        for place, found in _requested(value, path, parent, gpu_names):
            names.update(dict.fromkeys(found))
            requests.add(place)
        if _is_template(value, path):
            templates.add(path)
        for place in _claimed(value, path):
            claims.add(place)
        walk.enter(_inner(value, path) + _json(value, path, gpu_names))
    counts = requests.count, templates.count, claims.count
    places = requests.written(), templates.written(), claims.written()
    return Traces(tuple(names), *places, counts, walk.is_complete)


def pod_specs(manifest: Mapping[str, Any]) -> Iterator[tuple[str | int, ...]]:
    """Return where an object has specs of pods, found by their shape: a list ``containers`` whose items have a name and an image.

    In the CRDs of some 30 projects this finds 107 specs of pods, 11 parts of one, and nothing else.
    """
    walk = _Walk({key: value for key, value in manifest.items() if key != "metadata"})
    for value, path, _ in walk:
        containers = value.get("containers") if isinstance(value, dict) else None
        if (
            isinstance(containers, list)
            and containers
            and all(_has_image(one) and one.get("name") for one in containers)
        ):
            yield _steps(path)
        walk.enter(_inner(value, path))


def _steps(path: _Path) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    while path:
        path, step = path
        steps.append(step)
    return tuple(reversed(steps))


def gpu_maps(manifest: Mapping[str, Any], gpu_names: GpuNames) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every map outside of labels that has GPU resources as keys with amounts: its path, and the resources."""
    walk = _Walk(manifest)
    for value, path, _ in walk:
        if isinstance(value, dict):
            step = _last(path)
            if step in _LABELS:
                continue
            is_amount = isinstance(step, str) and step.lower() in _AMOUNTS_OR_ABOVE
            # Few maps have a key that can be a resource.
            names = [name for name in value if isinstance(name, str) and (is_amount or "/" in name)]
            found = (
                tuple(name for name in names if _is_gpu(name, gpu_names) and is_number(value[name])) if names else ()
            )
            if found:
                yield _written(path), found
        walk.enter(_inner(value, path))


def _searched(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """An object, with only those metadata that may request GPUs."""
    metadata = manifest.get("metadata")
    kept = {
        key: texts
        for key in (_ANNOTATIONS, "labels")
        if isinstance(metadata, dict) and isinstance(metadata.get(key), dict)
        if (texts := {name: text for name, text in metadata[key].items() if isinstance(text, str)})
    }
    rest = {key: value for key, value in manifest.items() if key != "metadata"}
    return {**rest, "metadata": kept} if kept else rest


def _inner(value: Any, path: _Path) -> list[_Found]:
    """The maps and lists in a map or list, the last first, each with its path and its parent."""
    steps: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[_Found] = [
        (inner, (path, step), value)
        for step, inner in steps
        if isinstance(inner, (dict, list)) and step not in _SKIPPED
    ]
    found.reverse()
    return found


def _json(value: Any, path: _Path, gpu_names: GpuNames) -> list[_Found]:
    """The JSON texts in a map or list, likewise, except those whose requests are found by a resource name in the text."""
    if _last(path) in _LABELS and _last(path) != _ANNOTATIONS:
        return []
    steps: list[tuple[str | int, Any]] = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [
        (inner, (path, step), value)
        for step, text in reversed(steps)
        if isinstance(text, str) and not _is_record(path, step) and (inner := parsed(text))
        if not (_CLAIMS_IN_TEXT.search(text) or any(gpus_in_text(text, gpu_names)))
    ]


def _is_record(path: _Path, step: str | int) -> bool:
    return _last(path) == _ANNOTATIONS and isinstance(step, str) and _RECORDS.search(step) is not None


def _requested(value: Any, path: _Path, parent: Any, gpu_names: GpuNames) -> Iterator[tuple[_Path, tuple[str, ...]]]:
    """The GPU resources that a map requests by itself, without the maps in it, and where."""
    step, above = _last(path), _last(path[0]) if path else None
    if step not in _LABELS or step == _ANNOTATIONS:
        yield from _in_texts(value, path, parent, gpu_names)
    if not isinstance(value, dict):
        return
    if step in _LABELS:
        if above == "metadata":
            yield from _in_metadata(value, path, gpu_names)
        return
    # spec.limits is what a node pool may grow to; requests only repeat the limits beside them.
    is_amount = (
        step in _AMOUNTS and above != "spec" and not (step == "requests" and _gpus(parent.get("limits"), gpu_names))
    )
    is_request = is_amount or (step == "resources" and above != "limits")
    found = _gpus(value, gpu_names) if is_request else () if step in _NOT_REQUESTS else _numbered(value, gpu_names)
    if found:
        yield path, found
    naming = () if _OF_TAINTS & value.keys() else _NAMING
    named = (value[key] for key in naming if "/" in str(value.get(key)) and "\\" not in value[key])
    if (devices := tuple(name for name in named if _is_gpu(name, gpu_names))) and any(
        is_number(value[key]) for key in _NUMBERING if key in value
    ):
        yield path, devices
        return
    if step == "sparkConf":
        yield from (((path, key), (BARE,)) for key in value if _SPARK.fullmatch(key) and _is_request(value[key]))
    device = value.get("deviceName")  # KubeVirt
    is_gpu = above == "gpus" or (above == "hostDevices" and _is_gpu(device, gpu_names))
    if is_gpu and isinstance(device, str) and isinstance(step, int):
        yield (path, "deviceName"), (device,)
    if step not in _AMOUNTS and not found and not {step, above} & _BOUNDS:
        fields = gpu_fields(value, step, above if isinstance(step, int) else None)
        yield from (((path, key), (BARE,)) for key in fields)


def _in_texts(value: Any, path: _Path, parent: Any, gpu_names: GpuNames) -> Iterator[tuple[_Path, tuple[str, ...]]]:
    """The GPU resources that the texts in a map or list request; of a list, its options together too."""
    step = _last(path)
    of_program = step in _OF_PROGRAMS and _has_image(parent)
    texts = []
    for key, text in value.items() if isinstance(value, dict) else enumerate(value):
        if not isinstance(text, str) or not text or _is_record(path, key):
            continue
        text = decoded(text)  # noqa: PLW2901 - the same text
        texts.append(text)
        if found := tuple(gpus_in_text(text, gpu_names)):
            yield (path, key), found
        elif not (of_program or (key in _OF_PROGRAMS and _has_image(value))) and _counts(text, step):
            yield (path, key), (BARE,)
    if isinstance(value, list) and not of_program and counts_in_text(" ".join(texts)):
        yield path, (BARE,)


def _counts(text: str, step: str | int | None) -> bool:
    return (step not in _DATA or _MANIFEST.search(text) is not None) and counts_in_text(text)


def _in_metadata(value: dict[Any, Any], path: _Path, gpu_names: GpuNames) -> Iterator[tuple[_Path, tuple[str, ...]]]:
    """The GPUs that labels or annotations request: by a resource's name and, in annotations, by a number or KAI's keys."""
    for key, amount in value.items():
        if not isinstance(key, str) or _is_record(path, key):
            continue
        if "/" in key and is_gpu_key(key, gpu_names) and is_number(amount):
            yield (path, key), (key,)
        elif _last(path) == _ANNOTATIONS:
            domain, _, name = key.rpartition("/")
            if key in KAI_KEYS:
                yield (path, key), (key,)
            elif counts_gpus(name) and is_number(amount) and domain != PREFIX.rstrip("/"):
                yield (path, key), (BARE,)


def _numbered(value: dict[Any, Any], gpu_names: GpuNames) -> tuple[str, ...]:
    """The GPU resources that are keys of a map, with a number each."""
    return tuple(
        name for name, amount in value.items() if is_number(amount) and "/" in str(name) and _is_gpu(name, gpu_names)
    )


def _gpus(amounts: Any, gpu_names: GpuNames) -> tuple[str, ...]:
    """The GPU resources of which a map requests any."""
    if not isinstance(amounts, dict):
        return ()
    return tuple(name for name, amount in amounts.items() if _is_gpu(name, gpu_names) and _is_request(amount))


def _is_gpu(name: object, gpu_names: GpuNames) -> bool:
    if not isinstance(name, str):
        return False
    return classify(name) is not None or gpu_names.is_gpu(name) or gpu_names.of_another_vendor(name)


def _is_request(amount: object) -> bool:
    """Whether an amount is more than 0, or text that a template engine has yet to fill in."""
    return isinstance(amount, str | int | float) and amount != "" and whole(amount) != 0


def _is_template(value: Any, path: _Path) -> bool:
    step = _last(path)
    if step in _CONTAINER_LISTS:
        return isinstance(value, list) and any(map(_has_image, value))
    return step in _CONTAINERS and _has_image(value)


def _claimed(value: Any, path: _Path) -> Iterator[_Path]:
    """The places where a map or list itself has resource claims; a list of claims is one place."""
    if isinstance(value, list):
        if value and _last(path) in _CLAIM_LISTS:
            yield path
        return
    if _CLAIM_NAMES & value.keys() and _last(path[0] if path else None) not in _CLAIM_LISTS:
        yield path
    texts = ((key, text) for key, text in value.items() if isinstance(text, str))
    yield from ((path, key) for key, text in texts if _CLAIMS_IN_TEXT.search(text))


def _has_image(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("image"), str)


def _last(path: _Path) -> str | int | None:
    return path[1] if path else None


def _written(path: _Path) -> str:
    """A path as Kubernetes writes it, cut if it is very long."""
    return cut(written(_steps(path)), _LONGEST_PLACE)

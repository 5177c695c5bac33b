"""A small cluster that shares nothing with the engine: nodes with labels, what they offer, and how a scheduler chooses."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from webhook.engine.forms import Form, Platform, Sharing
from webhook.engine.spelling import DevicePlugin

Labels = Mapping[str, str]

STRATEGY = "nvidia.com/gpu.sharing-strategy"
PRODUCT = "nvidia.com/gpu.product"
GKE = "cloud.google.com/gke-"
PRODUCTS = ("A100-SXM4-40GB", "A100-PCIE-40GB")
PROFILES = ("1g.5gb", "2g.10gb")
CLIENTS = (2, 4, 8)
ZONES = ("a", "b")
# A value of a label that nobody has heard of.
OTHER = "other"


def chosen(spec: Mapping[str, Any], labels: Labels) -> bool:
    """Whether the scheduler may put a pod on a node with these labels (k8s.io/component-helpers nodeaffinity.go)."""
    selector = spec.get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    required = _required(spec)
    return required is None or any(_term(term, labels) for term in required)


def satisfiable(spec: Mapping[str, Any]) -> bool:
    """Whether some node, however unlikely, would be chosen for a pod: label by label, for one of its alternatives."""
    selector = spec.get("nodeSelector") or {}
    own = [{"key": key, "operator": "In", "values": [value]} for key, value in selector.items()]
    required = _required(spec)
    terms = [[]] if required is None else [t.get("matchExpressions") or [] for t in required if _says_something(t)]
    return any(_consistent([*own, *term]) for term in terms)


def _consistent(requirements: list[Mapping[str, Any]]) -> bool:
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    for requirement in requirements:
        by_key.setdefault(requirement["key"], []).append(requirement)
    return all(
        any(all(_requirement(r, value) for r in together) for value in _values(together))
        for together in by_key.values()
    )


def _values(requirements: Iterable[Mapping[str, Any]]) -> set[str | None]:
    written = {value for requirement in requirements for value in requirement.get("values") or []}
    near = {str(int(value) + step) for value in written if value.isdigit() for step in (-1, 1, 2)}
    return {None, OTHER, "0", "1000", *written, *near}


def _required(spec: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return required.get("nodeSelectorTerms") or None


def _says_something(term: Mapping[str, Any]) -> bool:
    return bool(term.get("matchExpressions") or term.get("matchFields"))


def _term(term: Mapping[str, Any], labels: Labels) -> bool:
    expressions = term.get("matchExpressions") or []
    return _says_something(term) and all(_requirement(e, labels.get(e["key"])) for e in expressions)


def _requirement(requirement: Mapping[str, Any], value: str | None) -> bool:
    operator: str = requirement["operator"]
    values: list[str] = requirement.get("values") or []
    if operator in ("Exists", "DoesNotExist"):
        return (value is None) == (operator == "DoesNotExist")
    if operator in ("In", "NotIn"):
        return (value is not None and value in values) == (operator == "In")
    if operator in ("Gt", "Lt") and value is not None and values:
        try:
            number, bound = int(value), int(values[0])
        except ValueError:
            return False
        return number > bound if operator == "Gt" else number < bound
    return False


@dataclass(frozen=True)
class Node:
    """A node: its labels, and the GPU resources that it offers, each with the form in which it is handed out."""

    labels: Labels
    offers: Mapping[str, Form]


def nodes(platform: Platform, plugin: DevicePlugin) -> tuple[Node, ...]:
    """Nodes of every kind on a platform, in every zone, of known products and others."""
    return _nodes(platform, renamed=plugin.rename_by_default, single=plugin.single)


@cache
def _nodes(platform: Platform, *, renamed: bool, single: bool) -> tuple[Node, ...]:
    of_plugin = _single if single else _device_plugin
    kinds = _gke() if platform is Platform.GKE else of_plugin(renamed=renamed)
    return tuple(
        Node({**node.labels, "pool": "gpu", **({"zone": zone} if zone else {})}, node.offers)
        for node in kinds
        for zone in (None, *ZONES, OTHER)
    )


# How whole GPUs are handed out, if at all, and what the label says of it.
_WHOLE = (
    (Sharing.NONE, "none"),
    (Sharing.NONE, None),
    (Sharing.NONE, OTHER),
    (Sharing.TIME_SLICING, "time-slicing"),
    (Sharing.MPS, "mps"),
    (None, "none"),
    (None, "time-slicing"),
    (None, "mps"),
    (None, None),
)
# The same of the slices of each profile.
_SLICES = (
    (
        (None, None),
        (Sharing.NONE, "none"),
        (Sharing.NONE, None),
        (Sharing.NONE, OTHER),
        (Sharing.TIME_SLICING, "time-slicing"),
    ),
    ((None, None), (Sharing.NONE, "none"), (Sharing.TIME_SLICING, "time-slicing")),
)


def _device_plugin(*, renamed: bool) -> Iterator[Node]:
    """What GPU feature discovery labels: docs/gpu-feature-discovery/README.md and internal/lm/resource.go."""
    for (whole, strategy), *slices, name in product(_WHOLE, *_SLICES, (*PRODUCTS, OTHER, None)):
        labels: dict[str, str] = {}
        offers: dict[str, Form] = {}
        if strategy is not None:
            labels[STRATEGY] = strategy
        shared = whole not in (None, Sharing.NONE)
        if name is not None:
            labels[PRODUCT] = f"{name}-SHARED" if shared and not renamed else name
        if whole is not None:
            offers["nvidia.com/gpu.shared" if shared and renamed else "nvidia.com/gpu"] = Form(sharing=whole)
        for profile, (sharing, told) in zip(PROFILES, slices, strict=True):
            resource = f"nvidia.com/mig-{profile}"
            if told is not None:
                labels[f"{resource}.sharing-strategy"] = told
            if sharing is not None:
                suffix = ".shared" if sharing is not Sharing.NONE and renamed else ""
                offers[resource + suffix] = Form(profile, sharing)
        if offers:
            yield Node(labels, offers)


# Profile, GPU instance slices, memory in MiB: of the profiles that policies name here, and of their neighbours.
_CUT = (
    ("1g.5gb", "1", "4864"),
    ("1g.6gb", "1", "5836"),
    ("1g.10gb", "1", "9856"),
    ("2g.10gb", "2", "9856"),
    ("2g.12gb", "2", "11672"),
    ("3g.20gb", "3", "19968"),
    *((None, None, memory) for memory in ("3072", "4864", "9856", "19968", "40536", None)),
)


def _single(*, renamed: bool) -> Iterator[Node]:
    """What GPU feature discovery labels under MIG strategy single, where all GPUs of a node are cut alike, or none."""
    sharings = [pair for pair in _WHOLE if pair[0] is not None]
    for (profile, slices, memory), (sharing, strategy), name in product(_CUT, sharings, (*PRODUCTS, OTHER, None)):
        if profile and sharing is Sharing.MPS:
            continue
        shared = sharing is not Sharing.NONE
        labels: dict[str, str] = {}
        if strategy is not None:
            labels[STRATEGY] = strategy
        if name is not None:
            cut = f"-MIG-{profile}" if profile else ""
            labels[PRODUCT] = f"{name}{cut}{'-SHARED' if shared and not renamed else ''}"
        if memory:
            labels["nvidia.com/gpu.memory"] = memory
        if slices:
            labels["nvidia.com/gpu.slices.gi"] = labels["nvidia.com/gpu.slices.ci"] = slices
        yield Node(
            labels, {"nvidia.com/gpu.shared" if shared and renamed else "nvidia.com/gpu": Form(profile, sharing)}
        )


def _gke() -> Iterator[Node]:
    """What GKE labels; some people run feature discovery there as well, for the product."""
    strategies = {Sharing.TIME_SLICING: "time-sharing", Sharing.MPS: "mps"}
    for partition, sharing, clients, name in product(
        (None, *PROFILES), (Sharing.NONE, *strategies), CLIENTS, (*PRODUCTS, OTHER, None)
    ):
        labels = {f"{GKE}accelerator": "nvidia-tesla-a100"}
        if name:
            labels[PRODUCT] = name
        if partition:
            labels[f"{GKE}gpu-partition-size"] = partition
        if sharing in strategies:
            labels[f"{GKE}gpu-sharing-strategy"] = strategies[sharing]
            labels[f"{GKE}max-shared-clients-per-gpu"] = str(clients)
        counted = clients if sharing in strategies else None
        yield Node(labels, {"nvidia.com/gpu": Form(partition, sharing, Platform.GKE, counted)})

"""The limits on a review and the pod in it, because a very large one would delay all others. No real pod comes near them."""

from ..engine.pods import Pod, PodSpec, containers
from ..engine.requests import ORDINARY
from .review import ReviewError

MOST_ELEMENTS = 50_000
"""Commas, opening braces and brackets in a body: at least as many as it has members and items, each of which takes up to 300
bytes when it is decoded. docs/reference/limits.md has the largest real objects, which have a twentieth."""
MOST_GPU_CONTAINERS = 1000
"""Containers with GPUs in a pod: more than a node can have GPUs or slots for (16 GPUs with 48 clients each)."""
MOST_CLAIMS = 128
"""Claims of a pod: each is read from the API server."""
MOST_HOLDERS = 16
"""Pods that one write gives a claim to: each is read from the API server. Kubernetes adds one at a time."""
MOST_RESOURCES = 500
"""Different resource names in a pod. The node with the most has some twenty: cpu, memory, hugepages, MIG profiles, NICs."""
MOST_SELECTED = 5_000
"""Entries of nodeSelector, and terms, expressions and values of required node affinity, together. A pod that lists every node of
the largest cluster by name has as many (https://kubernetes.io/docs/setup/best-practices/cluster-large/)."""


def elements(body: bytes) -> int:
    """An upper bound of the members and items in a body; ``0`` for one too short to have too many."""
    return 0 if len(body) <= MOST_ELEMENTS else len(body) - len(body.translate(None, b",{["))


def bound(body: bytes) -> None:
    """Reject a body whose objects would take far more time and memory than its bytes when they are decoded.

    Raises:
        ReviewError: it has more elements than ``MOST_ELEMENTS``.
    """
    if (count := elements(body)) > MOST_ELEMENTS:
        raise ReviewError(
            "request",
            f"has {count} elements (commas, opening braces and brackets); objects of at most {MOST_ELEMENTS} are read",
        )


def sized(pod: Pod, root: str) -> Pod:
    """The pod at the path ``root``, if it is not too large to be judged.

    Raises:
        ReviewError: naming what it has too much of.
    """
    spec = pod.spec
    if spec is None:
        return pod
    if (count := _resources(spec)) > MOST_RESOURCES:
        raise ReviewError(
            f"{root}.spec.containers", f"name {count} different resources; at most {MOST_RESOURCES} are supported"
        )
    if (count := len(spec.node_selector or ()) + (_stated(spec) if spec.affinity else 0)) > MOST_SELECTED:
        raise ReviewError(
            f"{root}.spec.affinity",
            f"nodeSelector and required node affinity have {count} entries, terms, expressions and values; "
            f"at most {MOST_SELECTED} are supported",
        )
    return pod


def _resources(spec: PodSpec) -> int:
    """The number of different resources that the containers name, or more where that is within the limit."""
    most = 0
    for listed in (spec.containers, spec.init_containers):
        for container in listed or ():
            if (resources := container.resources) is not None:
                most += len(resources.limits or ()) + len(resources.requests or ())
    if most <= MOST_RESOURCES:
        return most
    names: set[str] = set()
    for _, _, container in containers(spec):
        if container.resources is not None:
            names.update(container.resources.limits or (), container.resources.requests or ())
    return len(names - ORDINARY)


def _stated(spec: PodSpec) -> int:
    """The terms, expressions and values of the required node affinity."""
    expressions = [expression for term in spec.terms for expression in term.match_expressions or ()]
    return len(spec.terms) + len(expressions) + sum(len(expression.values or ()) for expression in expressions)

"""Limits on the size of pods, because evaluating one very large pod would delay all other reviews."""

from webhook.engine.pods import PodSpec, containers

MOST_RESOURCES = 500
"""Different resource names in a pod. The node with the most has some twenty: cpu, memory, hugepages, MIG profiles, NICs."""
MOST_SELECTED = 5_000
"""Entries of nodeSelector, and terms, expressions and values of required node affinity, together. A pod that lists every node of
the largest cluster by name has as many (https://kubernetes.io/docs/setup/best-practices/cluster-large/)."""
_ORDINARY = frozenset({"cpu", "memory", "ephemeral-storage"})


def too_much(spec: PodSpec) -> tuple[str, str] | None:
    """The field below ``spec`` that is too large to be judged, and a sentence; ``None`` for every real pod."""
    if (count := _resources(spec)) > MOST_RESOURCES:
        return "containers", f"name {count} different resources; at most {MOST_RESOURCES} are supported"
    if (count := len(spec.node_selector or ()) + (_stated(spec) if spec.affinity else 0)) > MOST_SELECTED:
        return "affinity", (
            f"nodeSelector and required node affinity have {count} entries, terms, expressions and values; "
            f"at most {MOST_SELECTED} are supported"
        )
    return None


def _resources(spec: PodSpec) -> int:
    """How many different resources the containers name, or at most name."""
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
    return len(names - _ORDINARY)


def _stated(spec: PodSpec) -> int:
    """The terms, expressions and values of the required node affinity."""
    expressions = [expression for term in spec.terms for expression in term.match_expressions or ()]
    return len(spec.terms) + len(expressions) + sum(len(expression.values or ()) for expression in expressions)

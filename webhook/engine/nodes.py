"""What a pod says about the nodes it may run on: nodeSelector and required node affinity, read as one."""

from collections.abc import Iterable

from webhook.engine.pods import Expression, PodSpec

# The label is missing from the node.
ABSENT = None


class NodeConstraints:
    """The node labels that a pod's nodeSelector and required node affinity permit, key by key.

    The terms of a node affinity are alternatives, so a value is permitted when any term lets it through. A pod whose terms
    all match nothing can run ``nowhere``.
    """

    def __init__(self, spec: PodSpec, *, without: Iterable[str] = ()) -> None:
        """Read a spec, as if the keys in ``without`` stood nowhere in it."""
        ignored = frozenset(without)
        self.selector = {key: value for key, value in (spec.node_selector or {}).items() if key not in ignored}
        self.terms = [
            [e for e in term.match_expressions or () if e.key not in ignored]
            for term in spec.terms
            if not term.matches_nothing
        ]
        self.nowhere = bool(spec.terms) and not self.terms

    def mentions(self, key: str) -> bool:
        """Whether the pod says anything about this label."""
        return key in self.selector or any(e.key == key for term in self.terms for e in term)

    def values(self, key: str) -> list[str]:
        """The values of this label that the pod writes down and permits."""
        written = [self.selector[key]] if key in self.selector else []
        written += [value for term in self.terms for e in term if e.key == key for value in e.values or ()]
        return [value for value in dict.fromkeys(written) if self.permits(key, value)]

    def permits(self, key: str, value: str | None) -> bool:
        """Whether a node with this value of the label (``ABSENT``: without the label) can be chosen, as far as it decides."""
        if key in self.selector and self.selector[key] != value:
            return False
        return not self.terms or any(all(admits(e, value) for e in term if e.key == key) for term in self.terms)


def admits(expression: Expression, value: str | None) -> bool:
    """One requirement on one value, as k8s.io/apimachinery/pkg/labels/selector.go (Requirement.Matches) decides it."""
    values = expression.values or []
    match expression.operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists" | "DoesNotExist":
            return (value is not ABSENT) == (expression.operator == "Exists")
        case "Gt" | "Lt" if value is not ABSENT and values:
            return _compares(value, values[0], greater=expression.operator == "Gt")
    return False


def _compares(value: str, bound: str, *, greater: bool) -> bool:
    try:
        return int(value) > int(bound) if greater else int(value) < int(bound)
    except ValueError:
        return False

"""Pods as the API server has them when it comes to a ValidatingAdmissionPolicy: validated, defaulted, quantities canonical."""

from collections.abc import Mapping
from typing import Any

from tests.builders import Json
from webhook.engine.quantity import whole

_SUFFIXES = ("", "k", "M", "G", "T", "P", "E")


def stored(pod: Mapping[str, Any]) -> Json | None:
    """The pod as the API server would show it, or ``None`` where it refuses the pod itself.

    Mirrors what k8s.io/kubernetes pkg/apis/core/validation asks of resources and of node affinity, and no more than that.
    """
    clean: Json = {"metadata": {}, **_without_nulls(pod)}
    spec = clean.get("spec", {})
    every = [*spec.get("initContainers", []), *spec.get("containers", [])]
    if not spec.get("containers") or not all(_takes(container) for container in every):
        return None
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None and not required.get("nodeSelectorTerms"):
        return None
    terms = required["nodeSelectorTerms"] if required else []
    if not all(_valid(e) for term in terms for e in term.get("matchExpressions", [])):
        return None
    return clean


def _takes(container: Json) -> bool:
    """Whether the container's extended resources are whole and the same in both; they are made canonical."""
    resources = container.get("resources", {})
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for name in {**limits, **requests}:
        if "/" not in name:
            limits.update({name: str(limits[name])} if name in limits else {})
            requests.update({name: str(requests[name])} if name in requests else {})
            continue
        limit = whole(limits.get(name))
        if name not in limits or limit is None or (name in requests and whole(requests[name]) != limit):
            return False
        limits[name] = canonical(limit)
        requests[name] = canonical(limit)
    if limits:
        resources["requests"] = {**limits, **requests}
    return True


def _valid(expression: Json) -> bool:
    operator, values = expression.get("operator"), expression.get("values", [])
    if operator in ("In", "NotIn"):
        return bool(values)
    if operator in ("Gt", "Lt"):
        return len(values) == 1 and values[0].isdigit()
    return operator in ("Exists", "DoesNotExist") and not values


def canonical(count: int) -> str:
    """A whole number as resource.Quantity writes it."""
    power = 0
    while count and count % 1000 == 0 and power < len(_SUFFIXES) - 1:
        count //= 1000
        power += 1
    return f"{count}{_SUFFIXES[power]}"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value if item is not None] if isinstance(value, list) else value

"""The differences between the admission policies in a cluster and those of a configuration, bindings included."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from ..engine.namespace_labels import AUDIT, WARN
from .configuration import Configuration
from .in_tree_compiler import ANNOTATION, NAMESPACE_NAME, OTHERS, WARNS, compiled

KINDS = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
"""The kinds that a configuration is compiled to, with their plurals."""
# Defaults that the API server adds to a manifest.
_DEFAULTS: tuple[Any, ...] = (None, {}, [], "", "*", "Equivalent", "Fail", "Never")
_LEFT = {(key, "DoesNotExist", ()) for key in (WARN, AUDIT)}


class InTreeObject(msgspec.Struct, frozen=True):
    """An admission policy of gpuwarden's, or its binding, in the API server; ``policy`` is what it was compiled from."""

    kind: str
    name: str
    policy: str
    spec: dict[str, Any]

    @property
    def is_binding(self) -> bool:
        """Whether it binds a policy to namespaces."""
        return self.kind.endswith("Binding")


class Drift(StrEnum):
    """How an object differs from the configuration."""

    SURPLUS = "is not made from the configuration"
    MISSING = "is missing"
    CHANGED = "differs from what the configuration compiles to"


class Difference(NamedTuple):
    """An object that differs from the compiled configuration; ``policy`` is what it was compiled from."""

    kind: str
    name: str
    how: Drift
    policy: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.how}"


def policies_of(objects: Iterable[InTreeObject]) -> list[str]:
    """The policies that objects are made from, in order."""
    return sorted({each.policy for each in objects})


def differences(
    objects: Sequence[InTreeObject],
    configuration: Configuration,
    *,
    beside_webhooks: bool,
    left_out: Iterable[str] = (),
    warned: Collection[str] = (),
) -> Iterator[Difference]:
    """Each difference, ordered by kind and name.

    A policy without any object is not a difference, unless the webhooks leave out its common case: otherwise they decide its
    pods. Bindings may leave out more namespaces than the configuration exempts, because the chart adds some.

    Args:
        objects: gpuwarden's objects in the cluster.
        configuration: the configuration that is in use.
        beside_webhooks: whether webhooks decide all other pods. They also decide namespaces with a ``warn`` or ``audit`` label.
        left_out: the policies whose common case the webhooks leave out.
        warned: the policies for whose common case the webhooks are called too. They need no conditions for warnings.
    """
    names = sorted({*policies_of(objects), *left_out})
    made = compiled(configuration, names, deny_others=any(each.name.endswith(OTHERS) for each in objects))
    wanted = {(each["kind"], each["metadata"]["name"]): each for each in made.objects}
    found = {(each.kind, each.name): each for each in objects}
    for key in sorted({*found, *wanted}):
        if key not in wanted:
            yield Difference(*key, Drift.SURPLUS, found[key].policy)
            continue
        policy = wanted[key]["metadata"]["annotations"][ANNOTATION]
        if key not in found:
            needed = policy not in warned or not wanted[key]["spec"].get("policyName", key[1]).endswith(WARNS)
            if policy in names and needed:
                yield Difference(*key, Drift.MISSING, policy)
        elif not _alike(found[key], wanted[key]["spec"], beside_webhooks=beside_webhooks):
            yield Difference(*key, Drift.CHANGED, policy)


def _alike(found: InTreeObject, wanted: Any, *, beside_webhooks: bool) -> bool:
    if not found.is_binding:
        return _same(found.spec, wanted)
    rest, requirements, without = _taken_apart(found.spec)
    wanted_rest, wanted_requirements, wanted_without = _taken_apart(wanted)
    if beside_webhooks:
        wanted_requirements = wanted_requirements | _LEFT
    else:
        requirements, wanted_requirements = requirements - _LEFT, wanted_requirements - _LEFT
    return _same(rest, wanted_rest) and requirements == wanted_requirements and without >= wanted_without


def _taken_apart(binding: Any) -> tuple[Any, set[Any], set[str]]:
    """A binding's spec without its namespaces, what these must be, and the names of namespaces that are left out."""
    resources = binding.get("matchResources") or {}
    selector = resources.get("namespaceSelector") or {}
    expressions = {
        (each.get("key"), each.get("operator"), tuple(sorted(each.get("values") or ())))
        for each in selector.get("matchExpressions") or ()
    }
    names = {each for each in expressions if each[:2] == (NAMESPACE_NAME, "NotIn")}
    kept = {key: value for key, value in selector.items() if key != "matchExpressions"}
    rest = {**binding, "matchResources": {**resources, "namespaceSelector": kept}}
    return rest, expressions - names, {name for each in names for name in each[2]}


def _same(found: Any, wanted: Any) -> bool:
    """Whether an object of the API server is a manifest with nothing added but defaults."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(
            _same(found.get(key), wanted[key]) if key in wanted else found[key] in _DEFAULTS
            for key in {*found, *wanted}
        )
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == wanted)

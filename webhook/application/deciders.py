"""Who decides a namespace's new pods: the API server's admission policies, the webhooks, both or nobody."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from ..engine.namespace_labels import AUDIT, ENFORCE, UNLABELLED, WARN, NamespaceLabels
from .configuration import Configuration
from .diagnosis.selectors import Selector
from .in_tree_compiler import ANNOTATION, NAMESPACE_NAME, OTHERS, WARNS, compiled
from .in_tree_drift import InTreeObject, policies_of
from .in_tree_webhooks import NOT_CALLED_YET, NOT_THE_COMMON_CASE, SPLIT


class Decider(StrEnum):
    """Who decides pods.

    ``both``: the API server decides, and the webhooks are called with its result. ``unchanged``: neither decides, and the policy
    would change and deny nothing. ``nobody``: neither decides, and pods are created as they are.
    """

    API_SERVER = "api-server"
    WEBHOOKS = "webhooks"
    BOTH = "both"
    UNCHANGED = "unchanged"
    NOBODY = "nobody"

    @classmethod
    def of(cls, *, api_server: bool, webhooks: bool) -> "Decider":
        """The decider, given whether the API server and the webhooks decide."""
        if api_server:
            return cls.BOTH if webhooks else cls.API_SERVER
        return cls.WEBHOOKS if webhooks else cls.NOBODY


class Deciders(NamedTuple):
    """Who decides the common case, and who decides all other pods with GPUs. If the API server decides those, it denies them."""

    common_case: Decider
    other_pods: Decider


class ConditionName(msgspec.Struct):
    """A match condition, without its CEL."""

    name: str


class PodWebhook(msgspec.Struct, rename="camel"):
    """The fields of a webhook that decide which new pods it is called for."""

    name: str
    namespace_selector: Selector | None = None
    match_conditions: list[ConditionName] | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is one of gpuwarden's for new pods with GPUs, or a part of one."""
        return any(self.name == whole or self.name.endswith(f".{whole}") for whole in SPLIT)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether it is called for pods of a namespace with these labels."""
        selects = self.namespace_selector is None or self.namespace_selector.selects(labels)
        return selects and NOT_CALLED_YET not in self._conditions

    @property
    def leaves_out_the_common_case(self) -> bool:
        """Whether it is called for all pods except the common case."""
        return NOT_THE_COMMON_CASE in self._conditions

    @property
    def _conditions(self) -> list[str]:
        return [condition.name for condition in self.match_conditions or ()]


class _Resources(msgspec.Struct, rename="camel"):
    namespace_selector: Selector | None = None


class _Binding(msgspec.Struct, rename="camel"):
    """The spec of a binding: which policy applies to which namespaces."""

    policy_name: str = ""
    match_resources: _Resources | None = None

    @property
    def denies_others(self) -> bool:
        """Whether its policy denies the pods that are not the common case."""
        return self.policy_name.endswith(OTHERS)

    @property
    def decides(self) -> bool:
        """Whether its policy does more than warn."""
        return not self.policy_name.endswith(WARNS)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether the policy is for pods of a namespace with these labels."""
        selector = self.match_resources.namespace_selector if self.match_resources else None
        return selector is None or selector.selects(labels)


class DecidedPolicy(msgspec.Struct, frozen=True):
    """A policy, who decides under it, and the namespaces to which this applies."""

    policy: str
    deciders: Deciders
    namespaces: tuple[str, ...]


class Installed:
    """The objects of gpuwarden for new pods in the API server.

    ``objects`` are gpuwarden's admission policies and bindings, ``webhooks`` everyone's webhooks or gpuwarden's.

    Raises:
        msgspec.ValidationError: a binding has other fields, as in a file that was edited.
    """

    def __init__(self, objects: Sequence[InTreeObject], webhooks: Iterable[PodWebhook]) -> None:
        self.objects = objects
        self.webhooks = [each for each in webhooks if each.is_ours]
        policies = {(each.kind, each.name) for each in objects}
        bindings = [(each.kind, msgspec.convert(each.spec, _Binding)) for each in objects if each.is_binding]
        self._bindings = [
            each
            for kind, each in bindings
            if each.decides and (kind.removesuffix("Binding"), each.policy_name) in policies
        ]

    def deciders(self, labels: Mapping[str, str]) -> Deciders:
        """Who decides the pods of a namespace with these labels; its name is the label ``kubernetes.io/metadata.name``."""
        bound = [each.denies_others for each in self._bindings if each.selects(labels)]
        asked = [each for each in self.webhooks if each.selects(labels)]
        whole = any(not each.leaves_out_the_common_case for each in asked)
        return Deciders(
            Decider.of(api_server=False in bound, webhooks=whole),
            Decider.of(api_server=True in bound, webhooks=bool(asked)),
        )

    def policies(self, configuration: Configuration, namespaces: Mapping[str, NamespaceLabels]) -> list[DecidedPolicy]:
        """The policies of admission policies and of some namespaces, and the default. A policy appears once for each answer."""
        of_objects = policies_of(self.objects)
        made = compiled(configuration, of_objects)
        needs_none = {case.policy.name for case in made.cases}.difference(
            each["metadata"]["annotations"][ANNOTATION] for each in made.objects
        )

        def answer(policy: str, labels: Mapping[str, str]) -> tuple[str, Deciders]:
            decided = self.deciders(labels)
            if policy in needs_none and decided.common_case is Decider.NOBODY:
                decided = decided._replace(common_case=Decider.UNCHANGED)
            return policy, decided

        found: dict[tuple[str, Deciders], list[str]] = {answer(_default(configuration), {}): []}
        for policy in of_objects:
            found.setdefault(answer(policy, {ENFORCE: policy}), [])
        for name, ours in sorted(namespaces.items()):
            labels = {NAMESPACE_NAME: name, ENFORCE: ours.enforce, WARN: ours.warn, AUDIT: ours.audit}
            key = answer(
                configuration.policies.select(ours).enforce.name,
                {key: value for key, value in labels.items() if value is not None},
            )
            found.setdefault(key, []).append(name)
        return [DecidedPolicy(*key, tuple(names)) for key, names in sorted(found.items())]

    def asked_about_all(self) -> list[str]:
        """The policies for whose common case the webhooks are called too, so that they warn."""
        names = policies_of(self.objects)
        return [name for name in names if self.deciders({ENFORCE: name}).common_case is Decider.BOTH]

    def left_out(self, configuration: Configuration) -> list[str]:
        """The policies whose common case the webhooks leave to the API server, although no binding there covers it."""
        kinds: dict[str, list[Mapping[str, str]]] = {_default(configuration): [{}]}
        for each in self.webhooks:
            for requirement in (each.namespace_selector or Selector()).match_expressions or ():
                if each.leaves_out_the_common_case and (requirement.key, requirement.operator) == (ENFORCE, "In"):
                    for policy in requirement.values or ():
                        kinds.setdefault(policy, []).append({ENFORCE: policy})
        left = Deciders(Decider.NOBODY, Decider.WEBHOOKS)
        return sorted(policy for policy, labels in kinds.items() if left in map(self.deciders, labels))


def _default(configuration: Configuration) -> str:
    return configuration.policies.select(UNLABELLED).enforce.name

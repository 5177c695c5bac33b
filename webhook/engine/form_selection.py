"""Form selection: which form the requests of a pod get under a policy, by the resource that they name."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from .forms import Form, Sharing
from .nodes import NodeConstraints
from .policy import Mismatch, Policy
from .requests import Amount, GpuContainer
from .resources import GpuResource
from .rules.placement import apart
from .spelling import DevicePlugin, spell
from .statements import Statements


class How(StrEnum):
    """The way in which the form of a request was selected."""

    PLAIN = "plain"
    STATED = "stated"
    NARROWED = "narrowed"
    TRANSLATED = "translated"
    MISMATCHED = "mismatched"


class Choice(msgspec.Struct, frozen=True):
    """The forms that requests for a resource state in a pod, and the form that they get; ``None`` where none is permitted."""

    resource: GpuResource
    stated: tuple[Form, ...]
    form: Form | None
    how: How

    @property
    def replaces_spelling(self) -> bool:
        """Whether the requests stated another form or platform, whose selectors have to go."""
        return self.how in (How.TRANSLATED, How.MISMATCHED)


class GpuRequest(msgspec.Struct, frozen=True, gc=False):
    """A well-formed request of one container, and the form that it gets."""

    gpu_container: GpuContainer
    amount: Amount
    choice: Choice


def choose(
    resources: Iterable[GpuResource], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin
) -> tuple[Choice, ...]:
    """The form that requests get under a policy that permits any form at all."""
    statements = Statements(nodes, plugin, policy.forms)
    choices = [_answer(resource, statements, policy, plugin) for resource in resources]
    if all(choice.stated for choice in choices):
        return tuple(choices)
    plain = _plain(policy, list(dict.fromkeys(choice.form for choice in choices if choice.form)), plugin)
    return tuple(choice if choice.stated else Choice(choice.resource, (), plain, How.PLAIN) for choice in choices)


def _answer(resource: GpuResource, statements: Statements, policy: Policy, plugin: DevicePlugin) -> Choice:
    """Return the forms that requests for a resource state, the form that they get, and how."""
    stated = statements.of(resource)
    if not stated:
        in_part = () if policy.permits_any else statements.in_part(resource)
        if not in_part:
            return Choice(resource, (), None, How.PLAIN)
        return _in_part(resource, in_part, statements.models, policy, plugin)
    form, how = _explicit(stated, policy)
    if how is How.MISMATCHED and not plugin.rename_by_default and statements.names_only_a_partition(resource):
        # Shared slices have the same name as whole ones then, so the name alone is no statement against sharing.
        shared, narrowed = _explicit(tuple(replace(form, sharing=Sharing.ANY) for form in stated), policy)
        if narrowed is not How.MISMATCHED:
            return Choice(resource, stated, shared, narrowed)
    return Choice(resource, stated, form, how)


def _in_part(
    resource: GpuResource, stated: tuple[Form, ...], models: tuple[str, ...], policy: Policy, plugin: DevicePlugin
) -> Choice:
    """Return the form for products that name forms, or else for one of the models beside them."""
    form, how = _explicit(stated, policy)
    if how is How.MISMATCHED:
        for listed in policy.forms:
            if any(map(spell(listed, plugin).products.of, models)):
                return Choice(resource, stated, listed, How.NARROWED)
    return Choice(resource, stated, form, how)


def _explicit(stated: tuple[Form, ...], policy: Policy) -> tuple[Form | None, How]:
    """The form that an explicit request gets, and how.

    It is a statement: taken as it is where a listed form covers it, narrowed to a listed form that is more specific, or
    translated to the same form on the other platform; otherwise denied, unless the policy rewrites.
    """
    if policy.permits_any:
        return next((form for form in stated if form.shared), stated[0]), How.STATED
    pairs = [(form, listed) for form in stated for listed in policy.forms]
    for form, listed in pairs:
        if form.meet(listed) == form:
            return form, How.STATED
    for form, listed in pairs:
        if met := form.meet(listed):
            return met, How.NARROWED
    for form, listed in pairs:
        if met := form.meet(listed, across_platforms=True):
            return met, How.TRANSLATED
    return (policy.forms[0] if policy.mismatch is Mismatch.REWRITE else None), How.MISMATCHED


def _plain(policy: Policy, explicit: list[Form], plugin: DevicePlugin) -> Form:
    """The policy's first form; beside explicit requests, the first that the same node can hand out."""
    if policy.permits_any:
        return Form()
    if not explicit:
        return policy.forms[0]
    fits = (form for form in policy.forms if not any(apart(form, other, plugin) for other in explicit))
    return next(fits, policy.forms[0])

"""Rewriting: which forms the requests of a pod get, so that the rewritten pod is admitted, decided for the pod as a whole."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from msgspec.structs import replace

from .edits import AddNeed, DropKey, Edit, ReplaceProduct
from .form_selection import Choice, How, choose
from .forms import Sharing
from .nodes import NodeConstraints
from .policy import Policy
from .resources import GpuResource
from .respelling import Respelling, Restated, respell, with_products
from .spelling import (
    LABELS_OF_FORMS,
    DevicePlugin,
)

# Pods that name more resources are not remembered, so that what is remembered stays small.
_MOST_RESOURCES = 4


def respelling(
    resources: Iterable[GpuResource], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin
) -> Respelling:
    """The forms that requests get under a policy, and what spells them.

    Most pods say of nodes what one before them said, so that is remembered.
    """
    named = tuple(dict.fromkeys(resources))
    if nodes.shared and len(named) <= _MOST_RESOURCES:
        return _remembered(named, policy, nodes, plugin)
    return _made(named, policy, nodes, plugin)


def _made(resources: Sequence[GpuResource], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin) -> Respelling:
    choices, made = _selected(resources, policy, nodes, plugin)
    if made.conflict:
        made = replace(made, in_the_way=_in_the_way(made, resources, policy, nodes, plugin))
    mps = any(choice.form is not None and choice.form.sharing is Sharing.MPS for choice in choices)
    return replace(made, choices={choice.resource.name: choice for choice in choices}, mps=mps)


def _selected(
    resources: Iterable[GpuResource],
    policy: Policy,
    nodes: NodeConstraints,
    plugin: DevicePlugin,
    *,
    is_final: bool = False,
) -> tuple[Sequence[Choice], Respelling]:
    """The forms of requests, and what spells them; ``is_final`` where the pod has them already, if it ever will."""
    choices = choose(resources, policy, nodes, plugin)
    if policy.permits_any:
        return choices, Respelling()

    def tried(these: Sequence[Choice]) -> Respelling:
        made = respell(these, nodes, plugin)
        if is_final or not (made.edits or made.renames):
            return made
        changed = restated(these, made, policy, edited(nodes, made.edits), plugin)
        return Respelling(conflict=changed) if changed else made

    made = tried(choices)
    if made.conflict:
        return _elsewhere(choices, policy, tried) or (choices, made)
    return choices, made


def _in_the_way(
    made: Respelling, resources: Sequence[GpuResource], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin
) -> tuple[str, ...]:
    """The labels that keep requests from their forms: one after another, or all that the pod constrains."""
    keys: list[str] = []
    while made.conflict:
        key = made.conflict.key
        if key is None or key in keys or not nodes.mentions(key):
            break
        keys.append(key)
        choices, made = _selected(resources, policy, nodes.without(keys), plugin)
        if not made.conflict and not made.forms_apart and all(choice.form for choice in choices):
            return tuple(keys)
    return tuple(key for key in nodes.mentioned if key.startswith(LABELS_OF_FORMS))


def _elsewhere(
    choices: Sequence[Choice], policy: Policy, tried: Callable[[Sequence[Choice]], Respelling]
) -> tuple[Sequence[Choice], Respelling] | None:
    """The first of the policy's forms that nodes which the pod permits can have, for requests that leave the form to it."""
    for form in policy.forms:
        other = [
            replace(each, form=form) if each.how in (How.PLAIN, How.MISMATCHED) and each.form else each
            for each in choices
        ]
        if other == [*choices]:
            continue
        made = tried(other)
        if not (made.conflict or made.forms_apart):
            return other, made
    return None


def edited(nodes: NodeConstraints, edits: Iterable[Edit]) -> NodeConstraints:
    """What a pod says about nodes once edits are made."""
    edits = [*edits]
    if dropped := [edit.key for edit in edits if isinstance(edit, DropKey)]:
        nodes = nodes.without(dropped)
    if products := {edit.old: edit.new for edit in edits if isinstance(edit, ReplaceProduct)}:
        nodes = with_products(nodes, products)
    return nodes.requiring(edit.need.expression for edit in edits if isinstance(edit, AddNeed))


def restated(
    choices: Iterable[Choice], made: Respelling, policy: Policy, after: NodeConstraints, plugin: DevicePlugin
) -> Restated | None:
    """The first request that is judged differently after its rewrite: the final pod would be denied.

    What is written into a pod may leave it fewer alternatives, and these may state another form.

    Args:
        choices: the requests, with the forms that they get.
        made: what spells them.
        policy: the policy.
        after: the pod's node constraints with all edits made.
        plugin: the device plugin's settings.
    """
    named = [(each, each.form, made.renamed(each.resource)) for each in choices if each.form]
    found, final = _selected(dict.fromkeys(resource for _, _, resource in named), policy, after, plugin, is_final=True)
    forms = {each.resource: each.form for each in found}
    unsettled = final.conflict or final.forms_apart or final.edits or final.renames
    for choice, form, resource in named:
        again = forms[resource]
        if unsettled or again is None or again.shared is not form.shared:
            return Restated(choice, form)
    return None


_remembered = lru_cache(maxsize=1024)(_made)

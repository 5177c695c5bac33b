"""Rewriting: the forms that the requests of a pod get, so that the rewritten pod is admitted, and the edits for them.

A pod runs on one node, so this is decided for the pod as a whole.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from .edits import AddNeed, AddToleration, DropKey, Edit, RenameResource, ReplaceProduct
from .form_selection import Choice, How, choose
from .forms import Form, Sharing
from .node_constraints import NOTHING_SAID, Need, NodeConstraints, possible
from .pods import PodSpec
from .policy import Policy
from .products import PRODUCT, ProductNames, replaced
from .requests import GpuContainer
from .resources import GPU, KNOWN, GpuResource, classify
from .rules.placement import incompatible
from .spelling import (
    GPU_TOLERATION,
    LABELS_OF_FORMS,
    MIG_CONFIG,
    MPS_CAPABLE,
    SLICE_LABELS,
    STRATEGY,
    DevicePlugin,
    Spelling,
    replicas_label,
    selects_products,
    spell,
    strategy_label,
)

# Results for pods with more resources are not cached, so that the cache stays small.
_MOST_RESOURCES = 4
_Chosen = tuple[Choice, Form, Spelling]


class Conflict(msgspec.Struct, frozen=True):
    """A node label that a form needs, and that the pod or its earlier needs exclude."""

    choice: Choice
    form: Form
    need: Need
    nodes: NodeConstraints

    @property
    def key(self) -> str:
        """The label."""
        return self.need.key


class ProductConflict(msgspec.Struct, frozen=True):
    """The first product that the pod selects, if no node with the form is known to have any of the selected products."""

    choice: Choice
    form: Form
    product: str
    why: str
    key: str = PRODUCT


class Restated(msgspec.Struct, frozen=True):
    """A request that would name another form, or none that is permitted, after its form is written into the pod."""

    choice: Choice
    form: Form
    key: None = None  # no label by itself


class Respelling(msgspec.Struct, frozen=True):
    """The forms that a pod's requests get and the edits for them, or the conflict that prevents this.

    Attributes:
        choices: the form of its well-formed requests, by the resource that they name.
        renames: the resources that are renamed.
        edits: the changes to the pod as a whole.
        spellings: how the forms of its requests are spelled.
        forms_apart: pairs of its forms that are never on the same node.
        conflict: a node label that a form needs is excluded, the products that the pod selects don't have it, or the
            pod's node constraints state another form with it.
        conflicting_keys: the node labels that cause the conflict, if there is one.
        mps: whether a form is shared by MPS.
    """

    choices: Mapping[str, Choice] = {}
    renames: Mapping[str, str] = {}
    edits: tuple[Edit, ...] = ()
    spellings: tuple[Spelling, ...] = ()
    forms_apart: frozenset[tuple[Form, Form]] = frozenset()
    conflict: Conflict | ProductConflict | Restated | None = None
    conflicting_keys: tuple[str, ...] = ()
    mps: bool = False

    @property
    def needs(self) -> list[Need]:
        """Every node label that the forms need or imply."""
        return [need for spelling in self.spellings for need in spelling.needs + spelling.implies]

    @property
    def added_keys(self) -> frozenset[str]:
        """The node labels that the edits add."""
        return frozenset(edit.need.key for edit in self.edits if isinstance(edit, AddNeed))

    @property
    def added_selectors(self) -> frozenset[str]:
        """The node labels that the edits add as nodeSelectors."""
        return frozenset(
            edit.need.key for edit in self.edits if isinstance(edit, AddNeed) and not edit.need.in_affinity
        )

    @property
    def dropped_keys(self) -> frozenset[str]:
        """The node labels that the edits remove."""
        return frozenset(edit.key for edit in self.edits if isinstance(edit, DropKey))

    def product(self, value: str) -> str | None:
        """The name of a policy's product on nodes of the forms, or ``None`` if no such node is known."""
        return _names(spelling.replacing() for spelling in self.spellings).of(value) if self.spellings else value

    def renamed(self, resource: GpuResource) -> GpuResource:
        """The name of a requested resource after the rewrite."""
        known = classify(self.renames.get(resource.name, resource.name))
        return known if isinstance(known, GpuResource) else resource

    def applied(self, spec: PodSpec, gpu_containers: Sequence[GpuContainer]) -> list[Edit]:
        """Return the edits for every request of a pod."""
        if not self.renames:
            return [*self.edits]
        edits: list[Edit] = []
        for gpu_container in gpu_containers:
            amount = gpu_container.amounts[0]
            old = amount.resource.name
            if old in self.renames:
                edits.append(RenameResource(gpu_container.place, old, self.renames[old], amount.sections))
        edits += self.edits
        if not spec.tolerates(GPU_TOLERATION):
            edits.append(AddToleration(GPU_TOLERATION))
        return edits


def respelling(
    resources: Iterable[GpuResource], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin
) -> Respelling:
    """Return the forms that requests get under a policy, and the edits for them.

    Most pods have the same node constraints as an earlier pod, so results are cached.
    """
    named = tuple(dict.fromkeys(resources))
    if nodes.shared and len(named) <= _MOST_RESOURCES:
        return _remembered(named, policy, nodes, plugin)
    return _made(named, policy, nodes, plugin)


def plain_respelling(policy: Policy, plugin: DevicePlugin) -> Respelling:
    """The respelling of a plain request under a policy with forms, in a pod without node constraints, as most pods are."""
    return respelling([KNOWN[GPU]], policy, NOTHING_SAID, plugin)


def _made(resources: Sequence[GpuResource], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin) -> Respelling:
    choices, made = _selected(resources, policy, nodes, plugin)
    if made.conflict:
        made = replace(made, conflicting_keys=_conflicting_keys(made, resources, policy, nodes, plugin))
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
    """The forms of requests and their respelling. ``is_final``: the pod is not rewritten any more, so no edits are simulated."""
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


def _conflicting_keys(
    made: Respelling, resources: Sequence[GpuResource], policy: Policy, nodes: NodeConstraints, plugin: DevicePlugin
) -> tuple[str, ...]:
    """The labels that prevent requests from getting their forms: determined one by one, or all that the pod constrains."""
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
    """The policy's first form that is possible on the nodes that the pod permits, for plain requests."""
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
    """The node constraints of a pod after the edits."""
    edits = [*edits]
    if dropped := [edit.key for edit in edits if isinstance(edit, DropKey)]:
        nodes = nodes.without(dropped)
    if products := {edit.old: edit.new for edit in edits if isinstance(edit, ReplaceProduct)}:
        nodes = with_products(nodes, products)
    return nodes.requiring(edit.need.expression for edit in edits if isinstance(edit, AddNeed))


def restated(
    choices: Iterable[Choice], made: Respelling, policy: Policy, after: NodeConstraints, plugin: DevicePlugin
) -> Restated | None:
    """The first request with a different decision after its rewrite: the final pod would be denied.

    The edits may reduce a pod's alternatives, and the remaining ones may name another form.

    ``choices`` are the requests, ``made`` the edits for them, and ``after`` the pod's node constraints with all edits made.
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


def respell(choices: Sequence[Choice], nodes: NodeConstraints, plugin: DevicePlugin) -> Respelling:
    """Return the edits for every request, together, because a pod runs on one node."""
    forms = [(choice, choice.form) for choice in choices if choice.form]
    chosen = _spelled(forms, nodes, plugin)
    if not chosen:
        return Respelling()
    if pairs := _forms_apart(chosen, plugin):
        return Respelling(forms_apart=pairs)
    if nodes.nowhere:
        return Respelling()  # node labels don't identify the form, and the pod would never run
    renames = {
        choice.resource.name: spelling.resource
        for choice, _, spelling in chosen
        if choice.resource.name != spelling.resource
    }
    edits: list[Edit] = []
    dropped = _no_longer_said(chosen, _together(chosen).needs, nodes, plugin)
    if dropped:
        edits += [DropKey(key) for key in dropped]
        nodes = nodes.without(dropped)
        # Without these labels, more alternatives of the node affinity may be possible.
        chosen = _spelled(forms, nodes, plugin)
    products = _products(chosen, nodes)
    if isinstance(products, ProductConflict):
        return Respelling(conflict=products)
    edits += [ReplaceProduct(old, new) for old, new in products.items()]
    before = nodes
    if products:
        nodes = with_products(nodes, products)
    conflict = _excluded_product(chosen, before, nodes) or _conflict(chosen, nodes)
    if conflict:
        return Respelling(conflict=conflict)
    spelled = _together(chosen)
    needed = dict.fromkeys(need for spelling in spelled.spellings for need in spelling.needs)
    edits += [AddNeed(need) for need in needed if not need.is_met_by(nodes)]
    return Respelling(renames=renames, edits=tuple(edits), spellings=spelled.spellings)


def _spelled(forms: Iterable[tuple[Choice, Form]], nodes: NodeConstraints, plugin: DevicePlugin) -> list[_Chosen]:
    def spelling(choice: Choice, form: Form) -> Spelling:
        found = spell(form, plugin)
        return (found.replacing() if choice.replaces_spelling else found).beside(nodes)

    return [(choice, form, spelling(choice, form)) for choice, form in forms]


def _together(chosen: Iterable[_Chosen]) -> Respelling:
    return Respelling(spellings=tuple(dict.fromkeys(spelling for _, _, spelling in chosen)))


def _names(spellings: Iterable[Spelling]) -> ProductNames:
    """The products of nodes that have all of these forms."""
    # Slices have no suffix on nodes that also have whole GPUs (MIG strategy mixed), and no two others are on one node.
    names = [spelling.products for spelling in spellings]
    return next((each for each in names if each.suffix), names[0])


def _products(chosen: list[_Chosen], nodes: NodeConstraints) -> dict[str, str] | ProductConflict:
    """The products that the pod selects or excludes and that have another name on nodes of the forms, with that name.

    A product that no such node is known to have is kept if the pod selects others too: the forms' own labels exclude it.
    """
    if not nodes.mentions(PRODUCT):
        return {}
    names = _names(spelling for _, _, spelling in chosen)
    selected = nodes.values(PRODUCT)
    found = {value: names.of(value) for value in selected}
    if selects_products(nodes):
        if selected and not any(found.values()):
            choice, form, _ = chosen[0]
            return ProductConflict(choice, form, selected[0], names.why_not(selected[0]) or "")
    else:
        found |= {value: names.excluding(value) for value in nodes.excluded(PRODUCT)}
    return {old: new for old, new in found.items() if new and new != old}


def _excluded_product(chosen: list[_Chosen], before: NodeConstraints, after: NodeConstraints) -> Conflict | None:
    """A product that the pod selects although it excludes the name that the product has on nodes of the forms."""
    selected = before.values(PRODUCT) if before is not after and selects_products(before) else []
    if not selected or after.values(PRODUCT):
        return None
    choice, form, _ = chosen[0]
    names = _names(spelling for _, _, spelling in chosen)
    called = tuple(dict.fromkeys(filter(None, map(names.of, selected))))
    return Conflict(choice, form, Need(PRODUCT, "In", called), after)


def _forms_apart(chosen: list[_Chosen], plugin: DevicePlugin) -> frozenset[tuple[Form, Form]]:
    forms = list(dict.fromkeys(form for _, form, _ in chosen))
    if len(forms) == 1:
        return frozenset()
    return frozenset(
        (one, other) for one in forms for other in forms if one != other and incompatible(one, other, plugin)
    )


def _no_longer_said(
    chosen: list[_Chosen], needs: list[Need], nodes: NodeConstraints, plugin: DevicePlugin
) -> list[str]:
    """The labels of an old form that exclude the new form's nodes or do not apply to them."""
    # Slices that were requested by name have a label by that name only if the name is advertised.
    by_name = [choice.resource.partition for choice, _, _ in chosen if plugin.single and choice.resource.partition]
    replaced = [choice for choice, _, _ in chosen if choice.replaces_spelling]
    if not replaced and not by_name:
        return []
    meant = [strategy_label(partition) for partition in by_name]
    excluded: list[str] = []
    if replaced:
        # The product selects a model, whatever suffix it has, so it is kept.
        excluded += [need.key for need in needs if need.key != PRODUCT and not possible([need], nodes)]
        for form in (form for choice in replaced for form in choice.stated):
            meant += [strategy_label(form.partition), replicas_label(form.partition)]
            meant += [MPS_CAPABLE] if form.sharing is Sharing.MPS else []
            meant += [MIG_CONFIG] if form.partition else []
            meant += [*SLICE_LABELS, STRATEGY, replicas_label(None)] if plugin.single and form.partition else []
    kept = {need.key for need in needs}
    return list(dict.fromkeys([*excluded, *(key for key in meant if key not in kept and nodes.mentions(key))]))


def _conflict(chosen: list[_Chosen], nodes: NodeConstraints) -> Conflict | None:
    """The first label that a form needs, and that the pod or its earlier needs exclude."""
    first_of: dict[Spelling, tuple[Choice, Form]] = {}
    for choice, form, spelling in chosen:
        first_of.setdefault(spelling, (choice, form))
    every = [
        (choice, form, need)
        for spelling, (choice, form) in first_of.items()
        for need in spelling.needs + spelling.implies
    ]
    needs = [need for _, _, need in every]
    if possible(needs, nodes):
        return None
    choice, form, need = next(each for count, each in enumerate(every, 1) if not possible(needs[:count], nodes))
    return Conflict(choice, form, need, nodes)


def with_products(nodes: NodeConstraints, products: Mapping[str, str]) -> NodeConstraints:
    """The node constraints of a pod after products are replaced."""
    return nodes.replacing(PRODUCT, lambda operator, value: replaced(operator, value, products))


_remembered = lru_cache(maxsize=1024)(_made)

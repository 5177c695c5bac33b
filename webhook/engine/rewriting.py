"""Rewriting: the edits that spell each request of a pod the way its form is spelled."""

from collections.abc import Iterator

import msgspec

from webhook.engine.choice import Request
from webhook.engine.edits import AddNeed, AddToleration, DropKey, Edit, RenameResource, ReplaceProduct
from webhook.engine.findings import Finding
from webhook.engine.forms import Form
from webhook.engine.nodes import NodeConstraints
from webhook.engine.pods import PodSpec, Toleration
from webhook.engine.policy import Policy
from webhook.engine.resources import GPU
from webhook.engine.rules.placement import apart, forms_apart, selector_conflict
from webhook.engine.spelling import (
    PRODUCT,
    DevicePlugin,
    Need,
    Spelling,
    possible,
    read_product,
    spell,
    strategy_label,
)

_Chosen = tuple[Request, Form, Spelling]

# Nodes are tainted under the name that their GPUs had before renaming, by users and by GKE alike.
GPU_TOLERATION = Toleration(key=GPU, operator="Exists", effect="NoSchedule")


class Respelling(msgspec.Struct, frozen=True):
    """The edits that spell a pod's requests anew, the spellings, and the conflicts that keep requests from being spelled."""

    edits: tuple[Edit, ...] = ()
    conflicts: tuple[Finding, ...] = ()
    spellings: tuple[Spelling, ...] = ()

    @property
    def needs(self) -> list[Need]:
        """Every node label that the forms need or go with."""
        return [need for spelling in self.spellings for need in spelling.needs + spelling.implies]

    @property
    def added_keys(self) -> frozenset[str]:
        """The node labels that the edits add."""
        return frozenset(edit.need.key for edit in self.edits if isinstance(edit, AddNeed))

    @property
    def added_selectors(self) -> frozenset[str]:
        """The node labels that the edits add as nodeSelectors."""
        return frozenset(edit.need.key for edit in self.edits if isinstance(edit, AddNeed) and edit.need.is_selector)

    @property
    def dropped_keys(self) -> frozenset[str]:
        """The node labels that the edits take away."""
        return frozenset(edit.key for edit in self.edits if isinstance(edit, DropKey))

    def product(self, value: str) -> str:
        """A product as the nodes of the forms call it: the label names the form by its suffix."""
        suffixes = [spelling.product_suffix for spelling in self.spellings]
        return read_product(value)[0] + max(suffixes) if suffixes else value


def respell(spec: PodSpec, requests: list[Request], policy: Policy, plugin: DevicePlugin) -> Respelling:
    """The edits that spell every request as its form is spelled, decided for the pod as a whole: it runs on one node."""
    chosen = [(request, request.form, spell(request.form, plugin)) for request in requests if request.form]
    if not chosen:
        return Respelling()
    conflicts = tuple(_forms_apart(chosen, policy))
    if conflicts:
        return Respelling(conflicts=conflicts)
    nodes = NodeConstraints(spec)
    if nodes.nowhere:
        return Respelling()  # it can't be told apart by node labels what it is, and it never runs
    edits: list[Edit] = [rename for request, _, spelling in chosen if (rename := _rename(request, spelling))]
    renamed = bool(edits)
    one = chosen[0][2]  # spellings are remembered (see spell), so most pods have this one only
    alike = all(spelling is one for _, _, spelling in chosen)
    spelled = Respelling(spellings=(one,) if alike else tuple(dict.fromkeys(spelling for _, _, spelling in chosen)))
    dropped = _no_longer_said(chosen, spelled.needs, nodes)
    if dropped:
        edits += [DropKey(key) for key in dropped]
        nodes = NodeConstraints(spec, without=dropped)
    if nodes.mentions(PRODUCT):
        edits += [ReplaceProduct(old, new) for old in nodes.values(PRODUCT) if (new := spelled.product(old)) != old]
    conflict = _conflict(chosen, nodes)
    if conflict:
        return Respelling(conflicts=(conflict,))
    needed = dict.fromkeys(need for spelling in spelled.spellings for need in spelling.needs)
    edits += [AddNeed(need) for need in needed if not need.is_met_by(nodes)]
    if renamed and not tolerated(spec, GPU_TOLERATION):
        edits.append(AddToleration(GPU_TOLERATION))
    return Respelling(tuple(edits), spellings=spelled.spellings)


def _forms_apart(chosen: list[_Chosen], policy: Policy) -> Iterator[Finding]:
    """Each request whose form is on no node with that of a request before it."""
    first_of: dict[Form, Request] = {}
    for request, form, _ in chosen:
        other = next((other for other in first_of if apart(form, other)), None)
        if other:
            yield forms_apart(request.ask, form, first_of[other].ask, other, policy)
        first_of.setdefault(form, request)


def _rename(request: Request, spelling: Spelling) -> RenameResource | None:
    amount = request.amount
    if amount.resource.name == spelling.resource:
        return None
    sections = ("limits",) * amount.in_limits + ("requests",) * amount.in_requests
    return RenameResource(request.ask.place, amount.resource.name, spelling.resource, sections)


def _no_longer_said(chosen: list[_Chosen], needs: list[Need], nodes: NodeConstraints) -> list[str]:
    """The labels that spelled an old form, where they exclude the new form's nodes or mean nothing to them."""
    replaced = [request for request, _, _ in chosen if request.replaces_spelling]
    if not replaced:
        return []
    excluded = [need.key for need in needs if not possible([need], nodes)]
    meant = {strategy_label(form.partition): None for request in replaced for form in request.stated}
    kept = {need.key for need in needs}
    return list(dict.fromkeys([*excluded, *(key for key in meant if key not in kept and nodes.mentions(key))]))


def _conflict(chosen: list[_Chosen], nodes: NodeConstraints) -> Finding | None:
    """The first label that a form needs and that the pod, or what it needed before, excludes."""
    one = chosen[0][2]
    if all(spelling is one for _, _, spelling in chosen) and not one.is_touched_by(nodes):
        return None  # the pod says nothing of these labels, so nothing contradicts
    first_of: dict[Spelling, tuple[Request, Form]] = {}
    for request, form, spelling in chosen:
        first_of.setdefault(spelling, (request, form))
    so_far: list[Need] = []
    for spelling, (request, form) in first_of.items():
        for need in spelling.needs + spelling.implies:
            so_far.append(need)
            if not possible(so_far, nodes):
                return selector_conflict(request.ask, form, need, nodes)
    return None


def tolerated(spec: PodSpec, wanted: Toleration) -> bool:
    """Whether the pod's own tolerations already cover a wanted one."""
    return any(_covers(own, wanted) for own in spec.tolerations or ())


def _covers(own: Toleration, wanted: Toleration) -> bool:
    """Whether all that one toleration tolerates, another does (k8s.io/api/core/v1/toleration.go ToleratesTaint)."""
    if own.effect and own.effect != wanted.effect:
        return False
    if own.toleration_seconds is not None and own.toleration_seconds != wanted.toleration_seconds:
        return False
    if own.operator == "Exists":
        return not own.key or own.key == wanted.key
    equal = (own.operator or "Equal") == (wanted.operator or "Equal")
    return equal and own.key == wanted.key and (own.value or "") == (wanted.value or "")

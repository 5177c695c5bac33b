"""Rewriting: the edits that spell each request of a pod the way its form is spelled."""

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
from webhook.engine.spelling import PRODUCT, DevicePlugin, Need, Spelling, read_product, spell

_Chosen = tuple[Request, Form, Spelling]

# Nodes are tainted under the name that their GPUs had before renaming, by users and by GKE alike.
GPU_TOLERATION = Toleration(key=GPU, operator="Exists", effect="NoSchedule")


class Respelling(msgspec.Struct, frozen=True):
    """The edits that spell a pod's requests anew, and the conflicts that keep them from being spelled."""

    edits: tuple[Edit, ...] = ()
    conflicts: tuple[Finding, ...] = ()

    @property
    def added_keys(self) -> frozenset[str]:
        """The node labels that the edits add."""
        return frozenset(edit.need.key for edit in self.edits if isinstance(edit, AddNeed))

    @property
    def dropped_keys(self) -> frozenset[str]:
        """The node labels that the edits take away."""
        return frozenset(edit.key for edit in self.edits if isinstance(edit, DropKey))


def respell(spec: PodSpec, requests: list[Request], policy: Policy, plugin: DevicePlugin) -> Respelling:
    """The edits that spell every request as its form is spelled, decided for the pod as a whole: it runs on one node."""
    chosen = [(request, request.form, spell(request.form, plugin)) for request in requests if request.form]
    if not chosen:
        return Respelling()
    conflicts = _forms_apart(chosen, policy)
    if conflicts:
        return Respelling(conflicts=conflicts)
    edits: list[Edit] = [rename for request, _, spelling in chosen if (rename := _rename(request, spelling))]
    renamed = bool(edits)
    nodes = NodeConstraints(spec)
    if any(request.replaces_spelling for request, _, _ in chosen):
        dropped = _contradicted(chosen, nodes)
        edits += [DropKey(key) for key in dropped]
        nodes = NodeConstraints(spec, without=dropped)
    edits += _products(nodes, chosen[0][2].product_suffix)
    for request, form, spelling in chosen:
        for need in spelling.needs + spelling.implies:
            if not need.can_be_met_by(nodes):
                return Respelling(conflicts=(selector_conflict(request.ask, form, need, nodes),))
        needed = (AddNeed(need) for need in spelling.needs if not need.is_met_by(nodes))
        edits += [edit for edit in needed if edit not in edits]
    if renamed and not tolerated(spec, GPU_TOLERATION):
        edits.append(AddToleration(GPU_TOLERATION))
    return Respelling(tuple(edits))


def _forms_apart(chosen: list[_Chosen], policy: Policy) -> tuple[Finding, ...]:
    first, form, _ = chosen[0]
    return tuple(
        forms_apart(request.ask, other, first.ask, form, policy)
        for request, other, _ in chosen[1:]
        if apart(form, other)
    )


def _rename(request: Request, spelling: Spelling) -> RenameResource | None:
    amount = request.amount
    if amount.resource.name == spelling.resource:
        return None
    sections = ("limits",) * amount.in_limits + ("requests",) * amount.in_requests
    return RenameResource(request.ask.place, amount.resource.name, spelling.resource, sections)


def _contradicted(chosen: list[_Chosen], nodes: NodeConstraints) -> list[str]:
    """The labels that spelled an old form and exclude the new one's nodes."""
    needs: list[Need] = [need for _, _, spelling in chosen for need in spelling.needs + spelling.implies]
    return list(dict.fromkeys(need.key for need in needs if not need.can_be_met_by(nodes)))


def _products(nodes: NodeConstraints, suffix: str) -> list[Edit]:
    """The product label names the form by its suffix, so the selected products get the one that nodes of the form carry."""
    if not nodes.mentions(PRODUCT):
        return []
    return [ReplaceProduct(old, new) for old in nodes.values(PRODUCT) if (new := read_product(old)[0] + suffix) != old]


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
    return own.key == wanted.key and wanted.operator != "Exists" and (own.value or "") == (wanted.value or "")

"""Settings: what a policy adds to the pods that ask for GPUs, and the annotations that tell of it."""

import json
from collections.abc import Iterator

from webhook.engine.edits import (
    AddEnv,
    AddNodeSelector,
    AddToleration,
    Annotate,
    Edit,
    SetRuntimeClass,
)
from webhook.engine.labels import DOMAIN
from webhook.engine.nodes import NodeConstraints
from webhook.engine.pods import PodSpec
from webhook.engine.policy import Policy
from webhook.engine.quantity import shown
from webhook.engine.requests import Ask
from webhook.engine.rewriting import Respelling, tolerated
from webhook.engine.spelling import PRODUCT, Need, possible

ORIGINAL_REQUEST = f"{DOMAIN}/original-request"
POLICY = f"{DOMAIN}/policy"
# The standard library's, because it encodes any text that a manifest can hold; made once, because making one is half the work.
_JSON = json.JSONEncoder(separators=(",", ":"))


def settings(spec: PodSpec, asks: list[Ask], policy: Policy, respelling: Respelling) -> list[Edit]:
    """The policy's own nodeSelector, tolerations, runtimeClassName and env, never over what the pod sets."""
    if not asks:
        return []
    edits: list[Edit] = [*_node_selectors(spec, policy, respelling)]
    added = [edit.toleration for edit in respelling.edits if isinstance(edit, AddToleration)]
    edits += [AddToleration(t) for t in policy.tolerations if t not in added and not tolerated(spec, t)]
    if policy.runtime_class_name and not spec.runtime_class_name:
        edits.append(SetRuntimeClass(policy.runtime_class_name))
    for ask in asks:
        own = {variable.name for variable in ask.container.env or ()}
        edits += [AddEnv(ask.place, name, value) for name, value in policy.env.items() if name not in own]
    return edits


def _node_selectors(spec: PodSpec, policy: Policy, respelling: Respelling) -> Iterator[AddNodeSelector]:
    """The policy's nodeSelector, but for the labels that would leave the pod no node: what it and its forms say stands."""
    if not policy.node_selector:
        return
    nodes = NodeConstraints(spec, without=respelling.dropped_keys)
    said = {*nodes.selector, *respelling.added_selectors}
    needs = respelling.needs
    for key, written in policy.node_selector.items():
        value = respelling.product(written) if key == PRODUCT else written
        needs.append(Need(key, "In", (value,)))
        if key in said or (key == PRODUCT and nodes.mentions(key)) or not possible(needs, nodes):
            needs.pop()
        else:
            yield AddNodeSelector(key, value)


def annotations(asks: list[Ask], policy: Policy, respelling: Respelling) -> list[Edit]:
    """What people read on a changed pod: the policy and, where requests were respelled, what each container had asked for."""
    told: list[Edit] = []
    if respelling.edits:
        original = {ask.container.name: {a.resource.name: shown(a.written) for a in ask.amounts} for ask in asks}
        told.append(Annotate(ORIGINAL_REQUEST, _JSON.encode(original)))
    return [*told, Annotate(POLICY, policy.name)]

"""Policy additions: what a policy adds to pods that request GPUs, and the annotations that say so."""

import json
from collections.abc import Iterator

import msgspec

from webhook.engine.edits import (
    AddEnv,
    AddNodeSelector,
    AddToleration,
    Annotate,
    Edit,
    SetRuntimeClass,
)
from webhook.engine.labels import DOMAIN
from webhook.engine.needs import Need, possible
from webhook.engine.nodes import NodeConstraints
from webhook.engine.pods import PodSpec
from webhook.engine.policy import Policy
from webhook.engine.products import PRODUCT
from webhook.engine.quantity import shown
from webhook.engine.requests import GpuContainer
from webhook.engine.rewriting import Respelling, tolerated

ORIGINAL_REQUEST = f"{DOMAIN}/original-request"
POLICY = f"{DOMAIN}/policy"
_ENCODER = msgspec.json.Encoder()


def settings(
    spec: PodSpec, gpu_containers: list[GpuContainer], policy: Policy, respelling: Respelling, respelled: list[Edit]
) -> list[Edit]:
    """The policy's own nodeSelector, tolerations, runtimeClassName and env, never over what the pod sets.

    ``respelled`` are the edits that are made already.
    """
    edits: list[Edit] = []
    if not gpu_containers:
        return edits
    if policy.node_selector:
        edits += _node_selectors(spec, policy, respelling)
    if policy.tolerations:
        added = [edit.toleration for edit in respelled if isinstance(edit, AddToleration)]
        edits += [AddToleration(t) for t in policy.tolerations if t not in added and not tolerated(spec, t)]
    if policy.runtime_class_name and not spec.runtime_class_name:
        edits.append(SetRuntimeClass(policy.runtime_class_name))
    if policy.env:
        for gpu_container in gpu_containers:
            own = {variable.name for variable in gpu_container.container.env or ()}
            edits += [AddEnv(gpu_container.place, name, value) for name, value in policy.env.items() if name not in own]
    return edits


def _node_selectors(spec: PodSpec, policy: Policy, respelling: Respelling) -> Iterator[AddNodeSelector]:
    """The policy's nodeSelector, but for the labels that would leave the pod no node: what it and its forms say stands."""
    nodes = NodeConstraints(spec, without=respelling.dropped_keys)
    said = {*nodes.selector, *respelling.added_selectors}
    needs = respelling.needs
    for key, written in policy.node_selector.items():
        value = respelling.product(written) if key == PRODUCT else written
        if value is None:  # the configuration is checked for it: adapters/configuration/file.py
            continue
        needs.append(Need(key, "In", (value,)))
        if key in said or (key == PRODUCT and nodes.mentions(key)) or not possible(needs, nodes):
            needs.pop()
        else:
            yield AddNodeSelector(key, value)


def annotations(gpu_containers: list[GpuContainer], policy: Policy, *, respelled: bool) -> list[Edit]:
    """Return the annotations of a changed pod: the policy and, where requests were respelled, the original ones."""
    told: list[Edit] = []
    if respelled:
        original: dict[str, dict[str, str]] = {}
        for gpu_container in gpu_containers:
            written = original[gpu_container.container.name] = {}
            for amount in gpu_container.amounts:
                written[amount.resource.name] = shown(amount.written)
        told.append(Annotate(ORIGINAL_REQUEST, _json(original)))
    told.append(Annotate(POLICY, policy.name))
    return told


def _json(value: object) -> str:
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate, which YAML can hold: the standard library escapes it
        return json.dumps(value, separators=(",", ":"))

"""Settings: what a policy adds to the pods that ask for GPUs, and the annotations that tell of it."""

import msgspec

from webhook.engine.edits import (
    AddEnv,
    AddNeed,
    AddNodeSelector,
    AddToleration,
    Annotate,
    Edit,
    SetRuntimeClass,
)
from webhook.engine.labels import DOMAIN
from webhook.engine.pods import PodSpec
from webhook.engine.policy import Policy
from webhook.engine.requests import Ask
from webhook.engine.rewriting import tolerated

ORIGINAL_REQUEST = f"{DOMAIN}/original-request"
POLICY = f"{DOMAIN}/policy"


def settings(spec: PodSpec, asks: list[Ask], policy: Policy, respelling: tuple[Edit, ...]) -> list[Edit]:
    """The policy's own nodeSelector, tolerations, runtimeClassName and env, never over what the pod sets.

    ``respelling`` holds the edits made so far: what they add is not added again.
    """
    taken = set(spec.node_selector or ()) | {edit.need.key for edit in respelling if isinstance(edit, AddNeed)}
    edits: list[Edit] = [AddNodeSelector(k, v) for k, v in policy.node_selector.items() if k not in taken]
    added = [edit.toleration for edit in respelling if isinstance(edit, AddToleration)]
    edits += [AddToleration(t) for t in policy.tolerations if t not in added and not tolerated(spec, t)]
    if policy.runtime_class_name and not spec.runtime_class_name:
        edits.append(SetRuntimeClass(policy.runtime_class_name))
    for ask in asks:
        own = {variable.name for variable in ask.container.env or ()}
        edits += [AddEnv(ask.place, name, value) for name, value in policy.env.items() if name not in own]
    return edits


def annotations(asks: list[Ask], policy: Policy, respelling: tuple[Edit, ...]) -> list[Edit]:
    """What people read on a changed pod: the policy and, where requests were respelled, what each container had asked for."""
    told: list[Edit] = []
    if respelling:
        original = {ask.container.name: {a.resource.name: str(a.written) for a in ask.amounts} for ask in asks}
        told.append(Annotate(ORIGINAL_REQUEST, msgspec.json.encode(original).decode()))
    return [*told, Annotate(POLICY, policy.name)]

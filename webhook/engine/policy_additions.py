"""Policy additions: what a policy adds to pods that request GPUs."""

from collections.abc import Iterator

from .edits import AddEnv, AddNodeSelector, AddToleration, Edit, SetRuntimeClass
from .node_constraints import Need, NodeConstraints, possible
from .pods import PodSpec
from .policy import Policy
from .products import PRODUCT
from .requests import GpuContainer
from .rewriting import Respelling, edited, restated
from .spelling import DevicePlugin


def additions(  # noqa: PLR0913, PLR0917 - everything that decides
    spec: PodSpec,
    gpu_containers: list[GpuContainer],
    policy: Policy,
    plugin: DevicePlugin,
    respelling: Respelling,
    respelled: list[Edit],
) -> list[Edit]:
    """Return the policy's nodeSelector, tolerations, runtimeClassName and env as edits that never override the pod's fields.

    ``respelled`` are the edits so far.
    """
    edits: list[Edit] = []
    own = policy.additions
    if own.node_selector:
        edits += _node_selectors(spec, gpu_containers, policy, plugin, respelling, respelled)
    if own.tolerations:
        added = [edit.toleration for edit in respelled if isinstance(edit, AddToleration)]
        edits += [AddToleration(t) for t in own.tolerations if t not in added and not spec.tolerates(t)]
    if own.runtime_class_name and not spec.runtime_class_name:
        edits.append(SetRuntimeClass(own.runtime_class_name))
    if own.env:
        for gpu_container in gpu_containers:
            set_there = {variable.name for variable in gpu_container.container.env or ()}
            edits += [AddEnv(gpu_container.place, name, value) for name, value in own.env if name not in set_there]
    return edits


def _node_selectors(  # noqa: PLR0913, PLR0917 - the same
    spec: PodSpec,
    gpu_containers: list[GpuContainer],
    policy: Policy,
    plugin: DevicePlugin,
    respelling: Respelling,
    respelled: list[Edit],
) -> Iterator[AddNodeSelector]:
    """The policy's nodeSelector, without labels that would exclude all nodes or select another form."""
    nodes = edited(NodeConstraints(spec), respelled)
    said = {*nodes.selector, *respelling.added_selectors}
    needs, choices = respelling.needs, [*respelling.choices.values()]
    # If every form is permitted, only check that several GPUs do not become several slots of one.
    counts = not policy.permits_any or any(each.amounts[0].count > 1 for each in gpu_containers)
    selects_product = NodeConstraints(spec).mentions(PRODUCT)
    for key, written in policy.additions.node_selector:
        value = respelling.product(written) if key == PRODUCT else written
        if value is None:  # the configuration is checked for it: adapters/configuration/file.py
            continue
        needs.append(Need(key, "In", (value,)))
        if key in said or (key == PRODUCT and selects_product) or not possible(needs, nodes):
            needs.pop()
            continue
        selecting = nodes.requiring([needs[-1].expression])
        if counts and restated(choices, respelling, policy, selecting, plugin):
            needs.pop()
            continue
        nodes = selecting
        yield AddNodeSelector(key, value)

"""The forms that an object's pods request and get, and how many GPUs of each."""

from collections.abc import Iterator

import msgspec

from ..engine import requests
from ..engine.form_names import named, written
from ..engine.form_selection import Statements
from ..engine.node_constraints import NodeConstraints
from ..engine.pods import Place, PodSpec
from ..engine.policy import Policy
from ..engine.spelling import DevicePlugin
from .evaluation import EvaluatedPod, Evaluation

PLAIN = "plain"
"""The form of a request that names none: "a GPU, you choose"."""
DENIED = "denied"
"""Stands for the form of a denied request, which gets none."""


class GpuForm(msgspec.Struct, frozen=True):
    """A form that is requested, with the one that results (or ``DENIED``).

    Attributes:
        gpus: how many one pod needs; of an object with several templates, one pod of each.
        planned: how many all pods of the object will need, as far as its counts show.
    """

    before: str
    after: str
    gpus: int
    planned: int


def gpu_forms(evaluation: Evaluation, plugin: DevicePlugin) -> tuple[GpuForm, ...]:
    """Return each pair of forms once, the GPUs of all templates together."""
    gpus: dict[tuple[str, str], tuple[int, int]] = {}
    for one in evaluation.pods:
        for before, after, number in _of_pod(one, one.pod.spec, evaluation.policy, plugin) if one.pod.spec else ():
            each, planned = gpus.get((before, after), (0, 0))
            gpus[before, after] = each + number, planned + number * one.count.number
    return tuple(GpuForm(*pair, *numbers) for pair, numbers in gpus.items())


def _of_pod(
    evaluated: EvaluatedPod, spec: PodSpec, policy: Policy, plugin: DevicePlugin
) -> Iterator[tuple[str, str, int]]:
    """Each form that the pod's containers request, with the one that they get, and how many the pod needs at once."""
    decision = evaluated.decision
    if not decision.gpu_containers:
        return
    nodes = NodeConstraints(spec)
    statements = Statements(nodes, plugin, policy.forms)
    counts: dict[tuple[str, str], dict[Place, int]] = {}
    for gpu_container in decision.gpu_containers:
        if gpu_container.amounts:
            resource = gpu_container.amounts[0].resource
            stated = statements.of(resource)
            before = after = (named(stated, nodes) if stated else None) or written(stated, nodes) or PLAIN
            if decision.denials:
                after = DENIED
            elif not (evaluated.is_exempt or policy.permits_any or policy.unreadable):
                chosen = decision.choices.get(resource.name)
                after = str(chosen.form if chosen else policy.plain_claim)
            counts.setdefault((before, after), {})[gpu_container.place] = gpu_container.amounts[0].count
    for (before, after), each in counts.items():
        yield before, after, requests.pod_count(spec, each)

"""The check of pods that wait for a GPU by a resource name that became a GPU resource after they were created.

A pod is evaluated when it is created. A DeviceClass that gets its name later makes the scheduler give such a pod a GPU.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from ...engine.pods import Pod
from ...engine.policy import Policy
from ...engine.requests import read
from ...engine.rules.claims import CLAIM_NOT_PERMITTED
from ...engine.rules.permission import FORM_NOT_PERMITTED, GPU_NOT_PERMITTED, OTHER_GPU_RESOURCE
from ..claims import decide_by_names
from ..configuration import Configuration, Mode
from ..fleet_view import GpuPod
from .facts import Facts, UnreadError, known
from .policies import policy_of
from .results import Findings, listed, warn

_PERMISSION = {GPU_NOT_PERMITTED, FORM_NOT_PERMITTED, OTHER_GPU_RESOURCE, CLAIM_NOT_PERMITTED}
"""The rules that are not applied again to an existing pod. Limits are, when it gets its claims (``reservation_admission``)."""
_SHOWN = 10


def names_to_look_for(facts: Facts) -> frozenset[str]:
    """Return the names that only DeviceClasses make GPU resources; none if these or the configuration are not known."""
    try:
        return frozenset(name for name, _ in _with_classes(facts).names.published)
    except UnreadError:
        return frozenset()


def waiting_pods(facts: Facts) -> Findings:
    """No pod waits for a GPU by a name that a DeviceClass has now, and that the policy of its namespace does not permit."""
    configuration = _with_classes(facts)
    if configuration.mode is Mode.AUDIT:
        return "nothing is denied in audit mode"
    pods, classes = known(facts.waiting), dict(configuration.names.published)
    if not classes:
        return "no resource name counts as a GPU only because of a DeviceClass"
    known(facts.namespaces)
    found = sorted(_not_permitted(facts, configuration, pods))
    for (namespace, resource, policy, rule), group in groupby(found, key=lambda one: one[:-1]):
        waiting = [one[-1] for one in group]
        more = f"; gpuwarden audit -n {namespace} lists all" if len(waiting) > _SHOWN else ""
        yield warn(
            f"pods {listed(waiting, _SHOWN)} of namespace {namespace} wait for {resource}, which DeviceClass "
            f'{listed(classes[resource])} provides; policy "{policy}" does not permit it ({rule})',
            "they were created before the name or the policy was set, and are not evaluated again: the scheduler will start them",
            f"kubectl delete pod -n {namespace} {' '.join(waiting[:_SHOWN])} "
            f"(pods that a controller creates instead are evaluated){more}",
        )
    return f"no pod that waits for {listed(classes)} is in a namespace whose policy denies it"


def _with_classes(facts: Facts) -> Configuration:
    """The configuration with the resource names of the cluster's DeviceClasses.

    Raises:
        UnreadError: one of both can't be read.
    """
    classes = known(facts.neighbours.device_classes)
    names = {one.metadata.name: name for one in classes if (name := one.spec.extended_resource_name)}
    return facts.usable_configuration().with_classes(names)


def _not_permitted(
    facts: Facts, configuration: Configuration, pods: Iterable[GpuPod]
) -> Iterator[tuple[str, str, str, str, str]]:
    """The pods that would be denied now: namespace, resource, policy and rule of each, and its name."""
    for one in pods:
        pod = Pod(spec=one.spec)
        if configuration.exemptions.of_pod(pod):
            continue
        policy = policy_of(facts, one.namespace)
        rules = _denied(pod, policy, configuration)
        for resource in _published(pod, configuration) if rules else ():
            yield one.namespace, resource, policy.name, rules[0], one.name


def _denied(pod: Pod, policy: Policy, configuration: Configuration) -> list[str]:
    decision = decide_by_names(pod, policy, configuration)
    return [finding.rule.id for finding in decision.denials if finding.rule in _PERMISSION]


def _published(pod: Pod, configuration: Configuration) -> list[str]:
    """The names of DeviceClasses that a pod requests."""
    found = read(pod.spec, configuration.names) if pod.spec else []
    every = (other.name for gpu_container in found for other in gpu_container.others)
    return sorted({name for name in every if configuration.names.classes(name)})

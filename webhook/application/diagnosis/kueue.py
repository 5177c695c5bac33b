"""The check of Kueue: whether ClusterQueues have quota for the names that policies give.

Jobs are counted by their templates, so by the name that people write; plain pods by the name that gpuwarden gives them
(kubernetes-sigs/kueue pkg/workload/workload.go totalRequestsFromPodSets, pkg/scheduler/flavorassigner).
"""

from collections.abc import Collection

from ...engine.resources import GPU, GpuResource, classify
from ...engine.spelling import spell
from .facts import Facts, Unread, known
from .neighbours import KueueConfiguration, KueueResources
from .policies import policy_of
from .results import Findings, listed, warn

_IGNORES = "IgnoreUndeclared"


def kueue(facts: Facts) -> Findings:
    """The ClusterQueue of every LocalQueue covers the names of its namespace's policy, and the plain one."""
    queues = known(facts.neighbours.local_queues)
    covers = {one.metadata.name: one.covers for one in known(facts.neighbours.cluster_queues)}
    if not queues:
        return "there is no LocalQueue of Kueue"
    configuration = facts.usable_configuration()
    settings = facts.neighbours.kueue
    unread = isinstance(settings, Unread) or settings is None
    settings = KueueConfiguration() if isinstance(settings, Unread) or settings is None else settings
    resources = settings.resources
    found: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for queue in queues:
        namespace, name = queue.metadata.namespace, queue.spec.cluster_queue
        policy = policy_of(facts, namespace)
        covered = covers.get(name, set())
        # A queue without GPUs is not meant for pods with GPUs, whatever they are called.
        if not policy.forms or not any(isinstance(classify(one), GpuResource) for one in covered):
            continue
        names = {GPU}
        if settings.queues_pods:
            names |= {spell(form, configuration.plugin).resource for form in policy.forms}
        lacking = tuple(sorted(one for one in names if not _counted(one, resources, covered)))
        if lacking:
            found.setdefault((name, policy.name, lacking), set()).add(namespace)
    for (name, policy_name, lacking), where in sorted(found.items()):
        yield warn(
            f"ClusterQueue {name} does not cover {listed(lacking)}, and serves namespace {listed(where)} with policy "
            f'"{policy_name}"',
            _impact(lacking, resources, unread=unread),
            f"add {listed(lacking)} to coveredResources with a quota in each flavor, or map the names to one by "
            "resources.transformations in Kueue's configuration",
        )
    return f"ClusterQueues with GPUs cover the names of the policies ({len(queues)} LocalQueues)"


def _impact(lacking: Collection[str], resources: KueueResources, *, unread: bool) -> str:
    if resources.quota_check_strategy == _IGNORES:
        return f"Kueue does not count it (quotaCheckStrategy: {_IGNORES}): nothing limits {listed(lacking)} there"
    whose = [f"Jobs that request {GPU}, as their templates do"] if GPU in lacking else []
    whose += ["pods with a queue name, as gpuwarden rewrites them"] if set(lacking) - {GPU} else []
    unless = f", unless its configuration, which was not read, has quotaCheckStrategy: {_IGNORES}" if unread else ""
    return f'Kueue never admits {" and ".join(whose)}{unless}: "resource unavailable in ClusterQueue"'


def _counted(name: str, resources: KueueResources, covered: Collection[str]) -> bool:
    """Whether a queue has quota for every resource that a request counts as."""
    counts = {name}
    for one in resources.transformations or ():
        if one.input == name:
            counts = {*(one.outputs or {}), *(() if one.strategy == "Replace" else counts)}
    excluded = tuple(resources.exclude_resource_prefixes or ())
    return all(one in covered or one.startswith(excluded) for one in counts)

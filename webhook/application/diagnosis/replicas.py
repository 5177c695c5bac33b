"""Checks of availability: replicas, their nodes, and the disruption budget."""

from collections.abc import Sequence

from ...engine.text import plural
from .documents import Deployment, Pod
from .facts import Facts, known
from .results import Findings, fail, listed, warn

ENOUGH = 2


def deployed(facts: Facts) -> Findings:
    """At least two replicas are available."""
    deployment = known(facts.deployment)
    describe = f"kubectl -n {facts.namespace} describe pods"
    if deployment is None:
        yield fail(
            f"there is no Deployment {facts.namespace}/{facts.name}",
            "gpuwarden does not run in this namespace, or has another name",
            "set its namespace and name with --gpuwarden-namespace and --name, or install it",
        )
        return ""
    wanted, available = deployment.spec.replicas, deployment.status.available_replicas
    observed = f"{available} of {wanted} replicas available{_troubles(facts, deployment)}"
    if available == 0:
        raw = f"/api/v1/namespaces/{facts.namespace}/pods/http:POD:8080/proxy/readyz"
        yield fail(
            observed,
            "no replica answers the API server: GPU pods are denied, or admitted unchecked if the failurePolicy is Ignore",
            f"{describe}; for a pod that runs but is not ready, kubectl get --raw {raw} shows which part is not",
        )
    elif available < wanted:
        yield warn(observed, "fewer replicas than configured; an update may be in progress", describe)
    elif available < ENOUGH:
        impact = "while the only replica moves or restarts, nothing answers the API server"
        yield warn(observed, impact, "set replicas to 2 or more in the chart's values")
    return observed


def _troubles(facts: Facts, deployment: Deployment) -> str:
    """Return why pods are not ready, if pods can be read: the number is known without them."""
    if not isinstance(facts.pods, Sequence):
        return ""
    unready = [pod for pod in _pods_of(facts.pods, deployment) if not pod.ready]
    return "".join(f"; {pod.metadata.name}: {pod.trouble}" for pod in unready[:4])


def _pods_of(pods: Sequence[Pod], deployment: Deployment) -> list[Pod]:
    return [pod for pod in pods if deployment.spec.selector.selects(pod.metadata.labels or {})]


def spread(facts: Facts) -> Findings:
    """The replicas run on different nodes."""
    deployment = known(facts.deployment)
    if deployment is None:
        return "there is no Deployment (see check replicas), so no replicas to spread"
    ready = [pod for pod in _pods_of(known(facts.pods), deployment) if pod.ready]
    nodes = {pod.spec.node_name for pod in ready}
    if len(ready) < ENOUGH:
        return f"{plural(len(ready), 'replica')} ready: nothing to spread"
    if len(nodes) == 1:
        yield warn(
            f"all {len(ready)} ready replicas are on node {listed(nodes)}",
            "when that node fails, nothing answers the API server",
            "add nodes that the replicas can run on (nodeSelector, tolerations); the chart spreads them if it can",
        )
    return f"{len(ready)} ready replicas on {len(nodes)} nodes"


def budget(facts: Facts) -> Findings:
    """A PodDisruptionBudget keeps drains from taking every replica, and still lets them through."""
    deployment = known(facts.deployment)
    budgets = known(facts.budgets)
    if deployment is None:
        return "there is no Deployment (see check replicas), so no replicas to protect"
    labels = deployment.spec.template.metadata.labels or {}
    ours = [one for one in budgets if one.spec.selector and one.spec.selector.selects(labels)]
    if not ours:
        if deployment.spec.replicas < ENOUGH:
            return "no PodDisruptionBudget, as it should be with one replica: it would block draining"
        yield warn(
            "no PodDisruptionBudget selects the replicas",
            "a drain of several nodes may evict every replica at once",
            "set podDisruptionBudget.create to true in the chart's values",
        )
    for one in ours:
        status = one.status
        if status.expected_pods and status.disruptions_allowed == 0 and status.current_healthy >= status.expected_pods:
            yield warn(
                f"PodDisruptionBudget {one.metadata.name} allows no disruption, although every replica is healthy",
                "nodes with a replica can't be drained",
                "set replicas to 2 or more, and minAvailable to less than that",
            )
    return f"PodDisruptionBudget {listed(one.metadata.name for one in ours)}"

"""Checks of availability: replicas, their nodes, and the disruption budget."""

from collections.abc import Sequence

from .documents import Deployment, Pod
from .facts import Facts, known
from .results import CheckOutcome, fail, listed, ok, warn

ENOUGH = 2


def deployed(facts: Facts) -> list[CheckOutcome]:
    """At least two replicas are available."""
    deployment = known(facts.deployment)
    look = f"kubectl -n {facts.namespace} describe pods"
    if deployment is None:
        means = "gpuwarden does not run in this namespace, or has another name"
        fix = "set its namespace and name with -n and --name, or install it"
        return [fail(f"there is no Deployment {facts.namespace}/{facts.name}", means, fix)]
    wanted, available = deployment.spec.replicas, deployment.status.available_replicas
    seen = f"{available} of {wanted} replicas available{_troubles(facts, deployment)}"
    if available == 0:
        means = "no replica answers the API server: GPU pods are denied, or admitted unchecked where the failurePolicy is Ignore"
        raw = f"/api/v1/namespaces/{facts.namespace}/pods/http:POD:8080/proxy/readyz"
        fix = f"{look}; for a pod that runs but is not ready, kubectl get --raw {raw} shows which part is not"
        return [fail(seen, means, fix)]
    if available < wanted:
        return [warn(seen, "fewer replicas than configured; an update may be in progress", look)]
    if available < ENOUGH:
        means = "while the only replica moves or restarts, nothing answers the API server"
        return [warn(seen, means, "set replicas to 2 or more in the chart's values")]
    return [ok(seen)]


def _troubles(facts: Facts, deployment: Deployment) -> str:
    """Return why pods are not ready, if pods can be read: the number is known without them."""
    if not isinstance(facts.pods, Sequence):
        return ""
    unready = [pod for pod in _pods_of(facts.pods, deployment) if not pod.ready]
    return "".join(f"; {pod.metadata.name}: {pod.trouble}" for pod in unready[:4])


def _pods_of(pods: Sequence[Pod], deployment: Deployment) -> list[Pod]:
    return [pod for pod in pods if deployment.spec.selector.selects(pod.metadata.labels or {})]


def spread(facts: Facts) -> list[CheckOutcome]:
    """The replicas run on different nodes."""
    deployment = known(facts.deployment)
    if deployment is None:
        return [ok("there is no Deployment (see check replicas), so no replicas to spread")]
    ready = [pod for pod in _pods_of(known(facts.pods), deployment) if pod.ready]
    nodes = {pod.spec.node_name for pod in ready}
    if len(ready) < ENOUGH:
        return [ok(f"{len(ready)} replica{'' if len(ready) == 1 else 's'} ready: nothing to spread")]
    if len(nodes) > 1:
        return [ok(f"{len(ready)} ready replicas on {len(nodes)} nodes")]
    means = "when that node fails, nothing answers the API server"
    fix = "add nodes that the replicas can run on (nodeSelector, tolerations); the chart spreads them where it can"
    return [warn(f"all {len(ready)} ready replicas are on node {listed(nodes)}", means, fix)]


def budget(facts: Facts) -> list[CheckOutcome]:
    """A PodDisruptionBudget keeps drains from taking every replica, and still lets them through."""
    deployment = known(facts.deployment)
    budgets = known(facts.budgets)
    if deployment is None:
        return [ok("there is no Deployment (see check replicas), so no replicas to protect")]
    labels = deployment.spec.template.metadata.labels or {}
    ours = [one for one in budgets if one.spec.selector and one.spec.selector.selects(labels)]
    if not ours:
        if deployment.spec.replicas < ENOUGH:
            return [ok("no PodDisruptionBudget, as it should be with one replica: it would block draining")]
        means = "a drain of several nodes may evict every replica at once"
        return [
            warn(
                "no PodDisruptionBudget selects the replicas",
                means,
                "set podDisruptionBudget.create to true in the chart's values",
            )
        ]
    for one in ours:
        status = one.status
        if status.expected_pods and status.disruptions_allowed == 0 and status.current_healthy >= status.expected_pods:
            seen = f"PodDisruptionBudget {one.metadata.name} allows no disruption, although every replica is healthy"
            means = "nodes with a replica can't be drained"
            return [warn(seen, means, "set replicas to 2 or more, and minAvailable to less than that")]
    return [ok(f"PodDisruptionBudget {listed(one.metadata.name for one in ours)}")]

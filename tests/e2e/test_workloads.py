"""Scenario 1: what controllers make of workloads in a namespace of each policy, and where the scheduler puts it.

Every workload asks for a plain ``nvidia.com/gpu: 1``. There is a node for each form (see :mod:`tests.e2e.fleet`), so where
a pod lands says whether its form is right. On GKE the platform adds the toleration; here the templates bring it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.fleet import TOLERATION, Fleet
from tests.e2e.installation import MUTATING, VALIDATING, Installation
from tests.e2e.objects import (
    ENFORCE,
    GPU,
    MIG,
    SHARED,
    create,
    cron_job,
    daemon_set,
    deployment,
    event_messages,
    job,
    limits_of,
    make_due,
    node_of,
    node_of_the_only_pod,
    pod_spec,
    pods_in,
    stateful_set,
)

pytestmark = pytest.mark.e2e

STRATEGY = "nvidia.com/gpu.sharing-strategy"
GKE_SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
GKE_CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"
KINDS = ("deployment", "statefulset", "daemonset", "job", "cronjob")
UNLABELLED = "no label"


@dataclass(frozen=True)
class Case:
    """What becomes of a plain request under a policy.

    Attributes:
        nodes: where the pods may land; a DaemonSet's land on each of them.
        resource: what they ask for.
        selector: the node selector that they get.
        tolerated: whether the templates bring the toleration, as GKE would add it.
    """

    nodes: frozenset[str]
    resource: str = GPU
    selector: Mapping[str, str] = field(default_factory=dict)
    tolerated: bool = False


def case(*nodes: str, resource: str = GPU, tolerated: bool = False, **selector: str) -> Case:
    """A case, with its selector's keys by their constants' names."""
    return Case(frozenset(nodes), resource, {globals()[key]: value for key, value in selector.items()}, tolerated)


CASES = {
    UNLABELLED: case("whole"),
    "any": case("whole"),
    "exclusive": case("whole"),
    "shared": case("shared", "mps", resource=SHARED),
    "time-slicing": case("shared", resource=SHARED, STRATEGY="time-slicing"),
    "mps": case("mps", resource=SHARED, STRATEGY="mps"),
    "mig-1g.5gb": case("mig", resource=MIG),
    "gke-exclusive": case("whole", tolerated=True),
    "gke-time-sharing-8": case("gke-sharing", tolerated=True, GKE_SHARING="time-sharing", GKE_CLIENTS="8"),
    "gke-mig-1g.5gb": case("gke-mig", tolerated=True, GKE_PARTITION="1g.5gb"),
    "inference": case("mig", resource=MIG),
}
# A policy of the operator's own, in the chart's values.
INFERENCE = {"forms": ["mig-1g.5gb", "gke-mig-1g.5gb"], "env": {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25"}}


def labels(policy: str) -> dict[str, str]:
    return {} if policy == UNLABELLED else {ENFORCE: policy}


def workloads(*, tolerated: bool, daemons_tolerate: bool) -> list[dict[str, Any]]:
    """One workload of each kind, named after it."""
    spec = pod_spec(GPU, tolerated=tolerated)
    return [
        deployment(spec, "deployment"),
        stateful_set(spec, "statefulset"),
        # Its controller makes pods for the nodes that the *template* tolerates: a user who wants daemons on tainted
        # nodes says so there.
        daemon_set(pod_spec(GPU, tolerated=daemons_tolerate), "daemonset"),
        job(spec, "job"),
        cron_job(spec, "cronjob"),
    ]


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    values = {"config": {"policies": {"inference": INFERENCE}}}
    with Installation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), values=values) as running:
        yield running


@pytest.fixture(scope="module")
def created(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, module_namespaces: Namespaces
) -> dict[str, str]:
    """A namespace for each case, by its policy, with all workloads in it."""
    namespaces = {policy: module_namespaces.make(labels(policy)) for policy in CASES}
    for policy, namespace in namespaces.items():
        tolerated = CASES[policy].tolerated
        daemons = tolerated or CASES[policy].resource != GPU
        create(control_plane, namespace, *workloads(tolerated=tolerated, daemons_tolerate=daemons))
        make_due(control_plane, namespace, "cronjob")
    return namespaces


def pods_of(control_plane: ControlPlane, namespace: str, workload: str) -> list[dict[str, Any]]:
    return [pod for pod in pods_in(control_plane, namespace) if pod["metadata"]["labels"]["app"] == workload]


def test_without_gpuwarden_a_label_changes_nothing(
    control_plane: ControlPlane, fleet: Fleet, make_namespace: Callable[..., str]
) -> None:
    for kind in (MUTATING, VALIDATING):
        assert control_plane.get(f"/apis/admissionregistration.k8s.io/v1/{kind}")["items"] == []
    namespace = make_namespace({ENFORCE: "shared"})
    create(control_plane, namespace, deployment(pod_spec(GPU)))
    assert node_of_the_only_pod(control_plane, namespace) == "whole"
    (only,) = pods_in(control_plane, namespace)
    assert limits_of(only) == [{GPU: "1"}]


@pytest.mark.parametrize("workload", KINDS)
@pytest.mark.parametrize("policy", CASES)
def test_pods_of_controllers_carry_the_policys_form_and_land_on_its_nodes(
    control_plane: ControlPlane, created: dict[str, str], policy: str, workload: str
) -> None:
    expected, namespace = CASES[policy], created[policy]

    def nodes() -> set[str]:
        return {node_of(pod) for pod in pods_of(control_plane, namespace, workload)} - {""}

    wait_for(f"the pods of the {workload} under {policy} to be bound", nodes)
    if workload == "daemonset":  # one on each node of the form, and those of all other nodes wait in vain
        wait_for(f"the daemons to be on {set(expected.nodes)}", lambda: nodes() == expected.nodes)
    assert nodes() <= expected.nodes
    for pod in pods_of(control_plane, namespace, workload):
        assert limits_of(pod) == [{expected.resource: "1"}]
        assert pod["spec"].get("nodeSelector", {}) == expected.selector
        assert (TOLERATION in pod["spec"]["tolerations"]) == (expected.tolerated or expected.resource != GPU)
        rewritten = expected.resource != GPU or expected.selector or policy == "gke-exclusive"
        recorded = pod["metadata"].get("annotations", {}).get("gpuwarden.io/policy")
        assert recorded == (policy if rewritten else None)


def test_a_configured_policys_environment_reaches_the_pods(
    control_plane: ControlPlane, created: dict[str, str]
) -> None:
    pods = wait_for("the Deployment's pod", lambda: pods_of(control_plane, created["inference"], "deployment"))
    wanted = {"name": "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "value": "25"}
    assert [pod["spec"]["containers"][0]["env"] for pod in pods] == [[wanted]]
    others = pods_of(control_plane, created["mig-1g.5gb"], "deployment")
    assert ["env" in pod["spec"]["containers"][0] for pod in others] == [False]


@pytest.mark.parametrize("policy", ["gke-time-sharing-8", "gke-mig-1g.5gb"])
def test_without_nodes_of_the_form_a_labelled_pod_stays_pending_and_an_unlabelled_one_takes_another_gpu(
    control_plane: ControlPlane,
    fleet: Fleet,
    installation: Installation,
    make_namespace: Callable[..., str],
    policy: str,
) -> None:
    labelled, unlabelled = make_namespace({ENFORCE: policy}), make_namespace()
    with fleet.cordoned("gke-sharing", "gke-mig"):
        for namespace in (labelled, unlabelled):
            create(control_plane, namespace, deployment(pod_spec(GPU, tolerated=True)))
        assert node_of_the_only_pod(control_plane, unlabelled) == "whole"
        wait_for("a FailedScheduling event", lambda: event_messages(control_plane, labelled, "FailedScheduling"))
        (pending,) = pods_in(control_plane, labelled)
        assert node_of(pending) == ""
    node_of_the_only_pod(control_plane, labelled)


def test_under_the_policy_none_no_controller_gets_a_pod_and_each_says_why(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "none"})
    create(control_plane, namespace, *workloads(tolerated=False, daemons_tolerate=False))
    make_due(control_plane, namespace, "cronjob")

    def refused() -> set[str]:
        events = control_plane.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector="reason=FailedCreate")
        return {event["involvedObject"]["kind"] for event in events["items"]}

    # The Deployment's pods are its ReplicaSet's, the CronJob's are its Job's.
    wait_for("every controller to fail", lambda: refused() == {"ReplicaSet", "StatefulSet", "DaemonSet", "Job"})
    for message in event_messages(control_plane, namespace, "FailedCreate"):
        assert 'namespace policy "none"' in message
    assert pods_in(control_plane, namespace) == []

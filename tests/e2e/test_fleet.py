"""Whatever stays Pending for want of a GPU was warned of by name, and nothing that runs was: put to a real scheduler.

Two fleets, because a cluster has one MIG strategy: pools of the device plugin under strategy mixed (and a GKE-like one), and
under strategy single. Nodes change in the last tests, as they do when a device plugin restarts.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.cli.commands import run
from tests.deploy.chart import Chart
from tests.e2e.fleet import MERGE_PATCH, Fleet, Node
from tests.e2e.installation import Installation
from tests.e2e.objects import (
    ENFORCE,
    GPU,
    MIG,
    SHARED,
    container,
    create,
    daemon_set,
    deployment,
    job,
    node_of,
    pod,
    pod_spec,
    pods_in,
    stateful_set,
)
from tests.e2e.telling import tell
from webhook.engine.rules.fleet import COUNT_ABOVE_ANY_NODE, FORM_NOT_OFFERED

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
Workload = tuple[str, str]  # namespace and name

MODEL = "NVIDIA-A100-SXM4-40GB"
RULES = {FORM_NOT_OFFERED.id, COUNT_ABOVE_ANY_NODE.id}
MIG_BIG, MIG_NONE, MIG_CORDONED, MIG_RESTARTED, MIG_WHOLE, MIG_UNREADY = (
    f"nvidia.com/mig-{profile}" for profile in ("3g.20gb", "2g.10gb", "4g.20gb", "1g.10gb", "7g.40gb", "1g.20gb")
)


def _labels(sharing: str = "none", **more: str) -> dict[str, str]:
    return {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": MODEL,
        "nvidia.com/gpu.sharing-strategy": sharing,
        "nvidia.com/mig.strategy": "mixed",
        **{key.replace("_", "/"): value for key, value in more.items()},
    }


# gpuwarden adds the taint's toleration where it changes the name; for nvidia.com/gpu, ExtendedResourceToleration does, which is
# off here. So pods that tolerate nothing find one whole node, and the slices of strategy single.
MIXED = (
    *(Node(f"f-whole-{number}", {GPU: 8}, _labels(), tainted=number > 0) for number in range(3)),
    Node("f-renamed", {SHARED: 64, GPU: 0}, _labels("time-slicing")),  # the old name stays behind, with 0
    Node("f-mps", {SHARED: 64}, _labels("mps")),
    *(Node(f"f-cut-{number}", {MIG: 7, MIG_BIG: 2}, _labels()) for number in range(2)),
    Node("f-cordoned", {MIG_CORDONED: 7}, _labels()),
    Node("f-unready", {MIG_UNREADY: 4}, _labels()),
    Node(
        "f-gke",
        {GPU: 64},
        {
            "cloud.google.com/gke-accelerator": "nvidia-l4",
            "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
            "cloud.google.com/gke-max-shared-clients-per-gpu": "8",
        },
        tainted=False,
    ),
)
SINGLE = (
    *(
        Node(
            f"f-sliced-{number}",
            {GPU: 7},
            _labels()
            | {
                "nvidia.com/gpu.product": f"{MODEL}-MIG-1g.5gb",
                "nvidia.com/gpu.slices.gi": "1",
                "nvidia.com/gpu.slices.ci": "1",
                "nvidia.com/gpu.memory": "4864",
                "nvidia.com/mig.strategy": "single",
            },
            tainted=False,
        )
        for number in range(2)
    ),
    Node("f-uncut", {GPU: 8}, _labels() | {"nvidia.com/mig.strategy": "single", "nvidia.com/gpu.memory": "40536"}),
)
OF_MIXED = (
    "exclusive",
    "shared",
    "time-slicing",
    "mps",
    "mig-1g.5gb",
    "mig-3g.20gb",
    "mig-2g.10gb",  # of a pool that is scaled to zero
    "mig-4g.20gb",  # of a cordoned node
    "gke-time-sharing-8",
    "gke-mps-4",  # which no pool offers
    "any",
    None,
)
OF_SINGLE = ("mig-1g.5gb", "mig-2g.10gb", "exclusive", "shared")


def _workloads(policy: str | None) -> list[Json]:
    """The workloads of a namespace: what people write, whatever the policy."""
    if policy in {"any", None}:
        together = pod_spec(GPU, tolerated=True)
        together["containers"].append(container(MIG, name="slice"))
        return [
            pod(together, "together"),
            daemon_set(
                pod_spec(MIG_CORDONED, tolerated=True, selector={"kubernetes.io/hostname": "f-cordoned"}), "daemon"
            ),
            pod({**pod_spec(MIG_UNREADY), "tolerations": [{"operator": "Exists"}]}, "everywhere"),
            pod(pod_spec(MIG_UNREADY, tolerated=True), "unready"),
            pod(pod_spec(GPU), "plain"),
            deployment(pod_spec(SHARED, tolerated=True, selector={"nvidia.com/gpu.sharing-strategy": "mps"}), "mps"),
            job(pod_spec(SHARED), "untolerated"),
            stateful_set(pod_spec(MIG_NONE, tolerated=True), "gone"),
            pod(pod_spec(MIG, count=9, tolerated=True), "many"),
        ]
    with_helpers = pod_spec(GPU)
    with_helpers["initContainers"] = [
        container(GPU, name="load"),
        {**container("cpu", name="proxy"), "restartPolicy": "Always"},
    ]
    return [
        pod(pod_spec(GPU), "plain"),
        deployment(pod_spec(GPU, tolerated=True), "tolerant"),
        job(with_helpers, "helpers"),
        stateful_set(pod_spec(GPU, count=9), "many"),
        pod(pod_spec(GPU, selector={"nvidia.com/gpu.product": "Tesla-T4"}), "picky"),
    ]


class Cluster:
    """A fleet with gpuwarden on it."""

    def __init__(self, control_plane: ControlPlane, fleet: Fleet, configuration: Path, namespaces: Namespaces) -> None:
        self.control_plane, self.fleet, self.namespaces = control_plane, fleet, namespaces
        self.configuration = configuration
        self.kubeconfig = str(control_plane.kubeconfig("admin"))

    def options(self) -> list[str]:
        return ["--config", str(self.configuration), "--kubeconfig", self.kubeconfig, "-o", "json"]

    def shown(self) -> Json:
        """What ``gpuwarden fleet`` shows."""
        ran = run("fleet", *self.options())
        assert ran.code == 0, ran.err
        shown: Json = json.loads(ran.out)
        return shown

    def taints(self, name: str) -> list[Json]:
        taints: list[Json] = self.control_plane.get(f"/api/v1/nodes/{name}")["spec"].get("taints", [])
        return taints

    def set_node(self, name: str, status: Json, labels: Mapping[str, str] | None = None) -> None:
        path = f"/api/v1/nodes/{name}"
        for of, change in (("", {"metadata": {"labels": dict(labels or {})}}), ("/status", {"status": status})):
            self.control_plane.api.patch(path + of, json=change, headers=MERGE_PATCH).raise_for_status()


def warned(
    cluster: Cluster, policies: Mapping[str, str | None], manifests: Mapping[Workload, Json], fleet: str = "live"
) -> tuple[dict[Workload, str], set[Workload]]:
    """The workloads that are warned of before they are created, with the sentence; and those that are denied.

    The one place that knows where warnings come from.
    """
    objects: list[Json] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {ENFORCE: policy} if policy else {}},
        }
        for name, policy in policies.items()
    ]
    objects += [
        {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
        for (namespace, _), manifest in manifests.items()
    ]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    where = ["--kubeconfig", cluster.kubeconfig] if fleet == "live" else []
    ran = run("check", "-", "--fleet", fleet, *where, "--config", str(cluster.configuration), "-o", "json", stdin=given)
    assert ran.code in {0, 1}, ran.err
    found: dict[Workload, str] = {}
    denied: set[Workload] = set()
    for line in json.loads(ran.out)["objects"]:
        workload = line["namespace"], line["name"]
        if line["decision"] == "denied":
            denied.add(workload)
        if sentences := [f["message"] for f in line["findings"] if f["rule"] in RULES]:
            found[workload] = "; ".join(sentences)
    return found, denied


def fates(cluster: Cluster, workloads: Sequence[Workload]) -> dict[Workload, str]:
    """The node of each workload's pod, empty where the scheduler found none; it has tried all of them."""

    def settled() -> dict[Workload, str]:
        wanted = set(workloads)
        every = cluster.control_plane.get("/api/v1/pods")["items"]
        found = {}
        for one in every:
            metadata = one["metadata"]
            workload = metadata["namespace"], metadata.get("labels", {}).get("app", metadata["name"])
            tried = any(c["type"] == "PodScheduled" for c in one["status"].get("conditions", []))
            if workload in wanted and tried:
                found[workload] = node_of(one)
        return found if found.keys() == wanted else {}

    return wait_for("the scheduler to have tried every pod", settled)


@pytest.fixture(scope="module", params=["mixed", "single"])
def cluster(
    control_plane: ControlPlane,
    chart: Chart,
    tmp_path_factory: pytest.TempPathFactory,
    module_namespaces: Namespaces,
    request: pytest.FixtureRequest,
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("fleet")
    is_mixed = request.param == "mixed"
    values = {"config": {"devicePlugin": {"migStrategy": request.param}}}
    with (
        Fleet(control_plane, MIXED if is_mixed else SINGLE) as nodes,
        Installation(control_plane, chart, folder, values=values) as running,
    ):
        file = folder / "config.yaml"
        file.write_text(running.rendered.configuration_file)
        made = Cluster(control_plane, nodes, file, module_namespaces)
        if is_mixed:
            made.set_node("f-unready", {"conditions": [{"type": "Ready", "status": "False"}]})
            wait_for("the taint of a node that is not ready", lambda: "not-ready" in str(made.taints("f-unready")))
        with nodes.cordoned(*(["f-cordoned"] if is_mixed else [])):
            yield made


def _is_mixed(cluster: Cluster) -> bool:
    return "migStrategy: mixed" in cluster.configuration.read_text()


def test_what_stays_pending_was_warned_of_and_what_runs_was_not(cluster: Cluster, tmp_path: Path) -> None:
    policies = {
        cluster.namespaces.make({ENFORCE: policy} if policy else {}): policy
        for policy in (OF_MIXED if _is_mixed(cluster) else OF_SINGLE)
    }
    manifests = {
        (namespace, one["metadata"]["name"]): one
        for namespace, policy in policies.items()
        for one in _workloads(policy)
    }
    before, denied = warned(cluster, policies, manifests)
    created = [workload for workload in manifests if workload not in denied]
    for namespace in policies:
        create(cluster.control_plane, namespace, *(manifests[one] for one in created if one[0] == namespace))
    fate = fates(cluster, created)

    pending = {workload for workload, node in fate.items() if not node}
    missed = sorted(f"{policies[one[0]]}: {one[1]}" for one in pending - before.keys())
    false = sorted(
        f"{policies[one[0]]}: {one[1]} on {fate[one]}: {before[one]}" for one in before.keys() - pending - denied
    )
    tell(
        f"{len(manifests)} workloads in {len(policies)} namespaces: {len(denied)} denied, {len(fate) - len(pending)} run, "
        f"{len(pending)} pending; {len(false)} false alarms, {len(missed)} missed"
    )
    assert (missed, false) == ([], [])
    assert min(len(pending), len(fate) - len(pending)) >= len(policies)

    shown = cluster.shown()
    held = sum(one["inUse"] for one in shown["forms"])
    assert held >= sum(bool(node) for node in fate.values())
    in_vain = {one["namespace"] for one in shown["waiting"] if one["rule"]} & policies.keys()
    assert in_vain == {namespace for namespace, _ in pending}
    # With each resource that it requests.
    lines = len(pending) + sum(name == "together" for _, name in pending)
    assert sum(one["pods"] for one in shown["waiting"] if one["rule"] and one["namespace"] in policies) == lines

    file = tmp_path / "fleet.json"
    file.write_text(json.dumps(shown))
    saved, _ = warned(cluster, policies, manifests, str(file))
    assert saved.keys() == before.keys()


def _one(cluster: Cluster, policy: str) -> tuple[str, Callable[[], dict[Workload, str]]]:
    """A namespace with a policy, and what warns of a plain pod in it now."""
    namespace = cluster.namespaces.make({ENFORCE: policy})
    manifests = {(namespace, "train"): pod(pod_spec(GPU))}
    return namespace, lambda: warned(cluster, {namespace: policy}, manifests)[0]


def _state_of(cluster: Cluster, resource: str) -> str:
    """The state of the nodes that have a resource, as ``gpuwarden fleet`` shows it."""
    (state,) = {
        one["state"] for one in cluster.shown()["shapes"] if resource in {of["resource"] for of in one["resources"]}
    }
    return str(state)


def _bound(cluster: Cluster, namespace: str) -> str:
    return node_of(pods_in(cluster.control_plane, namespace)[0])


@pytest.mark.parametrize("cluster", ["mixed"], indirect=True)
def test_a_pool_that_is_scaled_to_zero_is_missed_until_it_is_back(cluster: Cluster) -> None:
    namespace, warnings = _one(cluster, "mig-2g.10gb")
    (sentence,) = warnings().values()
    assert f"no node has {MIG_NONE}; the pod stays Pending unless an autoscaler adds such a node" in sentence
    create(cluster.control_plane, namespace, pod(pod_spec(GPU)))
    assert set(fates(cluster, [(namespace, "train")]).values()) == {""}

    # Enough for the pods that other tests have left waiting, too.
    with Fleet(cluster.control_plane, (Node("f-back", {MIG_NONE: 32}, _labels()),)):
        assert wait_for("the pod to be bound", lambda: _bound(cluster, namespace)) == "f-back"
        assert warnings() == {}


@pytest.mark.parametrize("cluster", ["mixed"], indirect=True)
def test_a_device_plugin_that_restarts_raises_no_alarm(cluster: Cluster) -> None:
    namespace, warnings = _one(cluster, "mig-1g.10gb")
    assert len(warnings()) == 1
    with Fleet(cluster.control_plane, (Node("f-restarts", {MIG_RESTARTED: 4}, _labels()),)):
        assert warnings() == {}
        cluster.set_node("f-restarts", {"allocatable": {MIG_RESTARTED: "0"}})
        assert warnings() == {}
        assert _state_of(cluster, MIG_RESTARTED) == "no devices"
        create(cluster.control_plane, namespace, pod(pod_spec(GPU)))
        assert set(fates(cluster, [(namespace, "train")]).values()) == {""}

        cluster.set_node("f-restarts", {"allocatable": {MIG_RESTARTED: "4"}})
        assert wait_for("the pod to be bound", lambda: _bound(cluster, namespace)) == "f-restarts"
        assert _state_of(cluster, MIG_RESTARTED) == "ready"


@pytest.mark.parametrize("cluster", ["mixed"], indirect=True)
def test_a_node_that_the_mig_manager_changes_is_unknown_until_it_is_done(cluster: Cluster) -> None:
    state = "nvidia.com/mig.config.state"
    namespace, warnings = _one(cluster, "mig-7g.40gb")
    assert len(warnings()) == 1
    changing = Node("f-changes", {MIG: 0}, _labels() | {state: "pending"})
    with Fleet(cluster.control_plane, (changing,)):
        assert warnings() == {}
        assert "MIG pending" in {one["state"] for one in cluster.shown()["shapes"]}

        cluster.set_node("f-changes", {}, {state: "failed"})
        (sentence,) = warnings().values()
        assert "the MIG configuration of 1 node failed (nvidia.com/mig.config.state: failed)" in sentence
        assert "MIG failed" in {one["state"] for one in cluster.shown()["shapes"]}

        cut = {MIG_WHOLE: "1"}
        cluster.set_node("f-changes", {"capacity": cut, "allocatable": cut}, {state: "success"})
        assert warnings() == {}
        create(cluster.control_plane, namespace, pod(pod_spec(GPU)))
        assert wait_for("the pod to be bound", lambda: _bound(cluster, namespace)) == "f-changes"

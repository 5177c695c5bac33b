"""Kueue beside gpuwarden: which requests a ClusterQueue counts, what the pods become, and what is said of it before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import Fleet
from tests.e2e.installation import Installation
from tests.e2e.neighbours.audit import audit
from tests.e2e.neighbours.jobsets import GIVEN_CERTIFICATES, jobset
from tests.e2e.neighbours.manager import Manager
from tests.e2e.objects import (
    ENFORCE,
    GPU,
    SHARED,
    as_list,
    event_messages,
    job,
    limits_of,
    node_of,
    pod,
    pod_spec,
    pods_in,
)
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

API = "kueue.x-k8s.io/v1beta2"
QUEUE = "kueue.x-k8s.io/queue-name"
QUOTA = 4
FRAMEWORKS = ["batch/job", "jobset.x-k8s.io/jobset", "pod"]
SETTINGS = {"integrations": {"frameworks": FRAMEWORKS}, "featureGates": {"VisibilityOnDemand": False}}
# What Kueue's documentation has for resources that are called otherwise by the time they are used.
TRANSFORMED = {"resources": {"transformations": [{"input": GPU, "strategy": "Replace", "outputs": {SHARED: "1"}}]}}

Json = dict[str, Any]
MakeQueue = Callable[..., str]


@dataclass
class Queues:
    """What the tests ask Kueue."""

    control_plane: ControlPlane
    manager: Manager

    def requests(self, namespace: str) -> dict[str, Json | None]:
        """What Kueue counted for each Workload: the total of its only pod set, by the name of its owner."""
        found = {}
        for workload in self._workloads(namespace):
            owner = workload["metadata"]["ownerReferences"][0]
            admission = workload.get("status", {}).get("admission")
            assigned = admission["podSetAssignments"][0]["resourceUsage"] if admission else None
            found[f"{owner['kind']}/{owner['name']}"] = assigned
        return found

    def reasons(self, namespace: str) -> list[str]:
        """Why Workloads wait."""
        conditions = [c for w in self._workloads(namespace) for c in w.get("status", {}).get("conditions", [])]
        return [c["message"] for c in conditions if c["type"] == "QuotaReserved" and c["status"] == "False"]

    def used(self, queue: str) -> dict[str, str]:
        """What a ClusterQueue counts as in use."""
        status = self.control_plane.get(f"/apis/{API}/clusterqueues/{queue}").get("status", {})
        flavors = status.get("flavorsUsage", [])
        return {resource["name"]: resource["total"] for flavor in flavors for resource in flavor["resources"]}

    def _workloads(self, namespace: str) -> list[Json]:
        items: list[Json] = self.control_plane.get(f"/apis/{API}/namespaces/{namespace}/workloads")["items"]
        return items


@pytest.fixture(scope="module")
def kueue(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queues]:
    jobsets, own = tmp_path_factory.mktemp("jobset"), tmp_path_factory.mktemp("kueue")
    with (
        Manager(control_plane, "jobset", jobsets, GIVEN_CERTIFICATES),
        Manager(control_plane, "kueue", own, SETTINGS) as manager,
    ):
        yield Queues(control_plane, manager)


@pytest.fixture
def make_queue(control_plane: ControlPlane, kueue: Queues, make_namespace: Callable[..., str]) -> Iterator[MakeQueue]:
    """Make a namespace with a LocalQueue of a ClusterQueue of the same name, which has a quota of one resource."""
    made = []

    def make(resource: str, labels: dict[str, str] | None = None) -> str:
        namespace = make_namespace(labels or {})
        group = {
            "coveredResources": [resource],
            "flavors": [{"name": namespace, "resources": [{"name": resource, "nominalQuota": str(QUOTA)}]}],
        }
        objects = (
            {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": namespace}},
            {
                "apiVersion": API,
                "kind": "ClusterQueue",
                "metadata": {"name": namespace},
                "spec": {"namespaceSelector": {}, "resourceGroups": [group]},
            },
            {
                "apiVersion": API,
                "kind": "LocalQueue",
                "metadata": {"name": "gpus", "namespace": namespace},
                "spec": {"clusterQueue": namespace},
            },
        )
        apply(control_plane, namespace, *objects)
        made.append(namespace)
        return namespace

    yield make
    for namespace in made:
        control_plane.kubectl("delete", "-n", namespace, "--wait=false", "jobsets,jobs,pods", "--all")
        control_plane.kubectl("delete", "--wait=false", "clusterqueue,resourceflavor", namespace)


def apply(control_plane: ControlPlane, namespace: str, *objects: Json) -> list[str]:
    """``kubectl apply`` that succeeds; its warnings."""
    done = control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=as_list(objects))
    tell(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]


def queued_job(count: int = 1, resource: str = GPU) -> Json:
    """A Job that waits for its turn: suspended until Kueue admits it."""
    made = job(pod_spec(resource, count=count))
    made["metadata"]["labels"] = {QUEUE: "gpus"}
    made["spec"]["suspend"] = True
    return made


def requests_of_pods(control_plane: ControlPlane, namespace: str) -> list[list[Json]]:
    return [limits_of(found) for found in pods_in(control_plane, namespace)]


def test_a_job_and_a_jobset_are_counted_as_they_are_written_and_their_pods_run_as_the_policy_says(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, kueue: Queues, make_queue: MakeQueue
) -> None:
    namespace = make_queue(GPU, {ENFORCE: "shared"})
    for workload in (queued_job(), jobset(pod_spec(GPU), {QUEUE: "gpus"})):
        (warning,) = apply(control_plane, namespace, workload)
        assert f"Kueue counts {GPU} as the template requests it" in warning

    wait_for("three pods on nodes", lambda: sum(bool(node_of(p)) for p in pods_in(control_plane, namespace)) == 3)
    assert requests_of_pods(control_plane, namespace) == [[{SHARED: "1"}]] * 3
    # Kueue counts what the templates say, which gpuwarden leaves alone.
    assert kueue.requests(namespace) == {"Job/train": {GPU: "1"}, "JobSet/train": {GPU: "2"}}
    wait_for("the queue to count it", lambda: kueue.used(namespace) == {GPU: "3"})
    said = audit(control_plane, namespace)
    tell(str(said))
    assert set(said.values()) == {"rewritten"}
    assert "Job/train" in said


def test_without_a_policy_what_is_counted_is_what_the_pods_request(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, kueue: Queues, make_queue: MakeQueue
) -> None:
    namespace = make_queue(GPU)
    assert apply(control_plane, namespace, queued_job()) == []
    wait_for("the pod", lambda: requests_of_pods(control_plane, namespace) == [[{GPU: "1"}]])
    assert kueue.requests(namespace) == {"Job/train": {GPU: "1"}}


def test_a_quota_of_the_policys_resource_admits_no_job_that_is_written_plainly_and_one_that_names_it(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, kueue: Queues, make_queue: MakeQueue
) -> None:
    namespace = make_queue(SHARED, {ENFORCE: "shared"})
    apply(control_plane, namespace, queued_job())
    (reason,) = wait_for("Kueue to say why", lambda: kueue.reasons(namespace))
    tell(reason)
    assert GPU in reason
    assert pods_in(control_plane, namespace) == []

    named = queued_job(resource=SHARED)
    named["metadata"]["name"] = "named"
    apply(control_plane, namespace, named)
    wait_for("its pod", lambda: requests_of_pods(control_plane, namespace) == [[{SHARED: "1"}]])
    wait_for("the queue to count it", lambda: kueue.used(namespace) == {SHARED: "1"})


def test_kueue_can_be_told_to_count_in_the_policys_resource(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, kueue: Queues, make_queue: MakeQueue
) -> None:
    with kueue.manager.configured(TRANSFORMED):
        namespace = make_queue(SHARED, {ENFORCE: "shared"})
        apply(control_plane, namespace, queued_job())
        wait_for("its pod", lambda: requests_of_pods(control_plane, namespace) == [[{SHARED: "1"}]])
        assert kueue.requests(namespace) == {"Job/train": {SHARED: "1"}}


def test_a_job_whose_pods_are_denied_holds_its_quota_and_advise_and_audit_say_so(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, kueue: Queues, make_queue: MakeQueue
) -> None:
    namespace = make_queue(GPU, {ENFORCE: "shared"})
    (warning,) = apply(control_plane, namespace, queued_job(count=2))
    assert "would be denied" in warning
    denials = wait_for("denials", lambda: event_messages(control_plane, namespace, "FailedCreate"))
    assert f"{GPU}: 2 cannot be shared" in denials[0]
    assert pods_in(control_plane, namespace) == []
    wait_for("the queue to count it all the same", lambda: kueue.used(namespace) == {GPU: "2"})
    assert audit(control_plane, namespace) == {"Job/train": "denied"}


def test_a_bare_pod_is_counted_as_it_was_rewritten(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, kueue: Queues, make_queue: MakeQueue
) -> None:
    namespace = make_queue(SHARED, {ENFORCE: "shared"})
    bare = pod(pod_spec(GPU))
    bare["metadata"]["labels"] = {QUEUE: "gpus"}
    apply(control_plane, namespace, bare)
    wait_for("Kueue to lift the gate", lambda: [node_of(p) for p in pods_in(control_plane, namespace)] != [""])
    assert requests_of_pods(control_plane, namespace) == [[{SHARED: "1"}]]
    assert kueue.requests(namespace) == {"Pod/train": {SHARED: "1"}}

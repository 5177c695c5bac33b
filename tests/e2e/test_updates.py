"""Updates of pods on a cluster: a gated pod is not moved to other GPUs, no device is added, and nothing else is held up."""

import json
import subprocess
from collections.abc import Callable, Iterator

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, Json, create, pod, pod_spec

pytestmark = pytest.mark.e2e

PARTITION, SHARING = "cloud.google.com/gke-gpu-partition-size", "cloud.google.com/gke-gpu-sharing-strategy"
CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
SLICE = {PARTITION: "1g.5gb"}
TIME_SHARED = {SHARING: "time-sharing", CLIENTS: "4"}
GATES = [{"name": "team.example/wait"}]
CDI = {"nvidia.cdi.k8s.io/container.main": "management.nvidia.com/gpu=all"}
BY_MEMORY = {"forms": ["mig-1g.10gb", "mig-2g.20gb"], "prefer": "memory"}
MEMORY = "gpuwarden.io/gpu-memory"
BY_US = 'admission webhook "updates.gpuwarden.io" denied the request: '


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    values = {"config": {"visibleDevices": "deny", "policies": {"by-memory": BY_MEMORY}}}
    with Installation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), values=values) as running:
        yield running


@pytest.fixture
def patch(control_plane: ControlPlane, installation: Installation) -> Callable[..., str]:
    """Patch the pod ``train`` of a namespace as a user does; answer what kubectl complains of, nothing if it is done."""

    def patched(namespace: str, change: Json | list[Json], *more: str) -> str:
        kind = "json" if isinstance(change, list) else "merge"
        arguments = ("patch", "pod", "train", "-n", namespace, f"--type={kind}", "-p", json.dumps(change), *more)
        done: subprocess.CompletedProcess[str] = control_plane.kubectl(*arguments)
        return done.stderr if done.returncode else ""

    return patched


Patch = Callable[[str, Json | list[Json]], str]


def waiting(count: int = 2, *, resource: str = GPU, **metadata: object) -> Json:
    """A gated pod that asks for MIG slices of GKE."""
    made = pod({**pod_spec(resource, count=count), "nodeSelector": SLICE, "schedulingGates": GATES})
    return {**made, "metadata": {**made["metadata"], **metadata}}


def the_pod(control_plane: ControlPlane, namespace: str) -> Json:
    return control_plane.get(f"/api/v1/namespaces/{namespace}/pods/train")


@pytest.fixture
def slices(control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]) -> str:
    """A namespace of MIG slices with a gated pod of two."""
    namespace = make_namespace({ENFORCE: "gke-mig-1g.5gb"})
    create(control_plane, namespace, waiting())
    return namespace


class TestAGatedPod:
    @pytest.mark.parametrize(
        "change",
        [
            {"spec": {"nodeSelector": TIME_SHARED}},
            {"spec": {"nodeSelector": TIME_SHARED, "schedulingGates": None}},
            {"metadata": {"annotations": CDI}},
            {"metadata": {"annotations": {"cdi.k8s.io/a": "nvidia.com/gpu=0"}}, "spec": {"schedulingGates": None}},
        ],
    )
    def test_it_is_not_made_another(self, control_plane: ControlPlane, slices: str, patch: Patch, change: Json) -> None:
        before = the_pod(control_plane, slices)

        assert BY_US in patch(slices, change)
        assert the_pod(control_plane, slices) == before

    def test_nor_by_node_affinity(self, control_plane: ControlPlane, slices: str, patch: Patch) -> None:
        """Kubernetes lets requirements be added to the terms that are there."""
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        (term,) = the_pod(control_plane, slices)["spec"]["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"]
        added = {"key": SHARING, "operator": "In", "values": ["time-sharing"]}
        new = {required: {"nodeSelectorTerms": [{"matchExpressions": [*term["matchExpressions"], added]}]}}

        assert BY_US in patch(slices, {"spec": {"affinity": {"nodeAffinity": new}}})

    def test_its_queue_may_place_it_and_let_it_go(self, control_plane: ControlPlane, slices: str, patch: Patch) -> None:
        assert patch(slices, {"spec": {"nodeSelector": {"pool": "a"}}}) == ""
        assert patch(slices, {"metadata": {"labels": {"queue": "a"}, "annotations": {"queue": "a"}}}) == ""
        assert patch(slices, {"spec": {"schedulingGates": None}}) == ""
        assert "schedulingGates" not in the_pod(control_plane, slices)["spec"]

    def test_a_pod_that_its_policy_would_deny_by_now_can_still_be_placed(
        self, control_plane: ControlPlane, patch: Patch, namespace: str
    ) -> None:
        create(control_plane, namespace, waiting())
        done = control_plane.kubectl("label", "namespace", namespace, f"{ENFORCE}=exclusive")
        assert done.returncode == 0, done.stderr

        def is_denied() -> bool:
            """Whether gpuwarden has seen the label."""
            tried = json.dumps(waiting(1, name="another"))
            return (
                "does not permit"
                in control_plane.kubectl("create", "-n", namespace, "-f", "-", "--dry-run=server", stdin=tried).stderr
            )

        wait_for("the label to be seen", is_denied)
        assert patch(namespace, {"spec": {"nodeSelector": {"pool": "a"}}}) == ""
        assert "can be requested on GPU nodes" in patch(namespace, {"spec": {"nodeSelector": TIME_SHARED}})


def test_a_device_is_not_added_to_a_pod_without_gates(
    control_plane: ControlPlane, make_namespace: Callable[..., str], patch: Patch
) -> None:
    """The runtime reads annotations whenever it starts a container, so one that comes later counts as well."""
    namespace = make_namespace({ENFORCE: "exclusive"})
    create(control_plane, namespace, pod(pod_spec("cpu")))

    assert BY_US in patch(namespace, {"metadata": {"annotations": CDI}})
    assert patch(namespace, {"metadata": {"annotations": {"cdi.k8s.io/a": "example.com/net=0"}}}) == ""


@pytest.mark.parametrize("amount", ["1Gi", "300Gi", "much", None])
def test_how_much_memory_it_needs_selected_its_slice_and_changes_nothing_now(
    control_plane: ControlPlane, make_namespace: Callable[..., str], patch: Callable[..., str], amount: str | None
) -> None:
    namespace = make_namespace({ENFORCE: "by-memory"})
    needing = pod({**pod_spec(GPU), "schedulingGates": GATES})
    create(control_plane, namespace, {**needing, "metadata": {**needing["metadata"], "annotations": {MEMORY: "12Gi"}}})

    def limits() -> Json:
        found: Json = the_pod(control_plane, namespace)["spec"]["containers"][0]["resources"]["limits"]
        return found

    before = limits()
    assert before["nvidia.com/mig-2g.20gb"] == "1"
    assert patch(namespace, {"metadata": {"annotations": {MEMORY: amount}}}) == ""
    # Together with what is evaluated, too.
    change = {
        "metadata": {"annotations": {MEMORY: amount}},
        "spec": {"nodeSelector": {"pool": "a"}, "schedulingGates": None},
    }
    assert patch(namespace, change) == ""
    container = the_pod(control_plane, namespace)["spec"]["containers"][0]
    larger = {"limits": {"nvidia.com/mig-2g.20gb": "2"}, "requests": {"nvidia.com/mig-2g.20gb": "2"}}
    resize = {"spec": {"containers": [{**container, "resources": larger}]}}
    said = patch(namespace, resize, "--subresource=resize")
    assert said
    assert BY_US not in said
    assert limits() == before


class TestWhileNobodyAnswers:
    @pytest.fixture(autouse=True)
    def _nobody(self, installation: Installation, slices: str) -> Iterator[None]:
        with installation.down("/validate"):
            yield

    def test_what_changes_no_decision_goes_on(self, control_plane: ControlPlane, slices: str, patch: Patch) -> None:
        assert patch(slices, {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}}) == ""
        assert patch(slices, {"metadata": {"finalizers": ["team.example/hold"]}}) == ""
        assert patch(slices, {"spec": {"schedulingGates": None}}) == ""

    def test_a_pod_is_deleted_and_its_finalizers_removed(
        self, control_plane: ControlPlane, slices: str, patch: Patch
    ) -> None:
        assert patch(slices, {"metadata": {"finalizers": ["team.example/hold"]}}) == ""
        done = control_plane.kubectl("delete", "pod", "train", "-n", slices, "--wait=false")
        assert done.returncode == 0, done.stderr
        # Even together with what would be evaluated otherwise.
        assert patch(slices, {"metadata": {"finalizers": None, "annotations": CDI}}) == ""
        path = f"/api/v1/namespaces/{slices}/pods/train"
        wait_for("the pod to be gone", lambda: control_plane.api.get(path).status_code == httpx.codes.NOT_FOUND)

    def test_other_nodes_and_devices_are_refused(self, slices: str, patch: Patch) -> None:
        assert 'failed calling webhook "updates.gpuwarden.io"' in patch(
            slices, {"spec": {"nodeSelector": {"pool": "a"}}}
        )
        assert 'failed calling webhook "updates.gpuwarden.io"' in patch(slices, {"metadata": {"annotations": CDI}})

    def test_pods_without_gpus_never_depend_on_it(
        self, control_plane: ControlPlane, namespace: str, patch: Patch
    ) -> None:
        create(control_plane, namespace, waiting(1, resource="cpu"))

        assert patch(namespace, {"spec": {"nodeSelector": {"pool": "a"}, "schedulingGates": None}}) == ""


class TestCost:
    """What a condition may cost is bounded by the API server: beyond it, a webhook that fails closed denies."""

    def test_very_many_annotations(
        self, control_plane: ControlPlane, make_namespace: Callable[..., str], patch: Patch
    ) -> None:
        namespace = make_namespace({ENFORCE: "exclusive"})
        for count in (990, 7_500):  # an update has each twice, and twice in managedFields
            many = {f"a{number}": "" for number in range(count)}
            made = pod(pod_spec("cpu"))
            made["metadata"]["annotations"] = many
            create(control_plane, namespace, made)
            assert patch(namespace, {"metadata": {"annotations": {"b": "c"}}}) == ""
            assert BY_US in patch(namespace, {"metadata": {"annotations": CDI}})
            made["metadata"] |= {"annotations": {**many, **CDI}, "name": "other"}
            refused = control_plane.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(made))
            assert "guard.gpuwarden.io" in refused.stderr
            deleted = control_plane.kubectl("delete", "pod", "train", "-n", namespace, "--force")
            assert deleted.returncode == 0, deleted.stderr

    def test_a_node_affinity_of_very_many_terms(
        self, control_plane: ControlPlane, make_namespace: Callable[..., str], patch: Patch
    ) -> None:
        namespace = make_namespace({ENFORCE: "any"})
        values = [f"zone-{number}" for number in range(6)]
        terms = [
            {
                "matchExpressions": [
                    {"key": f"k{number}-{each}", "operator": "In", "values": values} for each in range(5)
                ]
            }
            for number in range(130)
        ]
        made = waiting()
        required = {"nodeSelectorTerms": terms}
        made["spec"]["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        create(control_plane, namespace, made)

        assert patch(namespace, {"spec": {"nodeSelector": {"pool": "a"}}}) == ""
        assert BY_US in patch(namespace, {"spec": {"nodeSelector": TIME_SHARED}})

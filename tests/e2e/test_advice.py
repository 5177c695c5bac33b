"""Scenario: `kubectl apply` of a workload whose pods would be denied later says so at once, and is not denied itself."""

from collections.abc import Callable, Iterator

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, Json, as_list, cron_job, daemon_set, deployment, job, pod_spec, stateful_set
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

REFUSED = "would be denied: "
BECAUSE = f'container "train": {GPU}: 2 cannot be shared under namespace policy "shared"'


@pytest.fixture
def shared(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> Iterator[str]:
    assert installation.replicas
    namespace = make_namespace({ENFORCE: "shared"})
    yield namespace
    control_plane.kubectl("delete", "-n", namespace, "--wait=false", "deployments,statefulsets,jobs,cronjobs", "--all")


def apply(control_plane: ControlPlane, namespace: str, *manifests: Json) -> list[str]:
    """The warnings of a ``kubectl apply`` that succeeds."""
    done = control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=as_list(manifests))
    tell(done.stderr)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("Warning: ") and "deprecated" not in line]


def pod_template(spec: Json) -> Json:
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t"}, "template": {"spec": spec}}


def replica_set(spec: Json, kind: str, version: str) -> Json:
    of_deployment = deployment(spec, "replicas")
    selector = of_deployment["spec"]["selector"]
    if kind == "ReplicationController":
        of_deployment["spec"]["selector"] = selector["matchLabels"]
    return {**of_deployment, "apiVersion": version, "kind": kind}


def of_every_kind(spec: Json) -> list[Json]:
    return [
        deployment(spec),
        stateful_set(spec),
        daemon_set(spec),
        job(spec),
        cron_job(spec),
        pod_template(spec),
        replica_set(spec, "ReplicaSet", "apps/v1"),
        replica_set(spec, "ReplicationController", "v1"),
    ]


def test_a_workload_of_every_kind_that_would_be_refused_later_says_so_when_it_is_applied(
    control_plane: ControlPlane, shared: str
) -> None:
    for manifest in of_every_kind(pod_spec(GPU, count=2)):
        (warning,) = apply(control_plane, shared, manifest)
        assert warning.startswith(f"Warning: {REFUSED}{BECAUSE}"), (manifest["kind"], warning)


def test_a_workload_that_will_run_says_nothing(control_plane: ControlPlane, shared: str) -> None:
    assert apply(control_plane, shared, *of_every_kind(pod_spec(GPU))) == []
    assert apply(control_plane, shared, deployment(pod_spec("cpu"), "web")) == []


def test_an_update_that_spoils_a_workload_says_so(control_plane: ControlPlane, shared: str) -> None:
    assert apply(control_plane, shared, deployment(pod_spec(GPU))) == []
    (warning,) = apply(control_plane, shared, deployment(pod_spec(GPU, count=2)))
    assert REFUSED in warning


def test_while_nobody_advises_workloads_are_made_all_the_same(
    control_plane: ControlPlane, installation: Installation, shared: str
) -> None:
    with installation.down("/advise"):
        assert apply(control_plane, shared, deployment(pod_spec(GPU, count=2))) == []
    (warning,) = apply(control_plane, shared, deployment(pod_spec(GPU, count=3)))
    assert REFUSED in warning


def test_controllers_are_not_told_what_was_said_to_whoever_wrote_the_workload(
    control_plane: ControlPlane, installation: Installation, shared: str
) -> None:
    (replica,) = installation.replicas

    def asked() -> float:
        return replica.metric("gpuwarden_request_duration_seconds_count", path="/advise")

    before = asked()
    apply(control_plane, shared, deployment(pod_spec(GPU)))
    sets = f"/apis/apps/v1/namespaces/{shared}/replicasets"
    wait_for("the ReplicaSet", lambda: control_plane.get(sets)["items"])
    path = f"/apis/apps/v1/namespaces/{shared}/deployments/train"
    # The controller writes it into the Deployment, which is one more change of that.
    revision = "deployment.kubernetes.io/revision"
    wait_for("its revision", lambda: control_plane.get(path)["metadata"]["annotations"][revision])
    assert 1 <= asked() - before <= 2, (
        "the Deployment when it was applied and when its revision was noted; no ReplicaSet"
    )

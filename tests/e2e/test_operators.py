"""Scenario: `kubectl apply` of an operator's object whose pods would be denied later says so, and is not denied itself."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, SHARED, Json, as_list, container
from tests.e2e.operator_definitions import DEFINITIONS
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

JSON = {"Content-Type": "application/json"}
BECAUSE = f"{GPU}: 2 cannot be shared under namespace policy"


OWN = {"group": "e2e.example.com", "versions": ["v1"], "kind": "Training", "plural": "trainings"}
TEMPLATES = {"templates": [{"path": "spec.workers[*].template.spec", "replicas": ["spec.workers[*].replicas"]}]}


@pytest.fixture(scope="module")
def values() -> Json:
    """A kind is in the configuration."""
    return {"config": {"workloadKinds": [{**OWN, **TEMPLATES}]}}


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane, installation: Installation) -> Iterator[None]:
    """The definitions: they come after gpuwarden, whose rules name groups that the API server does not have until then."""
    assert installation.replicas
    done = control_plane.kubectl("apply", "-f", "-", stdin=as_list(DEFINITIONS))
    assert done.returncode == 0, done.stderr
    for one in DEFINITIONS:
        spec = one["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        wait_for(f"{one['metadata']['name']} to be served", lambda path=path: control_plane.api.get(path).is_success)  # type: ignore[misc]  # mypy can't infer a lambda's default
    yield
    control_plane.kubectl("delete", "--wait=false", "-f", "-", stdin=as_list(DEFINITIONS))


@pytest.fixture
def shared(kinds: None, make_namespace: Callable[..., str]) -> str:
    assert kinds is None
    return make_namespace({ENFORCE: "shared"})


def apply(control_plane: ControlPlane, namespace: str, *manifests: Json) -> list[str]:
    """The warnings of a ``kubectl apply`` that succeeds, but for those about nodes, which other tests have made or not."""
    done = control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=as_list(manifests))
    tell(done.stderr)
    assert done.returncode == 0, done.stderr
    warnings = [line.removeprefix("Warning: ") for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    return [warning for warning in warnings if "no node offers" not in warning]


def template(resource: str = GPU, count: int = 2) -> Json:
    return {"spec": {"containers": [container(resource, count)]}}


def an(api_version: str, kind: str, spec: Json, **metadata: Any) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "train", **metadata}, "spec": spec}


def amounts(resource: str, count: int) -> Json:
    return {"limits": {resource: str(count)}}


def ray_cluster(resource: str, count: int) -> Json:
    workers = {"groupName": "gpu", "replicas": 3, "rayStartParams": {}, "template": template(resource, count)}
    return {"headGroupSpec": {"template": template("cpu", 1)}, "workerGroupSpecs": [workers]}


def of_every_kind(resource: str = GPU, count: int = 2) -> list[tuple[str, Json]]:
    """What a warning on an object begins with, and the object."""
    pod = template(resource, count)
    job = {"template": {"spec": {"parallelism": 2, "template": pod}}}
    outside = "its pods, when they are created"
    ray = ray_cluster(resource, count)
    return [
        ("spec.workerGroupSpecs[0].template (3 pods)", an("ray.io/v1", "RayCluster", ray)),
        (
            "spec.rayClusterSpec.workerGroupSpecs[0].template (3 pods)",
            an("ray.io/v1", "RayJob", {"rayClusterSpec": ray}),
        ),
        (
            "spec.pytorchReplicaSpecs.Worker.template (4 pods)",
            an("kubeflow.org/v1", "PyTorchJob", {"pytorchReplicaSpecs": {"Worker": {"replicas": 4, "template": pod}}}),
        ),
        (
            outside,
            an(
                "trainer.kubeflow.org/v1alpha1",
                "TrainJob",
                {"runtimeRef": {"name": "torch"}, "trainer": {"resourcesPerNode": amounts(resource, count)}},
            ),
        ),
        (
            "spec.replicatedJobs[0].template.spec.template (6 pods)",
            an("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": [{"name": "w", "replicas": 3, **job}]}),
        ),
        (
            "spec.leaderWorkerTemplate.workerTemplate (8 pods)",
            an(
                "leaderworkerset.x-k8s.io/v1",
                "LeaderWorkerSet",
                {"replicas": 2, "leaderWorkerTemplate": {"size": 4, "workerTemplate": pod}},
            ),
        ),
        (
            "spec.predictor (1 pod)",
            an("serving.kserve.io/v1beta1", "InferenceService", {"predictor": pod["spec"]}),
        ),
        (
            outside,
            an(
                "argoproj.io/v1alpha1",
                "Workflow",
                {"templates": [{"name": "w", "container": pod["spec"]["containers"][0]}]},
            ),
        ),
        ("spec.template (2 pods)", an("argoproj.io/v1alpha1", "Rollout", {"replicas": 2, "template": pod})),
        (
            "spec.tasks[0].template (2 pods)",
            an("batch.volcano.sh/v1alpha1", "Job", {"tasks": [{"name": "w", "replicas": 2, "template": pod}]}),
        ),
        (
            outside,
            an(
                "sparkoperator.k8s.io/v1beta2",
                "SparkApplication",
                {"executor": {"gpu": {"name": resource, "quantity": count}}},
            ),
        ),
        ("spec.template (1 pod)", an("serving.knative.dev/v1", "Service", {"template": pod})),
        (outside, an("apps.nvidia.com/v1alpha1", "NIMService", {"resources": amounts(resource, count)})),
        (
            "spec.workers[0].template (5 pods)",
            an("e2e.example.com/v1", "Training", {"workers": [{"replicas": 5, "template": pod}]}),
        ),
    ]


def test_an_object_of_every_kind_whose_pods_would_be_denied_says_so(control_plane: ControlPlane, shared: str) -> None:
    every = of_every_kind()
    assert len(every) == len(DEFINITIONS)
    warnings = apply(control_plane, shared, *(manifest for _, manifest in every))
    for title, manifest in every:
        found = [warning for warning in warnings if warning.startswith(f"{title}: would be denied: ")]
        assert found, (manifest["kind"], warnings)
        assert BECAUSE in found[0]
    assert len(set(warnings)) == len({title for title, _ in every}) + len(("Spark's path", "Workflow's", "NIM's"))


def test_one_whose_pods_will_run_says_nothing(control_plane: ControlPlane, shared: str) -> None:
    every = [manifest for _, manifest in of_every_kind(count=1) if manifest["kind"] != "Job"]
    assert apply(control_plane, shared, *every) == []
    assert apply(control_plane, shared, *(manifest for _, manifest in of_every_kind("cpu", 1))) == []


def test_what_an_operator_or_a_queue_would_make_of_it_is_said(control_plane: ControlPlane, shared: str) -> None:
    by_kind = {manifest["kind"]: manifest for _, manifest in of_every_kind(SHARED, 1)}
    (ray,) = apply(control_plane, shared, by_kind["RayCluster"])
    assert ray.startswith(
        "spec.workerGroupSpecs[0].template: Ray would start with num-gpus 0, because it does not count"
    )
    (nim,) = apply(control_plane, shared, by_kind["NIMService"])
    assert nim.startswith(
        f"spec.resources: the NIM operator adds {GPU} alongside {SHARED}, and such pods would be denied"
    )
    several = {"predictor": {"model": {"resources": amounts(SHARED, 1)}, "workerSpec": template(GPU, 1)["spec"]}}
    (kserve,) = apply(control_plane, shared, an("serving.kserve.io/v1beta1", "InferenceService", several))
    assert kserve.startswith(f"spec.predictor.workerSpec: KServe would deny {SHARED}, because")
    (volcano,) = apply(control_plane, shared, *(one for _, one in of_every_kind(count=1) if one["kind"] == "Job"))
    assert volcano.startswith(f"spec.tasks[0].template: Volcano counts {GPU} as the template requests it")
    queued = {"metadata": {"name": "queued", "labels": {"kueue.x-k8s.io/queue-name": "team"}}}
    job_set = next(one for _, one in of_every_kind(count=1) if one["kind"] == "JobSet")
    (kueue,) = apply(control_plane, shared, {**job_set, **queued})
    assert kueue.startswith(f"spec.replicatedJobs[0].template.spec.template: Kueue counts {GPU}")


def asked(installation: Installation) -> float:
    (replica,) = installation.replicas
    return replica.metric("gpuwarden_request_duration_seconds_count", path="/advise")


def test_only_objects_with_gpus_are_sent_and_only_when_they_change(
    control_plane: ControlPlane, installation: Installation, shared: str
) -> None:
    before = asked(installation)
    apply(control_plane, shared, an("ray.io/v1", "RayCluster", ray_cluster("cpu", 1)))
    assert asked(installation) == before
    apply(control_plane, shared, an("ray.io/v1", "RayCluster", ray_cluster(GPU, 2)))
    assert asked(installation) == before + 1
    labelled = {"labels": {"team": "a"}, "finalizers": ["example.com/x"]}
    apply(control_plane, shared, an("ray.io/v1", "RayCluster", ray_cluster(GPU, 2), **labelled))
    path = f"/apis/ray.io/v1/namespaces/{shared}/rayclusters/train"
    released = control_plane.api.patch(path, json={"metadata": {"finalizers": None}}, headers=MERGE_PATCH)
    assert released.raise_for_status().json()["metadata"]["labels"] == {"team": "a"}
    owner = {"apiVersion": "ray.io/v1", "kind": "RayJob", "name": "x", "uid": "x", "controller": True}
    apply(
        control_plane, shared, an("ray.io/v1", "RayCluster", ray_cluster(GPU, 2), name="made", ownerReferences=[owner])
    )
    assert asked(installation) == before + 1


@pytest.mark.parametrize(("lists", "each", "command"), [(4, 250, 20), (1, 3000, 3)])
def test_of_the_largest_objects_too(
    control_plane: ControlPlane, shared: str, lists: int, each: int, command: int
) -> None:
    """The search costs less than matchConditions may; an object with a long list is sent without it (``_conditions.tpl``)."""
    one = {
        "name": "c",
        "image": "i",
        "command": ["x" * 40] * command,
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    }
    templates = [{"name": f"t{number}", "containerSet": {"containers": [one] * each}} for number in range(lists)]
    manifest = an(
        "argoproj.io/v1alpha1", "Workflow", {"templates": [*templates, {"name": "last", "script": container(GPU, 2)}]}
    )
    size = len(json.dumps(manifest))
    assert 600_000 < size < 1_500_000, "etcd takes 1.5 MB"
    done = control_plane.api.post(
        f"/apis/argoproj.io/v1alpha1/namespaces/{shared}/workflows", content=json.dumps(manifest), headers=JSON
    )
    tell(f"{size} bytes: {done.elapsed.total_seconds():.2f} s")
    assert done.raise_for_status().headers.get_list("Warning")


def test_while_nobody_advises_objects_are_made_all_the_same(
    control_plane: ControlPlane, installation: Installation, shared: str
) -> None:
    with installation.down("/advise"):
        assert apply(control_plane, shared, *(manifest for _, manifest in of_every_kind())) == []

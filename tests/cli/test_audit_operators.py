"""``gpuwarden audit`` of a cluster with operators' kinds: discovered, read, and one line with what was made from them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.builders import Json, a_pod, gpu
from tests.cli.commands import run

RAY = "ray.io/v1"
JOBSET = "jobset.x-k8s.io/v1alpha2"
TEMPLATE = {"spec": {"containers": [{"name": "w", "image": "i", "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}
PLAIN = {"spec": {"containers": [{"name": "h", "image": "i"}]}}


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    with WorkloadServer() as server:
        server.set_namespace("team-a", enforce="shared")
        server.set_namespace("team-b", enforce="shared")
        yield server


@pytest.fixture
def kubeconfig(cluster: WorkloadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return write_kubeconfig(tmp_path / "kubeconfig", cluster.url, token="s3cret")  # noqa: S106 - a test's own


def made(kind: str, name: str, spec: Json, owner: Json | None = None, **more: Any) -> Json:
    metadata: Json = {"name": name, "namespace": "team-a", "uid": f"uid-{name}"}
    if owner:
        reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
        metadata["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"], "controller": True}]
    return {"apiVersion": RAY, "kind": kind, "metadata": metadata, "spec": spec, **more}


def of(owner: Json, document: Json, api_version: str) -> Json:
    """A document of a built-in kind that an object has made."""
    return {
        **made(document["kind"], document["metadata"]["name"], document.get("spec", {}), owner),
        "apiVersion": api_version,
    }


def pod(name: str, owner: Json, *containers: Json) -> Json:
    document = of(owner, {"kind": "Pod", **a_pod(*containers), "metadata": {"name": name}}, "v1")
    return {**document, "status": {"phase": "Running"}}


def ray_spec(**more: Any) -> Json:
    return {
        "headGroupSpec": {"template": PLAIN},
        "workerGroupSpecs": [{"groupName": "w", "replicas": 2, "template": TEMPLATE}],
        **more,
    }


def report(kubeconfig: Path, *arguments: str) -> Any:
    return json.loads(run("audit", "-o", "json", "--kubeconfig", kubeconfig, *arguments).out)


def names(found: Any) -> list[str]:
    return [f"{line['namespace']}/{line['kind']}/{line['name']}" for line in found["objects"]]


def test_a_ray_job_its_cluster_its_pods_and_its_submitter_are_one_line(
    kubeconfig: Path, cluster: WorkloadServer
) -> None:
    job = made("RayJob", "train", {"rayClusterSpec": ray_spec()})
    ray = made("RayCluster", "train-x1", ray_spec(), job)
    submitter = of(job, {"kind": "Job", "metadata": {"name": "train"}, "spec": {"template": TEMPLATE}}, "batch/v1")
    cluster.serve(RAY, "rayjobs", job)
    cluster.serve(RAY, "rayclusters", ray)
    cluster.add(submitter, pod("w0", ray, gpu(1)), pod("w1", ray, gpu(1)), pod("s0", submitter, gpu(1)))
    found = report(kubeconfig)
    assert names(found) == ["team-a/RayJob/train"]
    (line,) = found["objects"]
    assert (line["decision"], line["evaluated"], line["pods"]["rewritten"]) == ("rewritten", "template", 3)
    assert any("rayClusterSpec.workerGroupSpecs[0].template (2 pods): " in one for one in line["becomes"])
    assert found["totals"]["seen"]["rayjobs.ray.io"] == 1
    assert found["kinds"] == []


def test_pods_are_of_their_cluster_where_nothing_above_it_is_there(kubeconfig: Path, cluster: WorkloadServer) -> None:
    ray = made("RayCluster", "alone", ray_spec())
    cluster.serve(RAY, "rayclusters", ray)
    cluster.add(pod("w0", ray, gpu(1)))
    assert names(report(kubeconfig)) == ["team-a/RayCluster/alone"]


def test_a_deployment_is_its_operators_object_s_only_where_that_was_read(
    kubeconfig: Path, cluster: WorkloadServer
) -> None:
    service = {
        **made("InferenceService", "llm", {"predictor": {"model": {"resources": {"limits": {"nvidia.com/gpu": 1}}}}}),
        "apiVersion": "serving.kserve.io/v1beta1",
    }
    deployment = of(
        service,
        {"kind": "Deployment", "metadata": {"name": "llm-predictor"}, "spec": {"template": TEMPLATE}},
        "apps/v1",
    )
    cluster.add(deployment)
    assert names(report(kubeconfig)) == ["team-a/Deployment/llm-predictor"]
    cluster.serve("serving.kserve.io/v1beta1", "inferenceservices", service)
    found = report(kubeconfig)
    assert names(found) == ["team-a/InferenceService/llm"]
    assert found["objects"][0]["decision"] == "rewritten", "the Deployment says what could not be evaluated"


def test_what_can_not_be_evaluated_yet_is_a_workload_that_is_not_evaluated(
    kubeconfig: Path, cluster: WorkloadServer
) -> None:
    nim = made("NIMService", "llm", {"resources": {"limits": {"nvidia.com/gpu": 1}}})
    cluster.serve("apps.nvidia.com/v1alpha1", "nimservices", {**nim, "apiVersion": "apps.nvidia.com/v1alpha1"})
    found = report(kubeconfig)
    assert names(found) == ["team-a/NIMService/llm"]
    assert found["objects"][0]["decision"] == "not-evaluated"
    assert "requests nvidia.com/gpu at spec.resources.limits" in found["objects"][0]["notEvaluated"]
    assert run("audit", "--strict", "--kubeconfig", kubeconfig).code == 1


def test_executors_are_of_the_application_of_their_driver(kubeconfig: Path, cluster: WorkloadServer) -> None:
    application = {**made("SparkApplication", "etl", {}), "apiVersion": "sparkoperator.k8s.io/v1beta2"}
    driver = pod("etl-driver", application, {"name": "driver"})
    cluster.serve("sparkoperator.k8s.io/v1beta2", "sparkapplications", application)
    cluster.add(driver, pod("etl-exec-1", driver, gpu(1)))
    assert names(report(kubeconfig)) == ["team-a/SparkApplication/etl"]


def test_a_kind_that_may_not_be_listed_is_said_and_ends_nothing(kubeconfig: Path, cluster: WorkloadServer) -> None:
    forbidden = cluster.serve(RAY, "rayclusters", made("RayCluster", "hidden", ray_spec()))
    gone = cluster.serve(RAY, "rayservices")
    cluster.serve(RAY, "rayjobs", made("RayJob", "train", {"rayClusterSpec": ray_spec()}))
    cluster.refused = {forbidden: 403, gone: 404}
    ran = run("audit", "-o", "json", "--kubeconfig", kubeconfig)
    found = json.loads(ran.out)
    assert names(found) == ["team-a/RayJob/train"]
    assert [(kind["kind"], kind["name"]) for kind in found["kinds"]] == [("RayCluster", "*"), ("RayService", "*")]
    told = found["kinds"][0]["notEvaluated"]
    assert told.startswith("RayCluster.ray.io: its objects were not checked, and their number is unknown (")
    assert "; grant {apiGroups: [ray.io], resources: [rayclusters], verbs: [list]} (in the chart, " in told
    assert ran.code == 0
    assert run("audit", "--strict", "--kubeconfig", kubeconfig).code == 1


def test_where_discovery_is_denied_that_is_said(kubeconfig: Path, cluster: WorkloadServer) -> None:
    cluster.refused["/apis"] = 403
    (line,) = report(kubeconfig)["kinds"]
    assert line["notEvaluated"].startswith("custom resources: it is not known which of them may lead to pods")


ANY_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def custom(name: str, spec: Any, namespace: str | None = "team-a") -> Any:
    metadata = {"name": name, "uid": f"uid-{name}"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "ray.io/v1", "kind": "RayTask", "metadata": metadata, "spec": spec}


def test_objects_of_kinds_in_no_row_are_found_by_their_shape(kubeconfig: Path, cluster: WorkloadServer) -> None:
    evaluated = custom("evaluated", {"workers": {"a": {"template": TEMPLATE}}})
    cluster.define(
        "RayTask",
        "raytasks",
        evaluated,
        custom("counted", {"gpuCount": 2}),
        custom("plain", {"size": "large"}),
        schema=ANY_SCHEMA,
    )
    cluster.add(pod("evaluated-0", evaluated, gpu(1)))
    found = report(kubeconfig)
    lines = {line["name"]: line for line in found["objects"]}
    assert lines.keys() == {"evaluated", "counted"}
    assert lines["evaluated"]["evaluated"] == "template"
    assert sum(lines["evaluated"]["pods"][one] for one in ("rewritten", "denied", "unchanged")) == 1
    assert (lines["counted"]["decision"], "spec.gpuCount" in lines["counted"]["notEvaluated"]) == (
        "not-evaluated",
        True,
    )
    assert (found["kinds"], found["totals"]["seen"]["raytasks.ray.io"]) == ([], 3)
    assert "only the pods of" not in found["scope"]


def test_objects_in_no_namespace_are_evaluated_by_no_policy(kubeconfig: Path, cluster: WorkloadServer) -> None:
    cluster.define(
        "RayTask",
        "raytasks",
        custom("evaluated", {"template": TEMPLATE}, None),
        custom("plain", {}, None),
        schema=ANY_SCHEMA,
        scope="Cluster",
    )
    found = report(kubeconfig)
    (line,) = found["others"]
    assert (line["name"], line["namespace"], line["decision"]) == ("evaluated", "", "not-evaluated")
    assert "it is in no namespace, so no policy is known to apply" in line["notEvaluated"]
    assert found["objects"] == []
    assert "RayTask evaluated: not evaluated: " in " ".join(run("audit", "--kubeconfig", kubeconfig).out.split())


def test_lists_are_read_in_pages_and_in_the_version_that_is_served(kubeconfig: Path, cluster: WorkloadServer) -> None:
    many = [made("RayCluster", f"c{number:04}", ray_spec()) for number in range(1100)]
    cluster.serve("ray.io/v1alpha1", "rayclusters", *({**one, "apiVersion": "ray.io/v1alpha1"} for one in many))
    assert len(names(report(kubeconfig))) == len(many)
    assert report(kubeconfig, "-n", "team-b")["objects"] == []


def test_what_is_suspended_is_counted_apart(kubeconfig: Path, cluster: WorkloadServer) -> None:
    cluster.serve(RAY, "rayjobs", made("RayJob", "later", {"suspend": True, "rayClusterSpec": ray_spec()}))
    job = of(made("", "", {}), {"kind": "Job", "metadata": {"name": "now"}, "spec": {"template": TEMPLATE}}, "batch/v1")
    del job["metadata"]["ownerReferences"]
    waiting = {**job, "metadata": {**job["metadata"], "name": "waiting"}, "spec": {**job["spec"], "suspend": True}}
    cluster.add(job, waiting)
    found = report(kubeconfig)
    assert {line["name"] for line in found["objects"] if line["suspended"]} == {"later", "waiting"}
    assert found["totals"]["suspended"] == 2
    assert "; 2 of them suspended" in " ".join(run("audit", "--kubeconfig", kubeconfig).out.split())


def test_what_has_ended_is_left_out(kubeconfig: Path, cluster: WorkloadServer) -> None:
    done = made("RayJob", "done", {"rayClusterSpec": ray_spec()}, status={"jobStatus": "SUCCEEDED"})
    failed = made("RayJob", "failed", {"rayClusterSpec": ray_spec()}, status={"jobStatus": "FAILED"})
    cluster.serve(
        RAY,
        "rayjobs",
        done,
        failed,
        made("RayJob", "on", {"rayClusterSpec": ray_spec()}, status={"jobStatus": "RUNNING"}),
    )
    assert names(report(kubeconfig)) == ["team-a/RayJob/on"]


def test_queues_that_count_templates_are_named(kubeconfig: Path, cluster: WorkloadServer) -> None:
    labels = {"kueue.x-k8s.io/queue-name": "gpus"}
    jobset = {
        **made("JobSet", "set", {"replicatedJobs": [{"name": "a", "template": {"spec": {"template": TEMPLATE}}}]})
    }
    jobset = {**jobset, "apiVersion": JOBSET, "metadata": {**jobset["metadata"], "labels": labels}}
    job = of(jobset, {"kind": "Job", "metadata": {"name": "queued"}, "spec": {"template": TEMPLATE}}, "batch/v1")
    del job["metadata"]["ownerReferences"]
    free = {**job, "metadata": {**job["metadata"], "name": "free"}}
    job["metadata"]["labels"] = labels
    cluster.serve(JOBSET, "jobsets", jobset)
    volcano = {
        **made("Job", "v", {"tasks": [{"name": "t", "template": TEMPLATE}]}),
        "apiVersion": "batch.volcano.sh/v1alpha1",
    }
    cluster.serve("batch.volcano.sh/v1alpha1", "jobs", volcano)
    cluster.add(job, free)
    found = report(kubeconfig)
    said = {
        line["name"]: " ".join(one["message"] for one in line["findings"] if one["rule"] == "operator-trap")
        for line in found["objects"]
    }
    assert found["totals"]["rules"]["operator-trap"] == 3
    for output in ("table", "junit", "sarif", "csv", "html"):
        text = " ".join(run("audit", "-o", output, "--kubeconfig", kubeconfig).out.split())
        assert "operator-trap" in text, output
    kueue = "Kueue counts nvidia.com/gpu as the template requests it"
    assert {name for name, text in said.items() if kueue in text} == {"set", "queued"}
    assert "Volcano counts nvidia.com/gpu as the template requests it" in said["v"]
    assert "queue" not in said["free"]


def test_kinds_of_the_configuration_are_read_too(kubeconfig: Path, cluster: WorkloadServer, tmp_path: Path) -> None:
    training = {
        **made("Training", "mine", {"workers": [{"replicas": 3, "template": TEMPLATE}]}),
        "apiVersion": "example.com/v1",
    }
    cluster.serve("example.com/v1", "trainings", training)
    assert names(report(kubeconfig)) == []
    configuration = tmp_path / "config.yaml"
    configuration.write_text(
        "apiVersion: gpuwarden.io/v1\nkind: Configuration\nworkloadKinds:\n"
        "- {group: example.com, versions: [v1], kind: Training, plural: trainings, "
        "templates: [{path: 'spec.workers[*].template.spec', replicas: ['spec.workers[*].replicas']}]}\n"
    )
    found = report(kubeconfig, "--config", str(configuration))
    assert [(line["kind"], line["decision"]) for line in found["objects"]] == [("Training", "rewritten")]

"""How many pods an object will have: its counts, its leader, and what scales it."""

from typing import Any

import pytest

from webhook.application.kind_lookup import workload_of
from webhook.application.pod_counts import Autoscaler, PlannedPods, autoscalers, pod_count
from webhook.application.workload_kinds import WorkloadPod, places

TEMPLATE: dict[str, Any] = {"spec": {"containers": []}}


def counted(
    api_version: str, kind: str, spec: dict[str, Any], autoscaler: Autoscaler | None = None
) -> list[PlannedPods]:
    workload = workload_of(api_version, kind)
    assert workload is not None
    manifest = {"spec": spec}
    return [pod_count(workload, manifest, where, autoscaler) for where, _ in places(workload, manifest)]


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "numbers"),
    [
        ("apps/v1", "Deployment", {"template": TEMPLATE}, [1]),
        ("apps/v1", "Deployment", {"replicas": None, "template": TEMPLATE}, [1]),
        ("apps/v1", "Deployment", {"replicas": 0, "template": TEMPLATE}, [0]),
        ("apps/v1", "StatefulSet", {"replicas": 5, "template": TEMPLATE}, [5]),
        ("batch/v1", "Job", {"parallelism": 8, "template": TEMPLATE}, [8]),
        ("batch/v1", "CronJob", {"jobTemplate": {"spec": {"parallelism": 2, "template": TEMPLATE}}}, [2]),
        (
            "kubeflow.org/v1",
            "PyTorchJob",
            {
                "pytorchReplicaSpecs": {
                    "Master": {"template": TEMPLATE},
                    "Worker": {"replicas": 3, "template": TEMPLATE},
                }
            },
            [1, 3],
        ),
    ],
)
def test_is_the_product_of_the_counts(api_version: str, kind: str, spec: dict[str, Any], numbers: list[int]) -> None:
    assert counted(api_version, kind, spec) == [PlannedPods(number) for number in numbers]


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        ({"size": 4, "leaderTemplate": TEMPLATE}, [2, 6]),  # a leader and three workers, twice
        ({"size": 4}, [8]),  # without a template of its own, the leader is made from the workers'
        ({"leaderTemplate": TEMPLATE}, [2, 0]),  # the size is 1: the leader alone
    ],
)
def test_the_leader_of_a_group_is_one_of_its_size(fields: dict[str, Any], numbers: list[int]) -> None:
    group = {"replicas": 2, "leaderWorkerTemplate": {"workerTemplate": TEMPLATE, **fields}}
    expected = [PlannedPods(number) for number in numbers]
    assert counted("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", group) == expected
    role = {"roles": [{"spec": group}]}
    assert counted("disaggregatedset.x-k8s.io/v1", "DisaggregatedSet", role) == expected


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "why"),
    [
        (
            "apps/v1",
            "Deployment",
            {"replicas": "{{ .Values.n }}", "template": TEMPLATE},
            "spec.replicas is not a number",
        ),
        ("apps/v1", "Deployment", {"replicas": True, "template": TEMPLATE}, "spec.replicas is not a number"),
        ("apps/v1", "DaemonSet", {"template": TEMPLATE}, "there is one on each node that it selects"),
        ("apps.kruise.io/v1beta1", "DaemonSet", {"template": TEMPLATE}, "there is one on each node that it selects"),
    ],
)
def test_that_is_not_known_is_one_and_said(api_version: str, kind: str, spec: dict[str, Any], why: str) -> None:
    assert counted(api_version, kind, spec) == [PlannedPods(1, why)]


def test_of_a_template_that_others_use_is_not_known() -> None:
    workload = workload_of("v1", "PodTemplate")
    assert pod_count(workload, {}, WorkloadPod(("template",))) == PlannedPods(1, "it depends on what uses it")
    assert pod_count(None, {}, WorkloadPod(())).unknown == "no count is known for what is found by its shape"


def scaler(kind: str, group: str, target: dict[str, str], namespace: str | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "s"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": {"scaleTargetRef": target, **spec}}


HPA = "HorizontalPodAutoscaler", "autoscaling/v2"


def test_of_what_is_scaled_is_the_least() -> None:
    spec = {"replicas": 9, "template": TEMPLATE}
    found = counted("apps/v1", "Deployment", spec, Autoscaler("HorizontalPodAutoscaler s", 2))
    assert found == [PlannedPods(2, "HorizontalPodAutoscaler s scales it, from 2")]


@pytest.mark.parametrize(
    ("manifest", "key", "least"),
    [
        (scaler(*HPA, {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}), ("here", "Deployment", "a"), 1),
        (
            scaler(*HPA, {"kind": "StatefulSet", "name": "a", "apiVersion": "apps/v1"}, "there", minReplicas=3),
            ("there", "StatefulSet", "a"),
            3,
        ),
        (scaler("ScaledObject", "keda.sh/v1alpha1", {"name": "a"}), ("here", "Deployment", "a"), 0),
        (
            scaler("ScaledObject", "keda.sh/v1alpha1", {"name": "a"}, minReplicaCount=2, maxReplicaCount=4),
            ("here", "Deployment", "a"),
            2,
        ),
    ],
)
def test_autoscalers_are_found_by_what_they_scale(
    manifest: dict[str, Any], key: tuple[str, str, str], least: int
) -> None:
    (found,) = autoscalers([{"kind": "Service"}, manifest], "here").items()
    assert found == (key, Autoscaler(f"{manifest['kind']} s", least))

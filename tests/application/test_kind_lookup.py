"""Which kinds hold a pod, and where."""

from typing import Any

import pytest

from webhook.application.kind_lookup import not_served, workload_of
from webhook.application.workload_kinds import places

PLACES = {
    ("v1", "Pod"): "",
    ("v1", "PodTemplate"): "/template",
    ("v1", "ReplicationController"): "/spec/template",
    ("apps/v1", "Deployment"): "/spec/template",
    ("extensions/v1beta1", "Deployment"): "/spec/template",
    ("apps/v1", "ReplicaSet"): "/spec/template",
    ("apps/v1", "DaemonSet"): "/spec/template",
    ("apps/v1", "StatefulSet"): "/spec/template",
    ("batch/v1", "Job"): "/spec/template",
    ("batch/v1", "CronJob"): "/spec/jobTemplate/spec/template",
    ("batch/v1beta1", "CronJob"): "/spec/jobTemplate/spec/template",
}


@pytest.mark.parametrize(("api_version", "kind"), PLACES)
def test_a_workload_holds_its_pod_at_its_place(api_version: str, kind: str) -> None:
    workload = workload_of(api_version, kind)
    assert workload is not None
    manifest: Any = {"spec": {}}
    for step in reversed(PLACES[api_version, kind].split("/")[1:]):
        manifest = {step: manifest}
    ((where, pod),) = places(workload, manifest)
    assert (where.pointer, pod) == (PLACES[api_version, kind], {"spec": {}})


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "Service"),
        ("v1", "Deployment"),
        ("apps/v1", "Pod"),
        ("example.com/v1", "Job"),
        ("serving.knative.dev/v1", "Deployment"),
        (1, "Pod"),
        ("v1", ["Pod"]),
        ("v1", None),
    ],
)
def test_what_only_has_the_name_of_a_workload_is_none(api_version: object, kind: object) -> None:
    assert workload_of(api_version, kind) is None


def test_a_manifest_without_an_api_version_goes_by_its_kind() -> None:
    workload = workload_of(None, "Deployment")
    assert workload is not None
    ((where, _),) = places(workload, {"spec": {"template": {}}})
    assert where.field("spec.containers[0]") == "spec.template.spec.containers[0]"


@pytest.mark.parametrize("manifest", [{}, {"spec": None}, {"spec": []}, {"spec": {"jobTemplate": "x"}}])
def test_a_workload_without_its_pod_has_none(manifest: dict[str, Any]) -> None:
    workload = workload_of("batch/v1", "CronJob")
    assert workload is not None
    assert not list(places(workload, manifest))


@pytest.mark.parametrize(
    ("api_version", "kind", "right"),
    [
        ("v1", "Pod", None),
        ("apps/v1", "Deployment", None),
        (None, "Pod", None),
        ("v2", "Pod", "v1"),
        ("apps/v1beta1", "Deployment", "apps/v1"),
        ("extensions/v1beta1", "Deployment", "apps/v1"),
        ("batch/v1beta1", "CronJob", "batch/v1"),
    ],
)
def test_an_api_version_that_kubernetes_does_not_serve_is_named(api_version: str, kind: str, right: str | None) -> None:
    workload = workload_of(api_version, kind)
    assert workload is not None
    told = [f"note: Kubernetes does not serve {kind} as {api_version}; write apiVersion: {right}"] if right else []
    assert [*not_served(workload, api_version)] == told

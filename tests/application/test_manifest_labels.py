"""The annotation for GPU memory in places where it is not read."""

from typing import Any

import pytest

from webhook.application.configuration import Configuration
from webhook.application.manifest_labels import label_problems

MEMORY = {"gpuwarden.io/gpu-memory": "12Gi"}
SPEC = {"containers": [{"name": "c", "image": "i"}]}


def an_object(kind: str, metadata: dict[str, Any], of_pods: dict[str, Any]) -> dict[str, Any]:
    versions = {"Deployment": "apps/v1", "RayCluster": "ray.io/v1"}
    template = {"metadata": of_pods, "spec": SPEC}
    spec = {
        "Deployment": {"template": template},
        "Pod": SPEC,
        "RayCluster": {"headGroupSpec": {"template": template}},
    }
    return {
        "apiVersion": versions.get(kind, "v1"),
        "kind": kind,
        "metadata": metadata,
        "spec": spec.get(kind, {}),
    }


@pytest.mark.parametrize(
    ("kind", "metadata", "of_pods", "path"),
    [
        ("Deployment", {"annotations": MEMORY}, {}, "metadata.annotations"),
        ("Deployment", {"labels": MEMORY}, {}, "metadata.labels"),
        ("Deployment", {}, {"labels": MEMORY}, "spec.template.metadata.labels"),
        ("Namespace", {"annotations": MEMORY}, {}, "metadata.annotations"),
        ("Pod", {"labels": MEMORY}, {}, "metadata.labels"),
        ("RayCluster", {}, {"labels": MEMORY}, "spec.headGroupSpec.template.metadata.labels"),
    ],
)
def test_memory_that_is_not_an_annotation_of_pods_has_no_effect(
    kind: str, metadata: dict[str, Any], of_pods: dict[str, Any], path: str
) -> None:
    (problem,) = label_problems(an_object(kind, metadata, of_pods), Configuration())
    assert (problem.path, problem.value, problem.ignored) == (f"{path}[gpuwarden.io/gpu-memory]", "12Gi", True)
    assert problem.message == "it has no effect here; set it in metadata.annotations of the pod, or of the pod template"


@pytest.mark.parametrize(
    ("kind", "metadata", "of_pods"),
    [
        ("Deployment", {}, {"annotations": MEMORY}),
        ("Pod", {"annotations": MEMORY}, {}),
        # Operators may copy annotations of their objects to pods.
        ("RayCluster", {"annotations": MEMORY}, {}),
    ],
)
def test_where_pods_may_have_it_nothing_is_said(kind: str, metadata: dict[str, Any], of_pods: dict[str, Any]) -> None:
    assert list(label_problems(an_object(kind, metadata, of_pods), Configuration())) == []

"""Objects of kinds that are not evaluated: their names, and what is said of them."""

from base64 import b64encode
from typing import Any

import pytest

from webhook.application.kind_lookup import identity, qualified
from webhook.application.unevaluated import unevaluated
from webhook.engine.other_gpus import GpuNames

TEMPLATE = {
    "template": {"spec": {"containers": [{"name": "a", "image": "b", "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}
}


def an_object(api_version: Any, kind: str, spec: Any = None) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "spec": TEMPLATE if spec is None else spec}


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("kyverno.io/v1", "ClusterPolicy"),
        ("templates.gatekeeper.sh/v1", "ConstraintTemplate"),
        ("policies.kubewarden.io/v1", "ClusterAdmissionPolicy"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("v1", "ConfigMap"),
    ],
)
def test_what_only_quotes_a_pod_makes_none(api_version: str, kind: str) -> None:
    assert not unevaluated(an_object(api_version, kind)).traces


POD = "kind: Pod\nspec:\n  containers:\n  - name: a\n    resources:\n      limits:\n        nvidia.com/gpu: 1\n"


@pytest.mark.parametrize(("kind", "part"), [("ConfigMap", "data"), ("Secret", "stringData")])
def test_a_manifest_in_text_is_not_evaluated(kind: str, part: str) -> None:
    found = unevaluated({"apiVersion": "v1", "kind": kind, part: {"pod.yaml": POD, "n": 3}})
    assert found.message.startswith(f"{kind}: requests nvidia.com/gpu at {part}[pod.yaml]; ")


@pytest.mark.parametrize(("kind", "part"), [("Secret", "data"), ("ConfigMap", "binaryData")])
def test_a_manifest_in_base64_is_not_evaluated_and_other_bytes_are_nothing(kind: str, part: str) -> None:
    others = {"n": 3, "bytes": "/////w==", "wrong": "é", "short": "a"}
    encoded = b64encode(POD.encode()).decode()
    found = unevaluated({"apiVersion": "v1", "kind": kind, part: {**others, "pod.yaml": encoded}})
    assert found.message.startswith(f"{kind}: requests nvidia.com/gpu at {part}[pod.yaml]; ")
    assert not unevaluated({"apiVersion": "v1", "kind": kind, part: others}).traces


@pytest.mark.parametrize(
    ("api_version", "kind", "command"),
    [
        ("kustomize.config.k8s.io/v1beta1", "Kustomization", "kubectl kustomize"),
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease", "helm template"),
    ],
)
def test_what_is_rendered_is_to_be_checked_rendered(api_version: str, kind: str, command: str) -> None:
    found = unevaluated(an_object(api_version, kind, {"values": {"limits": {"nvidia.com/gpu": 1}}}))
    assert found.message.endswith(
        f"; gpuwarden reads what is rendered from it; render it ({command}), and check the output"
    )


@pytest.mark.parametrize(
    "data",
    [
        {"gpuCount": "4"},
        {"resource": "nvidia.com/gpu"},
        {"config.yaml": "sharing:\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n      replicas: 4\n"},
        None,
        "text",
    ],
)
def test_a_config_map_without_a_manifest_requests_nothing(data: Any) -> None:
    assert not unevaluated({"apiVersion": "v1", "kind": "ConfigMap", "data": data}).traces


@pytest.mark.parametrize(
    ("api_version", "kind", "name"),
    [
        ("ray.io/v1", "RayCluster", "RayCluster.ray.io"),
        ("batch.volcano.sh/v1alpha1", "Job", "Job.batch.volcano.sh"),
        ("serving.knative.dev/v1", "Service", "Service.serving.knative.dev"),
        ("apps.kruise.io/v1beta1", "StatefulSet", "StatefulSet.apps.kruise.io"),
        ("v1", "Widget", "Widget"),
        (None, "Widget", "Widget"),
        (3, "Widget", "Widget"),
    ],
)
def test_a_kind_is_named_with_its_group(api_version: Any, kind: str, name: str) -> None:
    found = unevaluated(an_object(api_version, kind))
    assert found.traces
    assert found.message == (
        f"{name}: requests nvidia.com/gpu at spec.template.spec.containers[0].resources.limits; gpuwarden checks the pods that "
        "are created from it, not objects of this kind; check its pods, or run gpuwarden audit in their cluster"
    )


@pytest.mark.parametrize(
    ("api_version", "kind", "message"),
    [
        ("v1", "Deployment", "apiVersion: v1 has no kind: Deployment; write apiVersion: apps/v1"),
        ("apps", "Deployment", "apiVersion: apps has no kind: Deployment; write apiVersion: apps/v1"),
        ("apps/v1", "Pod", "apiVersion: apps/v1 has no kind: Pod; write apiVersion: v1"),
        ("batch.k8s.io/v1", "Job", "apiVersion: batch.k8s.io/v1 has no kind: Job; write apiVersion: batch/v1"),
        ("apps/v1", "Namespace", "apiVersion: apps/v1 has no kind: Namespace; write apiVersion: v1"),
        *(
            (
                api_version,
                kind,
                (
                    f"kind: {kind} of apiVersion: {api_version} is not a kind of Kubernetes; did you mean kind: {right} "
                    f"of apiVersion: {version}?"
                ),
            )
            for api_version, kind, right, version in (
                ("v1", "pod", "Pod", "v1"),
                ("v1", "Pods", "Pod", "v1"),
                ("apps/v1", "Deploymnet", "Deployment", "apps/v1"),
                ("batch/v1", "Cronjob", "CronJob", "batch/v1"),
                ("v1", "namespace", "Namespace", "v1"),
            )
        ),
    ],
)
def test_a_wrong_kind_or_version_is_named_with_the_right_one(api_version: str, kind: str, message: str) -> None:
    found = unevaluated(an_object(api_version, kind))
    assert (bool(found), found.message) == (True, message)


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "Service"),
        ("v1", "Node"),
        ("v1", "Namespace"),
        ("policy/v1", "PodDisruptionBudget"),
        ("apps/v1", "ControllerRevision"),
        ("batch.volcano.sh/v1alpha1", "Job"),
        ("jobset.x-k8s.io/v1alpha2", "JobSet"),
        ("extensions/v1beta1", "Deployment"),
        (None, "Pod"),
    ],
)
def test_no_kind_of_another_name_or_api_is_corrected(api_version: Any, kind: str) -> None:
    assert unevaluated({"apiVersion": api_version, "kind": kind}).correction is None


def test_the_message_names_the_first_places_and_counts_the_others() -> None:
    containers = [{"resources": {"limits": {f"nvidia.com/mig-{n}g.5gb": 1}}} for n in (1, 2, 3)]
    message = unevaluated(an_object("ray.io/v1", "RayJob", {"containers": containers})).message
    assert "requests nvidia.com/mig-1g.5gb, nvidia.com/mig-2g.5gb and nvidia.com/mig-3g.5gb at " in message
    assert "spec.containers[0].resources.limits, spec.containers[1].resources.limits and 1 more place;" in message
    four = unevaluated(an_object("ray.io/v1", "RayJob", {"containers": [*containers, containers[0]]})).message
    assert "and 2 more places;" in four


def test_containers_without_a_request_are_told_as_such() -> None:
    message = unevaluated(an_object("argoproj.io/v1alpha1", "Rollout", {"containers": [{"image": "b"}]})).message
    assert message.startswith(
        "Rollout.argoproj.io: has containers at spec.containers, and no GPU request was found in it;"
    )


CLAIMS = [{"name": "gpu", "resourceClaimTemplateName": "one"}]


@pytest.mark.parametrize(
    ("spec", "fact"),
    [
        ({"containers": [{"image": "b"}]}, "has containers at spec.containers, and has resource claims (DRA)"),
        (
            {"containers": [{"image": "b", "resources": {"limits": {"nvidia.com/gpu": 1}}}]},
            "requests nvidia.com/gpu at spec.containers[0].resources.limits, and has resource claims (DRA)",
        ),
        ({}, "has resource claims (DRA)"),
    ],
)
def test_resource_claims_are_told_beside_what_else_was_found(spec: dict[str, Any], fact: str) -> None:
    message = unevaluated(an_object("kubeflow.org/v2beta1", "MPIJob", {**spec, "resourceClaims": CLAIMS})).message
    assert message.startswith(
        f"MPIJob.kubeflow.org: {fact} at spec.resourceClaims, which were not checked and may be for GPUs; "
        "gpuwarden checks the pods"
    )


@pytest.mark.parametrize("version", ["v1", "v1beta2", "v1beta1", "v1alpha3"])
def test_a_resource_claim_is_evaluated_with_the_pods_that_use_it(version: str) -> None:
    spec = {"devices": {"requests": [{"name": "gpu"}]}}
    assert not unevaluated(an_object(f"resource.k8s.io/{version}", "ResourceClaim", spec)).traces
    assert not unevaluated(an_object(f"resource.k8s.io/{version}", "ResourceClaimTemplate", {"spec": spec})).traces


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ResourceClaim", {"resourceClassName": "gpu.nvidia.com"}),
        ("ResourceClaim", {"devices": 5}),
        ("ResourceClaimTemplate", None),
        ("ResourceClaimTemplate", {}),
        ("ResourceClaimTemplate", {"spec": {"resourceClassName": "gpu.nvidia.com"}}),
        ("ResourceClaimTemplate", {"spec": {"devices": 5}}),
    ],
)
def test_a_resource_claim_that_cannot_be_read_is_not_evaluated(kind: str, spec: Any) -> None:
    found = unevaluated(an_object("resource.k8s.io/v1alpha2", kind, spec))
    assert found.traces
    assert found.message.startswith(f"{kind}.resource.k8s.io: can't be read, and a claim (DRA) may be for GPUs; ")


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("resource.k8s.io/v1", "DeviceClass"),
        ("resource.k8s.io/v1", "ResourceSlice"),
        ("example.com/v1", "ResourceClaim"),
    ],
)
def test_other_kinds_of_dra_claim_nothing(api_version: str, kind: str) -> None:
    assert not unevaluated(an_object(api_version, kind, {"devices": {"requests": [{"name": "gpu"}]}})).traces


@pytest.mark.parametrize("kind", ["DeviceClass", "ResourceSlice"])
def test_what_offers_devices_is_not_one_of_kubernetes_kinds_without_gpus(kind: str) -> None:
    assert not unevaluated(an_object("resource.k8s.io/v1", kind, {"selectors": []})).built_in


@pytest.mark.parametrize("name", ["nvidia.com/gpu", "nvidia.com/vgpu", None, 3, ""])
def test_a_device_class_whose_name_is_evaluated_or_that_has_none_is_not_reported(name: Any) -> None:
    assert not unevaluated(an_object("resource.k8s.io/v1", "DeviceClass", {"extendedResourceName": name})).traces


def test_a_device_class_by_another_name_is_reported_until_the_configuration_has_it() -> None:
    device_class = an_object("resource.k8s.io/v1", "DeviceClass", {"extendedResourceName": "example.com/gpu"})
    found = unevaluated(device_class)
    assert found.traces
    assert found.message.startswith(
        "DeviceClass.resource.k8s.io: pods that request example.com/gpu get its devices by spec.extendedResourceName, and"
    )
    assert not unevaluated(device_class, GpuNames(gpus=("example.com/gpu",))).traces
    assert not unevaluated(device_class, GpuNames(not_gpus=("example.com/gpu",))).traces
    assert not unevaluated(device_class, GpuNames(published=(("example.com/gpu", ("one",)),))).traces
    assert not unevaluated({**device_class, "spec": None}).traces
    assert not unevaluated({**device_class, "metadata": {"name": "dra.cpu"}}).traces


def test_a_revision_of_a_workload_holds_its_template() -> None:
    revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": {"spec": TEMPLATE}}
    assert "at data.spec.template.spec.containers[0].resources.limits;" in unevaluated(revision).message


def test_where_nothing_was_found_nothing_more_is_said() -> None:
    found = unevaluated(an_object("kubeai.org/v1", "Model", {"resourceProfile": "nvidia-gpu-l4:1"}))
    assert (bool(found.traces), found.built_in) == (False, False)
    assert found.message == "Model.kubeai.org: neither a pod template nor a GPU request was found in it"


def test_an_object_that_is_too_large_to_search_is_not_taken_for_one_without_pods() -> None:
    found = unevaluated(an_object("x.example/v1", "Huge", [None] * 200_001))
    assert found.traces
    assert "is too large to be searched for pods;" in found.message


@pytest.mark.parametrize(
    ("api_version", "is_built_in"),
    [
        ("v1", True),
        ("apps/v1", True),
        ("rbac.authorization.k8s.io/v1", True),
        ("jobset.x-k8s.io/v1alpha2", False),
        ("ray.io/v1", False),
    ],
)
def test_kinds_of_kubernetes_own_are_known_by_their_group(api_version: str, *, is_built_in: bool) -> None:
    assert unevaluated(an_object(api_version, "Widget", {})).built_in is is_built_in


def test_kinds_of_one_name_are_told_apart_whatever_their_version() -> None:
    assert identity("batch/v1", "Job") == identity("batch/v1beta1", "Job") == "Job"
    assert identity("batch.volcano.sh/v1alpha1", "Job") == "Job.batch.volcano.sh"
    assert qualified("apps/v1", "Deployment") == "Deployment.apps"

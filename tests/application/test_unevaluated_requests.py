"""What no rule evaluates in an object of an evaluated kind: it is said, with where it is, and nothing else is."""

from typing import Any

import pytest

from webhook.application.checking import Checker
from webhook.application.configuration import Configuration
from webhook.application.evaluation import Evaluation
from webhook.engine.other_gpus import GpuNames

Json = dict[str, Any]
GPU = {"nvidia.com/gpu": 1}
LIMITS = {"resources": {"limits": GPU}}


def evaluate(manifest: Json, configuration: Configuration | None = None) -> Evaluation:
    return Checker(configuration or Configuration(), {}).evaluate(manifest)


def a_container(**fields: Any) -> Json:
    return {"name": "c", "image": "i", **fields}


def a_pod(*containers: Json, metadata: Json | None = None, **spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", **(metadata or {})},
        "spec": {"containers": [*containers], **spec},
    }


def a_deployment(spec: Any, **root: Any) -> Json:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec, **root}


def a_template(*containers: Json, **spec: Any) -> Json:
    return {"template": {"spec": {"containers": [*containers], **spec}}}


@pytest.mark.parametrize(
    "manifest",
    [
        a_pod(a_container()),
        a_pod(a_container(**LIMITS)),
        a_pod(a_container(), initContainers=[a_container(**LIMITS)]),
        a_pod(a_container(resources={"limits": {"amd.com/gpu": 0}, "requests": {"amd.com/gpu": "0"}})),
        a_pod(a_container(resources={"limits": {"cpu": 1, "nvidia.com/hostdev": 1}})),
        a_pod(a_container(), metadata={"labels": {"gpu": "2"}, "annotations": {"nvidia.com/gpu.count": "8"}}),
        a_pod(a_container(), nodeSelector={"nvidia.com/gpu.count": "8", "nvidia.com/gpu": "1"}),
        # These the rules evaluate.
        a_pod(a_container(), resources={"limits": GPU}),
        a_pod(a_container(), ephemeralContainers=[a_container(**LIMITS)]),
        a_deployment(a_template(a_container(**LIMITS)) | {"selector": {"matchLabels": {"gpu": "1"}}}),
        a_deployment({"template": None}),
        a_deployment({"template": {"spec": None}}),
        a_deployment(None),
        {"apiVersion": "v1", "kind": "Pod"},
    ],
)
def test_of_these_everything_is_evaluated(manifest: Json) -> None:
    found = evaluate(manifest)
    assert (found.not_evaluated, found.other_requests) == (None, ())


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        (a_pod(a_container(), metadata={"annotations": {"acme.io/gpus": "2"}}), "metadata.annotations[acme.io/gpus]"),
        (a_pod(a_container(), metadata={"labels": {"nvidia.com/gpu": "2"}}), "metadata.labels[nvidia.com/gpu]"),
        (
            a_deployment(a_template(a_container()), metadata={"annotations": {"patch": "nvidia.com/gpu: 1"}}),
            "metadata.annotations.patch",
        ),
        (
            a_deployment(
                {"template": {"metadata": {"annotations": {"patch": "nvidia.com/gpu: 1"}}, "spec": {"containers": []}}}
            ),
            "spec.template.metadata.annotations.patch",
        ),
    ],
)
def test_requests_in_annotations_and_labels_are_not_evaluated(manifest: Json, path: str) -> None:
    assert (evaluate(manifest).not_evaluated or "").startswith(f"{path}: requests ")


def test_devices_of_another_vendor_are_named_with_their_fields() -> None:
    amd = {"resources": {"limits": {"amd.com/gpu": 1}, "requests": {"amd.com/gpu": 1}}}
    one = a_deployment(a_template(a_container(**amd)))
    field = "spec.template.spec.containers[0].resources.limits[amd.com/gpu]"
    assert evaluate(one).not_evaluated == (
        f"{field}: not NVIDIA's GPUs by any name that gpuwarden knows, so not evaluated; add the name to resources.gpus or "
        "resources.notGPUs in the configuration to decide"
    )
    requested = {"resources": {"requests": {"habana.ai/gaudi": 8}}}
    many = a_pod(a_container(**amd), a_container(**requested), a_container(**amd), a_container(**amd))
    assert (evaluate(many).not_evaluated or "").startswith(
        "spec.containers[0].resources.limits[amd.com/gpu], spec.containers[1].resources.requests[habana.ai/gaudi] and 2 more: "
    )


def test_what_the_configuration_says_of_them_ends_that() -> None:
    amd = a_pod(a_container(resources={"limits": {"amd.com/gpu": 1}}))
    assert evaluate(amd, Configuration(names=GpuNames(not_gpus=("amd.com/*",)))).not_evaluated is None
    counted = evaluate(amd, Configuration(names=GpuNames(gpus=("amd.com/gpu",))))
    assert counted.not_evaluated is None
    assert counted.decision.gpu_containers != ()


@pytest.mark.parametrize("section", ["annotations", "labels"])
def test_a_share_of_kais_is_what_the_pod_asks_for_and_is_not_evaluated(section: str) -> None:
    found = evaluate(a_pod(a_container(), metadata={section: {"gpu-fraction": "0.5"}}))
    assert found.other_requests == (f"{section.removesuffix('s')} gpu-fraction: 0.5",)
    assert found.not_evaluated == (
        f"metadata.{section}[gpu-fraction]: part of a GPU, which only KAI Scheduler hands out, so not evaluated; it reads "
        "annotations of pods with schedulerName kai-scheduler"
    )


def test_where_kai_schedules_the_pod_it_is_exempt_and_what_it_asks_for_is_said() -> None:
    found = evaluate(a_pod(a_container(), metadata={"annotations": {"gpu-memory": "2"}}, schedulerName="kai-scheduler"))
    assert (found.exempt, found.not_evaluated, found.other_requests) == (
        "scheduler",
        None,
        ("annotation gpu-memory: 2",),
    )


def test_a_misspelt_vendor_is_what_the_pod_asks_for() -> None:
    found = evaluate(a_pod(a_container(resources={"limits": {"nvida.com/gpu": 1}}), a_container(**LIMITS)))
    assert found.other_requests == ("c: nvida.com/gpu",)
    assert [finding.rule.id for finding in found.findings] == ["unknown-gpu-resource"]


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        (a_pod(a_container(limits=GPU)), "spec.containers[0].limits"),
        (a_pod(a_container(resources=GPU)), "spec.containers[0].resources"),
        (a_pod(a_container(resources={"gpu": "1"})), "spec.containers[0].resources"),
        (a_pod(a_container(Resources={"Limits": {"nvidia.com/gpu": "1"}})), "spec.containers[0].Resources.Limits"),
        (a_pod(a_container(resources={"limit": GPU})), "spec.containers[0].resources.limit"),
        (a_pod(a_container(**GPU)), "spec.containers[0]"),
        (a_pod(a_container(), limits=GPU), "spec.limits"),
        (a_pod(a_container(), resources={"limits": {"nvidia.com/vgpu": 1}}), "spec.resources.limits"),
        (a_pod(a_container()) | LIMITS, "resources.limits"),
        (a_deployment(a_template(a_container()) | LIMITS), "spec.resources.limits"),
        (
            a_deployment({"template": {**a_template(a_container())["template"], **LIMITS}}),
            "spec.template.resources.limits",
        ),
        (a_deployment({"containers": [a_container(**LIMITS)]}), "spec.containers[0].resources.limits"),
        (
            a_deployment({"spec": a_template(a_container(**LIMITS))}),
            "spec.spec.template.spec.containers[0].resources.limits",
        ),
        (a_deployment(None, **a_template(a_container(**LIMITS))), "template.spec.containers[0].resources.limits"),
        (
            a_deployment({"template": {"containers": [a_container(**LIMITS)]}}),
            "spec.template.containers[0].resources.limits",
        ),
        (
            {"apiVersion": "batch/v1", "kind": "CronJob", "spec": a_template(a_container(**LIMITS))},
            "spec.template.spec.containers[0].resources.limits",
        ),
    ],
)
def test_gpus_where_kubernetes_reads_none_are_not_silent(manifest: Json, path: str) -> None:
    found = evaluate(manifest)
    assert (found.not_evaluated or "").startswith(f"{path}: ")
    assert (found.not_evaluated or "").endswith(
        " is set where Kubernetes ignores resources, so it requests no GPU and is not evaluated; move it to resources.limits of "
        "a container"
    )
    assert Checker(Configuration(), {}).identify(manifest).not_evaluated == found.not_evaluated, (
        "an audit of files looks no further"
    )


def test_everything_that_is_not_evaluated_is_said_together() -> None:
    manifest = a_pod(
        a_container(limits=GPU, resources={"limits": {"amd.com/gpu": 1}}),
        resourceClaims=[{"name": "claim", "resourceClaimTemplateName": "one"}],
    )
    told = evaluate(manifest).not_evaluated or ""
    assert [
        part in told for part in ("claim claim not evaluated", "[amd.com/gpu]: ", "spec.containers[0].limits: ")
    ] == [True] * 3

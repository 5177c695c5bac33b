"""The structural search: pods and GPU requests are found in objects of any kind, and nothing is taken for them that is none."""

import time
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.application.field_paths import written
from webhook.application.structural_search import MOST_VALUES, gpu_maps, pod_specs, search
from webhook.engine.other_gpus import BUILT_IN, GpuNames

GPUS = {"limits": {"nvidia.com/gpu": 1}}
IMAGE = {"name": "main", "image": "registry.example/main:1"}
CONTAINERS = {"containers": [IMAGE]}


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"spec": None, "data": 3, "items": [[], [None]]}, id="values of every sort"),
        pytest.param({"spec": {"ports": [{"name": "http", "port": 80}]}}, id="a list without images"),
        pytest.param({"spec": {"relatedImages": [IMAGE]}}, id="images that no pod is made of"),
        pytest.param({"spec": {"containers": [{"name": "main"}, "main", None]}}, id="names of containers"),
        pytest.param({"spec": {"containers": {"main": IMAGE}}}, id="containers that are no list"),
        pytest.param({"spec": {"container": "main"}}, id="a container's name"),
        pytest.param({"spec": {"resources": {"requests": {"storage": "1Gi"}}}}, id="a volume claim"),
        pytest.param({"spec": {"resources": {"limits": {"cpu": 1, "example.com/nic": 1}}}}, id="no accelerator"),
        pytest.param({"spec": {"gpuCount": 0, "num-gpus": "0", "gpus": "", "gpuNum": None}}, id="no GPUs in numbers"),
        pytest.param(
            {"spec": {"gpu": False, "numGpus": "a", "gpuCount": -1, "gpuType": "none"}}, id="no GPUs otherwise"
        ),
        pytest.param({"spec": {"gpus": [1, 2], "gpuCount": {"min": 1}}}, id="no numbers either"),
        pytest.param({"spec": {"gpuMemory": 4, "gpu_memory_utilization": 0.9, "gpuIndex": 1}}, id="what GPUs have"),
        pytest.param({"spec": {"maxGPUs": 8, "nodeSelector": {"gpus": "8"}}}, id="bounds and labels"),
        pytest.param({"spec": {"num-gpus" + "s" * 1000: 1}}, id="a long key"),
        pytest.param({"spec": {"guestAccelerator": {"type": "nvidia-l4", "count": 1}}}, id="what nodes have"),
        pytest.param({"spec": {"resourceLimits": {"gpus": [{"type": "nvidia.com/gpu", "min": 0}]}}}, id="of nodes"),
        pytest.param({"spec": {"limits": [{"type": "nvidia", "count": 0}], "gres": "license:1"}}, id="no devices"),
        pytest.param(
            {"spec": {"run": {"image": "a", "args": ["--gpus", "2"], "script": "x --gpus=2"}}}, id="a program's"
        ),
        pytest.param({"data": {"train.yaml": "lr: 1\nnum-gpus: 2\n"}}, id="a program's file"),
        pytest.param({"spec": {"values": "gpu:\n  enabled: x\ncount: 2\nreplicas: 1"}}, id="a count of something else"),
        pytest.param({"spec": {"ca": "QUJD" * 30, "text": "x" * 101}}, id="no text in base64"),
        pytest.param({"spec": {"broken": "{gpuCount: 2", "list": "[1]", "template": "{{gpuCount}}"}}, id="no JSON"),
        pytest.param({"metadata": {"labels": {"gpu-count": "2", "nvidia.com/gpu": "true"}}}, id="labels"),
        pytest.param(
            {
                "metadata": {
                    "annotations": {
                        "kubectl.kubernetes.io/last-applied-configuration": '{"limits": {"nvidia.com/gpu": 1}}',
                        "gpuwarden.io/original-request": "main: nvidia.com/gpu: 1",
                        "nvidia.com/gpu.count": "8",
                        "alm-examples": '[{"gpus": 2}]',
                        "note": "2 gpus",
                        "more": 3,
                    }
                }
            },
            id="annotations that are records",
        ),
        pytest.param({"spec": {"serveConfigV2": "num_gpus: 0\nnum_cpus: 1"}}, id="Ray Serve without GPUs"),
        pytest.param({"spec": {"serveConfigV2": 1}}, id="Ray Serve without text"),
        pytest.param({"spec": {"devices": {"hostDevices": [{"deviceName": "intel.com/qat"}]}}}, id="another device"),
        pytest.param({"spec": {"disks": [{"deviceName": "nvidia.com/GA102GL_A10"}]}}, id="devices of another list"),
        pytest.param({"spec": {"gpus": {"deviceName": "a"}, "deviceName": "b"}}, id="no list of devices"),
        pytest.param(
            {"spec": {"template": {"metadata": {"labels": {"gpu-fraction": "0.5"}}}}}, id="a label like KAI's"
        ),
        pytest.param({"spec": {"resources": {"limits": {"nvidia.com/gpu": 0}}}}, id="none"),
        pytest.param({"spec": {"resources": {"limits": {"nvidia.com/gpu": ""}}}}, id="an empty quantity"),
        pytest.param({"spec": {"resources": {"limits": {"nvidia.com/gpu": None}}}}, id="null"),
        pytest.param({"spec": {"resources": {"limits": {"nvidia.com/gpu": {"a": 1}}}}}, id="no quantity"),
        pytest.param({"spec": {"limits": {"nvidia.com/gpu": 8}}}, id="what a Karpenter NodePool may grow to"),
        pytest.param({"spec": {"limits": {"resources": {"nvidia.com/gpu": 8}}}}, id="likewise a Provisioner"),
        pytest.param({"spec": {"hard": {"requests.nvidia.com/gpu": 8}}}, id="a quota"),
        pytest.param({"spec": {"resources": [{"name": "nvidia.com/gpu", "nominalQuota": 8}]}}, id="a ClusterQueue's"),
        pytest.param({"spec": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}}, id="a toleration"),
        pytest.param(
            {"spec": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "1"}]}},
            id="a toleration of a number",
        ),
        pytest.param(
            {"spec": {"taints": [{"key": "nvidia.com/gpu", "value": "1", "effect": "NoSchedule"}]}},
            id="a taint with a number",
        ),
        pytest.param({"spec": {"gpu": {"type": "a100", "count": 0}}}, id="no GPUs of a model"),
        pytest.param({"spec": {"quota": {"gpu": {"count": 4}}}}, id="a quota of GPUs"),
        pytest.param({"spec": {"nodeLabels": {"nvidia.com/gpu": "true"}}}, id="a label of nodes"),
        pytest.param({"spec": {"gpu": {"name": "nvidia.com/gpu"}}}, id="a GPU without a quantity"),
        pytest.param({"spec": {"note": "nvidia.com/gpu, 1 of them"}}, id="text that is no part of a manifest"),
        pytest.param({"spec": {"taint": "nvidia.com/gpu=true:NoSchedule"}}, id="a taint in text"),
        pytest.param({"spec": {"selector": {"nvidia.com/gpu": "1"}}}, id="a label in a selector"),
        pytest.param({"spec": {"capability": {"nvidia.com/gpu": 8}}}, id="what a Volcano queue may have"),
        pytest.param({"spec": {"sharing": [{"name": "nvidia.com/gpu", "replicas": 4}]}}, id="the device plugin's"),
        pytest.param({"spec": {"note": "requests.nvidia.com/gpu: 8"}}, id="a quota in text"),
        pytest.param({"spec": {"path": "/metadata/labels/nvidia.com~1gpu.product"}}, id="a label in a JSON patch"),
        pytest.param({"spec": {"regex": r"limits\.cpu/a ~1"}}, id="text like a parameter"),
        pytest.param({"spec": {"resources": {"limits": {"nvidia.com/hostdev": 1}}}}, id="NVIDIA's network"),
        pytest.param({"spec": {"patch": "nodeSelector:\n  nvidia.com/gpu.product: A10"}}, id="a node label in text"),
        pytest.param({"spec": {"patch": "key: nvidia.com/gpu"}}, id="a toleration in text"),
        pytest.param({"spec": {"patch": "amd.com/gpu: x\nnvidia.com/mofed: 1"}}, id="no GPU in text"),
        pytest.param({"spec": {"sparkConf": {"spark.executor.resource.gpu.amount": "0"}}}, id="Spark without GPUs"),
        pytest.param({"status": {"spec": CONTAINERS}}, id="what the cluster has made"),
        pytest.param({"metadata": {"annotations": CONTAINERS}}, id="an annotation"),
        pytest.param({"spec": {"template": {"metadata": {"managedFields": [CONTAINERS]}}}}, id="who wrote which field"),
    ],
)
def test_nothing_is_found_where_no_pod_is_described(manifest: dict[str, Any]) -> None:
    found = search(manifest)
    assert not found
    assert (found.resources, found.requests, found.templates, found.complete) == ((), (), (), True)


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        ({"spec": {"template": {"spec": CONTAINERS}}}, "spec.template.spec.containers"),
        ({"spec": {"workers": [{}, {"template": {"spec": CONTAINERS}}]}}, "spec.workers[1].template.spec.containers"),
        ({"spec": {"replicaSpecs": {"a.b": CONTAINERS}}}, "spec.replicaSpecs[a.b].containers"),
        ({"spec": {"containers": [{"image": "x"}]}}, "spec.containers"),  # Knative: the name may be left out
        ({"spec": {"templates": [{"container": IMAGE}]}}, "spec.templates[0].container"),
        ({"spec": {"templates": [{"script": {"image": "x", "source": "y"}}]}}, "spec.templates[0].script"),
        ({"spec": {"steps": [IMAGE]}}, "spec.steps"),
        ({"template": CONTAINERS}, "template.containers"),
    ],
)
def test_containers_are_found_wherever_they_are(manifest: dict[str, Any], path: str) -> None:
    found = search(manifest)
    assert found
    assert (found.templates, found.requests, found.counts) == ((path,), (), (0, 1, 0))


@pytest.mark.parametrize(
    ("manifest", "resource", "path"),
    [
        ({"spec": {"containers": [{"resources": GPUS}]}}, "nvidia.com/gpu", "spec.containers[0].resources.limits"),
        (
            {"spec": {"model": {"resources": {"requests": {"nvidia.com/mig-1g.5gb": "1"}}}}},
            "nvidia.com/mig-1g.5gb",
            "spec.model.resources.requests",
        ),
        (
            {"spec": {"resources": {"limits": {"nvidia.com/gpu": 2}, "requests": {"nvidia.com/gpu": 2}}}},
            "nvidia.com/gpu",
            "spec.resources.limits",
        ),
        ({"spec": {"steps": [{"computeResources": GPUS}]}}, "nvidia.com/gpu", "spec.steps[0].computeResources.limits"),
        (
            {"spec": {"resources": {"limits": {"nvidia.com/gpu": "{{inputs.parameters.gpus}}"}}}},
            "nvidia.com/gpu",
            "spec.resources.limits",
        ),
        ({"spec": {"resources": {"limits": {"nvidia.com/GPU": 1}}}}, "nvidia.com/GPU", "spec.resources.limits"),
        (
            {"spec": {"services": {"a": {"resources": {"limits": {"gpu": "1"}}}}}},
            "gpu",
            "spec.services.a.resources.limits",
        ),
        ({"spec": {"resources": {"cpu": 1, "gpu": "1"}}}, "gpu", "spec.resources"),
        (
            {"spec": {"executor": {"gpu": {"name": "nvidia.com/gpu", "quantity": 1}}}},
            "nvidia.com/gpu",
            "spec.executor.gpu",
        ),
        (
            {"spec": {"sparkConf": {"spark.executor.resource.gpu.amount": "1"}}},
            "gpu",
            "spec.sparkConf[spark.executor.resource.gpu.amount]",
        ),
        ({"spec": {"podSpecPatch": '{"limits": {"nvidia.com/gpu": 1}}'}}, "nvidia.com/gpu", "spec.podSpecPatch"),
        ({"patches": [{"patch": "limits:\n  nvidia.com/gpu: 1"}]}, "nvidia.com/gpu", "patches[0].patch"),
        # Text under any key, and in lists.
        ({"spec": {"template": '{"limits": {"nvidia.com/gpu": "1"}}'}}, "nvidia.com/gpu", "spec.template"),
        ({"spec": {"patches": ["limits:\n  nvidia.com/gpu: 1"]}}, "nvidia.com/gpu", "spec.patches[0]"),
        ({"spec": {"args": ["run", "--limits=nvidia.com/gpu=1"]}}, "nvidia.com/gpu", "spec.args[1]"),
        (
            {"patches": [{"patch": "- op: add\n  path: /spec/resources/limits/nvidia.com~1gpu\n  value: 1"}]},
            "nvidia.com/gpu",
            "patches[0].patch",
        ),
        (
            {"spec": {"parameters": [{"name": r"resources.limits.nvidia\.com/gpu", "value": "1"}]}},
            "nvidia.com/gpu",
            "spec.parameters[0].name",
        ),
        # Names and numbers beside each other.
        ({"spec": {"resources": [{"name": "nvidia.com/gpu", "quantity": 2}]}}, "nvidia.com/gpu", "spec.resources[0]"),
        ({"spec": {"gpu": {"resourceName": "nvidia.com/gpu", "count": 2}}}, "nvidia.com/gpu", "spec.gpu"),
        ({"spec": {"devices": [{"type": "nvidia.com/gpu", "count": 4}]}}, "nvidia.com/gpu", "spec.devices[0]"),
        ({"spec": {"limits": [{"key": "nvidia.com/gpu", "value": "1"}]}}, "nvidia.com/gpu", "spec.limits[0]"),
        ({"spec": {"extra": [{"name": "nvidia.com/gpu", "limit": 1}]}}, "nvidia.com/gpu", "spec.extra[0]"),
        ({"spec": {"extra": [{"name": "nvidia.com/gpu", "request": 1}]}}, "nvidia.com/gpu", "spec.extra[0]"),
        ({"spec": {"gpu": {"type": "a100", "count": 4}}}, "gpu", "spec.gpu.count"),
        # JSON in JSON.
        ({"spec": {"body": r'{"pod": "{\"limits\": {\"nvidia.com/gpu\": 1}}"}'}}, "nvidia.com/gpu", "spec.body"),
        ({"spec": {"sets": [{"value": {"nvidia.com/gpu": 1}}]}}, "nvidia.com/gpu", "spec.sets[0].value"),
        # Operators' own fields.
        (
            {"spec": {"domain": {"devices": {"gpus": [{"name": "a", "deviceName": "nvidia.com/GA102GL_A10"}]}}}},
            "nvidia.com/GA102GL_A10",
            "spec.domain.devices.gpus[0].deviceName",
        ),
        ({"spec": {"gpus": [{"deviceName": "example.com/a"}]}}, "example.com/a", "spec.gpus[0].deviceName"),
        (
            {"spec": {"devices": {"hostDevices": [{"deviceName": "nvidia.com/TU104GL"}]}}},
            "nvidia.com/TU104GL",
            "spec.devices.hostDevices[0].deviceName",
        ),
        *(
            ({"spec": {key: amount}}, "gpu", f"spec.{key}")
            for key, amount in (
                *(("gpuCount", 1), ("num-gpus", "1"), ("numGPUs", 2.0), ("num_gpus", 0.5), ("entrypointNumGpus", 1)),
                *(("gpus", "8"), ("gpu", 1), ("gpusPerNode", 8), ("requestGPU", "1"), ("gpuNum", "{{gpus}}")),
                *(("nGPUs", 1), ("vgpuNumber", 1), ("acceleratorCount", 1), ("gpu_per_worker", "$(params.gpus)")),
            )
        ),
        (
            {"spec": {"flinkConfiguration": {"external-resource.gpu.amount": "1"}}},
            "gpu",
            "spec.flinkConfiguration[external-resource.gpu.amount]",
        ),
        ({"spec": {"serveConfigV2": "options:\n  num_gpus: 0.5\n"}}, "gpu", "spec.serveConfigV2"),
        (
            {"spec": {"template": {"metadata": {"annotations": {"gpu-fraction": "0.5"}}}}},
            "gpu-fraction",
            "spec.template.metadata.annotations.gpu-fraction",
        ),
        # Other vendors.
        ({"spec": {"resources": {"limits": {"amd.com/gpu": 1}}}}, "amd.com/gpu", "spec.resources.limits"),
        # Other names for GPUs.
        ({"spec": {"resources": {"limits": {"nvidia.com/vgpu": 1}}}}, "nvidia.com/vgpu", "spec.resources.limits"),
        (
            {"spec": {"podSpecPatch": '{"limits": {"deviceclass.resource.kubernetes.io/gpu.nvidia.com": 1}}'}},
            "deviceclass.resource.kubernetes.io/gpu.nvidia.com",
            "spec.podSpecPatch",
        ),
    ],
)
def test_a_gpu_request_is_found_in_and_outside_of_containers(
    manifest: dict[str, Any], resource: str, path: str
) -> None:
    found = search(manifest)
    assert found
    assert (found.resources, found.requests, found.counts) == ((resource,), (path,), (1, 0, 0))


CLAIMS = [{"name": "gpu", "resourceClaimTemplateName": "one"}, {"name": "nic", "resourceClaimName": "two"}]


@pytest.mark.parametrize(
    "spec",
    [
        {"resourceClaims": []},
        {"resourceClaims": "gpu"},
        {"resourceClaims": {"type": "array"}},
        {"resources": ["resourceclaims"]},
        {"patch": "remove: resourceClaims"},
    ],
)
def test_what_claims_nothing_is_no_claim(spec: dict[str, Any]) -> None:
    assert not search({"spec": spec})


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"template": {"spec": {"resourceClaims": CLAIMS}}}, "spec.template.spec.resourceClaims"),
        ({"draResources": CLAIMS}, "spec.draResources"),  # NIMService
        ({"gpu": {"resourceClaimName": "one"}}, "spec.gpu"),
        ({"podSpecPatch": '{"resourceClaims": [{"name": "gpu"}]}'}, "spec.podSpecPatch"),
        ({"patch": "spec:\n  resourceClaims:\n  - name: gpu"}, "spec.patch"),
    ],
)
def test_resource_claims_are_found_wherever_they_are(spec: dict[str, Any], path: str) -> None:
    found = search({"spec": spec})
    assert found
    assert (found.claims, found.requests, found.templates, found.counts) == ((path,), (), (), (0, 0, 1))


def test_the_configuration_says_which_resources_are_gpus() -> None:
    own, card, amd = (
        {"spec": {"resources": {"limits": {name: 1}}}} for name in ("example.com/a", "nvidia.com/A10", "amd.com/gpu")
    )
    names = GpuNames(gpus=("example.com/a",), not_gpus=("nvidia.com/A10", "amd.com/*"))
    assert (bool(search(own)), bool(search(card)), bool(search(amd))) == (False, True, True)
    assert (bool(search(own, names)), bool(search(card, names)), bool(search(amd, names))) == (True, False, False)


def test_values_that_are_not_looked_at_hold_no_maps_of_gpus() -> None:
    manifest = {"a": {"b": {"nvidia.com/gpu": 1}}}
    assert [*gpu_maps(manifest, BUILT_IN)] == [("a.b", ("nvidia.com/gpu",))]
    assert [*gpu_maps({"first": [0] * MOST_VALUES, **manifest}, BUILT_IN)] == []


@pytest.mark.usefixtures("own_garbage")
def test_long_text_costs_no_more_than_its_length() -> None:
    started = time.process_time()
    for text in ("num_gpus: " + "0" * 1_000_000, "num_gpus" * 100_000, "num_gpus:" + " " * 1_000_000):
        assert not search({"serveConfigV2": text})
    for number in ("0" * 1_000_000, "{ " * 500_000, "1" * 1_000_000 + "x", "." * 1_000_000 + "x"):
        assert not search({"gpus": number})
    for text in ("a" * 1_000_000, "a." * 500_000, "a/b " * 250_000, "-a" * 500_000, "a/b" + " " * 1_000_000):
        assert not search({"patch": text})
    for text in ("/a" * 500_000 + "~1", "limits." * 150_000 + "a\\.", "limits.a" + r"\.a" * 300_000 + "/"):
        assert not search({"patch": text})
    for text in ("\n" * 1_000_000 + "!", "A" * 60 + " \n" * 500_000 + "!", "A" * 60 + "=" + "\n" * 1_000_000 + "!"):
        assert not search({"encoded": text})
    assert time.process_time() - started < 3


ENCODED = b64encode(b"kind: Pod\nspec: {resources: {limits: {nvidia.com/gpu: 1}}}").decode()
HCL = 'limits = { "nvidia.com/gpu" = 1 }'
ANNOTATION = "metadata.annotations[acme.io/x]"


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"accelerators": [{"type": "nvidia-a100", "count": 2}]}, "spec.accelerators[0].count"),
        ({"devices": [{"driver": "nvidia", "count": 1}]}, "spec.devices[0].count"),
        ({"resources": {"accelerators": "A100:4"}}, "spec.resources.accelerators"),
        ({"resources": {"accelerators": {"A100": 4}}}, "spec.resources.accelerators"),
        ({"gpuDevices": {"value": 1}}, "spec.gpuDevices"),
        ({"gpu": {"value": "1"}}, "spec.gpu.value"),
        ({"gpuType": "H100"}, "spec.gpuType"),
        ({"gpu": True}, "spec.gpu"),
        ({"gpu": {"enabled": True}}, "spec.gpu.enabled"),
        ({"gpus": "all"}, "spec.gpus"),
        ({"gpuCount": "${GPUS}"}, "spec.gpuCount"),
        ({"limits_gpu": 1}, "spec.limits_gpu"),
        ({"gres": "gpu:a100:2"}, "spec.gres"),
        ({"script": "#!/bin/sh\n#SBATCH --gres=gpu:2"}, "spec.script"),
        ({"script": "#!/bin/sh\n#SBATCH --gpus-per-node=a100:4"}, "spec.script"),
        ({"args": ["--gpus", "2"]}, "spec.args"),
        ({"values": "a: 1\ngpu:\n  type: x\n  count: 2\n"}, "spec.values"),
        ({"values": "resources:\n- gpuCount: {{ .n }}\n"}, "spec.values"),
        ({"request": '{"a": [{"numGpus": 2}]}'}, "spec.request.a[0].numGpus"),
    ],
)
def test_a_field_that_names_no_resource_requests_gpus_too(spec: dict[str, Any], path: str) -> None:
    found = search({"spec": spec})
    assert (found.resources, found.requests) == (("gpu",), (path,))


@pytest.mark.parametrize(
    ("manifest", "resource", "path"),
    [
        ({"spec": {"patch": "limits:\n  amd.com/gpu: 1"}}, "amd.com/gpu", "spec.patch"),
        ({"spec": {"patch": "limits:\n  nvidia.com/gpumem: 3000"}}, "nvidia.com/gpumem", "spec.patch"),
        ({"spec": {"hcl": HCL}}, "nvidia.com/gpu", "spec.hcl"),
        ({"spec": {"encoded": ENCODED}}, "nvidia.com/gpu", "spec.encoded"),
        ({"spec": {"encoded": f"{ENCODED[:40]}\n{ENCODED[40:]}\n"}}, "nvidia.com/gpu", "spec.encoded"),
        ({"spec": {"to": "spec.containers[0].resources.limits[nvidia.com/gpu]"}}, "nvidia.com/gpu", "spec.to"),
        ({"spec": {"list": [{"resource": "nvidia.com/gpu", "min": 1}]}}, "nvidia.com/gpu", "spec.list[0]"),
        ({"data": {"a.yaml": "kind: Model\nspec:\n  gpuCount: 2"}}, "gpu", "data[a.yaml]"),
        ({"metadata": {"labels": {"nvidia.com/gpu": "2"}}}, "nvidia.com/gpu", "metadata.labels[nvidia.com/gpu]"),
        ({"metadata": {"annotations": {"acme.io/x": "limits: {nvidia.com/gpu: 1}"}}}, "nvidia.com/gpu", ANNOTATION),
        ({"metadata": {"annotations": {"acme.io/x": '{"gpus": 2}'}}}, "gpu", f"{ANNOTATION}.gpus"),
        ({"metadata": {"annotations": {"acme.io/gpus": "2"}}}, "gpu", "metadata.annotations[acme.io/gpus]"),
        ({"metadata": {"annotations": {"gpu-fraction": "0.5"}}}, "gpu-fraction", "metadata.annotations.gpu-fraction"),
    ],
)
def test_a_gpu_request_is_found_in_text_and_metadata(manifest: dict[str, Any], resource: str, path: str) -> None:
    found = search(manifest)
    assert (found.resources, found.requests) == ((resource,), (path,))


def test_devices_that_are_requested_by_their_class_are_claims() -> None:
    found = search({"spec": {"devices": {"requests": [{"exactly": {"deviceClassName": "gpu.nvidia.com"}}]}}})
    assert found.claims == ("spec.devices.requests[0].exactly",)


def test_each_place_is_found_in_the_order_in_which_it_is_written() -> None:
    found = search({"spec": {"b": {"resources": GPUS}, "a": [{"resources": {"gpu": 1}}, {"resources": GPUS}]}})
    assert found.requests == ("spec.b.resources.limits", "spec.a[0].resources", "spec.a[1].resources.limits")
    assert found.resources == ("nvidia.com/gpu", "gpu")


def test_of_very_many_places_the_first_are_kept_and_all_are_counted() -> None:
    found = search({"spec": [{"resources": GPUS}] * 300})
    assert (len(found.requests), found.counts) == (10, (300, 0, 0))


def test_an_object_without_end_is_not_searched_to_its_end_and_that_is_said() -> None:
    assert search({"spec": list(range(50))}, most=51).complete
    found = search({"spec": list(range(50))}, most=50)
    assert (found.complete, bool(found)) == (False, True)


@pytest.mark.usefixtures("own_garbage")
def test_a_deep_object_takes_no_longer_than_a_flat_one_and_no_stack() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"resources": deep, "gpu": 1, "x" * 100: 1}
    began = time.process_time()
    found = search({"spec": deep})
    assert time.process_time() - began < 10
    assert found.requests
    assert all(len(path) < 400 for path in found.requests)


_KEYS = st.sampled_from(("spec", "template", "pools", "items", "a.b", "jobTemplate", "x"))
_WAYS = st.lists(st.tuples(st.booleans(), _KEYS, st.integers(0, 2)), max_size=12)
_SPEC = {"containers": [{**IMAGE, "resources": GPUS}]}


@given(_WAYS)
def test_a_pod_is_found_however_it_is_nested(ways: list[tuple[bool, str, int]]) -> None:
    found: Any = _SPEC
    place: tuple[str | int, ...] = ()
    for in_list, key, number in ways:
        found = [*([None] * number), found] if in_list else {"other": number, key: found}
        place = (number if in_list else key, *place)
    manifest = {"spec": found}
    assert [*pod_specs(manifest)] == [("spec", *place)]
    traces = search(manifest)
    assert traces.requests == (f"{written(('spec', *place))}.containers[0].resources.limits",)
    assert traces.templates == (f"{written(('spec', *place))}.containers",)

"""What runs beside gpuwarden, as a diagnosis reads it: where it is found, in which version, and what can't be told of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig
from webhook.adapters.kubernetes.backoff import Backoff
from webhook.adapters.kubernetes.connect import connect
from webhook.adapters.kubernetes.neighbours import NeighbourReader
from webhook.adapters.kubernetes.retrying import RetryingApi
from webhook.application.diagnosis.facts import Neighbours, Unread, known
from webhook.engine.claim_objects import Claim, DeviceRequest, RequestedDevice

Json = dict[str, Any]
GPU = "nvidia.com/gpu"
APPS, KUEUE = "/apis/apps/v1", "/apis/kueue.x-k8s.io"
ONE_GPU = {"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}
SLICING = "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}\n"


class Silent:
    """Nobody is told how far a list is."""

    def read(self, what: str, done: int, total: int | None) -> None:
        """Do nothing."""


@pytest.fixture
def cluster() -> Iterator[StandIn]:
    with StandIn() as there:
        lists(there, f"{APPS}/daemonsets")
        lists(there, f"{APPS}/deployments")
        yield there


def lists(cluster: StandIn, path: str, *items: Json) -> None:
    cluster.store(path, {"metadata": {}, "items": list(items)})


def program(name: str, image: str, *config_maps: str) -> Json:
    spec = {
        "containers": [{"name": "main", "image": image}],
        "volumes": [{"name": one, "configMap": {"name": one}} for one in config_maps] + [{"name": "x", "emptyDir": {}}],
    }
    return {"metadata": {"name": name, "namespace": "gpu"}, "spec": {"template": {"spec": spec}}}


def a_config_map(cluster: StandIn, namespace: str, name: str, **data: str) -> None:
    cluster.store(f"/api/v1/namespaces/{namespace}/configmaps/{name}", {"metadata": {"name": name}, "data": data})


@pytest.fixture
def read(cluster: StandIn, tmp_path: Any) -> Any:
    def neighbours() -> Neighbours:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", cluster.url, token="t")  # noqa: S106 - a test's own
        api = RetryingApi(connect(kubeconfig, None, {}), Backoff(lambda: 0.0))
        return NeighbourReader(api, Silent()).read()

    return neighbours


def test_the_device_plugins_files_are_found_in_what_its_pods_mount(cluster: StandIn, read: Any) -> None:
    plugin = program("plugin", "registry.example/nvidia/k8s-device-plugin:v0.20.0", "configs", "scripts", "gone")
    lists(cluster, f"{APPS}/daemonsets", plugin, program("fluentd", "fluentd:1", "other"))
    a_config_map(cluster, "gpu", "configs", any=SLICING, broken="sharing:\n  mps: [", empty="")
    a_config_map(cluster, "gpu", "scripts", **{"run.sh": "#!/bin/sh\nexec x: [\n", "mig.yaml": "mig-configs: {}"})
    a_config_map(cluster, "gpu", "other", any=SLICING)
    found = known(read().plugin_files)
    assert [(one.where, bool(one.unreadable)) for one in found] == [
        ("ConfigMap gpu/configs, key any", False),
        ("ConfigMap gpu/configs, key broken", True),
    ]
    assert found[0].data["sharing"]["timeSlicing"]["resources"] == [{"name": GPU, "replicas": 4}]


def test_a_yaml_bomb_in_a_config_map_is_not_built(cluster: StandIn, read: Any) -> None:
    lists(cluster, f"{APPS}/daemonsets", program("plugin", "k8s-device-plugin", "configs"))
    bomb = "sharing:\n  mps: " + "[" * 200
    a_config_map(cluster, "gpu", "configs", any=bomb)
    (one,) = known(read().plugin_files)
    assert "nested deeper than 100 levels" in one.unreadable


def test_exporters_are_told_by_their_image(cluster: StandIn, read: Any) -> None:
    lists(cluster, f"{APPS}/daemonsets", program("dcgm", "nvcr.io/nvidia/k8s/dcgm-exporter:4"), program("x", "nginx:1"))
    assert [str(one) for one in known(read().exporters)] == ["gpu/dcgm"]


def test_the_autoscaler_is_found_by_its_deployment_and_by_its_status(cluster: StandIn, read: Any) -> None:
    assert read().autoscalers == []
    lists(cluster, f"{APPS}/deployments", program("ca", "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.0"))
    assert read().autoscalers == ["Deployment gpu/ca"]
    a_config_map(cluster, "kube-system", "cluster-autoscaler-status", status="{}")
    assert read().autoscalers == ["ConfigMap kube-system/cluster-autoscaler-status"]


def test_kinds_that_the_api_server_lacks_are_absent(read: Any) -> None:
    neighbours = read()
    absent = {
        name: value.absent
        for name in neighbours.__slots__
        if isinstance(value := getattr(neighbours, name), Unread) and value.absent
    }
    assert absent == {
        "node_pools": "nodepools.karpenter.sh (v1)",
        "overlay_resources": "nodeoverlays.karpenter.sh (v1alpha1)",
        "cluster_queues": "clusterqueues.kueue.x-k8s.io (v1beta2, v1beta1)",
        "local_queues": "localqueues.kueue.x-k8s.io (v1beta2, v1beta1)",
        "device_classes": "deviceclasses.resource.k8s.io (v1, v1beta2, v1beta1, v1alpha3)",
        "shared_by": "resourceslices.resource.k8s.io (v1)",
        "devices_on": "resourceslices.resource.k8s.io (v1)",
        "claim_templates": "resourceclaimtemplates.resource.k8s.io (v1, v1beta2, v1beta1, v1alpha3)",
        "runtime_classes": "runtimeclasses.node.k8s.io (v1)",
    }


def test_runtime_classes_are_read_by_name(cluster: StandIn, read: Any) -> None:
    lists(cluster, "/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": "nvidia"}, "handler": "nvidia"})
    assert read().runtime_classes == {"nvidia"}


@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_kueue_is_read_in_the_version_that_is_there(cluster: StandIn, read: Any, version: str) -> None:
    queue = {"metadata": {"name": "cq"}, "spec": {"resourceGroups": [{"coveredResources": [GPU], "flavors": []}]}}
    lists(cluster, f"{KUEUE}/{version}/clusterqueues", queue)
    lists(cluster, f"{KUEUE}/{version}/localqueues", {"metadata": {"name": "q"}, "spec": {"clusterQueue": "cq"}})
    (found,) = known(read().cluster_queues)
    assert found.covers == {GPU}
    assert [one.spec.cluster_queue for one in known(read().local_queues)] == ["cq"]


def test_kueues_configuration_is_read_where_it_is(cluster: StandIn, read: Any) -> None:
    assert read().kueue is None
    key = "controller_manager_config.yaml"
    text = "kind: Configuration\nresources:\n  quotaCheckStrategy: IgnoreUndeclared\n"
    a_config_map(cluster, "kueue-system", "kueue-manager-config", **{key: text})
    assert known(read().kueue).resources.quota_check_strategy == "IgnoreUndeclared"
    a_config_map(cluster, "kueue-system", "kueue-manager-config", **{key: "resources: [1]"})
    assert isinstance(read().kueue, Unread)


def test_pools_overlays_classes_and_slices_are_reduced_to_what_is_evaluated(cluster: StandIn, read: Any) -> None:
    lists(
        cluster, "/apis/karpenter.sh/v1/nodepools", {"metadata": {"name": "gpus"}, "spec": {"template": {"spec": {}}}}
    )
    lists(
        cluster,
        "/apis/karpenter.sh/v1alpha1/nodeoverlays",
        {"spec": {"capacity": {"nvidia.com/gpu.shared": 8}}},
        {"spec": {"price": "1"}},
    )
    lists(
        cluster,
        "/apis/resource.k8s.io/v1/deviceclasses",
        {"metadata": {"name": "a"}, "spec": {"extendedResourceName": GPU}},
        {"metadata": {"name": "b"}, "spec": {}},
    )
    lists(
        cluster,
        "/apis/resource.k8s.io/v1/resourceslices",
        {
            "spec": {
                "driver": "gpu.nvidia.com",
                "nodeName": "a",
                "devices": [{"name": "0"}, {"name": "1", "allowMultipleAllocations": True}],
            }
        },
        {"spec": {"driver": "gpu.nvidia.com", "nodeName": "b", "devices": [{"name": "2"}]}},
        {"spec": {"driver": "net.example", "allNodes": True, "devices": [{"name": "0"}]}},
        {"spec": {"driver": "other.example", "devices": [{"name": "0", "allowMultipleAllocations": False}]}},
        {"spec": {"driver": "counters.example"}},
    )
    lists(
        cluster,
        "/apis/resource.k8s.io/v1/resourceclaimtemplates",
        {"metadata": {"name": "one", "namespace": "team"}, "spec": {"spec": {"devices": {"requests": [ONE_GPU]}}}},
        {"metadata": {"name": "none", "namespace": "team"}, "spec": None},
    )
    found = read()
    assert found.claim_templates == {
        ("team", "one"): Claim((DeviceRequest("gpu", (RequestedDevice("gpu.nvidia.com"),)),)),
        ("team", "none"): None,
    }
    assert found.devices_on == {
        "gpu.nvidia.com": frozenset({"a", "b"}),
        "net.example": frozenset({"*"}),
        "other.example": frozenset(),
    }
    assert [one.metadata.name for one in known(found.node_pools)] == ["gpus"]
    assert found.overlay_resources == {"nvidia.com/gpu.shared"}
    assert [one.metadata.name for one in known(found.device_classes)] == ["a", "b"]
    assert found.shared_by == {"gpu.nvidia.com"}

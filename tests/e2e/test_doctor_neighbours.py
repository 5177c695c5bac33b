"""``gpuwarden doctor`` against a real cluster with what runs beside gpuwarden: each thing that knows other names is found.

Kueue's and Karpenter's kinds are defined with schemas that admit everything: their objects are read, and no controller runs.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE
from tests.e2e.test_doctor import doctor, seen

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
GPU, SHARED = "nvidia.com/gpu", "nvidia.com/gpu.shared"
KINDS = (
    ("kueue.x-k8s.io", "v1beta2", "clusterqueues", "ClusterQueue", "Cluster"),
    ("kueue.x-k8s.io", "v1beta2", "localqueues", "LocalQueue", "Namespaced"),
    ("karpenter.sh", "v1", "nodepools", "NodePool", "Cluster"),
)
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PLUGIN = """\
version: v1
flags: {renameByDefault: true}
sharing:
  timeSlicing:
    resources: [{name: nvidia.com/gpu, replicas: 4}]
"""


def a_program(name: str, image: str, *config_maps: str) -> Json:
    labels = {"app": name}
    volumes = [{"name": one, "configMap": {"name": one}} for one in config_maps]
    # No node has the label, so that no pod is made.
    spec = {
        "containers": [{"name": "main", "image": image}],
        "volumes": volumes,
        "nodeSelector": {"example.com/nowhere": "true"},
    }
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


@pytest.fixture(scope="module")
def objects(control_plane: ControlPlane) -> Iterator[Callable[[str, Json], None]]:
    """Make objects, by the path of their list; each is deleted at the end, the last one first."""
    made: list[str] = []

    def make(path: str, document: Json) -> None:
        control_plane.api.post(path, json=document).raise_for_status()
        made.append(f"{path}/{document['metadata']['name']}")

    yield make
    for path in reversed(made):
        control_plane.api.delete(path).raise_for_status()


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane, objects: Callable[[str, Json], None]) -> None:
    """Kueue's and Karpenter's kinds."""
    for group, version, plural, kind, scope in KINDS:
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        served = {"name": version, "served": True, "storage": True, "schema": schema}
        names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
        # The API server admits approved groups alone under k8s.io.
        annotations = {"api-approved.kubernetes.io": "unapproved, a test's own"}
        objects(
            DEFINITIONS,
            {
                "metadata": {"name": f"{plural}.{group}", "annotations": annotations},
                "spec": {"group": group, "names": names, "scope": scope, "versions": [served]},
            },
        )
    for group, version, plural, _, _ in KINDS:
        wait_for(f"{plural} to be served", partial(is_served, control_plane, f"/apis/{group}/{version}/{plural}"))


def is_served(control_plane: ControlPlane, path: str) -> bool:
    """Whether the API server has a list."""
    return control_plane.api.get(path).is_success


def test_what_is_not_installed_is_skipped_and_the_rest_is_well(
    control_plane: ControlPlane, installation: Installation
) -> None:
    _, found = doctor(control_plane)
    statuses = {
        check: [line["status"] for line in found[check]]
        for check in (
            "device-plugin-config",
            "shared-devices",
            "device-classes",
            "claim-templates",
            "cluster-autoscaler",
            "karpenter",
            "kueue",
            "dcgm-exporter",
        )
    }
    assert statuses["karpenter"] == statuses["kueue"] == ["skipped"]
    not_well = {check: found[check] for check in statuses if statuses[check] != ["ok"]}
    assert set(not_well) == {"karpenter", "kueue"}, not_well


@pytest.mark.usefixtures("kinds")
def test_each_thing_that_knows_other_names_is_found(
    control_plane: ControlPlane,
    installation: Installation,
    make_namespace: Callable[..., str],
    objects: Callable[[str, Json], None],
) -> None:
    team = make_namespace({ENFORCE: "shared"})
    own = make_namespace({ENFORCE: "exclusive"})
    within = f"/namespaces/{team}"
    objects(f"/api/v1{within}/configmaps", {"metadata": {"name": "plugin-configs"}, "data": {"any": PLUGIN}})
    programs = f"/apis/apps/v1{within}/daemonsets"
    objects(programs, a_program("plugin", "registry.example/k8s-device-plugin:v0.20.0", "plugin-configs"))
    objects(programs, a_program("dcgm", "registry.example/dcgm-exporter:4.5.3"))
    objects(
        "/api/v1/namespaces/kube-system/configmaps", {"metadata": {"name": "cluster-autoscaler-status"}, "data": {}}
    )
    group = {"coveredResources": [GPU]}
    objects(
        "/apis/kueue.x-k8s.io/v1beta2/clusterqueues",
        {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "ClusterQueue",
            "metadata": {"name": "cq"},
            "spec": {"resourceGroups": [group]},
        },
    )
    objects(
        f"/apis/kueue.x-k8s.io/v1beta2{within}/localqueues",
        {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "LocalQueue",
            "metadata": {"name": "q"},
            "spec": {"clusterQueue": "cq"},
        },
    )
    template = {"spec": {"taints": [{"key": GPU, "effect": "NoSchedule"}], "requirements": []}}
    objects(
        "/apis/karpenter.sh/v1/nodepools",
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": "gpus"},
            "spec": {"template": template},
        },
    )
    objects(
        "/apis/resource.k8s.io/v1/deviceclasses",
        {
            "metadata": {"name": "gpu.example.com"},
            "spec": {
                "extendedResourceName": GPU,
                "selectors": [{"cel": {"expression": "device.driver == 'gpu.example.com'"}}],
            },
        },
    )
    objects(
        "/apis/resource.k8s.io/v1/deviceclasses",
        {"metadata": {"name": "second.example.com"}, "spec": {"extendedResourceName": GPU}},
    )
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    devices = [{"name": "gpu-0", "allowMultipleAllocations": True}]
    objects(
        "/apis/resource.k8s.io/v1/resourceslices",
        {
            "metadata": {"name": "gpu.example.com-1"},
            "spec": {"driver": "gpu.example.com", "pool": pool, "allNodes": True, "devices": devices},
        },
    )
    _, found = doctor(control_plane)
    plugin = seen(found, "device-plugin-config")
    assert f"ConfigMap {team}/plugin-configs, key any: flags.renameByDefault has no effect there" in plugin
    assert "sharing.timeSlicing.failRequestsGreaterThanOne is not set" in plugin
    assert f"DaemonSet {team}/dcgm runs dcgm-exporter, and NVIDIA_RESOURCE_NAMES does not list" in seen(
        found, "dcgm-exporter"
    )
    assert f"ClusterQueue cq does not cover {SHARED}, and serves namespace {team}" in seen(found, "kueue")
    assert f'pods of policy "shared" request {SHARED}, but Karpenter knows only {GPU}' in seen(found, "karpenter")
    assert f"DeviceClasses gpu.example.com, second.example.com have one extendedResourceName, {GPU}" in seen(
        found, "device-classes"
    )
    promise = found["shared-devices"][0]
    assert f"DeviceClass gpu.example.com offers {GPU}" in promise["seen"]
    assert promise["means"].startswith("pods of policy exclusive may share their GPU"), own
    assert "ConfigMap kube-system/cluster-autoscaler-status" in seen(found, "cluster-autoscaler")


def test_the_change_of_a_label_that_takes_a_quotas_name_away_is_warned_of(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    team = make_namespace()
    hard = {"requests.nvidia.com/gpu": "2"}
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": hard}}
    control_plane.api.post(f"/api/v1/namespaces/{team}/resourcequotas", json=quota).raise_for_status()
    answer = control_plane.api.patch(
        f"/api/v1/namespaces/{team}",
        json={"metadata": {"labels": {ENFORCE: "shared"}}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    answer.raise_for_status()
    warnings = " ".join(answer.headers.get_list("warning"))
    assert f"nothing limits {SHARED}; add requests.{SHARED} to the ResourceQuota" in warnings

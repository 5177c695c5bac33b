"""What runs beside gpuwarden: each thing that would not work with what policies make of pods is found, and nothing else."""

from typing import Any

import msgspec
import pytest

from tests.application.diagnosis.world import (
    GPU,
    SHARED,
    Json,
    a_node,
    complete,
    configured,
    healthy,
    namespaces,
    results,
)
from webhook.application.diagnosis.diagnose import CHECKS
from webhook.application.diagnosis.facts import BadConfiguration, Facts, Neighbours, Unread
from webhook.application.diagnosis.neighbours import (
    ClusterQueue,
    DeviceClass,
    KueueConfiguration,
    LocalQueue,
    NodePool,
    Program,
)
from webhook.application.diagnosis.results import CheckOutcome, CheckStatus
from webhook.application.plugin_configuration import PluginFile

MIG = "nvidia.com/mig-1g.5gb"


def beside(policy: str = "shared", /, *, nodes: Any = (), **fields: Any) -> Facts:
    return healthy(namespaces=namespaces(team_a=policy), nodes=nodes, neighbours=Neighbours(**fields))


def the_only(facts: Facts, check: str) -> CheckOutcome:
    (found,) = results(facts, check)
    return found


def warned(facts: Facts, check: str) -> list[str]:
    found = results(facts, check)
    assert complete(found)
    assert {one.status for one in found} == {CheckStatus.WARN}
    return [one.observed for one in found]


OF_KINDS = {
    "device-plugin-config": "plugin_files",
    "shared-devices": "shared_by",
    "cluster-autoscaler": "autoscalers",
    "karpenter": "node_pools",
    "kueue": "cluster_queues",
    "dcgm-exporter": "exporters",
}


@pytest.mark.parametrize("check", OF_KINDS)
def test_what_is_not_there_is_said_and_is_well(check: str) -> None:
    assert the_only(beside(), check).status is CheckStatus.OK


@pytest.mark.parametrize(("check", "fact"), OF_KINDS.items())
def test_what_may_not_be_read_is_unknown(check: str, fact: str) -> None:
    result = the_only(beside(**{fact: Unread("list things", "forbidden", forbidden=True)}), check)
    assert result.status is CheckStatus.UNKNOWN
    assert result.fix == "grant the user who runs doctor the permission: list things"


@pytest.mark.parametrize(("check", "fact"), OF_KINDS.items())
def test_a_kind_that_the_api_server_does_not_have_is_skipped(check: str, fact: str) -> None:
    result = the_only(beside(**{fact: Unread("list things", "no", forbidden=False, absent="things.x (v1)")}), check)
    assert (result.status, result.observed) == (CheckStatus.SKIPPED, "not checked: the API server has no things.x (v1)")
    assert result.impact
    assert check in {one.id for one in CHECKS}


# The device plugin's configuration.


def sliced(**fields: Any) -> Json:
    section = {"renameByDefault": True, "failRequestsGreaterThanOne": True, "resources": [{"name": GPU, "replicas": 4}]}
    return {"version": "v1", "sharing": {"timeSlicing": {**section, **fields}}}


def test_a_valid_plugin_file_is_well() -> None:
    result = the_only(beside(plugin_files=[PluginFile("ConfigMap gpu/c, key any", sliced())]), "device-plugin-config")
    assert (result.status, "1 configuration files" in result.observed) == (CheckStatus.OK, True)


def test_what_the_plugin_rejects_fails_and_what_it_ignores_warns() -> None:
    one = PluginFile(
        "ConfigMap gpu/c, key a",
        sliced(renameByDefault=False, resources=[{"name": GPU, "replicas": 1, "devices": ["0"]}]),
    )
    found = results(
        beside(plugin_files=[one, PluginFile("ConfigMap gpu/c, key b", {}, "line 1: …")]), "device-plugin-config"
    )
    assert complete(found)
    assert [(r.status, r.observed.split(" sharing.timeSlicing.")[-1]) for r in found] == [
        (CheckStatus.WARN, "renameByDefault is false"),
        (CheckStatus.FAIL, "resources[0].replicas is 1"),
        (CheckStatus.WARN, "resources[0].devices selects devices"),
        (CheckStatus.WARN, "ConfigMap gpu/c, key b: line 1: …"),
    ]


def test_without_a_usable_configuration_only_the_name_is_not_compared() -> None:
    files = [PluginFile("ConfigMap gpu/c, key a", sliced(renameByDefault=False))]
    facts = healthy(configuration=BadConfiguration(("bad",)), neighbours=Neighbours(plugin_files=files))
    assert the_only(facts, "device-plugin-config").status is CheckStatus.OK


# dcgm-exporter.


def exporter(*args: str, **env: str) -> Program:
    container = {
        "name": "exporter",
        "image": "registry.example:5000/nvidia/k8s/dcgm-exporter:4.2.3",
        "args": list(args),
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    spec = {"template": {"spec": {"containers": [{"name": "other", "image": "x"}, container]}}}
    return msgspec.convert({"metadata": {"name": "dcgm", "namespace": "gpu"}, "spec": spec}, Program)


@pytest.mark.parametrize(
    ("policy", "one"),
    [
        ("exclusive", exporter()),
        ("mig-1g.5gb", exporter()),
        ("none", exporter()),
        ("shared", exporter(NVIDIA_RESOURCE_NAMES=f"nvidia.com/x, {SHARED}", KUBERNETES_VIRTUAL_GPUS="true")),
        ("mps", exporter("--nvidia-resource-names", SHARED, "--kubernetes-virtual-gpus")),
        ("mps", exporter(f"--nvidia-resource-names={SHARED}", "--kubernetes-virtual-gpus=true")),
        ("mig-1g.5gb-shared", exporter(KUBERNETES_VIRTUAL_GPUS="True")),
    ],
)
def test_an_exporter_that_knows_the_names_is_well(policy: str, one: Program) -> None:
    assert the_only(beside(policy, exporters=[one]), "dcgm-exporter").status is CheckStatus.OK


@pytest.mark.parametrize(
    ("policy", "one", "lacking"),
    [
        (
            "shared",
            exporter(),
            ["NVIDIA_RESOURCE_NAMES does not list nvidia.com/gpu.shared", "KUBERNETES_VIRTUAL_GPUS"],
        ),
        ("shared", exporter(KUBERNETES_VIRTUAL_GPUS="true"), ["NVIDIA_RESOURCE_NAMES does not list"]),
        (
            "shared",
            exporter(NVIDIA_RESOURCE_NAMES=SHARED, KUBERNETES_VIRTUAL_GPUS="false"),
            ["without KUBERNETES_VIRTUAL_GPUS: true"],
        ),
        ("gke-mps-4", exporter(), ["without KUBERNETES_VIRTUAL_GPUS: true"]),
    ],
)
def test_an_exporter_that_does_not_is_warned_of(policy: str, one: Program, lacking: list[str]) -> None:
    seen = warned(beside(policy, exporters=[one]), "dcgm-exporter")
    assert len(seen) == len(lacking)
    assert all(part in sentence for part, sentence in zip(lacking, seen, strict=True))


def test_names_that_the_exporter_has_already_stay_in_the_list_to_set() -> None:
    one = exporter(NVIDIA_RESOURCE_NAMES="nvidia.com/a100", KUBERNETES_VIRTUAL_GPUS="1")
    assert the_only(beside(exporters=[one]), "dcgm-exporter").fix.endswith(f"to nvidia.com/a100,{SHARED}")


def test_a_setting_from_another_object_is_unknown() -> None:
    one = exporter(KUBERNETES_VIRTUAL_GPUS="1")
    variable = {"name": "NVIDIA_RESOURCE_NAMES", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}
    document = msgspec.to_builtins(one)
    document["spec"]["template"]["spec"]["containers"][1]["env"].append(variable)
    found = msgspec.convert(document, Program)
    assert the_only(beside(exporters=[found]), "dcgm-exporter").status is CheckStatus.UNKNOWN
    assert the_only(beside("exclusive", exporters=[found]), "dcgm-exporter").status is CheckStatus.OK


# ResourceSlices with devices for several pods.


def a_class(name: str = GPU, *expressions: str) -> DeviceClass:
    spec = {"extendedResourceName": name, "selectors": [{"cel": {"expression": one}} for one in expressions]}
    return msgspec.convert({"metadata": {"name": "gpu"}, "spec": spec}, DeviceClass)


OF_NVIDIA = "device.driver == 'gpu.nvidia.com'"


@pytest.mark.parametrize(
    ("policy", "one", "drivers"),
    [
        ("exclusive", a_class(GPU, OF_NVIDIA), set()),
        ("exclusive", a_class(GPU, OF_NVIDIA), {"other.example"}),
        ("exclusive", a_class(SHARED, OF_NVIDIA), {"gpu.nvidia.com"}),
        ("shared", a_class(SHARED, OF_NVIDIA), {"gpu.nvidia.com"}),
        ("exclusive", a_class(GPU, f"{OF_NVIDIA} && device.allowMultipleAllocations == false"), {"gpu.nvidia.com"}),
    ],
)
def test_classes_that_keep_the_promise_are_well(policy: str, one: DeviceClass, drivers: set[str]) -> None:
    facts = beside(policy, device_classes=[one], shared_by=frozenset(drivers))
    assert the_only(facts, "shared-devices").status is CheckStatus.OK


@pytest.mark.parametrize(("policy", "one"), [("exclusive", a_class(GPU, OF_NVIDIA)), ("mig-1g.5gb", a_class(MIG))])
def test_a_class_of_devices_for_several_pods_breaks_a_promise(policy: str, one: DeviceClass) -> None:
    (seen,) = warned(beside(policy, device_classes=[one], shared_by=frozenset({"gpu.nvidia.com"})), "shared-devices")
    assert "devices of gpu.nvidia.com have allowMultipleAllocations: true" in seen


# Cluster Autoscaler.

EKS = {"k8s.amazonaws.com/accelerator": "nvidia-tesla-t4"}


@pytest.mark.parametrize(
    "node",
    [
        a_node("a", {GPU: 1}, **EKS),
        a_node("a", {GPU: 1, MIG: 2}, **EKS),
        a_node("a", {SHARED: 8}),
        a_node("a", {}, **EKS),
    ],
)
def test_nodes_that_the_autoscaler_knows_are_well(node: Any) -> None:
    assert the_only(beside(nodes=[node], autoscalers=["x"]), "cluster-autoscaler").status is CheckStatus.OK


def test_nodes_that_offer_other_names_alone_are_unready_to_the_autoscaler() -> None:
    nodes = [a_node("a", {SHARED: 8, GPU: 0}, **EKS), a_node("b", {MIG: 2}, **EKS), a_node("c", {GPU: 1}, **EKS)]
    (seen,) = warned(beside(nodes=nodes, autoscalers=["Deployment kube-system/ca"]), "cluster-autoscaler")
    assert "node a, b has label k8s.amazonaws.com/accelerator and offers" in seen
    assert the_only(beside(nodes=nodes), "cluster-autoscaler").status is CheckStatus.OK


# Karpenter.


def a_pool(*requirements: tuple[str, str, list[str]], taint: str = "nvidia.com/gpu", **labels: str) -> NodePool:
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "requirements": [{"key": k, "operator": o, "values": v} for k, o, v in requirements],
            "taints": [{"key": taint}],
        },
    }
    return msgspec.convert({"metadata": {"name": "gpus"}, "spec": {"template": template}}, NodePool)


STRATEGY = "nvidia.com/gpu.sharing-strategy"
CATEGORY = "karpenter.k8s.aws/instance-category"


@pytest.mark.parametrize(
    ("policy", "pool", "overlay"),
    [
        ("exclusive", a_pool(), set()),
        ("gke-mps-4", a_pool(), set()),
        ("none", a_pool(), set()),
        ("shared", a_pool(), {SHARED}),
        ("mps", a_pool(**{STRATEGY: "mps"}), {SHARED}),
        ("mps", a_pool((STRATEGY, "In", ["mps", "time-slicing"])), {SHARED}),
        ("mps", a_pool((STRATEGY, "Exists", [])), {SHARED}),
        ("mps", a_pool((STRATEGY, "NotIn", ["time-slicing"])), {SHARED}),
        ("mps", a_pool((CATEGORY, "In", ["c", "m"]), taint="x"), set()),
        ("mps", a_pool((CATEGORY, "NotIn", ["g"]), taint="x"), set()),
    ],
)
def test_pools_that_admit_what_is_needed_are_well(policy: str, pool: NodePool, overlay: set[str]) -> None:
    facts = beside(policy, node_pools=[pool], overlay_resources=frozenset(overlay))
    assert the_only(facts, "karpenter").status is CheckStatus.OK


@pytest.mark.parametrize(
    "pool",
    [
        a_pool(),
        a_pool(**{STRATEGY: "time-slicing"}),
        a_pool((STRATEGY, "In", ["time-slicing"])),
        a_pool((STRATEGY, "NotIn", ["mps"])),
        a_pool((STRATEGY, "DoesNotExist", [])),
        a_pool((CATEGORY, "In", ["g"]), taint="x"),
        a_pool(("node.kubernetes.io/instance-type", "In", ["p4d.24xlarge"]), taint="x"),
    ],
)
def test_a_label_that_no_pool_admits_is_named(pool: NodePool) -> None:
    (seen,) = warned(beside("mps", node_pools=[pool], overlay_resources=frozenset({SHARED})), "karpenter")
    assert seen.endswith(f"admits: {STRATEGY}: mps")


def test_whole_gpus_next_to_shared_ones_need_no_label_of_a_pool() -> None:
    facts = healthy(
        configuration=configured(plugin=False),
        namespaces=namespaces(team_a="exclusive"),
        neighbours=Neighbours(node_pools=[a_pool()]),
    )
    assert the_only(facts, "karpenter").status is CheckStatus.OK


@pytest.mark.parametrize(
    "overlay",
    [frozenset({"x"}), Unread("list nodeoverlays", "no", forbidden=False, absent="nodeoverlays.karpenter.sh")],
)
def test_a_name_that_karpenter_does_not_know_is_told(overlay: Any) -> None:
    (seen,) = warned(beside("mig-1g.5gb", node_pools=[a_pool()], overlay_resources=overlay), "karpenter")
    assert seen == f'pods of policy "mig-1g.5gb" request {MIG}, but Karpenter knows only {GPU}'


# Kueue.


def queues(*covers: str, **settings: Any) -> Json:
    spec = {"resourceGroups": [{"coveredResources": ["cpu"]}, {"coveredResources": list(covers)}]}
    return {
        "cluster_queues": [msgspec.convert({"metadata": {"name": "cq"}, "spec": spec}, ClusterQueue)],
        "local_queues": [
            msgspec.convert(
                {"metadata": {"name": "q", "namespace": "team-a"}, "spec": {"clusterQueue": "cq"}}, LocalQueue
            )
        ],
        "kueue": msgspec.convert({"resources": settings}, KueueConfiguration) if settings else None,
    }


def only(*frameworks: str, covers: str) -> Json:
    settings = {"integrations": {"frameworks": list(frameworks)}}
    return {**queues(covers), "kueue": msgspec.convert(settings, KueueConfiguration)}


TO_CREDITS = [{"input": name, "strategy": "Replace", "outputs": {"example.com/credits": 1}} for name in (GPU, SHARED)]


@pytest.mark.parametrize(
    ("policy", "has"),
    [
        ("exclusive", queues(GPU)),
        ("any", queues(MIG)),
        ("none", queues(MIG)),
        ("shared", queues()),
        ("shared", queues(GPU, SHARED)),
        ("shared", only("batch/job", "jobset.x-k8s.io/jobset", covers=GPU)),
        ("shared", queues("example.com/credits", GPU, transformations=TO_CREDITS)),
        ("shared", queues(GPU, excludeResourcePrefixes=["nvidia.com/gpu.sh"])),
    ],
)
def test_queues_that_cover_the_names_are_well(policy: str, has: Json) -> None:
    assert the_only(beside(policy, **has), "kueue").status is CheckStatus.OK


@pytest.mark.parametrize(
    ("policy", "has", "lacking", "means"),
    [
        (
            "shared",
            queues(GPU),
            SHARED,
            "never admits pods with a queue name, as gpuwarden rewrites them, unless its configuration",
        ),
        ("shared", only("batch/job", "deployment", covers=GPU), SHARED, "as gpuwarden rewrites them"),
        ("shared", only("batch/job", covers=SHARED), GPU, "as their templates do"),
        ("shared", queues(SHARED), GPU, "never admits Jobs that request nvidia.com/gpu, as their templates do"),
        ("shared", queues(MIG), f"{GPU}, {SHARED}", "as their templates do and pods with a queue name"),
        ("shared", queues(GPU, quotaCheckStrategy="BlockUndeclared"), SHARED, 'rewrites them: "resource unavailable'),
        ("shared", queues(GPU, quotaCheckStrategy="IgnoreUndeclared"), SHARED, f"nothing limits {SHARED} there"),
        ("shared", queues(GPU, transformations=TO_CREDITS), f"{GPU}, {SHARED}", "never admits"),
    ],
)
def test_a_name_that_a_queue_does_not_cover_is_told(policy: str, has: Json, lacking: str, means: str) -> None:
    facts = beside(policy, **has)
    (seen,) = warned(facts, "kueue")
    assert seen == f'ClusterQueue cq does not cover {lacking}, and serves namespace team-a with policy "{policy}"'
    assert means in the_only(facts, "kueue").impact

"""The workloads of a cluster that request GPUs: by what a person wrote, whatever made the pods, and with their claims."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.adapters.kubernetes.support import reached
from tests.adapters.kubernetes.test_cluster_claims import Patient, Silent, serve
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.builders import EVERY_SETTING, Json, applied, evaluate, policy_of
from webhook.adapters.kubernetes.audit_reader import AuditReader
from webhook.adapters.kubernetes.gpu_workloads import GpuWorkloads
from webhook.adapters.kubernetes.lists import Lister
from webhook.application.configuration import Configuration
from webhook.application.recommendation.placement import NamedNode
from webhook.application.recommendation.policy_effects import PodOutcome, PolicyEffect
from webhook.application.recommendation.workloads import Workload
from webhook.engine.fleet.node_shapes import shape_of
from webhook.engine.requests import read
from webhook.engine.spelling import DevicePlugin

NONE: Mapping[str, str] = {}


@pytest.fixture
def cluster() -> Iterator[WorkloadServer]:
    with WorkloadServer() as server:
        yield server


@pytest.fixture
def reader(cluster: WorkloadServer, tmp_path: Path) -> Iterator[GpuWorkloads]:
    with reached(cluster.url, tmp_path) as server:
        api = Patient(server)
        yield GpuWorkloads(api, Lister(api, Silent()), AuditReader(api, Silent()), Configuration(), [])


def owned(name: str, owner: str = "") -> Json:
    """Metadata; ``owner`` is the apiVersion, kind and name of its controller."""
    metadata: Json = {"namespace": "team", "name": name, "uid": name}
    if owner:
        api_version, kind, its_name = owner.split()
        metadata["ownerReferences"] = [
            {"apiVersion": api_version, "kind": kind, "name": its_name, "uid": its_name, "controller": True}
        ]
    return metadata


def pod(name: str, owner: str = "", gpus: int = 1, **spec: object) -> Json:
    limits = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    container = {"name": "main", "resources": limits}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": owned(name, owner),
        "spec": {"containers": [container], **spec},
        "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"},
    }


def controller(api_version: str, kind: str, name: str, owner: str = "") -> Json:
    spec = {"template": {"spec": pod("x")["spec"]}}
    return {"apiVersion": api_version, "kind": kind, "metadata": owned(name, owner), "spec": spec}


def custom(cluster: WorkloadServer, api_version: str, plural: str, *objects: tuple[str, str]) -> None:
    cluster.serve(api_version, plural, *({"metadata": owned(name, owner)} for name, owner in objects))


def found(reader: GpuWorkloads, *namespaces: str) -> dict[str, Workload]:
    return {f"{one.kind} {one.name}": one for one in reader.read(namespaces)}


def test_the_pods_of_a_ray_cluster_are_those_of_its_job_or_service(
    cluster: WorkloadServer, reader: GpuWorkloads
) -> None:
    cluster.add(
        *(pod(f"w-{n}", "ray.io/v1 RayCluster tune-x7k2p") for n in range(2)), pod("s", "ray.io/v1 RayCluster chat-1")
    )
    cluster.add(pod("own", "ray.io/v1 RayCluster by-hand"))
    job, service = "ray.io/v1 RayJob tune", "ray.io/v1 RayService chat"
    custom(cluster, "ray.io/v1", "rayclusters", ("tune-x7k2p", job), ("chat-1", service), ("by-hand", ""))
    custom(cluster, "ray.io/v1", "rayjobs", ("tune", "ray.io/v1 RayCronJob nightly"))
    custom(cluster, "ray.io/v1", "rayservices", ("chat", "example.com/v1 Application all"))
    custom(cluster, "ray.io/v1", "raycronjobs", ("nightly", ""))
    workloads = found(reader)
    # An application, which is not in the table, may control many workloads: it is none itself.
    assert {name: len(one.pods) for name, one in workloads.items()} == {
        "RayCronJob nightly": 2,
        "RayService chat": 1,
        "RayCluster by-hand": 1,
    }
    assert workloads["RayCronJob nightly"].between == ("RayCluster", "RayJob")
    assert reader.tops["team", "RayCluster", "tune-x7k2p"] == ("RayCronJob", "nightly")
    assert reader.notes == []


@pytest.mark.parametrize("namespaces", [(), ("team",)])
def test_chains_through_built_in_kinds(
    cluster: WorkloadServer, reader: GpuWorkloads, namespaces: tuple[str, ...]
) -> None:
    jobset = "jobset.x-k8s.io/v1alpha2 JobSet fit-set"
    cluster.add(*(pod(f"fit-{n}", f"batch/v1 Job fit-node-{n}") for n in range(2)))
    cluster.add(*(controller("batch/v1", "Job", f"fit-node-{n}", jobset) for n in range(2)))
    custom(cluster, "jobset.x-k8s.io/v1alpha2", "jobsets", ("fit-set", "trainer.kubeflow.org/v1alpha1 TrainJob fit"))
    custom(cluster, "trainer.kubeflow.org/v1alpha1", "trainjobs", ("fit", ""))
    # The workers of a LeaderWorkerSet's group are of a StatefulSet of their leader, which has no GPU here.
    cluster.add(pod("big-0-1", "apps/v1 StatefulSet big-0"), pod("big-0", "apps/v1 StatefulSet big", gpus=0))
    cluster.objects["/api/v1/namespaces/team/pods/big-0"] = pod("big-0", "apps/v1 StatefulSet big", gpus=0)
    cluster.add(controller("apps/v1", "StatefulSet", "big-0", "v1 Pod big-0"))
    cluster.add(controller("apps/v1", "StatefulSet", "big", "leaderworkerset.x-k8s.io/v1 LeaderWorkerSet big"))
    custom(cluster, "leaderworkerset.x-k8s.io/v1", "leaderworkersets", ("big", ""))
    cluster.add(pod("n-0", "batch/v1 Job n-1"), controller("batch/v1", "Job", "n-1", "batch/v1 CronJob n"))
    cluster.add(pod("rank-0", "kubeflow.org/v1 PyTorchJob dist"))
    custom(cluster, "kubeflow.org/v1", "pytorchjobs", ("dist", "workload.codeflare.dev/v1beta2 AppWrapper wrapped"))
    custom(cluster, "workload.codeflare.dev/v1beta2", "appwrappers", ("wrapped", ""))
    workloads = found(reader, *namespaces)
    assert {name: one.between for name, one in workloads.items()} == {
        "TrainJob fit": ("Job", "JobSet"),
        "LeaderWorkerSet big": ("StatefulSet", "Pod"),
        "CronJob n": ("Job",),
        "AppWrapper wrapped": ("PyTorchJob",),
    }
    assert len(workloads["TrainJob fit"].pods) == 2


def test_owners_that_may_not_be_read_are_said(cluster: WorkloadServer, reader: GpuWorkloads) -> None:
    cluster.add(pod("w", "ray.io/v1 RayCluster tune-x7k2p"), pod("big-0-1", "apps/v1 StatefulSet big-0"))
    cluster.add(controller("apps/v1", "StatefulSet", "big-0", "v1 Pod big-0"))
    custom(cluster, "ray.io/v1", "rayclusters", ("tune-x7k2p", "ray.io/v1 RayJob tune"))
    cluster.refused = {"/apis/ray.io/v1/rayclusters": 403, "/api/v1/namespaces/team/pods/big-0": 403}
    assert [*found(reader)] == ["RayCluster tune-x7k2p", "Pod big-0"]
    assert [note.partition(":")[0] for note in reader.notes] == [
        "the controllers of rayclusters.ray.io are not known, so each counts by itself",
        "the controller of pod team/big-0, which controls others, is not known",
    ]


def test_pods_of_a_scheduler_that_shares_gpus_itself_are_exempt(cluster: WorkloadServer, reader: GpuWorkloads) -> None:
    hami = pod("hami", nodeName="n")
    hami["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpumem"] = "4000"
    cluster.add(hami, pod("kai", schedulerName="kai-scheduler", nodeName="n"), pod("plain", nodeName="n"))
    exempt = {name: one.exempt for name, one in found(reader).items()}
    assert exempt == {"Pod hami": "resources", "Pod kai": "scheduler", "Pod plain": ""}


def test_variables_count_where_their_value_is_not_known_and_servers_with_others_differ(
    cluster: WorkloadServer, reader: GpuWorkloads
) -> None:
    referred = {"name": "GPU_MEMORY_UTILIZATION", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}
    for name, env in {"ref": [referred], "lora": [{"name": "VLLM_LORA", "value": "1"}], "plain": []}.items():
        server = pod(name)
        server["spec"]["containers"][0] |= {"env": env, "args": [] if env == [referred] else ["vllm", "serve", "m"]}
        cluster.add(server)
    programs = {name: one.programs[0] for name, one in found(reader).items()}
    assert programs["Pod ref"].reserves.startswith("GPU_MEMORY_UTILIZATION sets how much")
    assert programs["Pod lora"].model == programs["Pod plain"].model == "m"
    assert programs["Pod lora"].arguments != programs["Pod plain"].arguments


def test_each_pod_has_the_number_of_gpus_that_it_requests(cluster: WorkloadServer, reader: GpuWorkloads) -> None:
    cluster.add(*(pod(f"w-{gpus}", "ray.io/v1 RayCluster tune", gpus) for gpus in (1, 2)))
    custom(cluster, "ray.io/v1", "rayclusters", ("tune", ""))
    tune = found(reader)["RayCluster tune"]
    assert (tune.gpus, {one.name: one.gpus for one in tune.pods}) == (2, {"w-1": 1, "w-2": 2})


def claimed(name: str, *requests: Json) -> Json:
    """A template of claims."""
    return {"metadata": {"name": name, "namespace": "team"}, "spec": {"spec": {"devices": {"requests": [*requests]}}}}


def claiming(name: str, template: str, gpus: int = 0) -> Json:
    one = pod(name, gpus=gpus, resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": template}])
    one["spec"]["containers"][0]["resources"]["claims"] = [{"name": "gpu"}]
    return one


def test_the_memory_that_a_template_requests_by_annotation(cluster: WorkloadServer, reader: GpuWorkloads) -> None:
    owners = {"a": "apps/v1 ReplicaSet r", "b": "apps/v1 ReplicaSet r", "x": "apps/v1 ReplicaSet changed"}
    for name, written in (("a", "4Gi"), ("b", "12.5Gi"), ("c", "much"), ("d", "1"), ("x", "4Gi")):
        one = pod(name, owners.get(name, ""))
        one["metadata"]["annotations"] = {"gpuwarden.io/gpu-memory": written}
        cluster.add(one)
    scaled_down = controller("apps/v1", "ReplicaSet", "s")
    scaled_down["spec"]["template"]["metadata"] = {"annotations": {"gpuwarden.io/gpu-memory": "2Gi"}}
    cluster.add(pod("e"), controller("apps/v1", "ReplicaSet", "changed"), scaled_down)
    memory = {name: one.memory for name, one in found(reader).items()}
    pods = {"Pod c": 0, "Pod d": 1, "Pod e": 0}
    # The template counts, and pods only where none is read.
    assert memory == {"ReplicaSet r": 12_800, "ReplicaSet s": 2048, "ReplicaSet changed": 0, **pods}


def requested(one: Workload) -> list[str]:
    """The resources and node selectors of a workload's templates."""
    return [
        " ".join(
            [*(amount.resource.name for each in read(spec) for amount in each.amounts), *(spec.node_selector or ())]
        )
        for template in one.templates
        if (spec := template.pod.spec)
    ]


SLICE, PLAIN = "nvidia.com/mig-1g.10gb", "nvidia.com/gpu"


def test_a_template_tells_what_a_policy_rewrote(cluster: WorkloadServer, reader: GpuWorkloads) -> None:
    sliced = {"limits": {"nvidia.com/mig-1g.10gb": "1"}}
    for name in ("plain", "named", "bare"):
        one = pod(name, "" if name == "bare" else f"apps/v1 ReplicaSet {name}")
        one["spec"]["containers"][0]["resources"] = sliced
        cluster.add(one)
    named = controller("apps/v1", "ReplicaSet", "named")
    named["spec"]["template"]["spec"]["containers"][0]["resources"] = sliced
    cluster.add(controller("apps/v1", "ReplicaSet", "plain"), named)
    workloads = found(reader)
    assert {one.form for one in workloads.values()} == {"mig-1g.10gb"}
    assert {name: requested(one) for name, one in workloads.items()} == {
        "ReplicaSet plain": [PLAIN],
        "ReplicaSet named": [SLICE],
        "Pod bare": [SLICE],
    }


def test_templates_of_operators_tell_what_a_policy_rewrote(cluster: WorkloadServer, reader: GpuWorkloads) -> None:
    sliced = {"limits": {"nvidia.com/mig-1g.10gb": "1"}}

    def spec(resources: Json) -> Json:
        return {"spec": {"containers": [{"name": "main", "resources": resources}]}}

    def torch(name: str, *resources: Json) -> Json:
        replicas = {f"R{number}": {"template": spec(one)} for number, one in enumerate(resources)}
        return {"metadata": owned(name), "spec": {"pytorchReplicaSpecs": replicas}}

    plain: Json = {"limits": {"nvidia.com/gpu": "1"}}
    for name in ("plain", "named", "both", "cpu"):
        one = pod(f"{name}-0", f"kubeflow.org/v1 PyTorchJob {name}")
        one["spec"]["containers"][0]["resources"] = sliced
        cluster.add(one)
    jobs = torch("plain", plain, {}), torch("named", sliced), torch("both", sliced, plain), torch("cpu", {})
    ended = torch("ended", plain)
    cluster.serve("kubeflow.org/v1", "pytorchjobs", *jobs, ended)
    # A built-in kind that an operator controls has the requests that its pods are made from.
    served = pod("served", "apps/v1 Deployment served")
    served["spec"]["containers"][0]["resources"] = sliced
    cluster.add(
        served, controller("apps/v1", "Deployment", "served", "serving.kserve.io/v1beta1 InferenceService chat")
    )
    custom(cluster, "serving.kserve.io/v1beta1", "inferenceservices", ("chat", ""))
    assert {name: requested(one) for name, one in found(reader).items()} == {
        "PyTorchJob plain": [PLAIN],
        "PyTorchJob named": [SLICE],
        "PyTorchJob both": [SLICE, PLAIN],
        "PyTorchJob cpu": [SLICE],
        "InferenceService chat": [PLAIN],
    }


def test_a_template_names_a_form_by_its_resource_or_by_node_labels(
    cluster: WorkloadServer, reader: GpuWorkloads
) -> None:
    gke = {"cloud.google.com/gke-gpu-partition-size": "1g.5gb"}
    enlarged = pod("enlarged", "apps/v1 ReplicaSet enlarged")
    enlarged["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/mig-2g.20gb": "1"}}
    template = controller("apps/v1", "ReplicaSet", "enlarged")
    template["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/mig-1g.10gb": "1"}}
    selecting = controller("apps/v1", "ReplicaSet", "selecting")
    selecting["spec"]["template"]["spec"]["nodeSelector"] = gke
    cluster.add(
        *(enlarged, template, selecting, controller("apps/v1", "ReplicaSet", "plain")),
        *(pod(name, f"apps/v1 ReplicaSet {name}", nodeSelector=gke) for name in ("selecting", "plain")),
        pod("bare", nodeSelector=gke),
    )
    workloads = found(reader)
    assert workloads["ReplicaSet enlarged"].form == "mig-2g.20gb"  # mismatch: rewrite
    assert {name: requested(one) for name, one in workloads.items()} == {
        "ReplicaSet enlarged": [SLICE],
        "ReplicaSet selecting": [f"{PLAIN} cloud.google.com/gke-gpu-partition-size"],
        "ReplicaSet plain": [PLAIN],
        "Pod bare": [f"{PLAIN} cloud.google.com/gke-gpu-partition-size"],
    }


def test_the_templates_of_a_workload_are_kept_once_each_with_the_most_gpus_first(
    cluster: WorkloadServer, reader: GpuWorkloads
) -> None:
    cluster.add(*(pod(f"w-{number}", "ray.io/v1 RayCluster tune", gpus) for number, gpus in enumerate((1, 4, 1, 4))))
    custom(cluster, "ray.io/v1", "rayclusters", ("tune", ""))
    one = found(reader)["RayCluster tune"]
    assert [read(each.pod.spec)[0].amounts[0].count for each in one.templates if each.pod.spec] == [4, 1]


@pytest.mark.parametrize("plugin", EVERY_SETTING.values(), ids=EVERY_SETTING)
def test_a_pod_without_a_template_is_plain_if_a_policy_of_whole_gpus_rewrote_it(
    cluster: WorkloadServer, tmp_path: Path, plugin: DevicePlugin
) -> None:
    bare = pod("bare")
    cluster.add(applied(bare, evaluate(bare, "exclusive", plugin)))
    with reached(cluster.url, tmp_path) as server:
        api, configuration = Patient(server), Configuration(plugin=plugin)
        reader = GpuWorkloads(api, Lister(api, Silent()), AuditReader(api, Silent()), configuration, [])
        (template,) = found(reader)["Pod bare"].templates
    for policy in ("exclusive", "time-slicing", "mps"):
        assert PolicyEffect(policy_of(policy), plugin).on((template,), "") == PodOutcome(policy)


def test_node_selectors_that_a_policy_may_have_written_are_left_out_of_pods_without_a_template(
    cluster: WorkloadServer, tmp_path: Path
) -> None:
    """With renameByDefault: false, a policy of whole GPUs writes their label into plain requests."""
    strategy, zone = {"nvidia.com/gpu.sharing-strategy": "none"}, {"zone": "a"}
    cluster.add(pod("bare", nodeSelector=strategy | zone))
    selecting = controller("apps/v1", "ReplicaSet", "selecting")
    selecting["spec"]["template"]["spec"]["nodeSelector"] = strategy
    cluster.add(selecting, pod("s", "apps/v1 ReplicaSet selecting", nodeSelector=strategy))
    shares = pod("shares", nodeSelector={"nvidia.com/gpu.sharing-strategy": "mps"})
    cluster.add(shares)
    not_renamed = Configuration(plugin=DevicePlugin(rename_by_default=False))
    with reached(cluster.url, tmp_path) as server:
        api = Patient(server)
        workloads = found(GpuWorkloads(api, Lister(api, Silent()), AuditReader(api, Silent()), not_renamed, []))
    key = "nvidia.com/gpu.sharing-strategy"
    assert {name: requested(one) for name, one in workloads.items()} == {
        "Pod bare": [PLAIN],
        "ReplicaSet selecting": [f"{PLAIN} {key}"],
        "Pod shares": [f"{PLAIN} {key}"],
    }


def test_a_template_without_pods_requests_a_whole_gpu_of_the_only_platform(
    cluster: WorkloadServer, tmp_path: Path
) -> None:
    amounts = {"nvidia.com/gpu": "4"}
    accelerator = {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    of_gke, other = shape_of(accelerator, amounts, amounts), shape_of({}, amounts, amounts)
    assert of_gke
    assert other
    small = controller("apps/v1", "ReplicaSet", "small")
    small["spec"]["template"]["spec"]["nodeSelector"] = {"cloud.google.com/gke-gpu-partition-size": "1g.5gb"}
    cluster.add(controller("apps/v1", "ReplicaSet", "none"), small)
    for shapes, form in (((of_gke,), "gke-exclusive"), ((other,), "exclusive"), ((of_gke, other), "exclusive")):
        nodes = [NamedNode(f"n{number}", accelerator, shape) for number, shape in enumerate(shapes)]
        with reached(cluster.url, tmp_path) as server:
            api = Patient(server)
            workloads = found(
                GpuWorkloads(api, Lister(api, Silent()), AuditReader(api, Silent()), Configuration(), nodes)
            )
        assert workloads["ReplicaSet none"].form == form
        assert workloads["ReplicaSet small"].form == "gke-mig-1g.5gb"


def test_shared_slices_have_a_form_that_policies_can_name(cluster: WorkloadServer, tmp_path: Path) -> None:
    amounts = {f"{SLICE}.shared": "14"}
    shape = shape_of({f"{SLICE}.sharing-strategy": "time-slicing"}, amounts, amounts)
    assert shape
    one = pod("one", nodeName="n")
    one["spec"]["containers"][0]["resources"]["limits"] = {f"{SLICE}.shared": "1"}
    waits = pod("waits", nodeSelector={f"{SLICE}.sharing-strategy": "time-slicing"})
    waits["spec"]["containers"] = one["spec"]["containers"]
    cluster.add(one, waits)
    with reached(cluster.url, tmp_path) as server:
        api = Patient(server)
        nodes = [NamedNode("n", {}, shape)]
        workloads = found(GpuWorkloads(api, Lister(api, Silent()), AuditReader(api, Silent()), Configuration(), nodes))
    assert workloads["Pod one"].form == workloads["Pod waits"].form == "mig-1g.10gb-shared"


def test_claims_are_requests_too(cluster: WorkloadServer, reader: GpuWorkloads) -> None:
    def request(device_class: str, **more: object) -> Json:
        return {"name": "gpu", "exactly": {"deviceClassName": device_class, **more}}

    profile = [{"cel": {"expression": "device.attributes['gpu.nvidia.com'].profile == '1g.10gb'"}}]
    either = {"name": "gpu", "firstAvailable": [
        {"name": "a", "deviceClassName": "gpu.nvidia.com"}, {"name": "b", "deviceClassName": "mig.nvidia.com"}]}  # fmt: skip
    templates = [
        claimed("two", request("gpu.nvidia.com", count=2)),
        claimed("slice", request("mig.nvidia.com", selectors=profile)),
        claimed("any-slice", request("mig.nvidia.com")),
        claimed("all", request("gpu.nvidia.com", allocationMode="All")),
        claimed("either", either),
        claimed("nic", request("rdma.example.com")),
        claimed("watch", request("gpu.nvidia.com", adminAccess=True)),
    ]
    several = claimed("several", request("mig.nvidia.com", selectors=profile))
    several["spec"] = several["spec"]["spec"]
    serve(cluster, "v1", resourceclaimtemplates=templates, resourceclaims=[several])
    cluster.lists["/apis/resource.k8s.io/v1/deviceclasses"] = [
        json.dumps({"metadata": {"name": "rdma.example.com"}, "spec": {}}).encode()
    ]
    for name in ("two", "slice", "any-slice", "all", "either", "nic", "watch", "not-there"):
        cluster.add(claiming(name, name))
    cluster.add(claiming("both", "two", gpus=1))
    shared = claiming("shared", "")
    shared["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimName": "several"}]
    cluster.add(shared)
    workloads = {one.name: one for one in reader.read(())}
    assert {name: (one.gpus, one.form, one.requests) for name, one in workloads.items()} == {
        "two": (2, "exclusive", ("claim gpu: gpu.nvidia.com: 2",)),
        "slice": (1, "mig-1g.10gb", ("claim gpu: mig.nvidia.com: 1",)),
        "any-slice": (1, "claim", ("claim gpu: mig.nvidia.com: 1",)),
        "all": (1, "claim", ("claim gpu: gpu.nvidia.com: all",)),
        "either": (1, "claim", ("claim gpu: gpu.nvidia.com: 1 or mig.nvidia.com: 1",)),
        "both": (3, "exclusive", ("nvidia.com/gpu: 1", "claim gpu: gpu.nvidia.com: 2")),
        "shared": (1, "mig-1g.10gb-shared", ("claim gpu: mig.nvidia.com: 1",)),
    }
    assert all(one.claimed for one in workloads.values())
    # What their claims request is kept with their templates.
    kept = {name: [each.source for each in one.templates[0].claims.gpus] for name, one in workloads.items()}
    assert kept["slice"] == ['ResourceClaimTemplate "slice", request gpu']
    assert all(kept.values())
    assert {name: one.not_evaluated for name, one in workloads.items() if one.not_evaluated} == {
        "any-slice": 'requested by a claim: claim "gpu": the form that DeviceClass mig.nvidia.com hands out is not known',
        "all": 'requested by a claim: claim "gpu" requests all devices of a node, or an unknown number',
        "either": 'requested by a claim: claim "gpu" may be satisfied in 2 ways, and gpuwarden does not read which one it got',
    }
    (note,) = reader.notes
    assert note.endswith("may be for GPUs, are not evaluated: gpu of Pod team/not-there")


def test_claims_that_may_not_be_read_are_said(cluster: WorkloadServer, reader: GpuWorkloads) -> None:
    serve(cluster, "v1", resourceclaimtemplates=[])
    cluster.refused = {"/apis/resource.k8s.io/v1/resourceclaims": 403}
    cluster.add(pod("plain"))
    assert [one.name for one in reader.read(())] == ["plain"]
    assert reader.notes == []
    cluster.add(claiming("one", "two"))
    assert [one.name for one in reader.read(())] == ["plain"]
    assert reader.notes[0].startswith("resource claims: pods with claims (DRA) are not evaluated (")
    assert reader.notes[1].endswith("not evaluated: gpu of Pod team/one")


def test_servers_of_one_model_with_the_same_arguments_but_for_addresses_are_known_as_such(
    cluster: WorkloadServer, reader: GpuWorkloads
) -> None:
    for name, more in (("a", ["--port", "80"]), ("b", ["--port", "81"]), ("c", ["--enable-lora"]), ("d", [])):
        one = pod(name)
        one["spec"]["containers"][0] |= {"image": "vllm:1", "args": ["--model", "m", *more]}
        cluster.add(one)
    numbers = {name: one.programs[0].arguments for name, one in found(reader).items()}
    assert numbers == {"Pod a": 0, "Pod b": 0, "Pod c": 1, "Pod d": 0}


def test_the_templates_of_a_deployment_are_not_those_of_its_replica_sets(
    cluster: WorkloadServer, reader: GpuWorkloads
) -> None:
    """Older ones have older templates, which no next pod has."""
    old = controller("apps/v1", "ReplicaSet", "w-1", "apps/v1 Deployment w")
    old["spec"]["template"]["spec"] = pod("x", gpus=2)["spec"]
    cluster.add(pod("w-1-a", "apps/v1 ReplicaSet w-1", gpus=2), old, controller("apps/v1", "Deployment", "w"))
    (template,) = found(reader)["Deployment w"].templates
    spec = template.pod.spec
    assert spec
    assert spec.containers
    assert spec.containers[0].resources
    assert spec.containers[0].resources.limits == {"nvidia.com/gpu": "1"}

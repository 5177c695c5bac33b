"""The guide to forms: what each kind isolates and limits, its use cases and pitfalls, with sources.

``explain``, ``recommend`` and docs/reference/forms.md use these texts.
"""

from enum import StrEnum

import msgspec

from .forms import Form, Platform, Sharing

_OPERATOR = "https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-sharing.html"
_PLUGIN = "https://github.com/NVIDIA/k8s-device-plugin#shared-access-to-gpus"
_MPS = "https://docs.nvidia.com/deploy/mps/"
_MIG = "https://docs.nvidia.com/datacenter/tesla/mig-user-guide/"
_GKE = "https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus"


class FormKind(StrEnum):
    """Forms that have the same properties, whatever their platform, profile and number of clients."""

    EXCLUSIVE = "exclusive"
    TIME_SLICING = "time-slicing"
    MPS = "mps"
    SHARED = "shared"
    MIG = "mig"
    MIG_SHARED = "mig-shared"
    MIG_MPS = "mig-mps"


class Criterion(msgspec.Struct, frozen=True):
    """The rating of a kind of form by one criterion: a word for comparison, and a sentence that explains it."""

    value: str
    detail: str


class FormGuide(msgspec.Struct, frozen=True):
    """What a platform engineer needs to know about a kind of form before choosing it.

    Attributes:
        memory_isolation: whether one container can use up, or read, memory that another one needs.
        fault_isolation: whether a fault of one container ends others on the same GPU.
        predictability: how far latency and throughput depend on the neighbours.
        complexity: how much configuration the nodes need.
        supported_gpus: the GPUs that support it.
        limit_controls: how a container's compute and memory are limited.
    """

    kind: FormKind
    title: str
    description: str
    memory_isolation: Criterion
    fault_isolation: Criterion
    predictability: Criterion
    complexity: Criterion
    supported_gpus: Criterion
    limit_controls: Criterion
    suits: tuple[str, ...]
    traps: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def criteria(self) -> tuple[tuple[str, Criterion], ...]:
        """Every criterion with its title, in the order of a table."""
        return tuple((title, getattr(self, attribute)) for attribute, title in CRITERIA)


CRITERIA = (
    ("memory_isolation", "Memory isolation"),
    ("fault_isolation", "Fault isolation"),
    ("predictability", "Predictability"),
    ("complexity", "Configuration complexity"),
    ("supported_gpus", "Supported GPUs"),
    ("limit_controls", "Limit controls"),
)
"""The attributes of a guide that compare forms, each with its title."""

_SLOTS_ARE_ACCESS = "A slot is access, not capacity: a request above 1 adds nothing, and the kubelet may fail the pod."
_NOT_ATTRIBUTED = (
    "Metrics of dcgm-exporter are values of the whole device. Only version 4.5.1 and newer report memory and "
    "DCGM_FI_DEV_GPU_UTIL of each pod, if they run with hostPID: true."
)
_PREALLOCATED = (
    "Nothing limits memory: servers that preallocate it (vLLM, JAX, TensorFlow) need their own limit, such as "
    "--gpu-memory-utilization."
)
_NOMINAL = "A slice has 1 to 11 % less memory than its name says: 1g.18gb of an H200 has 16384 MiB."
_ONE_SLICE = "A CUDA process uses one MIG slice. Several slices in one container are not one larger GPU."
_SAME_NAME = (
    "Profiles of one name differ between GPU models: 1g.24gb is 1/7 of an H100 NVL, but 1/4 of an RTX PRO 6000."
)
_RECONFIGURING = "To change the profiles of a GPU, every workload on it must stop first."
_GPU_UTIL = (
    "DCGM_FI_DEV_GPU_UTIL is 0 or missing for slices. Use DCGM_FI_PROF_GR_ENGINE_ACTIVE, which is measured per slice."
)

_GUIDES = (
    FormGuide(
        FormKind.EXCLUSIVE,
        "Whole GPUs",
        "A container has whole GPUs to itself.",
        Criterion("yes", "No other container uses the GPU."),
        Criterion("yes", "A fault ends only the container's own work."),
        Criterion("high", "Latency and throughput do not depend on other pods' use of the GPU."),
        Criterion("low", "The device plugin advertises whole GPUs by default."),
        Criterion("all", "Every NVIDIA GPU that the device plugin supports."),
        Criterion("whole GPUs", "The number of GPUs is the only limit."),
        (
            "Training, and any workload on several GPUs (tensor parallelism, NCCL).",
            "Servers of large models that keep a whole GPU busy.",
        ),
        ("A workload that uses a fraction of the GPU leaves the rest idle.",),
        ("https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/",),
    ),
    FormGuide(
        FormKind.TIME_SLICING,
        "Time-slicing",
        "Several containers take turns on one GPU. Each has the whole GPU during its turn.",
        Criterion("no", "All containers allocate from the same memory. One that takes too much makes others fail."),
        Criterion("no", "A fault that resets the GPU ends the work of all containers on it."),
        Criterion("low", "Latency grows with the number of containers that are active at the same time."),
        Criterion(
            "low", "One setting: replicas of each GPU in the device plugin, or clients per GPU of a GKE node pool."
        ),
        Criterion("all", "Every NVIDIA GPU that the device plugin supports."),
        Criterion("none", "The device plugin limits neither compute nor memory of a container."),
        (
            "Trusted workloads with short bursts and long idle times: notebooks, development, CI.",
            "Services of one team whose combined memory fits the GPU.",
        ),
        (
            _SLOTS_ARE_ACCESS,
            _PREALLOCATED,
            _NOT_ATTRIBUTED,
        ),
        (_PLUGIN, _OPERATOR, _GKE),
    ),
    FormGuide(
        FormKind.MPS,
        "MPS",
        "CUDA processes of several containers run on one GPU at the same time, through a server (Multi-Process Service).",
        Criterion(
            "no",
            "Processes have separate address spaces, and the memory limit is per CUDA client: a container with several clients "
            "can use more than its share.",
        ),
        Criterion("no", "A fatal GPU fault of one client ends all clients on the GPU."),
        Criterion("medium", "Compute is limited per client. Memory bandwidth and caches are shared."),
        Criterion(
            "medium",
            "Each node runs an MPS control daemon. NVIDIA's device plugin marks its support as experimental.",
        ),
        Criterion("Volta or newer", "Limits per client need compute capability 7.0."),
        Criterion(
            "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
            "The daemon sets 100 % divided by the number of replicas (on GKE: clients), and a memory limit in the same way. A "
            "container can set a lower percentage for itself.",
        ),
        (
            "Trusted, steady workloads that each use a small part of the GPU, such as inference servers of one team.",
            "Ranks of one MPI program.",
        ),
        (
            _SLOTS_ARE_ACCESS,
            "A volume at /dev/shm hides the daemon's, and CUDA fails.",
            "On GKE a pod needs hostIPC: true, which the Pod Security Standards baseline and restricted forbid.",
            "NVIDIA's device plugin has no MPS on MIG slices.",
            _NOT_ATTRIBUTED,
        ),
        (
            _MPS,
            _PLUGIN,
            "https://github.com/NVIDIA/k8s-device-plugin/issues/720",
            "https://github.com/NVIDIA/k8s-device-plugin/issues/1119",
            _GKE,
        ),
    ),
    FormGuide(
        FormKind.SHARED,
        "Shared, either way",
        "Several containers share one GPU, by time-slicing or MPS, as the node is configured.",
        Criterion("no", "Neither time-slicing nor MPS isolates memory."),
        Criterion("no", "Neither time-slicing nor MPS isolates faults."),
        Criterion("low", "The pod does not select the kind of sharing, so expect that of time-slicing."),
        Criterion("low", "Nodes with either kind of sharing fit."),
        Criterion("all", "Every NVIDIA GPU that the device plugin supports; those with MPS are Volta or newer."),
        Criterion("none", "None that applies on every node. Request time-slicing or mps to rely on the limits of one."),
        ("Trusted workloads that need any share of a GPU, in clusters that share in one way.",),
        (
            _SLOTS_ARE_ACCESS,
            "In a cluster with both kinds of sharing, the same pod behaves differently from node to node.",
            _NOT_ATTRIBUTED,
        ),
        (_PLUGIN, _OPERATOR),
    ),
    FormGuide(
        FormKind.MIG,
        "MIG slices",
        "The GPU is partitioned in hardware (Multi-Instance GPU). A container has a slice with its own memory and compute units.",
        Criterion("yes", "Each slice has its own memory, memory controllers and part of the L2 cache."),
        Criterion("yes", "A fault in one slice does not affect the others."),
        Criterion("high", "Compute and memory bandwidth belong to the slice."),
        Criterion(
            "high", "Nodes need a MIG configuration. The profiles on offer are decided before pods are scheduled."
        ),
        Criterion(
            "data center, Ampere or newer",
            "A30, A100, H100, H200, B200 and others in NVIDIA's list, not A10, L4, L40 or T4.",
        ),
        Criterion("by profile", "The profile fixes compute and memory."),
        (
            "Workloads of teams that do not trust each other.",
            "Inference with a latency target, and models that fit into a slice.",
        ),
        (
            _NOMINAL,
            _ONE_SLICE,
            _SAME_NAME,
            _RECONFIGURING,
            "Slices have no peer-to-peer access to each other, neither over PCIe nor over NVLink.",
            _GPU_UTIL,
        ),
        (_MIG, "https://github.com/NVIDIA/mig-parted", "https://github.com/NVIDIA/dcgm-exporter/issues/50"),
    ),
    FormGuide(
        FormKind.MIG_SHARED,
        "MIG slices with time-slicing",
        "Several containers take turns on one MIG slice. Slices are isolated from each other; containers on one slice are not.",
        Criterion("between slices only", "Containers on one slice allocate from the same memory."),
        Criterion("between slices only", "A fault can end the work of all containers on the slice."),
        Criterion(
            "low", "Latency grows with the number of active containers on the slice, not with those on other slices."
        ),
        Criterion("high", "Nodes need a MIG configuration and a sharing configuration."),
        Criterion("data center, Ampere or newer", "The GPUs that have MIG."),
        Criterion(
            "by profile, for all together",
            "The profile limits all containers on a slice together, not each of them.",
        ),
        ("Many small, trusted workloads of one team, kept apart from other teams on the same GPU.",),
        (_SLOTS_ARE_ACCESS, _NOMINAL, _SAME_NAME, _RECONFIGURING, _GPU_UTIL, _NOT_ATTRIBUTED),
        (_MIG, _PLUGIN, _GKE),
    ),
    FormGuide(
        FormKind.MIG_MPS,
        "MIG slices with MPS",
        "CUDA processes of several containers run on one MIG slice at the same time. Only GKE offers it.",
        Criterion(
            "between slices only",
            "Containers on one slice are isolated only by MPS: a memory limit for each CUDA client.",
        ),
        Criterion("between slices only", "A fatal fault of one client ends all clients on the slice."),
        Criterion("medium", "Compute is limited per client. Other slices have no influence."),
        Criterion("high", "A GKE node pool with a partition size and MPS."),
        Criterion("data center, Ampere or newer", "The GPUs that have MIG on GKE."),
        Criterion(
            "by profile, and CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
            "The profile limits all containers on a slice together. MPS limits each CUDA client.",
        ),
        ("Small, steady and trusted workloads of one team, kept apart from other teams on the same GPU.",),
        (
            _SLOTS_ARE_ACCESS,
            "A pod needs hostIPC: true, which the Pod Security Standards baseline and restricted forbid.",
            _NOMINAL,
            _GPU_UTIL,
            _NOT_ATTRIBUTED,
        ),
        (_MIG, _MPS, _GKE),
    ),
)
GUIDES = {guide.kind: guide for guide in _GUIDES}
"""The guide to every kind of form, in the order of a table."""

PLATFORM_TRAPS = {
    Platform.DEVICE_PLUGIN: (),
    Platform.GKE: (
        "GKE never renames the resource: a pod requests nvidia.com/gpu and selects the form by node labels.",
        "GKE Autopilot rejects a pod that sets only one of gke-gpu-sharing-strategy and gke-max-shared-clients-per-gpu.",
    ),
}
"""Pitfalls of forms by platform, in addition to those of their kind."""


def kind_of(form: Form) -> FormKind:
    """Return the kind of a form."""
    if form.partition is None:
        return {
            Sharing.NONE: FormKind.EXCLUSIVE,
            Sharing.ANY: FormKind.SHARED,
            Sharing.TIME_SLICING: FormKind.TIME_SLICING,
            Sharing.MPS: FormKind.MPS,
        }[form.sharing]
    if not form.shared:
        return FormKind.MIG
    return FormKind.MIG_MPS if form.sharing is Sharing.MPS else FormKind.MIG_SHARED


def guide_to(form: Form) -> FormGuide:
    """Return the guide to a form."""
    return GUIDES[kind_of(form)]

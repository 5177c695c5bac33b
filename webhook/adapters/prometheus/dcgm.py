"""dcgm-exporter's series: which labels name the pod, which metrics there are, and why some are missing.

Sources: NVIDIA/dcgm-exporter etc/default-counters.csv, internal/pkg/transformation; its issues 50, 105, 216 (no utilisation
of MIG slices), 340 (a series for each pod), 587 (one value for all pods of a shared GPU), 655 (``hostname``).
"""

from collections.abc import Iterable, Mapping

import msgspec

from ...application.recommendation.usage import Metric

USED = "DCGM_FI_DEV_FB_USED"
FREE = "DCGM_FI_DEV_FB_FREE"
RESERVED = "DCGM_FI_DEV_FB_RESERVED"
BANDWIDTH = "DCGM_FI_PROF_DRAM_ACTIVE"
ENCODER = "DCGM_FI_DEV_ENC_UTIL"
DECODER = "DCGM_FI_DEV_DEC_UTIL"
SLOT = "vgpu"
"""The label of a pod's slot of a shared device, which is there with KUBERNETES_VIRTUAL_GPUS=true only."""
NO_BANDWIDTH = (
    "DCGM_FI_PROF_DRAM_ACTIVE is missing, so use of memory bandwidth is not known: a workload with little compute and "
    "much bandwidth would be slower on a smaller form"
)
NO_ENGINES = (
    "DCGM_FI_DEV_ENC_UTIL and DCGM_FI_DEV_DEC_UTIL are missing, so use of the video encoder and decoder is not known: MIG slices "
    "have few or none"
)
_NO_SERIES = (
    "there are no series of dcgm-exporter (DCGM_FI_*) within the window; is it installed (versions before 2.0 have other "
    "metrics, dcgm_*, which are not read), and does Prometheus scrape it?"
)
_NO_PODS = (
    "there are series of GPUs, but none names a pod: set DCGM_EXPORTER_KUBERNETES=true for the exporter; if the device plugin "
    "renames resources (nvidia.com/gpu.shared, nvidia.com/mig-…), list them in NVIDIA_RESOURCE_NAMES"
)


CLUSTER_LABELS = frozenset({"cluster", "cluster_id", "cluster_name", "clusterName", "k8s_cluster", "k8s_cluster_name"})
"""Labels that usually distinguish clusters on a server of several; Prometheus and Thanos define none."""


class PodLabels(msgspec.Struct, frozen=True):
    """The labels that name a pod, its namespace and the container."""

    namespace: str
    pod: str
    container: str


# The first two by whether Prometheus honours the exporter's labels (honorLabels); the last with its --use-old-namespace.
FAMILIES = (
    PodLabels("exported_namespace", "exported_pod", "exported_container"),
    PodLabels("namespace", "pod", "container"),
    PodLabels("pod_namespace", "pod_name", "container_name"),
)
# Matchers of the series that ``family_of`` finds no pod in.
NO_POD = 'exported_pod="",pod_name="",container=~"(.*exporter.*)?"'


class MeasuredDevice(msgspec.Struct, frozen=True):
    """A GPU, or one MIG slice of it."""

    uuid: str
    slice: str = ""


class Key(msgspec.Struct, frozen=True):
    """One container of a pod on one device."""

    namespace: str
    pod: str
    container: str
    device: MeasuredDevice


def family_of(labels: Mapping[str, str]) -> PodLabels | None:
    """Return the labels that name the pod of a series, other than the exporter's own; ``None`` if none do."""
    found = next((one for one in FAMILIES if labels.get(one.pod) and labels.get(one.namespace)), None)
    if found is FAMILIES[1] and "exporter" in labels.get("container", labels["pod"]):
        return None
    return found


def key_of(labels: Mapping[str, str], family: PodLabels) -> Key:
    """Return the container and device of a series."""
    device = MeasuredDevice(labels.get("UUID") or labels.get("uuid", ""), labels.get("GPU_I_ID", ""))
    return Key(labels[family.namespace], labels[family.pod], labels.get(family.container, ""), device)


def node_of(labels: Mapping[str, str]) -> str:
    """Return the node of a series, as the exporter names it."""
    return labels.get("hostname") or labels.get("Hostname") or labels.get("instance", "")


def missing(present: Iterable[Metric], *, with_pods: bool, any_series: bool, memory: bool) -> list[str]:
    """Return why numbers are missing, in sentences.

    ``present`` are the compute metrics that exist; the other arguments say whether any series names a pod, whether any is about
    a GPU, and whether any is about memory.
    """
    found = set(present)
    if not any_series:
        return [_NO_SERIES]
    if not with_pods:
        return [_NO_PODS]
    notes = []
    if Metric.SM_ACTIVE not in found:
        instead = "DCGM_FI_PROF_GR_ENGINE_ACTIVE" if Metric.GR_ENGINE_ACTIVE in found else "DCGM_FI_DEV_GPU_UTIL"
        notes.append(
            f"DCGM_FI_PROF_SM_ACTIVE is missing (it is off in the exporter's default counters), so compute use is taken from "
            f"{instead}, which counts all time in which anything ran and so is never lower"
        )
    if not found & {Metric.SM_ACTIVE, Metric.GR_ENGINE_ACTIVE}:
        notes.append(
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE is missing too, so nothing is known about MIG slices; profiling metrics need a "
            "data-centre GPU, and no other profiler may run"
        )
    if not memory:
        notes.append("DCGM_FI_DEV_FB_USED is missing, so memory use is not known")
    return notes

"""Rules about counts: a container gets one slot of a shared device, and MIG slices don't add up."""

from collections.abc import Iterator, Sequence

from ..findings import Finding, Rule, Severity
from ..form_selection import GpuRequest
from ..forms import Form, Platform, Sharing
from ..hostpaths import cleaned
from ..policy import Policy, rejects_more_than_one
from ..requests import Amount, GpuContainer
from ..resources import GPU
from ..spelling import STRATEGY

SHARED_REQUEST_ABOVE_ONE = Rule(
    "shared-request-above-one",
    Severity.DENY,
    "More than one slot of a shared GPU",
    "A shared GPU is access, not capacity: two slots are not twice the compute and may be the same GPU. The kubelet "
    'would fail the pod ("maximum request size for shared resources is 1"), and its controller would make another. '
    "Request 1, or use a namespace whose policy permits whole GPUs.",
)

MIG_COUNT_ABOVE_ONE = Rule(
    "mig-count-above-one",
    Severity.WARN,
    "Several MIG slices in one container",
    "A CUDA process uses one MIG slice. Request one larger slice, or 1.",
    final=True,
)

GKE_MPS_NEEDS_HOST_IPC = Rule(
    "gke-mps-needs-host-ipc",
    Severity.WARN,
    "MPS on GKE without hostIPC",
    "MPS on GKE needs hostIPC: true. That weakens the pod's isolation, so it is never set for the user.",
    final=True,
)

MPS_SHM_MOUNT = Rule(
    "mps-shm-mount",
    Severity.WARN,
    "A volume at /dev/shm with MPS",
    "The device plugin mounts the /dev/shm of the MPS daemon into the container, and CUDA reaches the daemon through "
    "it. A volume of the pod hides it. Remove the mount, or use a form without MPS if 64 MiB are too few.",
    final=True,
)

_SHM = "/dev/shm"  # noqa: S108 - a name to compare with


def shared_request_above_one(
    gpu_container: GpuContainer, amount: Amount, form: Form, policy: Policy, *, selects: bool = False
) -> Finding | None:
    """More than one slot of a shared device: the kubelet fails the pod, and its ReplicaSet recreates it endlessly.

    k8s-device-plugin internal/rm/rm.go ValidateRequest; GKE pkg/gpu/nvidia/gpusharing/gpusharing.go. ``selects`` says whether
    the pod has labels that distinguish forms. They may select shared nodes, and would exclude others.
    """
    if not form.shared or amount.count <= 1 or policy.most_shared(form) > 1:
        return None
    if policy.permits_any:
        reason = f"{gpu_container.name}: {amount} is more than one slot of a shared GPU"
    else:
        reason = f'{gpu_container.name}: {amount} cannot be shared under namespace policy "{policy.name}"'
    return SHARED_REQUEST_ABOVE_ONE.found(
        gpu_container.field(amount),
        reason,
        f'a shared GPU is access, not capacity, and the kubelet would reject it ("{_kubelet(form, amount)}"); '
        f"request 1, or {_whole_gpus(amount, policy)}"
        f"{', and do not select labels of shared nodes' if selects else ''}",
    )


def _whole_gpus(amount: Amount, policy: Policy) -> str:
    """Return how to get whole GPUs: a policy that lists them after a shared form gives them to pods that select their nodes.

    On GKE, no label identifies nodes with whole GPUs, and Autopilot rejects node affinity on the labels that they lack.
    """
    if policy.permits_any:
        return "use whole GPUs instead"
    if Form() in policy.forms:
        request = "" if amount.resource.name == GPU else f"request {GPU}: {amount.count} and "
        selector = f"{STRATEGY}: {Sharing.NONE.value}"
        return f"{request}select nodes with whole GPUs, which the policy permits too (nodeSelector {selector})"
    if (gke := Form(platform=Platform.GKE)) in policy.forms:
        return f"use a namespace whose policy lists {gke} first"
    return "use a namespace whose policy permits whole GPUs"


def _kubelet(form: Form, amount: Amount) -> str:
    """The kubelet's message, which the user would see in the pod's status."""
    if form.platform is not Platform.GKE:
        return f"maximum request size for shared resources is 1; found {amount.count}"
    how, nodes = ("time-sharing", "GPU nodes") if rejects_more_than_one(form) else ("MPS", "multi-GPU nodes")
    return f"invalid request for sharing GPU ({how}), at most 1 nvidia.com/gpu can be requested on {nodes}"


def mig_count_above_one(gpu_container: GpuContainer, amount: Amount, form: Form) -> Finding | None:
    """Several MIG slices in one container: a CUDA process uses one of them (k8s-device-plugin#728)."""
    if not form.partition or form.shared or amount.count <= 1:
        return None
    return MIG_COUNT_ABOVE_ONE.found(
        gpu_container.field(amount),
        f"{gpu_container.name}: {amount.count} MIG slices of {form.partition}",
        "a CUDA process uses one; request one larger slice, or 1",
    )


def gke_mps_needs_host_ipc(requests: Sequence[GpuRequest]) -> Iterator[Finding]:
    """GKE's MPS clients reach the control daemon through the host's IPC namespace; setting it is the user's choice.

    In a pod without it, the first container whose form needs it is named.
    """
    for request in requests:
        form = request.choice.form
        if form is not None and form.platform is Platform.GKE and form.sharing is Sharing.MPS:
            yield GKE_MPS_NEEDS_HOST_IPC.found(
                "spec.hostIPC",
                f"{request.gpu_container.name}: MPS on GKE needs hostIPC: true",
                "that weakens the pod's isolation, so you must set it yourself",
            )
            return


def mps_shm_mounts(gpu_container: GpuContainer, form: Form) -> Iterator[Finding]:
    """A volume at ``/dev/shm`` together with MPS of the device plugin, which mounts the daemon's there, with 64 MiB.

    k8s-device-plugin internal/plugin/mps.go updateReponse, cmd/mps-control-daemon/mount/mount-shm.go. The kubelet puts the
    pod's volumes after a plugin's mounts (pkg/kubelet/kubelet_pods.go GenerateRunContainerOptions), so the volume hides the
    daemon's. GKE's MPS has the host's IPC namespace instead. A form with any kind of sharing does not imply MPS.
    """
    if form.sharing is not Sharing.MPS or form.platform is not Platform.DEVICE_PLUGIN:
        return
    for index, mount in enumerate(gpu_container.container.volume_mounts or ()):
        if cleaned(mount.mount_path) == _SHM:
            yield MPS_SHM_MOUNT.found(
                f"{gpu_container.place.field}.volumeMounts[{index}].mountPath",
                f"{gpu_container.name}: mounts a volume at {_SHM}, where the device plugin mounts the shared memory of MPS",
                "the volume hides it, and CUDA can't reach the MPS daemon; remove the mount, or, if the 64 MiB there are too "
                "few, use a form without MPS",
            )

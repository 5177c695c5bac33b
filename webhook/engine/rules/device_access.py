"""Rules about pods that reach GPUs without a request, or more than they request. Each rule covers one way.

Requests are counted as ``requests.read`` does: shared and MIG resources are requests like any other.
"""

import re
from collections.abc import Iterator, Sequence

from ..findings import Finding, Rule, Severity
from ..hostpaths import DEVICE_MOUNTS, cleaned, leading_words, leads_to
from ..pods import Container, Place, Volume
from ..policy import Policy
from ..quantity import shown
from ..requests import GpuContainer

VISIBLE_DEVICES_ENV = Rule(
    "visible-devices-env",
    Severity.WARN,
    "NVIDIA_VISIBLE_DEVICES without a GPU request, or beyond it",
    "NVIDIA's container toolkit exposes the GPUs that the variable names to the container, overriding what the device "
    "plugin sets. Remove it and request nvidia.com/gpu, or set it to void. CUDA_VERSION alone exposes all GPUs.",
    access=True,
)

VISIBLE_DEVICES_MOUNT = Rule(
    "visible-devices-mount",
    Severity.WARN,
    "A mount under /var/run/nvidia-container-devices",
    "NVIDIA's container toolkit can be configured to read such mounts as the names of GPUs. Remove it and request "
    "nvidia.com/gpu.",
    access=True,
)

CDI_ANNOTATION = Rule(
    "cdi-annotation",
    Severity.WARN,
    "A device annotation that names NVIDIA devices",
    "Container runtimes and their plugins give a container the devices that an annotation of cdi.k8s.io, NRI or CRI-O "
    "names, requested or not. Remove it and request nvidia.com/gpu.",
    access=True,
)

NVIDIA_RUNTIME_CLASS = Rule(
    "nvidia-runtime-class",
    Severity.WARN,
    "An NVIDIA runtime class without a GPU request",
    "With that runtime, variables of the image select GPUs, and CUDA images select all. Request nvidia.com/gpu, or remove"
    " runtimeClassName.",
    access=True,
)

GPU_HOST_PATH = Rule(
    "gpu-host-path",
    Severity.WARN,
    "A hostPath that leads to GPUs",
    "It exposes GPU device nodes, sockets or directories of programs that allocate GPUs, the node's root through /proc, or a "
    "directory above one of them. Mount less of the node, or use a namespace that is exempt.",
    access=True,
)

PRIVILEGED_CONTAINER = Rule(
    "privileged-container",
    Severity.WARN,
    "A privileged container",
    "It can use every device of its node, and so every GPU. Remove privileged: true, or use a namespace that is exempt.",
    access=True,
)

NODE_NAME_SET = Rule(
    "node-name-set",
    Severity.WARN,
    "A nodeName set by the pod's author",
    "Such a pod bypasses the scheduler: nothing checks that the node has a free GPU before the pod is there, and NoSchedule "
    "taints have no effect. Use a nodeSelector.",
    access=True,
)

VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
CUDA_VERSION = "CUDA_VERSION"
CUDA_REQUIREMENT = "NVIDIA_REQUIRE_CUDA"
DEVICE_ANNOTATIONS = ("cdi.k8s.io", "nri.io", "noderesource.dev", "devices.crio.io", "io.kubernetes.cri-o.Devices")
"""The domains of annotations with which a pod names devices to a container runtime, including their subdomains.

CDI's own (container-device-interface pkg/cdi/annotations.go), under which NVIDIA's NRI plugin has ``nvidia.cdi.k8s.io``
(nvidia-container-toolkit cmd/nvidia-ctk-installer/container/runtime/nri/plugin.go); those of the injectors among NRI's plugins
(containerd/nri plugins/device-injector); and CRI-O's, new and old (cri-o pkg/annotations).
"""
_BELOW_THEM = tuple(f".{domain}" for domain in DEVICE_ANNOTATIONS)
# A device of a CDI vendor that is nvidia.com or below it: nvidia.com/gpu=all, management.nvidia.com/gpu=all,
# runtime.nvidia.com/gpu=0, k8s.device-plugin.nvidia.com/gpu=…, k8s.gpu.nvidia.com/claim=….
_NVIDIA_DEVICE = re.compile(r"(?<![\w-])nvidia\.com/", re.IGNORECASE)
EPHEMERAL = "ephemeralContainers"
# The values that the toolkit treats as "no device" (nvidia-container-toolkit internal/config/image/devices.go
# NewVisibleDevices).
_NOTHING = ("", "void", "none")


def visible_devices_env(
    place: Place, container: Container, gpu_container: GpuContainer | None, policy: Policy, severity: Severity
) -> Iterator[Finding]:
    """``NVIDIA_VISIBLE_DEVICES`` names GPUs to NVIDIA's container toolkit, requested or not.

    It overrides what the device plugin sets for a request: the kubelet puts a plugin's variables before the container's own
    (pkg/kubelet/kubelet_pods.go GenerateRunContainerOptions), and of equal names the last counts.
    """
    for index, variable in enumerate(container.env or ()):
        if variable.name != VISIBLE_DEVICES:
            continue
        value = "" if variable.value is None else str(variable.value).strip()
        if variable.value_from is not None:
            fact = f"env {VISIBLE_DEVICES} comes from elsewhere, so it may name any GPU"
            detail = "remove it, or write the value: void"
        elif value in _NOTHING or (VISIBLE_DEVICES, value) in policy.additions.env:
            continue
        elif gpu_container:
            fact = f"env {VISIBLE_DEVICES}={shown(value)} overrides what {gpu_container.requested[0]} is given"
            detail = "remove it, because the device plugin sets it"
        else:
            fact = f"env {VISIBLE_DEVICES}={shown(value)} reaches GPUs without a request"
            detail = f"remove it{_or_request(policy, place)}"
        yield VISIBLE_DEVICES_ENV.found_as(
            severity, f"{place.field}.env[{index}]", f"{_name(container)}: {fact}", detail
        )
    if not gpu_container and (found := _legacy(place, container, policy, severity)):
        yield found


def _legacy(place: Place, container: Container, policy: Policy, severity: Severity) -> Finding | None:
    """The toolkit treats a container with ``CUDA_VERSION`` and neither other variable as an old CUDA image, which gets all GPUs.

    nvidia-container-toolkit internal/config/image/cuda_image.go IsLegacy, DevicesFromEnvvars.
    """
    said = {variable.name: variable for variable in container.env or ()}
    version = said.get(CUDA_VERSION)
    if version is None or VISIBLE_DEVICES in said or not (version.value or version.value_from):
        return None
    requirement = said.get(CUDA_REQUIREMENT)
    if requirement is not None and requirement.value:
        return None
    return VISIBLE_DEVICES_ENV.found_as(
        severity,
        f"{place.field}.env",
        f"{_name(container)}: env {CUDA_VERSION} without {CUDA_REQUIREMENT} makes NVIDIA's toolkit expose every GPU to it",
        f"add {VISIBLE_DEVICES}: void{_or_request(policy, place)}",
    )


def visible_devices_mount(
    place: Place, container: Container, gpu_container: GpuContainer | None, policy: Policy, severity: Severity
) -> Iterator[Finding]:
    """Mounts at the place where the toolkit reads them as device names (accept-nvidia-visible-devices-as-volume-mounts)."""
    for index, mount in enumerate(container.volume_mounts or ()):
        if cleaned(mount.mount_path).startswith(DEVICE_MOUNTS):
            yield VISIBLE_DEVICES_MOUNT.found_as(
                severity,
                f"{place.field}.volumeMounts[{index}].mountPath",
                f"{_name(container)}: mount {shown(mount.mount_path)} names a GPU to NVIDIA's toolkit",
                "remove it" if gpu_container else f"remove it{_or_request(policy, place)}",
            )


def privileged_container(place: Place, container: Container, severity: Severity) -> Finding | None:
    """A privileged container has every device of its node, whatever it requests."""
    if not (container.security_context and container.security_context.privileged):
        return None
    return PRIVILEGED_CONTAINER.found_as(
        severity,
        f"{place.field}.securityContext.privileged",
        f"{_name(container)}: is privileged, so it has every GPU of its node",
        "remove privileged: true, or use an exempt namespace",
    )


def names_devices(key: str) -> bool:
    """Whether an annotation names devices to a container runtime: ``cdi.k8s.io/x``, ``nvidia.cdi.k8s.io/container.x``."""
    domain = key.partition("/")[0]
    return domain in DEVICE_ANNOTATIONS or domain.endswith(_BELOW_THEM)


def cdi_annotation(
    annotations: dict[str, str], gpu_containers: Sequence[GpuContainer], policy: Policy, severity: Severity
) -> Iterator[Finding]:
    """Annotations with which a runtime gives a container NVIDIA devices, by CDI name or by path."""
    for key, value in annotations.items():
        if names_devices(key) and (_NVIDIA_DEVICE.search(value) or any(leading_words(value))):
            yield CDI_ANNOTATION.found_as(
                severity,
                f"metadata.annotations[{shown(key)}]",
                f"pod: annotation {shown(key)} names {shown(value)} to the container runtime",
                "remove it" if gpu_containers else f"remove it{_or_request(policy)}",
            )


def nvidia_runtime_class(name: str, policy: Policy, severity: Severity) -> Finding | None:
    """NVIDIA's runtime without a request: an image's own variables name GPUs to it, and CUDA images name all.

    The names are those of the GPU operator (``nvidia``, ``nvidia-cdi``, ``nvidia-legacy``) and any like them, and the one
    that the policy itself gives to pods with requests.
    """
    if name != "nvidia" and not name.startswith("nvidia-") and name != policy.additions.runtime_class_name:
        return None
    return NVIDIA_RUNTIME_CLASS.found_as(
        severity,
        "spec.runtimeClassName",
        f'pod: runtimeClassName "{shown(name)}" without a GPU request lets the image select GPUs',
        f"remove it{_or_request(policy)}",
    )


def gpu_host_path(index: int, volume: Volume, severity: Severity) -> Finding | None:
    """A ``hostPath`` of device nodes or of sockets that provide them, or of a directory above these."""
    if volume.host_path is None:
        return None
    path = volume.host_path.path
    exposed = leads_to(path)
    if exposed is None:
        return None
    return GPU_HOST_PATH.found_as(
        severity,
        f"spec.volumes[{index}].hostPath.path",
        f"pod: hostPath {shown(path)} leads to {exposed}",
        "mount less of it, or use an exempt namespace",
    )


def node_name_set(name: str, severity: Severity) -> Finding:
    """A node chosen by the pod's author: the pod bypasses the scheduler, so neither free GPUs nor NoSchedule taints are checked.

    The scheduler itself sets ``nodeName`` later, through the binding subresource. DaemonSets use node affinity.
    """
    return NODE_NAME_SET.found_as(
        severity,
        "spec.nodeName",
        f'pod: nodeName "{shown(name)}" bypasses the scheduler, so free GPUs and taints are not checked',
        "use a nodeSelector",
    )


def _or_request(policy: Policy, place: Place | None = None) -> str:
    """The other fix, a request, if a policy permits one and the container can have one: ephemeral ones get no resources."""
    permitted = policy.permits_any or policy.permitted
    return ", or request nvidia.com/gpu" if permitted and not (place and place.section == EPHEMERAL) else ""


def _name(container: Container) -> str:
    return f'container "{container.name}"'

"""Paths on a node that lead to its GPUs."""

import re
from collections.abc import Iterator

_ROOT = "/"
_UID = "<uid>"
DEVICE_MOUNTS = "/run/nvidia-container-devices"
"""Where the toolkit treats mounts as device requests, if it is configured to (accept-nvidia-visible-devices-as-volume-mounts)."""

# The kubelet's directory: its default, that of k0s, and that of MicroK8s.
_KUBELETS = ("/var/lib/kubelet", "/var/lib/k0s/kubelet", "/var/snap/microk8s/common/var/lib/kubelet")
# With write access to one of these, a container can act as a device plugin or get devices from one. The DRA driver's socket
# allocates devices too, and a socket in the registry registers a device plugin or a DRA driver.
_OF_KUBELET = ("/device-plugins", "/plugins/gpu.nvidia.com", "/plugins_registry")
_DEVICES, _ROOT_OF_NODE = "GPUs of the node", "the root of the node"
_PLUGINS, _STATIC_PODS = "GPUs through the kubelet's device plugins", "GPUs through manifests that bypass admission"
_CONFIGURATION, _SOCKETS = (
    "GPUs through the container runtime's configuration",
    "GPUs through the container runtime's socket",
)
# Paths, by what they lead to. Each includes everything below it, and with a * at the end, every name with this prefix.
_KNOWN: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        _DEVICES,
        (
            # Device nodes: NVIDIA's, those of DRM, links by number, GPUs for virtual machines, and GPUs of Jetson and of WSL.
            *("/dev/nvidia*", "/dev/dri", "/dev/char", "/dev/vfio"),
            *("/dev/nvhost*", "/dev/nvgpu", "/dev/nvmap", "/dev/dxg"),
            # The driver's root, with a /dev of its own; the sockets and pipes of MPS; those of the fabric manager and others.
            "/run/nvidia*",
            # The default of CUDA_MPS_PIPE_DIRECTORY, and its value on GKE.
            "/tmp/nvidia-mps*",  # noqa: S108 - a name to compare with
        ),
    ),
    # In /proc a process has links to its root, which is the node's, and to its open files (proc(5)).
    (_ROOT_OF_NODE, ("/proc/1/root",)),
    # The driver's own files, among them those that give access to MIG slices.
    (_DEVICES, ("/proc/driver/nvidia*",)),
    (_PLUGINS, tuple(kubelet + part for kubelet in _KUBELETS for part in _OF_KUBELET)),
    # CDI specifications define what a device name adds to a container, NRI plugins can change any container, and a runtime's
    # configuration defines how it handles requests for devices.
    (
        _CONFIGURATION,
        (
            *("/etc/cdi", "/run/cdi", "/run/nri/nri.sock", "/opt/nri/plugins", "/etc/nri"),
            *("/etc/nvidia-container-runtime", "/etc/containerd/config.toml", "/etc/containerd/conf.d"),
            *("/etc/crio/crio.conf*", "/etc/k0s/containerd*", "/var/snap/microk8s/current/args/containerd*"),
            *(f"/var/lib/rancher/{of}/agent/etc/containerd" for of in ("k3s", "rke2")),
        ),
    ),
    # The kubelet runs what is written here; k3s, RKE2 and k0s apply it as cluster administrators.
    (
        _STATIC_PODS,
        (
            *("/etc/kubernetes/manifests", "/etc/kubernetes/static-pods", "/var/lib/k0s/manifests"),
            *(f"/var/lib/rancher/{of}/agent/pod-manifests" for of in ("k3s", "rke2")),
            *(f"/var/lib/rancher/{of}/server/manifests" for of in ("k3s", "rke2")),
        ),
    ),
    # A client of the container runtime starts containers with any device.
    (
        _SOCKETS,
        (
            *("/run/containerd/containerd.sock*", "/run/k3s/containerd/containerd.sock*", "/run/k0s/containerd.sock*"),
            *("/run/host-containerd/containerd.sock*", "/run/docker/containerd/containerd.sock*"),
            *("/system/run/containerd/containerd.sock*", "/var/snap/microk8s/common/run/containerd.sock*"),
            *("/run/crio/crio.sock", "/run/docker.sock", "/run/dockershim.sock", "/run/cri-dockerd*"),
            *("/run/isulad.sock", "/run/podman/podman.sock"),
            # Rootless runtimes have theirs in the directory of a user ($XDG_RUNTIME_DIR).
            *(f"/run/user/{_UID}/podman/podman.sock", f"/run/user/{_UID}/docker.sock*"),
            *(f"/run/user/{_UID}/docker/containerd/containerd.sock*", f"/run/user/{_UID}/crio/crio.sock"),
            f"/run/user/{_UID}/containerd/containerd.sock*",
        ),
    ),
)
# Some distributions keep these elsewhere. By what a path leads to: parts of a path, and ends of one (directories above).
_ANYWHERE = (
    (_PLUGINS, tuple(f"/kubelet{part}" for part in _OF_KUBELET), ("/lib/kubelet", "/lib/kubelet/plugins")),
    (
        _SOCKETS,
        ("/containerd.sock", "/crio.sock", "/docker.sock", "/nri.sock", "/podman.sock"),
        ("/run/containerd", "/run/crio", "/run/podman", "/run/nri"),
    ),
)
_USER = re.compile(r"^/run/user/\d+(?=/|$)")
# The second is /run on every distribution with systemd; the others are of Linux itself (proc(5)).
_LINKS: dict[tuple[str, ...], list[str]] = {
    ("dev", "fd"): ["proc", "self", "fd"],
    ("var", "run"): ["run"],
    ("proc", "thread-self"): ["proc", "self"],
}
_LINK = 2  # the number of names in the path of each link above
_BETWEEN_WORDS = re.compile(r"""[\s:,"'{}\[\]]+""")
_LINKS_OF_A_PROCESS = ("root", "cwd", "fd", "map_files", "task")


def cleaned(path: str) -> str:
    """Normalize a path as the node's kernel resolves it: absolute, without ``//``, ``.`` and ``..``, and with known links.

    Links are resolved in order, because ``..`` after a link refers to the parent of its target. The targets of a process's own
    links in ``/proc`` are not known, so ``..`` does not leave them.
    """
    walked: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not _is_link_of_a_process(walked):
                del walked[-1:]
        elif part not in ("", "."):
            walked.append(part)
            if len(walked) == _LINK:
                walked = _LINKS.get(tuple(walked), walked)[:]
    return _ROOT + "/".join(walked)


def leads_to(path: str) -> str | None:
    """Return what a ``hostPath`` exposes, as text to follow "leads to"; ``None`` if it is not a GPU."""
    clean = _USER.sub(f"/run/user/{_UID}", cleaned(path))
    below = clean if clean == _ROOT else f"{clean}/"
    for exposed, listed in _KNOWN:
        for known in listed:
            if clean == known or clean.startswith(known[:-1] if known.endswith("*") else f"{known}/"):
                return exposed
            if known.startswith(below):
                return f"{known} of the node"
    names = clean.split("/")[1:]
    if _is_a_process(names) or _is_link_of_a_process(names):
        return _ROOT_OF_NODE
    return next(
        (exposed for exposed, parts, ends in _ANYWHERE if clean.endswith(ends) or any(part in clean for part in parts)),
        None,
    )


def _is_a_process(names: list[str]) -> bool:
    match names:
        case ["proc", process]:
            return process == "self" or process.isdecimal()
        case _:
            return False


def _is_link_of_a_process(names: list[str]) -> bool:
    """Whether a path leads through the root, the working directory or an open file of a process."""
    return _is_a_process(names[:2]) and names[2:3] != [] and names[2] in _LINKS_OF_A_PROCESS


def leading_words(text: str) -> Iterator[str]:
    """The words of a text that are paths to GPUs, or that may hide a path with an escape.

    Words are separated as in ``/dev/nvidia0:/dev/nvidia0:rwm`` and in YAML (``[{path: /dev/nvidia0}]``).
    """
    for word in _BETWEEN_WORDS.split(text):
        if "\\" in word or (word.startswith(_ROOT) and leads_to(word)):
            yield word

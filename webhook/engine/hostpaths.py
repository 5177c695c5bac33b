"""Paths of a node that lead to its GPUs, whoever asks for them."""

import posixpath

# /var/run is a link to /run on every distribution with systemd, so both are one here.
_RUN, _VAR_RUN = "/run", "/var/run"
DEVICE_MOUNTS = "/run/nvidia-container-devices"
"""Where the toolkit takes mounts for requests, if it is told to (accept-nvidia-visible-devices-as-volume-mounts)."""

_LEADS_TO_GPUS = (
    ("/dev/nvidia", "/dev/nvidia*"),
    # The driver's root, with a /dev of its own; the sockets and pipes of MPS; those of the fabric manager and others.
    ("/run/nvidia", "/run/nvidia*"),
    # CUDA_MPS_PIPE_DIRECTORY where nobody sets it, and on GKE.
    ("/tmp/nvidia-mps", "/tmp/nvidia-mps"),  # noqa: S108 - a name to compare with
    # Whoever writes here is a device plugin, or takes devices from one; the DRA driver's socket hands out devices too.
    ("/var/lib/kubelet/device-plugins", "/var/lib/kubelet/device-plugins"),
    ("/var/lib/kubelet/plugins/gpu.nvidia.com", "/var/lib/kubelet/plugins/gpu.nvidia.com"),
    # CDI specifications say what a device's name puts into a container.
    ("/etc/cdi", "/etc/cdi"),
    ("/run/cdi", "/var/run/cdi"),
    # Whoever speaks to the container runtime starts containers with any device.
    ("/run/containerd/containerd.sock", "/run/containerd/containerd.sock"),
    ("/run/k3s/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock"),
    ("/run/crio/crio.sock", "/run/crio/crio.sock"),
    ("/run/docker.sock", "/run/docker.sock"),
)
# Some distributions keep the kubelet's directory elsewhere.
_ANYWHERE = ("/kubelet/device-plugins", "/kubelet/plugins/gpu.nvidia.com")
_ITSELF = "GPUs"


def cleaned(path: str) -> str:
    """A path as the kernel walks it: absolute, without ``//``, ``.`` and ``..``, and with ``/run`` for ``/var/run``."""
    clean = "/" + posixpath.normpath(f"/{path}").lstrip("/")
    if clean == _VAR_RUN or clean.startswith(f"{_VAR_RUN}/"):
        return _RUN + clean[len(_VAR_RUN) :]
    return clean


def leads_to(path: str) -> str | None:
    """What a ``hostPath`` exposes: ``GPUs`` where it leads to nothing else, the path below it that does, or ``None``."""
    clean = cleaned(path)
    below = clean if clean == "/" else f"{clean}/"
    for prefix, name in _LEADS_TO_GPUS:
        if clean.startswith(prefix):
            return _ITSELF
        if prefix.startswith(below):
            return name
    return _ITSELF if any(part in clean for part in _ANYWHERE) else None

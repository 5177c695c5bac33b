"""Pods that a real API server takes, with and without GPUs."""

from tests.deploy.chart import Json


def a_spec(limits: Json | None = None, init: Json | None = None) -> Json:
    """A pod's spec; ``limits`` are those of its second container, ``init`` those of an init container."""
    plain: Json = {"name": "plain", "image": "i"}
    spec: Json = {"containers": [plain, {"name": "c", "image": "i", "resources": {"limits": limits or {}}}]}
    if init is not None:
        spec["initContainers"] = [{"name": "init", "image": "i", "resources": {"limits": init}}]
    return spec


WITHOUT_GPU = (
    a_spec(),
    a_spec({"cpu": "1"}),
    a_spec({"vpc.amazonaws.com/efa": "1"}),
    a_spec({"amd.com/gpu": "1"}),
    a_spec({"memory": "1Gi"}, init={"rdma/nvidia.com": "1"}),
)
PERHAPS_WITH_GPU = (
    a_spec({"example.com/accel": "1"}),
    a_spec({"memory": "1Gi"}, init={"example.com/nvidia.com": "1"}),
)
"""Pods whose resources are those of a DeviceClass for GPUs, if the cluster has one with this name."""
WITH_GPU = (
    a_spec({"nvidia.com/gpu": "1"}),
    a_spec({"cpu": "1", "nvidia.com/mig-1g.5gb": "1"}),
    a_spec({"cpu": "1"}, init={"nvidia.com/gpu.shared": "1"}),
    a_spec({"nvidia.com/GA102GL_A10": "1"}),
    a_spec({"cpu": "1"}, init={"volcano.sh/vgpu-number": "1"}),
)

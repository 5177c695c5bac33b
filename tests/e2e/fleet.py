"""Node objects that stand for a fleet of GPU machines: one for each way in which a GPU is handed out.

There is no kubelet: a pod is scheduled (``spec.nodeName``) and stays Pending. Which node answers for which request:

==================  =======================  =================================================================
node                advertises               a pod lands there when it asks for
==================  =======================  =================================================================
``whole``           nvidia.com/gpu           ``nvidia.com/gpu``, and tolerates nothing: the only such node
                                             without the taint
``shared``          nvidia.com/gpu.shared    ``nvidia.com/gpu.shared`` with the toleration (``mps`` fits too,
                                             unless the pod selects the strategy)
``mps``             nvidia.com/gpu.shared    the same
``mig``             nvidia.com/mig-1g.5gb    ``nvidia.com/mig-1g.5gb`` with the toleration
``gke-sharing``     nvidia.com/gpu           ``nvidia.com/gpu`` with the toleration and GKE's sharing selectors
``gke-mig``         nvidia.com/gpu           ``nvidia.com/gpu`` with the toleration and GKE's partition selector
``cpu``             no GPU                   no GPU
==================  =======================  =================================================================

The taint is ``nvidia.com/gpu=present:NoSchedule``, which GKE sets and which operators set by hand; a GKE cluster also
adds the toleration to pods that ask for ``nvidia.com/gpu``, this one does not.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.kubelets import Kubelets

TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}

# The conditions of a node that is well: what a kubelet reports.
HEALTH = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}


@dataclass(frozen=True, slots=True)
class Node:
    """What one node advertises.

    Attributes:
        name: its name and its ``kubernetes.io/hostname``.
        gpus: extended resources by name, such as ``{"nvidia.com/gpu": 8}``.
        labels: beside the ones that every node has.
        tainted: whether it carries the GPU taint.
    """

    name: str
    gpus: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tainted: bool = True

    def manifest(self) -> dict[str, Any]:
        """Answer the object as it is created, without its status."""
        common = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": common | dict(self.labels)},
            "spec": {"taints": [TAINT] if self.tainted else []},
        }

    def status(self, now: datetime) -> dict[str, Any]:
        """Answer the status that a kubelet and the device plugin would report."""
        time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        resources = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "1000"}
        resources |= {name: str(count) for name, count in self.gpus.items()}
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": "Fleet",
                "message": "kept by the tests",
                "lastHeartbeatTime": time,
                "lastTransitionTime": time,
            }
            for kind, status in HEALTH.items()
        ]
        return {"status": {"capacity": resources, "allocatable": resources, "conditions": conditions}}


def _device_plugin_labels(strategy: str, replicas: int) -> dict[str, str]:
    """The labels of GPU feature discovery that tell one kind of node from another."""
    return {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB",
        "nvidia.com/gpu.sharing-strategy": strategy,
        "nvidia.com/gpu.replicas": str(replicas),
    }


# As many GPUs as eight machines have, so that the pods of one test leave room for those of the next.
FLEET = (
    Node("cpu", tainted=False),
    Node("whole", {"nvidia.com/gpu": 64}, _device_plugin_labels("none", 1), tainted=False),
    Node("shared", {"nvidia.com/gpu.shared": 64}, _device_plugin_labels("time-slicing", 4)),
    Node("mps", {"nvidia.com/gpu.shared": 64}, _device_plugin_labels("mps", 4)),
    Node("mig", {"nvidia.com/mig-1g.5gb": 56}, _device_plugin_labels("none", 1) | {"nvidia.com/mig.strategy": "mixed"}),
    Node(
        "gke-sharing",
        {"nvidia.com/gpu": 64},
        {
            "cloud.google.com/gke-accelerator": "nvidia-l4",
            "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
            "cloud.google.com/gke-max-shared-clients-per-gpu": "8",
        },
    ),
    Node(
        "gke-mig",
        {"nvidia.com/gpu": 56},
        {
            "cloud.google.com/gke-accelerator": "nvidia-tesla-a100",
            "cloud.google.com/gke-gpu-partition-size": "1g.5gb",
        },
    ),
)


class Fleet:
    """The nodes of a control plane, kept Ready, and what stands in for their kubelets. A context manager."""

    def __init__(self, control_plane: ControlPlane, nodes: tuple[Node, ...] = FLEET) -> None:
        """Prepare a fleet; entering the context makes the nodes, leaving it removes them."""
        self._control_plane = control_plane
        self._api = control_plane.api
        self._nodes = nodes
        self._kubelets = Kubelets(control_plane)

    def __enter__(self) -> Self:
        """Make the nodes and wait until pods can be scheduled on them."""
        self._kubelets.start()
        for node in self._nodes:
            self.add(node)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the nodes and end the kubelets' thread."""
        for node in self._nodes:
            self._api.delete(f"/api/v1/nodes/{node.name}")
        self._kubelets.stop()

    def add(self, node: Node) -> None:
        """Make one node and wait until it is schedulable."""
        path = f"/api/v1/nodes/{node.name}"
        _ok(self._api.post("/api/v1/nodes", json=node.manifest()))
        _ok(self._api.patch(f"{path}/status", json=node.status(datetime.now(UTC)), headers=MERGE_PATCH))
        wanted = [TAINT] if node.tainted else []

        def ready() -> bool:  # the controllers take the taint `node.kubernetes.io/not-ready` away
            taints = self._control_plane.get(path)["spec"].get("taints", [])
            return [{name: taint.get(name) for name in TAINT} for taint in taints] == wanted

        wait_for(f"node {node.name} to be Ready", ready)

    def remove(self, name: str) -> None:
        """Remove one node, as when a machine is taken out."""
        _ok(self._api.delete(f"/api/v1/nodes/{name}"))

    @contextmanager
    def cordoned(self, *names: str) -> Iterator[None]:
        """Keep new pods from these nodes for the body of a ``with``: what would have gone there stays Pending."""
        for name in names:
            self._cordon(name, value=True)
        try:
            yield
        finally:
            for name in names:
                self._cordon(name, value=False)

    def _cordon(self, name: str, *, value: bool) -> None:
        patch = {"spec": {"unschedulable": value}}
        _ok(self._api.patch(f"/api/v1/nodes/{name}", json=patch, headers=MERGE_PATCH))


def _ok(answer: httpx.Response) -> None:
    if answer.is_error:
        raise RuntimeError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")

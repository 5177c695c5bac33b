"""Devices that a DRA driver would hand out: the node, the DeviceClasses and the ResourceSlices, written by the suite."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import Fleet, Node
from tests.e2e.gpuwarden import Replica
from tests.e2e.running import Running

Json = dict[str, Any]
ROOT = "/apis/resource.k8s.io/v1"
NODE = "dra"
GPUS, NICS = "gpu.nvidia.com", "dranet.example.com"  # each a driver, and a DeviceClass
DEVICES = 8


def skip_before_1_36(control_plane: ControlPlane) -> None:
    """Skip tests of what is on by default from Kubernetes 1.36 on."""
    if control_plane.version < (1, 36):
        pytest.skip("DeviceClasses with an extendedResourceName are on by default from Kubernetes 1.36 on")


@contextmanager
def devices(control_plane: ControlPlane, installation: Running, named: Mapping[str, str]) -> Iterator[ControlPlane]:
    """A node with GPUs and network cards, and DeviceClasses of which the installation's replicas know the resource names.

    ``named`` are other DeviceClasses, and their resource names: those with a GPU in their name are for GPUs.
    """
    skip_before_1_36(control_plane)
    others = {
        name: (GPUS if "gpu" in name else NICS, {"extendedResourceName": resource}) for name, resource in named.items()
    }
    every: dict[str, tuple[str, Json]] = {GPUS: (GPUS, {}), NICS: (NICS, {}), **others}
    api = control_plane.api
    with Fleet(control_plane, (Node(NODE),)):
        for name, (driver, more) in every.items():
            selectors = [{"cel": {"expression": f"device.driver == '{driver}'"}}]
            made = {"metadata": {"name": name}, "spec": {"selectors": selectors, **more}}
            api.post(f"{ROOT}/deviceclasses", json=made).raise_for_status()
        for driver in (GPUS, NICS):
            listed = [{"name": f"device-{number}"} for number in range(DEVICES)]
            pool = {"name": driver, "generation": 1, "resourceSliceCount": 1}
            spec = {"driver": driver, "nodeName": NODE, "pool": pool, "devices": listed}
            api.post(f"{ROOT}/resourceslices", json={"metadata": {"name": driver}, "spec": spec}).raise_for_status()
        names = len({*named.values()})
        for replica in installation.replicas:
            wait_for("a replica to know the names", lambda replica=replica: _names_known(replica) == names)  # type: ignore[misc]  # mypy can't infer a lambda's default
        yield control_plane
        for driver in (GPUS, NICS):
            api.delete(f"{ROOT}/resourceslices/{driver}").raise_for_status()
        for name in every:
            api.delete(f"{ROOT}/deviceclasses/{name}").raise_for_status()


def _names_known(replica: Replica) -> int:
    """How many DeviceClasses with a resource name a replica knows."""
    answer = httpx.get(f"http://127.0.0.1:{replica.ops_port}/readyz", timeout=30.0, trust_env=False)
    (message,) = (part["message"] for part in answer.json()["parts"] if part["name"] == "device-classes")
    return int(message.partition(" DeviceClasses set a resource name")[0])


def create_before(control_plane: ControlPlane, namespace: str, *manifests: Json) -> None:
    """Create claims and templates that are not evaluated: they stand for those that a namespace had before its policy."""
    with control_plane.client("system:kube-controller-manager", "system:masters") as client:
        for one in manifests:
            plural = f"{one['kind'].lower()}s"
            client.post(f"{ROOT}/namespaces/{namespace}/{plural}", json=one).raise_for_status()

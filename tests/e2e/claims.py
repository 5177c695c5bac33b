"""Claims (DRA) and their templates, pods with claims, and what Kubernetes made of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.dra_driver import GPUS, NODE
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.objects import GPU, node_of, pod, pod_spec, pods_in

Json = dict[str, Any]
CLAIM, TEMPLATE = "ResourceClaim", "ResourceClaimTemplate"
FIELDS = {CLAIM: "resourceClaimName", TEMPLATE: "resourceClaimTemplateName"}
OF_TEMPLATE, OF_RESOURCES = "resource.kubernetes.io/pod-claim-name", "resource.kubernetes.io/extended-resource-claim"
NAMED_GPUS, NAMED_NICS, NIC = "named.gpu.example.com", "dranet.named.example.com", "example.com/nic"
APPLY = {"content-type": "application/apply-patch+yaml"}
STRATEGIC = {"content-type": "application/strategic-merge-patch+json"}
PLAIN: Json = {"name": "train", "image": "example.test/train"}


def exactly(device_class: str = GPUS, **fields: Any) -> Json:
    return {"name": "device", "exactly": {"deviceClassName": device_class, **fields}}


def an_object(kind: str, *requests: Json, **metadata: Any) -> Json:
    """A claim or template of these requests."""
    spec: Json = {"devices": {"requests": list(requests) or [exactly()]}}
    spec = {"spec": spec} if kind == TEMPLATE else spec
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": kind,
        "metadata": metadata or {"name": "one"},
        "spec": spec,
    }


def path(kind: str, namespace: str, name: str = "", version: str = "v1") -> str:
    return f"/apis/resource.k8s.io/{version}/namespaces/{namespace}/{kind.lower()}s/{name}".rstrip("/")


def post(cluster: ControlPlane, namespace: str, made: Json, **params: str) -> httpx.Response:
    return cluster.api.post(path(made["kind"], namespace), params=params, json=made)


def patch(cluster: ControlPlane, at: str, content: Json) -> httpx.Response:
    return cluster.api.patch(at, headers=MERGE_PATCH, json=content)


def denied(answer: httpx.Response, *rules: str) -> str:
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    assert tuple(cause["reason"] for cause in answer.json()["details"]["causes"]) == (rules or ("gpu-not-permitted",))
    message: str = answer.json()["message"]
    return message


def claims_in(cluster: ControlPlane, namespace: str) -> list[Json]:
    items: list[Json] = cluster.get(path(CLAIM, namespace))["items"]
    return items


def a_waiting_pod(cluster: ControlPlane, namespace: str, **spec: Any) -> Json:
    """A pod with a scheduling gate."""
    whole = {**pod_spec(GPU, tolerated=True, selector={"kubernetes.io/hostname": NODE}), **spec}
    whole["schedulingGates"] = [{"name": "example.com/wait"}]
    answer = cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(whole))
    answer.raise_for_status()
    made: Json = answer.json()
    return made


def claiming(kind: str, name: str = "one") -> Json:
    using = {"name": "train", "image": "example.test/train", "resources": {"claims": [{"name": "device"}]}}
    return {"containers": [using], "resourceClaims": [{"name": "device", FIELDS[kind]: name}]}


def of_pod(waiting: Json, mark: str) -> Json:
    """Metadata by which Kubernetes takes a claim as the pod's."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": waiting["metadata"]["name"], "uid": waiting["metadata"]["uid"]}
    value = "device" if mark == OF_TEMPLATE else "true"
    return {"annotations": {mark: value}, "ownerReferences": [{**owner, "controller": True}]}


def ungate(cluster: ControlPlane, namespace: str, *, starts: bool = True) -> None:
    """Let the pod be scheduled, and wait for its node if it starts."""
    patch(cluster, f"/api/v1/namespaces/{namespace}/pods/train", {"spec": {"schedulingGates": None}}).raise_for_status()
    if starts:
        wait_for("the pod to have a node", lambda: node_of(pods_in(cluster, namespace)[0]) == NODE)


def drivers(cluster: ControlPlane, namespace: str) -> set[str]:
    """The drivers whose devices the pods of a namespace were allocated."""
    allocated = [one["status"].get("allocation", {}) for one in claims_in(cluster, namespace) if "status" in one]
    return {each["driver"] for one in allocated for each in one.get("devices", {}).get("results", [])}


@contextmanager
def without_gpus(cluster: ControlPlane) -> Iterator[list[str]]:
    """The names of namespaces that a test makes; at the end there are some, and no GPU has been allocated there."""
    made: list[str] = []
    yield made
    assert made
    assert {name: GPUS in drivers(cluster, name) for name in made} == dict.fromkeys(made, False)

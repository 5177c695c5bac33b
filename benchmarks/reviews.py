"""AdmissionReviews as kube-apiserver sends them for the pods of a Deployment: defaulted, with managed fields, a token volume."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

Json = dict[str, Any]

NAMESPACE = "team-00007"
POLICY = "time-slicing"
GPU = "nvidia.com/gpu"
# Each is a request of its own: no server could gain by remembering bodies that it has seen.
VARIANTS = 32


class Case(msgspec.Struct, frozen=True):
    """A kind of pod."""

    name: str
    containers: int
    gpu: bool


CASES = (
    Case("1 container", 1, gpu=True),
    Case("3 containers", 3, gpu=True),
    Case("20 containers", 20, gpu=True),
    Case("no GPU", 1, gpu=False),
)
ONE, NO_GPU = CASES[0], CASES[3]


def bodies(case: Case) -> list[bytes]:
    """The reviews of a case, before anything was changed: what ``/mutate`` is asked."""
    return [encode(review(pod(case, number), number)) for number in range(VARIANTS)]


def encode(document: Any) -> bytes:
    """JSON as Go's encoder writes it: without spaces."""
    return json.dumps(document, separators=(",", ":")).encode()


def review(made: Json, number: int) -> Json:
    """The review of a pod that the ReplicaSet controller creates."""
    pods = {"group": "", "version": "v1", "resource": "pods"}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {
        "uid": f"705ab4f5-6393-11e8-b7cc-{number:012x}",
        "kind": kind,
        "resource": pods,
        "requestKind": kind,
        "requestResource": pods,
        "namespace": NAMESPACE,
        "operation": "CREATE",
        "userInfo": {
            "username": "system:serviceaccount:kube-system:replicaset-controller",
            "uid": "b5d8c9a1-2f40-4a63-9b0e-6d4f7b1f1a11",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"]},
        },
        "object": made,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def pod(case: Case, number: int) -> Json:
    """A pod of a training Deployment, as it reaches a mutating webhook."""
    names = [f"train-{index}" for index in range(case.containers)]
    labels = {
        "app.kubernetes.io/name": "trainer",
        "app.kubernetes.io/instance": f"trainer-{number:02}",
        "app.kubernetes.io/managed-by": "Helm",
        "pod-template-hash": "5d8f7c9b4",
    }
    annotations = {
        "checksum/config": f"{number:064x}",
        "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z",
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9100",
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "generateName": f"trainer-{number:02}-5d8f7c9b4-",
            "namespace": NAMESPACE,
            "creationTimestamp": None,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"trainer-{number:02}-5d8f7c9b4",
                    "uid": "1d2c3b4a-5968-4776-8594-a3b2c1d0e9f8",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": [_managed(labels, annotations, names, _amounts(case.gpu))],
        },
        "spec": {
            "volumes": [
                {"name": "settings", "configMap": {"name": "trainer", "defaultMode": 420}},
                {"name": "scratch", "emptyDir": {"sizeLimit": "20Gi"}},
                _token_volume(),
            ],
            "containers": [_container(name, number, gpu=case.gpu) for name in names],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "trainer",
            "serviceAccount": "trainer",
            "securityContext": {"fsGroup": 2000, "runAsNonRoot": True},
            "schedulerName": "default-scheduler",
            "tolerations": [
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
                for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
            ],
            "priority": 0,
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
        },
        "status": {},
    }


def _amounts(gpu: bool) -> Json:  # noqa: FBT001 - the field of a case
    return {"cpu": "4", "memory": "16Gi", **({GPU: "1"} if gpu else {})}


def _container(name: str, number: int, *, gpu: bool) -> Json:
    amounts = _amounts(gpu)
    return {
        "name": name,
        "image": "registry.example.com/team/trainer:2026.1.0",
        "args": ["--config=/etc/trainer/config.yaml", f"--shard={number}"],
        "ports": [{"name": "metrics", "containerPort": 9100, "protocol": "TCP"}],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "trainer", "key": "token"}}},
            *({"name": f"SETTING_{index}", "value": f"value-{number}-{index}"} for index in range(8)),
        ],
        "resources": {"limits": amounts, "requests": amounts},
        "volumeMounts": [
            {"name": "settings", "mountPath": "/etc/trainer"},
            {"name": "scratch", "mountPath": "/scratch"},
            {
                "name": "kube-api-access-x7k2p",
                "readOnly": True,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            },
        ],
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "metrics", "scheme": "HTTP"},
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _token_volume() -> Json:
    paths = [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": paths}},
    ]
    return {"name": "kube-api-access-x7k2p", "projected": {"sources": sources, "defaultMode": 420}}


def _managed(labels: Json, annotations: Json, names: list[str], amounts: Json) -> Json:
    """What the API server notes of the controller's write: a leaf for each field that it set."""
    set_in_container = ("args", "env", "image", "imagePullPolicy", "livenessProbe", "name", "ports", "resources")
    more = ("securityContext", "terminationMessagePath", "terminationMessagePolicy", "volumeMounts")
    container: Json = {".": {}, **{f"f:{field}": {} for field in (*set_in_container, *more)}}
    container["f:env"] = {".": {}} | {
        f'k:{{"name":"SETTING_{index}"}}': {".": {}, "f:name": {}, "f:value": {}} for index in range(8)
    }
    container["f:resources"] = {".": {}, "f:limits": _leaves(*amounts), "f:requests": {".": {}}}
    return {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {
                "f:annotations": _leaves(*annotations),
                "f:generateName": {},
                "f:labels": _leaves(*labels),
                "f:ownerReferences": {".": {}, 'k:{"uid":"1d2c3b4a-5968-4776-8594-a3b2c1d0e9f8"}': {}},
            },
            "f:spec": {
                "f:containers": {f'k:{{"name":"{name}"}}': container for name in names},
                **_leaves("dnsPolicy", "enableServiceLinks", "restartPolicy", "schedulerName", "securityContext"),
                **_leaves("serviceAccount", "serviceAccountName", "terminationGracePeriodSeconds"),
                "f:volumes": {f'k:{{"name":"{name}"}}': _leaves("name") for name in ("settings", "scratch")},
            },
        },
    }


def _leaves(*fields: str) -> Json:
    return {".": {}} | {f"f:{field}": {} for field in fields}


def namespaces(count: int) -> Iterator[Json]:
    """Namespaces, each with the policy as its label; the one that the reviews name is among the first ten."""
    for number in range(count):
        metadata = {"name": f"team-{number:05}", "labels": {"gpuwarden.io/enforce": POLICY}}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def configuration(policies: int) -> Json:
    """A configuration file with so many policies of its own."""
    made = {
        f"policy-{number}": {"forms": ["mig-1g.5gb", "gke-mig-1g.5gb"], "maxPerContainer": 1, "maxPerPod": 4}
        for number in range(policies)
    }
    return {"apiVersion": "gpuwarden.io/v1", "kind": "Configuration", "policies": made}

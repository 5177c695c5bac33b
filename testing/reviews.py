"""Pods and AdmissionReviews as the API server sends them, and answers as it reads them."""

import base64
import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonpatch

from webhook.application.admission import Admission
from webhook.application.configuration import Configuration
from webhook.application.namespaces import NamespaceNotFound
from webhook.application.recorder import RecordedDecision
from webhook.application.review import Answering
from webhook.engine.fleet.fleet import Fleet
from webhook.engine.namespace_labels import NamespaceLabels

Json = dict[str, Any]

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
TEAM = "team"
GPU = "nvidia.com/gpu"


def a_container(name: str = "train", limits: Mapping[str, Any] | None = None, **fields: Any) -> Json:
    """A container; ``requests`` are the limits, as the API server defaults them before any webhook, unless given."""
    resources: Json = {}
    if limits is not None:
        resources = {"limits": dict(limits), "requests": dict(limits)}
    return {"name": name, "image": "registry.example/train:1", "resources": resources, **fields}


def a_gpu_container(count: Any = "1", name: str = "train", **fields: Any) -> Json:
    """A container with a plain request."""
    return a_container(name, {GPU: count}, **fields)


def a_pod(*containers: Json, annotations: Mapping[str, str] | None = None, **spec: Any) -> Json:
    """A small valid pod, with what the API server has defaulted and its own admission plugins have added."""
    metadata: Json = {"name": "train-0", "namespace": TEAM, "labels": {"app": "train"}}
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": list(containers) or [a_gpu_container()],
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "serviceAccountName": "default",
            "securityContext": {},
            "tolerations": [
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
                for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
            ],
            **spec,
        },
        "status": {},
    }


def a_review(pod: Any, **request: Any) -> Json:
    """The review of a pod's creation; keyword arguments replace fields of the request, ``None`` takes one away."""
    fields: Json = {
        "uid": UID,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "train-0",
        "namespace": TEAM,
        "operation": "CREATE",
        "userInfo": {"username": "alice@example.com", "groups": ["system:authenticated"]},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    fields |= request
    fields = {name: value for name, value in fields.items() if value is not None or name not in request}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": fields}


def encode(review: Any) -> bytes:
    """A review as bytes on the wire."""
    return json.dumps(review).encode()


@dataclass(frozen=True)
class Answered:
    """An answer, after the checks that hold for every one of them."""

    response: Json

    @property
    def allowed(self) -> bool:
        return bool(self.response["allowed"])

    @property
    def patch(self) -> list[Json] | None:
        """The JSON Patch, decoded; ``None`` when the answer has none."""
        if "patch" not in self.response:
            return None
        operations: list[Json] = json.loads(base64.b64decode(self.response["patch"], validate=True))
        return operations

    @property
    def warnings(self) -> list[str]:
        return list(self.response.get("warnings", []))

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.response.get("auditAnnotations", {}))

    @property
    def is_silent(self) -> bool:
        """Whether it allows the object as it is, without a warning or an annotation."""
        return (self.allowed, self.warnings, self.annotations) == (True, [], {})

    @property
    def message(self) -> str:
        """What kubectl shows of a denial."""
        return str(self.response["status"]["message"])

    @property
    def rules(self) -> list[str]:
        """The ids of the rules that refused."""
        return [cause["reason"] for cause in self.response.get("status", {}).get("details", {}).get("causes", [])]

    def applied_to(self, pod: Json) -> Json:
        """The pod with the patch applied, by a library that is not ours."""
        changed: Json = jsonpatch.apply_patch(copy.deepcopy(pod), self.patch or [])
        return changed


def read_answer(body: bytes, uid: str = UID) -> Answered:
    """Read an answer as kube-apiserver does (admission/plugin/webhook/request/admissionreview.go), strictly."""
    answer = json.loads(body)
    assert answer["apiVersion"] == "admission.k8s.io/v1"
    assert answer["kind"] == "AdmissionReview"
    assert set(answer) == {"apiVersion", "kind", "response"}
    response = answer["response"]
    assert response["uid"] == uid
    assert isinstance(response["allowed"], bool)
    assert set(response) <= {"uid", "allowed", "status", "patch", "patchType", "warnings", "auditAnnotations"}
    assert ("patch" in response) == ("patchType" in response)
    assert response.get("patchType", "JSONPatch") == "JSONPatch"
    assert ("status" in response) == (not response["allowed"])
    assert all(warning and isinstance(warning, str) for warning in response.get("warnings", []))
    annotations = response.get("auditAnnotations", {})
    assert all(isinstance(text, str) and "/" not in key for key, text in annotations.items())
    answered = Answered(response)
    if not answered.allowed:
        assert answered.patch is None
        assert (response["status"]["code"], response["status"]["reason"]) in ((403, "Forbidden"), (422, "Invalid"))
        assert answered.rules
    assert answered.patch is None or answered.patch != []
    return answered


class Notes(list[RecordedDecision]):
    """A recorder that keeps what it is told."""

    def decided(self, recorded: RecordedDecision) -> None:
        self.append(recorded)


@dataclass
class KnownNamespaces:
    """Namespaces that are cached, and what asking for any other comes to: labels, or an exception."""

    known: dict[str, NamespaceLabels] = field(default_factory=dict)
    unknown: dict[str, NamespaceLabels | Exception] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    def cached(self, name: str) -> NamespaceLabels | None:
        return self.known.get(name)

    async def fetch(self, name: str) -> NamespaceLabels:
        self.fetched.append(name)
        found = self.unknown.get(name) or NamespaceNotFound(name)
        if isinstance(found, Exception):
            raise found
        return found


class Webhook:
    """Admission in a namespace ``team`` with labels, asked about pods."""

    def __init__(
        self,
        enforce: str | None = None,
        *,
        warn: str | None = None,
        audit: str | None = None,
        configuration: Configuration | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        self.fleet = fleet
        self.notes = Notes()
        self.namespaces = KnownNamespaces({TEAM: NamespaceLabels(enforce, warn, audit)})
        self.admission = Admission(configuration or Configuration(), self.namespaces, self.notes, nodes=self)

    def mutate(self, pod: Any, **request: Any) -> Answered:
        return self._ask(self.admission.mutate(encode(a_review(pod, **request))), request)

    def validate(self, pod: Any, **request: Any) -> Answered:
        answered = self._ask(self.admission.validate(encode(a_review(pod, **request))), request)
        assert answered.patch is None
        return answered

    def _ask(self, asked: Answering, request: Json) -> Answered:
        return read_answer(finish(asked), request.get("uid", UID))


def finish(asked: Answering) -> bytes:
    """An answer for which nothing is waited, as answers from what is cached must not."""
    if isinstance(asked, bytes):
        return asked
    try:
        asked.send(None)
    except StopIteration as done:
        answer: bytes = done.value
        return answer
    asked.close()
    raise AssertionError("the answer waits for something")

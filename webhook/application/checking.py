"""Checking: what admission would make of objects in manifests, where there is neither a cluster nor a review."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from webhook.application.configuration import Configuration
from webhook.application.misfits import misfit, what
from webhook.application.workloads import Workload, workload_of
from webhook.engine.decision import UNTOUCHED, Decision, decide
from webhook.engine.findings import Finding
from webhook.engine.labels import NamespaceLabels
from webhook.engine.patch import Operation, patch
from webhook.engine.pods import Metadata, Pod
from webhook.engine.policy import Policy

T = TypeVar("T")


class UnreadablePodError(Exception):
    """An object's pod can't be read; ``field`` is the path, within the object, of what is wrong in it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class Judgement(msgspec.Struct, frozen=True):
    """What becomes of one object.

    Attributes:
        kind, namespace, name: the object; ``namespace`` is the one whose policy counts.
        policy: the policy that decided.
        decision: edits and findings, their paths within the pod.
        operations: the JSON Patch of the object.
        findings: the findings, their paths within the object.
        exempt: why the object is left alone, if it is.
    """

    kind: str
    namespace: str
    name: str
    policy: Policy
    decision: Decision
    operations: tuple[Operation, ...] = ()
    findings: tuple[Finding, ...] = ()
    exempt: str | None = None


class Checker:
    """Judges objects by the policies of their namespaces, as the webhook would."""

    def __init__(
        self,
        configuration: Configuration,
        namespaces: Mapping[str, NamespaceLabels],
        *,
        namespace: str | None = None,
        policy: Policy | None = None,
    ) -> None:
        """Take what decides.

        Args:
            configuration: the configuration.
            namespaces: the labels of the namespaces that are known; others have none.
            namespace: the namespace of objects that name none (``default`` if not given), as kubectl's ``--namespace``.
            policy: one policy for every object, instead of its namespace's.
        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._namespace = namespace or "default"
        self._policy = policy

    def judge(self, manifest: Mapping[str, Any]) -> Judgement:
        """Judge an object.

        Raises:
            UnreadablePodError: the object is a workload and its pod is not one.
        """
        metadata = manifest.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        namespace = str(metadata.get("namespace") or self._namespace)
        kind, name = str(manifest.get("kind", "")), str(metadata.get("name") or metadata.get("generateName") or "")
        policy = self._policy_of(namespace)
        workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"))
        pod = pod_of(workload, manifest) if workload else None
        if workload is None or pod is None:
            return Judgement(kind, namespace, name, policy, UNTOUCHED)
        if pod.spec and not workload.steps and metadata.get("uid"):
            # A pod out of a cluster: it is its scheduler that has placed it.
            pod.spec.node_name = None
        decision = decide(pod, policy, self._configuration.plugin)
        exempt = self._configuration.exemptions.of_request(namespace, "") or self._configuration.exemptions.of_pod(pod)
        if exempt:
            return Judgement(kind, namespace, name, policy, Decision(asks=decision.asks), exempt=exempt)
        findings = tuple(msgspec.structs.replace(f, path=workload.field(f.path)) for f in decision.findings)
        operations = tuple(patch(pod, decision.edits, workload.pointer))
        return Judgement(kind, namespace, name, policy, decision, operations, findings)

    def _policy_of(self, namespace: str) -> Policy:
        if self._policy is not None:
            return self._policy
        labels = self._namespaces.get(namespace, NamespaceLabels())
        return self._configuration.policies.select(labels).enforce


def pod_of(workload: Workload, manifest: Mapping[str, Any]) -> Pod | None:
    """The pod, or template of one, in an object; ``None`` where it has none.

    Raises:
        UnreadablePodError: what is there is not a pod, or the object's own name, namespace or annotations are not text.
    """
    above: Any = manifest
    for number, step in enumerate(workload.steps):
        if above is not None and not isinstance(above, Mapping):
            raise UnreadablePodError(
                ".".join(workload.steps[:number]), f"must be a map, not {what(above)}; write a map"
            )
        above = above.get(step) if above else None
    if workload.steps:
        _converted(manifest.get("metadata"), Metadata, ("metadata",))
    return _converted(workload.pod(manifest), Pod, workload.steps)


def _converted(data: Any, kind: type[T], steps: tuple[str, ...]) -> T | None:
    try:
        return msgspec.convert(data, kind | None)
    except msgspec.ValidationError as error:
        found = misfit(data, error)
        raise UnreadablePodError(".".join(filter(None, (*steps, found.field))), found.message) from error

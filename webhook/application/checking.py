"""Checking: what admission would make of objects in manifests, where there is neither a cluster nor a review."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from webhook.application import beside
from webhook.application.configuration import Configuration
from webhook.application.misfits import Misfit, MisfitsError, convert, what
from webhook.application.unjudged import Unjudged, claims_not_judged, unjudged
from webhook.application.workloads import Workload, workload_of
from webhook.engine.decision import UNTOUCHED, Decision, decide
from webhook.engine.findings import Finding
from webhook.engine.fleet.fleet import Fleet
from webhook.engine.fleet.judging import against
from webhook.engine.label_problems import misplaced, of_namespace
from webhook.engine.labels import NamespaceLabels
from webhook.engine.patch import Operation, patch
from webhook.engine.pods import Metadata, Pod
from webhook.engine.policy import LabelProblem, Policy, PolicyBook

T = TypeVar("T")


class UnreadablePodError(MisfitsError):
    """An object's pod can't be read; ``misfits`` says which fields are wrong, by their paths within the object."""


class Judgement(msgspec.Struct, frozen=True):
    """What becomes of one object.

    Attributes:
        kind, namespace, name: the object; ``namespace`` is the one whose policy counts.
        policy: the policy that decided.
        decision: edits and findings, their paths within the pod.
        operations: the JSON Patch of the object.
        findings: the findings, their paths within the object.
        exempt: why the object is left alone, if it is.
        unjudged: what is known of an object of a kind that is not judged; the decision then says nothing of its pods.
        claims: its pod's names for their resource claims, of which the decision says nothing.
        claims_field: where they are.
        beside: what else of its pod is not judged, a sentence each.
        asked: what its pod asks for besides the decision's requests: KAI's shares, and names that are misspelt.
        label_problems: what is wrong with its labels and annotations.
        misfits: fields of the wrong type; where there are any, nothing else is known of the object.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    policy: Policy
    decision: Decision
    operations: tuple[Operation, ...] = ()
    findings: tuple[Finding, ...] = ()
    exempt: str | None = None
    unjudged: Unjudged | None = None
    claims: tuple[str, ...] = ()
    claims_field: str = ""
    beside: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    label_problems: tuple[LabelProblem, ...] = ()
    misfits: tuple[Misfit, ...] = ()

    @property
    def not_judged(self) -> str | None:
        """Why not everything that may request GPUs was judged; ``None`` where it was, or where the object is exempt."""
        if self.exempt:
            return None
        of_claims = [claims_not_judged(self.claims, self.claims_field)] if self.claims else []
        if of_claims or self.beside:
            return "; ".join([*of_claims, *self.beside])
        return self.unjudged.message if self.unjudged else None


class Checker:
    """Judges objects by the policies of their namespaces, as the webhook would."""

    def __init__(
        self,
        configuration: Configuration,
        namespaces: Mapping[str, NamespaceLabels],
        *,
        namespace: str | None = None,
        policy: Policy | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        """Take what decides.

        Args:
            configuration: the configuration.
            namespaces: the labels of the namespaces that are known; others have none.
            namespace: the namespace of objects that name none (``default`` if not given), as kubectl's ``--namespace``.
            policy: one policy for every object, instead of its namespace's.
            fleet: the nodes, where they are known.
        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._namespace = namespace or "default"
        self._policy = policy
        self._fleet = fleet

    def judge(self, manifest: Mapping[str, Any]) -> Judgement:
        """Judge an object.

        Raises:
            UnreadablePodError: the object is a workload and its pod is not one.
        """
        known = self.identify(manifest)
        workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"))
        pod = pod_of(workload, manifest) if workload else None
        if workload is None or pod is None:
            return known
        if pod.spec and not workload.steps and _map(manifest.get("metadata")).get("uid"):
            # A pod out of a cluster: it is its scheduler that has placed it.
            pod.spec.node_name = None
        claims = (pod.spec and pod.spec.resource_claims) or ()
        if claims:
            names, field = tuple(claim.name for claim in claims), workload.field("spec.resourceClaims")
            known = msgspec.structs.replace(known, claims=names, claims_field=field)
        known = self._with_beside(known, workload, pod, manifest)
        decision = decide(pod, known.policy, self._configuration.plugin, names=self._configuration.names)
        exemptions = self._configuration.exemptions
        exempt = exemptions.of_request(known.namespace, "") or exemptions.of_pod(pod)
        if exempt:
            return msgspec.structs.replace(known, decision=Decision(asks=decision.asks), exempt=exempt)
        if self._fleet:
            decision = against(decision, pod, known.policy, self._fleet)
        findings = tuple(msgspec.structs.replace(f, path=workload.field(f.path)) for f in decision.findings)
        operations = tuple(patch(pod, decision.edits, workload.pointer))
        return msgspec.structs.replace(known, decision=decision, operations=operations, findings=findings)

    def unreadable(self, manifest: Mapping[str, Any], misfits: Sequence[Misfit]) -> Judgement:
        """What is known of an object with fields of the wrong type: its name."""
        known = self.identify(manifest)
        return msgspec.structs.replace(known, unjudged=None, label_problems=(), misfits=tuple(misfits))

    def _with_beside(self, known: Judgement, workload: Workload, pod: Pod, manifest: Mapping[str, Any]) -> Judgement:
        labels, _ = _labels_and_annotations(workload.pod(manifest))
        names = self._configuration.names
        shares = beside.shares(pod, labels)
        told = (*beside.sentences(workload, beside.other_vendors(pod, names), shares), *known.beside)
        of_kai = (f"{section.removesuffix('s')} {key}: {value}" for section, key, value in shares)
        return msgspec.structs.replace(known, beside=told, asked=(*of_kai, *beside.misspelt(pod, names)))

    def identify(self, manifest: Mapping[str, Any]) -> Judgement:
        """What is known of an object without looking at its pod: also whether it is judged, and what its labels say."""
        metadata = _map(manifest.get("metadata"))
        api_version, kind = str(manifest.get("apiVersion") or ""), str(manifest.get("kind", ""))
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        namespace = name if is_namespace(manifest) else str(metadata.get("namespace") or self._namespace)
        workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"))
        elsewhere = beside.misplaced(workload, manifest, self._configuration.names) if workload else ""
        return Judgement(
            api_version,
            kind,
            namespace,
            name,
            self._policy_of(namespace),
            UNTOUCHED,
            unjudged=None if workload else unjudged(manifest, self._configuration.names),
            beside=(elsewhere,) if elsewhere else (),
            label_problems=tuple(label_problems(manifest, self._configuration.policies)),
        )

    def _policy_of(self, namespace: str) -> Policy:
        if self._policy is not None:
            return self._policy
        labels = self._namespaces.get(namespace, NamespaceLabels())
        return self._configuration.policies.select(labels).enforce


def label_problems(manifest: Mapping[str, Any], book: PolicyBook) -> Iterator[LabelProblem]:
    """What is wrong with the labels and annotations of an object and, if it has one, of its pod template."""
    labels, annotations = _labels_and_annotations(manifest)
    if is_namespace(manifest):
        yield from of_namespace(book, labels, annotations)
        return
    kind = manifest.get("kind")
    workload = workload_of(manifest.get("apiVersion"), kind)
    yield from misplaced(labels, annotations, str(kind))
    if workload and workload.steps:
        yield from misplaced(*_labels_and_annotations(workload.pod(manifest)), str(kind), workload.field(""))


def is_namespace(manifest: Mapping[str, Any]) -> bool:
    """Whether an object is a Namespace; one without an apiVersion, which kubectl rejects, is meant to be one."""
    return manifest.get("kind") == "Namespace" and manifest.get("apiVersion") in {"v1", None}


def _labels_and_annotations(manifest: object) -> tuple[dict[str, str], dict[str, str]]:
    metadata = _map(_map(manifest).get("metadata"))
    return _strings(metadata.get("labels")), _strings(metadata.get("annotations"))


def _strings(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in _map(value).items()}


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def pod_of(workload: Workload, manifest: Mapping[str, Any]) -> Pod | None:
    """The pod, or template of one, in an object; ``None`` where it has none.

    Raises:
        UnreadablePodError: what is there is not a pod, or the object's own name, namespace or annotations are not text.
    """
    wrong: list[Misfit] = []
    if workload.steps:
        _converted(manifest.get("metadata"), Metadata, ("metadata",), wrong)
    above: Any = manifest
    for number, step in enumerate(workload.steps):
        if above is not None and not isinstance(above, Mapping):
            wrong.append(Misfit(".".join(workload.steps[:number]), f"must be a map, not {what(above)}; write a map"))
            raise UnreadablePodError(wrong)
        above = above.get(step) if above else None
    pod = _converted(workload.pod(manifest), Pod, workload.steps, wrong)
    if wrong:
        raise UnreadablePodError(wrong)
    return pod


def _converted(data: Any, kind: type[T], steps: tuple[str, ...], wrong: list[Misfit]) -> T | None:
    """The data as a type; where they do not fit, ``None``, and what is wrong is added."""
    try:
        return convert(data, kind) if data is not None else None
    except MisfitsError as error:
        wrong += [Misfit(".".join(filter(None, (*steps, field))), message) for field, message in error.misfits]
        return None

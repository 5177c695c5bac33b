"""Checking: what admission would make of objects in manifests, where there is neither a cluster nor a review."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from webhook.application import beside, field_paths
from webhook.application.claims import KnownClaims, claims_of, described, not_looked_up
from webhook.application.configuration import Configuration
from webhook.application.field_paths import Place
from webhook.application.misfits import Misfit, MisfitsError, convert
from webhook.application.unjudged import Unjudged, unjudged
from webhook.application.workload_kinds import WorkloadKind, WorkloadPod, places
from webhook.application.workloads import workload_of
from webhook.engine import requests
from webhook.engine.claims import NO_CLAIMS, Claims, references
from webhook.engine.decision import UNTOUCHED, Decision, decide
from webhook.engine.findings import Finding
from webhook.engine.label_problems import misplaced, of_namespace
from webhook.engine.labels import NamespaceLabels
from webhook.engine.patch import Operation, patch
from webhook.engine.pods import Metadata, Pod
from webhook.engine.policy import LabelProblem, Policy, PolicyBook
from webhook.engine.requests import Ask

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
        claims: its pod's names for their resource claims.
        claims_unknown: why some of these are not judged, for people; empty where all are.
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
    claims_unknown: str = ""
    beside: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    label_problems: tuple[LabelProblem, ...] = ()
    misfits: tuple[Misfit, ...] = ()

    @property
    def not_judged(self) -> str | None:
        """Why not everything that may request GPUs was judged; ``None`` where it was, or where the object is exempt."""
        if self.exempt:
            return None
        if self.claims_unknown or self.beside:
            return "; ".join(filter(None, (self.claims_unknown, *self.beside)))
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
        claims: KnownClaims | None = None,
    ) -> None:
        """Take what decides.

        Args:
            configuration: the configuration.
            namespaces: the labels of the namespaces that are known; others have none.
            namespace: the namespace of objects that name none (``default`` if not given), as kubectl's ``--namespace``.
            policy: one policy for every object, instead of its namespace's.
            claims: the resource claims and their templates that are known; others are not judged.
        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._namespace = namespace or "default"
        self._policy = policy
        self._claims = claims or {}

    def judge(self, manifest: Mapping[str, Any]) -> Judgement:
        """Judge an object.

        Raises:
            UnreadablePodError: the object is a workload and its pod is not one.
        """
        known = self.identify(manifest)
        workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"))
        found = next(pods_of(workload, manifest), None) if workload else None
        if workload is None or found is None:
            return known
        where, pod = found
        if pod.spec and workload.is_pod and _map(manifest.get("metadata")).get("uid"):
            # A pod out of a cluster: it is its scheduler that has placed it.
            pod.spec.node_name = None
        known = self._with_beside(known, where, pod, next(field_paths.find(manifest, where.place))[1])
        asks = requests.read(pod.spec, self._configuration.names) if pod.spec else []
        claims, known = self._with_claims(known, where, pod, asks)
        decision = decide(pod, known.policy, self._configuration.plugin, found=asks, claims=claims)
        exemptions = self._configuration.exemptions
        exempt = exemptions.of_request(known.namespace, "") or exemptions.of_pod(pod)
        if exempt:
            return msgspec.structs.replace(known, decision=Decision(asks=decision.asks), exempt=exempt)
        findings = tuple(msgspec.structs.replace(f, path=where.field(f.path)) for f in decision.findings)
        operations = tuple(patch(pod, decision.edits, where.pointer))
        return msgspec.structs.replace(known, decision=decision, operations=operations, findings=findings)

    def unreadable(self, manifest: Mapping[str, Any], misfits: Sequence[Misfit]) -> Judgement:
        """What is known of an object with fields of the wrong type: its name."""
        known = self.identify(manifest)
        return msgspec.structs.replace(known, unjudged=None, label_problems=(), misfits=tuple(misfits))

    def _with_claims(
        self, known: Judgement, where: WorkloadPod, pod: Pod, asks: Sequence[Ask]
    ) -> tuple[Claims, Judgement]:
        if pod.spec is None:
            return NO_CLAIMS, known
        named = {one: (known.namespace, one) for one in references(pod.spec)}
        resolved = {one: self._claims[key] for one, key in named.items() if key in self._claims}
        claims = claims_of(pod.spec, asks, resolved, self._configuration)
        return claims, msgspec.structs.replace(
            known,
            claims=tuple(claim.name for claim in pod.spec.resource_claims or ()),
            claims_unknown=not_looked_up(claims.unknown, where.field, known.namespace),
            asked=(*known.asked, *described(claims)),
        )

    def _with_beside(self, known: Judgement, where: WorkloadPod, pod: Pod, template: Mapping[str, Any]) -> Judgement:
        labels, _ = _labels_and_annotations(template)
        names = self._configuration.names
        shares = beside.shares(pod, labels)
        told = (*beside.sentences(where, beside.other_vendors(pod, names), shares), *known.beside)
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
    for where, template in places(workload, manifest) if workload and not workload.is_pod else ():
        yield from misplaced(*_labels_and_annotations(template), str(kind), f"{where.field('')}.")


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


def pods_of(workload: WorkloadKind, manifest: Mapping[str, Any]) -> Iterator[tuple[WorkloadPod, Pod]]:
    """Return the pods, or templates of pods, in an object.

    Raises:
        UnreadablePodError: what is there is not a pod, or the object's own name, namespace or annotations are not text.
    """
    wrong: list[Misfit] = []
    if not workload.is_pod:
        _converted(manifest.get("metadata"), Metadata, ("metadata",), wrong)
    for path in workload.pods:
        wrong += field_paths.misfits(manifest, path)
    found = [
        (where, pod) for where, data in places(workload, manifest) if (pod := _converted(data, Pod, where.place, wrong))
    ]
    if wrong:
        raise UnreadablePodError(wrong)
    yield from found


def _converted(data: Any, kind: type[T], place: Place, wrong: list[Misfit]) -> T | None:
    """The data as a type; where they do not fit, ``None``, and what is wrong is added."""
    try:
        return convert(data, kind) if data is not None else None
    except MisfitsError as error:
        above = field_paths.written(place)
        wrong += [Misfit(".".join(filter(None, (above, field))), message) for field, message in error.misfits]
        return None

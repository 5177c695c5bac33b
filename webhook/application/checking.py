"""Checking: what admission would make of objects in manifests, where there is neither a cluster nor a review."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from webhook.application import field_paths, operator_objects, unjudged_requests
from webhook.application.claims import KnownClaims, claims_of, described, not_looked_up, template_not_looked_up
from webhook.application.configuration import Configuration
from webhook.application.field_paths import Place
from webhook.application.operator_traps import Applied, Described, traps
from webhook.application.type_mismatches import TypeMismatch, TypeMismatchError, convert
from webhook.application.unjudged import Unjudged, unjudged
from webhook.application.workload_kinds import WorkloadKind, WorkloadPod, places
from webhook.application.workloads import not_served, workload_of
from webhook.engine import claim_rewriting, requests, summary
from webhook.engine.claims import NO_CLAIMS, Resolved, references
from webhook.engine.decision import UNTOUCHED, Decision, Outcome, decide
from webhook.engine.edits import Annotate
from webhook.engine.findings import Finding
from webhook.engine.fleet.evaluation import against, preferring
from webhook.engine.fleet.fleet import Fleet
from webhook.engine.label_problems import misplaced, of_namespace
from webhook.engine.labels import NamespaceLabels
from webhook.engine.patch import Operation, patch
from webhook.engine.pods import Metadata, Pod
from webhook.engine.policy import LabelProblem, Policy

T = TypeVar("T")


class UnreadablePodError(TypeMismatchError):
    """An object's pod can't be read; ``mismatches`` says which fields are wrong, by their paths within the object."""


_WORST = {Outcome.DENIED: 2, Outcome.REWRITTEN: 1, Outcome.UNCHANGED: 0}


class JudgedPod(msgspec.Struct, frozen=True):
    """A pod or template of an object, and what becomes of the pods.

    Attributes:
        decision: edits and findings, their paths within the pod.
        title: what comes before each sentence on it, where an object may describe several.
        is_exempt: whether its scheduler or runtime class exempts it; the decision then only says what it requests.
    """

    where: WorkloadPod
    pod: Pod
    decision: Decision
    title: str = ""
    is_exempt: bool = False


class Judgement(msgspec.Struct, frozen=True):
    """What becomes of one object.

    Attributes:
        kind, namespace, name: the object; ``namespace`` is the one whose policy counts.
        policy: the policy that decided.
        pods: its pods and templates, and what becomes of each.
        operations: the JSON Patch of the object; empty for an operator's kind, of which only the pods are rewritten.
        findings: the findings, their paths within the object.
        exempt: why the object is exempt, if it is.
        unjudged: what is known of an object of a kind that is not judged; the decision then says nothing of its pods.
        claims: its pod's names for their resource claims.
        claims_unknown: why some of these are not judged, for people; empty where all are.
        beside: what else of its pod is not judged, a sentence each.
        asked: what its pod requests besides the decision's requests: KAI's shares, and names that are misspelt.
        label_problems: what is wrong with its labels and annotations.
        notes: what is special about its kind, and whether it is suspended, for people.
        mismatches: fields of the wrong type; where there are any, nothing else is known of the object.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    policy: Policy
    pods: tuple[JudgedPod, ...] = ()
    operations: tuple[Operation, ...] = ()
    findings: tuple[Finding, ...] = ()
    exempt: str | None = None
    unjudged: Unjudged | None = None
    claims: tuple[str, ...] = ()
    claims_unknown: str = ""
    beside: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    label_problems: tuple[LabelProblem, ...] = ()
    mismatches: tuple[TypeMismatch, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def decision(self) -> Decision:
        """What becomes of the pods of an object that describes them in one place."""
        return self.pods[0].decision if self.pods else UNTOUCHED

    @property
    def outcome(self) -> Outcome:
        """The worst that becomes of its pods."""
        return max((one.decision.outcome for one in self.pods), key=_WORST.__getitem__, default=Outcome.UNCHANGED)

    @property
    def requests(self) -> tuple[str, ...]:
        """What each container requests."""
        found = (f"{one.title}{gpu_container}" for one in self.pods for gpu_container in summary.asked(one.decision))
        return (*found, *self.asked)

    def changes(self, *, would: bool = False) -> tuple[str, ...]:
        """What becomes of its pods, in sentences without their end; ``would`` where nothing is done."""
        found = (f"{one.title}{change}" for one in self.pods for change in summary.changes(one.decision, would=would))
        return (*found, *self.notes)

    @property
    def of_the_cluster(self) -> "Judgement":
        """What is known of an object that is in no namespace: that no policy decides on its pods."""
        found = "; ".join(filter(None, (*self.requests, self.not_judged)))
        beside = (
            f"{found}; it is in no namespace, so no policy is known to apply; its pods are judged when they are created"
        )
        return msgspec.structs.replace(
            self,
            namespace="",
            pods=(),
            findings=(),
            asked=(),
            exempt=None,
            claims_unknown="",
            notes=(),
            beside=(beside,),
        )

    @property
    def of_templates(self) -> tuple[Operation, ...]:
        """The JSON Patch that rewrites the templates of an operator's object, where that is wanted.

        Annotations are left out: not every kind has metadata beside the spec of its pods.
        """
        return tuple(operation for one in self.pods for operation in _of_template(one))

    @property
    def not_judged(self) -> str | None:
        """Why not everything that may request GPUs was judged; ``None`` where it was, or where the object is exempt."""
        if self.exempt:
            return None
        if self.claims_unknown or self.beside:
            return "; ".join(filter(None, (self.claims_unknown, *self.beside)))
        return self.unjudged.message if self.unjudged else None


def _of_template(one: JudgedPod) -> list[Operation]:
    edits = [edit for edit in one.decision.edits if not isinstance(edit, Annotate)]
    if one.where.is_whole:
        return patch(one.pod, edits, one.where.pointer)
    found = patch(one.pod, edits)
    for operation in found:
        operation |= {
            key: f"{one.where.pointer}{operation[key].removeprefix('/spec')}"
            for key in ("path", "from")
            if key in operation
        }
    return found


class Checker:
    """Judges objects by the policies of their namespaces, as the webhook would."""

    def __init__(  # noqa: PLR0913 - everything that decides
        self,
        configuration: Configuration,
        namespaces: Mapping[str, NamespaceLabels],
        *,
        namespace: str | None = None,
        policy: Policy | None = None,
        claims: KnownClaims | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        """Take what decides.

        Args:
            configuration: the configuration.
            namespaces: the labels of the namespaces that are known; others have none.
            namespace: the namespace of objects that name none (``default`` if not given), as kubectl's ``--namespace``.
            policy: one policy for every object, instead of its namespace's.
            claims: the resource claims and their templates that are known; others are not judged.
            fleet: the nodes, where they are known.
        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._namespace = namespace or "default"
        self._policy = policy
        self._claims = claims or {}
        self._fleet = fleet

    def judge(self, manifest: Mapping[str, Any]) -> Judgement:
        """Judge an object.

        Raises:
            UnreadablePodError: the object is a workload and its pod is not one.
        """
        known = self.identify(manifest)
        workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"), self._configuration.kinds)
        if workload is None or not workload.is_built_in:
            return self._of_operator(known, workload, manifest)
        found = next(pods_of(workload, manifest), None)
        if found is None:
            return known
        where, pod = found
        if pod.spec and workload.is_pod and _map(manifest.get("metadata")).get("uid"):
            # A pod out of a cluster: it is its scheduler that has placed it.
            pod.spec.node_name = None
        known = self._with_beside(known, where, pod, next(field_paths.find(manifest, where.place))[1])
        known, decision, exempt = self._decided(known, where, pod)
        known = msgspec.structs.replace(
            known, pods=(JudgedPod(where, pod, decision, is_exempt=bool(exempt)),), exempt=exempt
        )
        if exempt:
            return known
        findings = tuple(msgspec.structs.replace(f, path=where.field(f.path)) for f in decision.findings)
        operations = tuple(patch(pod, decision.edits, where.pointer))
        findings += self._traps(workload, manifest, known.policy, [Described(where.place, pod, decision)])
        notes = tuple(not_served(workload, manifest.get("apiVersion"))) if decision.gpu_containers else ()
        return msgspec.structs.replace(known, operations=operations, findings=findings, notes=notes)

    def _decided(self, known: Judgement, where: WorkloadPod, pod: Pod) -> tuple[Judgement, Decision, str | None]:
        """What is known with a pod's claims; what becomes of the pod, or what an exempt one requests, and why it is exempt."""
        configuration = self._configuration
        gpu_containers = requests.read(pod.spec, configuration.names) if pod.spec else []
        resolved = self._resolved(known, pod)
        claims = claims_of(pod.spec, gpu_containers, resolved, configuration) if pod.spec else NO_CLAIMS
        policy = preferring(known.policy, configuration.plugin, self._fleet) if self._fleet else known.policy
        decision = decide(pod, policy, configuration.plugin, found=gpu_containers, claims=claims, resolved=resolved)
        exemptions = configuration.exemptions
        exempt = exemptions.of_request(known.namespace, "") or exemptions.of_pod(pod)
        unknown = (
            ()
            if exempt
            else (
                not_looked_up(claims.unknown, where.field, known.namespace),
                template_not_looked_up(decision, known.policy, resolved, where.field, known.namespace),
            )
        )
        known = msgspec.structs.replace(
            known,
            claims=(*known.claims, *(claim.name for claim in (pod.spec and pod.spec.resource_claims) or ())),
            claims_unknown="; ".join(filter(None, (known.claims_unknown, *unknown))),
            asked=(*known.asked, *described(claims)),
        )
        if exempt:
            return known, Decision(gpu_containers=decision.gpu_containers), exempt
        return known, against(decision, pod, known.policy, self._fleet) if self._fleet else decision, None

    def _resolved(self, known: Judgement, pod: Pod) -> Resolved:
        """What a pod's claims name, and the template that its requests become claims of, where they are among the objects."""
        named = claim_rewriting.references([known.policy])
        named += references(pod.spec) if pod.spec else []
        keys = {one: (known.namespace, one) for one in named}
        return {one: self._claims[key] for one, key in keys.items() if key in self._claims}

    def _of_operator(self, known: Judgement, workload: WorkloadKind | None, manifest: Mapping[str, Any]) -> Judgement:
        """What becomes of the pods of an operator's kind: each template is judged as the pods created from it will be."""
        pods: list[JudgedPod] = []
        findings: list[Finding] = []
        vendors: list[str] = []
        exempt = None
        for where, pod in operator_objects.pods_in(workload, manifest):
            known, decision, why = self._decided(known, where, pod)
            exempt = exempt or why
            title = operator_objects.title(workload, manifest, where)
            pods.append(JudgedPod(where, pod, decision, title, is_exempt=bool(why)))
            vendors += unjudged_requests.sentences(
                where, unjudged_requests.other_vendors(pod, self._configuration.names), ()
            )
            findings += (
                msgspec.structs.replace(f, path=where.field(f.path), reason=f"{where.field('')}: {f.reason}")
                for f in decision.findings
            )
        asking = [one for one in pods if one.decision.gpu_containers]
        exempt = exempt if all(one.is_exempt for one in asking) and not findings else None
        notes: tuple[str, ...] = ()
        found = known.findings
        if workload and asking:
            described = [Described(one.where.place, one.pod, one.decision) for one in asking]
            found = (*self._traps(workload, manifest, known.policy, described), *found)
            notes = tuple(operator_objects.notes(workload, manifest, trapped=bool(found)))
        return msgspec.structs.replace(
            known,
            pods=tuple(pods),
            findings=() if exempt else (*findings, *found),
            beside=tuple(vendors),
            exempt=exempt,
            notes=notes,
        )

    def _left(
        self, workload: WorkloadKind | None, manifest: Mapping[str, Any], policy: Policy
    ) -> tuple[Unjudged | None, tuple[Finding, ...]]:
        """What is known of an object that is not of a built-in kind, beside the pods in it that are judged; and its traps."""
        # What their claims are is said with the pods.
        pods = operator_objects.pods_in(workload, manifest)
        names = self._configuration.names
        left = unjudged(operator_objects.without(manifest, [where for where, _ in pods]), names)
        if workload is None:
            return (left if left or not pods else None), ()
        pod = operator_objects.requesting(workload, manifest)
        if workload.implicit and not (
            left.traces.requests
            or left.traces.claims
            or any(one.spec and requests.read(one.spec, names) for _, one in pods)
        ):
            pod = operator_objects.IMPLICIT
            left = msgspec.structs.replace(left, implicit=True)
        decision = decide(pod, policy, self._configuration.plugin, names=names)
        if not left:
            return None, ()
        found = self._traps(workload, manifest, policy, [Described((), pod, decision)])
        notes = tuple(operator_objects.notes(workload, manifest, trapped=bool(found)))
        return msgspec.structs.replace(left, decision=decision, notes=notes), found

    def _traps(
        self, workload: WorkloadKind, manifest: Mapping[str, Any], policy: Policy, pods: Sequence[Described]
    ) -> tuple[Finding, ...]:
        configuration = self._configuration
        applied = Applied(
            manifest, pods, lambda pod: decide(pod, policy, configuration.plugin, names=configuration.names)
        )
        return tuple(traps(workload, applied))

    def unreadable(self, manifest: Mapping[str, Any], mismatches: Sequence[TypeMismatch]) -> Judgement:
        """The judgement of an object with fields of the wrong type: only its name is known."""
        known = self.identify(manifest)
        return msgspec.structs.replace(
            known, unjudged=None, findings=(), label_problems=(), mismatches=tuple(mismatches)
        )

    def _with_beside(self, known: Judgement, where: WorkloadPod, pod: Pod, template: Mapping[str, Any]) -> Judgement:
        labels, _ = _labels_and_annotations(template)
        names = self._configuration.names
        shares = unjudged_requests.shares(pod, labels)
        annotations = (pod.metadata and pod.metadata.annotations) or {}
        told = (
            *unjudged_requests.sentences(where, unjudged_requests.other_vendors(pod, names), shares),
            *unjudged_requests.in_metadata(where, annotations, labels, names),
            *known.beside,
        )
        of_kai = (f"{section.removesuffix('s')} {key}: {value}" for section, key, value in shares)
        return msgspec.structs.replace(known, beside=told, asked=(*of_kai, *unjudged_requests.misspelt(pod, names)))

    def identify(self, manifest: Mapping[str, Any]) -> Judgement:
        """What is known of an object without looking at its pod: also whether it is judged, and what its labels say."""
        metadata = _map(manifest.get("metadata"))
        api_version, kind = str(manifest.get("apiVersion") or ""), str(manifest.get("kind", ""))
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        namespace = name if is_namespace(manifest) else str(metadata.get("namespace") or self._namespace)
        workload = workload_of(manifest.get("apiVersion"), manifest.get("kind"), self._configuration.kinds)
        is_built_in = workload is not None and workload.is_built_in
        elsewhere: list[str] = []
        if workload and is_built_in:
            names = self._configuration.names
            elsewhere += filter(None, [unjudged_requests.misplaced(workload, manifest, names)])
            if not workload.is_pod:
                labels, annotations = _labels_and_annotations(manifest)
                elsewhere += unjudged_requests.in_metadata(WorkloadPod(()), annotations, labels, names)
        policy = self._policy_of(namespace)
        left, found = (None, ()) if is_built_in else self._left(workload, manifest, policy)
        return Judgement(
            api_version,
            kind,
            namespace,
            name,
            policy,
            findings=found,
            unjudged=left,
            beside=tuple(elsewhere),
            label_problems=tuple(label_problems(manifest, self._configuration)),
        )

    def _policy_of(self, namespace: str) -> Policy:
        if self._policy is not None:
            return self._policy
        labels = self._namespaces.get(namespace, NamespaceLabels())
        return self._configuration.policies.select(labels).enforce


def label_problems(manifest: Mapping[str, Any], configuration: Configuration) -> Iterator[LabelProblem]:
    """What is wrong with the labels and annotations of an object and, if it has one, of its pod template."""
    labels, annotations = _labels_and_annotations(manifest)
    if is_namespace(manifest):
        yield from of_namespace(configuration.policies, labels, annotations)
        return
    kind = manifest.get("kind")
    workload = workload_of(manifest.get("apiVersion"), kind, configuration.kinds)
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
    wrong: list[TypeMismatch] = []
    if not workload.is_pod:
        _converted(manifest.get("metadata"), Metadata, ("metadata",), wrong)
    for path in workload.pods:
        wrong += field_paths.mismatches(manifest, path)
    found = [
        (where, pod) for where, data in places(workload, manifest) if (pod := _converted(data, Pod, where.place, wrong))
    ]
    if wrong:
        raise UnreadablePodError(wrong)
    yield from found


def _converted(data: Any, kind: type[T], place: Place, wrong: list[TypeMismatch]) -> T | None:
    """The data as a type; where they do not fit, ``None``, and what is wrong is added."""
    try:
        return convert(data, kind) if data is not None else None
    except TypeMismatchError as error:
        above = field_paths.written(place)
        wrong += [TypeMismatch(".".join(filter(None, (above, field))), message) for field, message in error.mismatches]
        return None

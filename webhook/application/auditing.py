"""Auditing: the effect of a policy on existing pods and templates, object by object."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from ..engine import guard, requests
from ..engine.decision import Outcome
from ..engine.findings import Finding
from ..engine.fleet.fleet import Fleet
from ..engine.namespace_labels import DOMAIN, NamespaceLabels
from ..engine.patch import Operation
from ..engine.pods import Pod
from ..engine.spelling import DevicePlugin
from . import unevaluated_requests
from .checking import Checker, is_of_one_pod
from .claims import GROUP, PLURALS, KnownClaims
from .configuration import Configuration
from .evaluation import Evaluation
from .gpu_forms import GpuForm, gpu_forms
from .kind_lookup import Kinds, group_of, identity, is_between, is_workload, workload_of
from .operator_objects import QUEUE
from .pod_counts import Autoscalers, PlannedPods
from .rule_texts import EXEMPT, NOT_EVALUATED
from .type_mismatches import TypeMismatch
from .workload_kinds import WorkloadKind, WorkloadPod

_WORST = {Outcome.DENIED.value: 3, Outcome.REWRITTEN.value: 2, NOT_EVALUATED: 1, Outcome.UNCHANGED.value: 0}


def decided(outcome: Outcome, not_evaluated: str | None) -> str:
    """The decision in reports: the outcome, or ``not-evaluated`` if that is "unchanged" but not everything was evaluated."""
    return NOT_EVALUATED if not_evaluated and outcome is Outcome.UNCHANGED else outcome.value


BARE_POD = "only if it is created again"
"""When a change takes effect on a pod without a controller, which nothing recreates."""


class _Named:
    """Something with a kind and a name."""

    __slots__ = ()
    api_version: str
    kind: str
    name: str

    @property
    def is_between(self) -> bool:
        """Whether a controller creates objects of its kind, such as a ReplicaSet, from what a person wrote."""
        return is_between(self.api_version, self.kind)

    @property
    def key(self) -> tuple[str, str]:
        """Its identity within its namespace."""
        return identity(self.api_version, self.kind), self.name


class Owner(_Named, msgspec.Struct, frozen=True):
    """The controller of an object, from its owner reference."""

    api_version: str
    kind: str
    name: str
    uid: str = ""

    @property
    def is_workload(self) -> bool:
        """Whether the template of its kind is read: ``Job`` of ``batch`` is, ``Job`` of ``batch.volcano.sh`` is not."""
        return is_workload(self.api_version, self.kind)

    @property
    def is_of_operator(self) -> bool:
        """Whether its kind is an operator's and is in the table."""
        return not self.is_workload and workload_of(self.api_version, self.kind) is not None


class WorkloadObject(_Named, msgspec.Struct):
    """An object as it was found, while it is checked.

    Attributes:
        pod: the pod, or the template that pods are created from.
        running: whether it is a pod that exists; one in a manifest does not exist yet.
        over: whether it has ended or is ending, so that it holds no GPU and creates no more pods.
        idle: whether it is scaled to zero.
        suspended: whether it has no pods until it is resumed.
        count: how many it will have, if its kind is built in; for an operator's kind, the verdict contains it.
        queue: the Kueue queue that its label names.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    owner: Owner | None = None
    pod: Pod | None = None
    running: bool = False
    over: bool = False
    idle: bool = False
    suspended: bool = False
    count: PlannedPods = PlannedPods()
    queue: str = ""
    source: str | None = None
    line: int | None = None


class PodVerdict(msgspec.Struct, frozen=True, eq=False):
    """The outcome for a pod under a policy. Equal pods share one, so verdicts are compared by identity.

    Attributes:
        exempt: why it is exempt, if it is.
        forms: each form that is requested, with the one that results, and the GPUs of it.
        uncounted: why the object of an operator's kind may have more or fewer pods; empty if their number is known.
        claims: the pod's names for its resource claims.
        not_evaluated: why these claims are not evaluated.
    """

    policy: str
    outcome: Outcome
    exempt: str | None
    requests: tuple[str, ...]
    becomes: tuple[str, ...]
    forms: tuple[GpuForm, ...]
    findings: tuple[Finding, ...]
    operations: tuple[Operation, ...]
    claims: tuple[str, ...] = ()
    not_evaluated: str | None = None
    uncounted: str = ""

    @property
    def decision(self) -> str:
        """The outcome for the pod, as reports write it."""
        return decided(self.outcome, self.not_evaluated)

    @property
    def outcome_or_exempt(self) -> str:
        """The outcome as totals count it: an exempt pod only as exempt."""
        return EXEMPT if self.exempt else self.decision

    @property
    def rank(self) -> tuple[bool, int, int]:
        """The sort key of the worse of two verdicts."""
        return self.exempt is None, _WORST[self.decision], len(self.findings)


class AuditEntry(msgspec.Struct, frozen=True):
    """The remembered part of an object that counts; without a verdict it only links a pod to its controller."""

    workload: WorkloadObject
    verdict: PodVerdict | None


def is_denied_claim(known: Evaluation) -> bool:
    """Whether an object is a ResourceClaim or ResourceClaimTemplate that would be denied if it were created now."""
    is_claim = known.kind in PLURALS and group_of(known.api_version) == GROUP
    return is_claim and known.outcome is Outcome.DENIED


class Auditor:
    """Evaluates objects one by one, remembering little of each."""

    def __init__(
        self,
        configuration: Configuration,
        namespaces: Mapping[str, NamespaceLabels],
        claims: KnownClaims | None = None,
        fleet: Fleet | None = None,
        autoscalers: Autoscalers | None = None,
    ) -> None:
        """Take what decides: the configuration, namespaces' labels (``AssumedLabels`` for a what-if), claims, and nodes.

        ``autoscalers`` are those that are known, which count the pods.
        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._checker = Checker(configuration, namespaces, claims=claims, fleet=fleet, autoscalers=autoscalers)
        self._encode = msgspec.msgpack.Encoder().encode
        self._by_pod: dict[bytes, PodVerdict] = {}
        self._by_content: dict[bytes, PodVerdict] = {}
        self._links: set[tuple[str, str, str]] = set()

    @property
    def kinds(self) -> Kinds:
        """The workload kinds of the configuration."""
        return self._configuration.kinds

    def identify(self, manifest: Mapping[str, Any]) -> Evaluation:
        """Return whether an object's kind is evaluated, and label problems; for an operator's kind, the whole evaluation."""
        kind = workload_of(manifest.get("apiVersion"), manifest.get("kind"), self._configuration.kinds)
        is_built_in = kind is not None and kind.is_built_in
        known = self._checker.identify(manifest) if is_built_in else self._checker.evaluate(manifest)
        return msgspec.structs.replace(known, findings=()) if is_of_one_pod(manifest) else known

    def denied_claims(self, claims: KnownClaims) -> Iterator[Evaluation]:
        """Yield the evaluations of the ResourceClaims and ResourceClaimTemplates that would be denied if they were created now.

        ``claims`` does not include those of single pods: Kubernetes creates these, and they are never denied.
        """
        for (namespace, name), kept in claims.items():
            known = self._checker.evaluate_claim(namespace, name, kept)
            if is_denied_claim(known):
                yield known

    def found(self, workload: WorkloadObject, evaluation: Evaluation) -> AuditEntry:
        """An object of an operator's kind with what becomes of it."""
        return AuditEntry(workload, _verdict(evaluation, self._configuration.plugin))

    def unreadable(self, manifest: Mapping[str, Any], mismatches: Sequence[TypeMismatch]) -> Evaluation:
        """Return the evaluation of an object with fields of the wrong type."""
        return self._checker.unreadable(manifest, mismatches)

    def keep(self, workload: WorkloadObject) -> AuditEntry | None:
        """Return the audit entry of an object; ``None`` if it has no effect on the audit.

        Pods must come first: a controller is remembered only if a pod that was read before leads to it, or if it has a verdict
        of its own. A pod of an operator's object is remembered even without GPUs: it may be the controller of others, as the
        driver of a SparkApplication is.
        """
        owner = workload.owner
        is_link = owner is not None and (
            (workload.namespace, *workload.key) in self._links or (workload.kind == "Pod" and owner.is_of_operator)
        )
        verdict = None
        if not workload.over and not (owner and workload.is_between and (workload.idle or owner.is_workload)):
            verdict = self.verdict(workload)
        if verdict is None and not is_link:
            return None
        if owner:
            self._links.add((workload.namespace, *owner.key))
        workload.pod = None
        return AuditEntry(workload, verdict)

    def verdict(self, workload: WorkloadObject) -> PodVerdict | None:
        """Return the verdict on a pod or template; ``None`` for one without GPU requests, claims or access to GPUs.

        Pods of one controller are equal, so answers are cached by everything that decides them.
        """
        kind = workload_of(workload.api_version, workload.kind, self._configuration.kinds)
        pod = workload.pod
        if kind is None or pod is None or pod.spec is None or pod.is_mirror:
            return None
        if workload.running:
            pod.spec.node_name = None  # where its scheduler has placed it
        names = self._configuration.names
        shares = unevaluated_requests.shares(pod, {})
        annotations = pod.metadata.annotations if pod.metadata else None
        noted = list(unevaluated_requests.in_metadata(WorkloadPod(()), annotations or {}, {}, names))
        gpu_containers = bool(
            requests.read(pod.spec, names)
            or pod.spec.resource_claims
            or shares
            or noted
            or unevaluated_requests.other_vendors(pod, names)
        )
        if not gpu_containers and not guard.sees(pod):
            return None
        policy = self._configuration.policies.select(
            self._namespaces.get(workload.namespace) or NamespaceLabels(),
        ).enforce
        # What the patch depends on: whether there are annotations, and which of gpuwarden's.
        ours = None if annotations is None else sorted(key for key in annotations if key.startswith(DOMAIN))
        exempt = workload.namespace in self._configuration.exemptions.namespaces
        within = workload.namespace if pod.spec.resource_claims else ""  # where the objects are that its claims name
        key = self._digest((workload.kind, workload.queue, policy.name, exempt, ours, shares, noted, within, pod.spec))
        known = self._by_pod.get(key)
        if known is None:
            evaluation = self._checker.evaluate(_manifest(kind, workload, pod))
            made = _verdict(_of_one_pod(evaluation), self._configuration.plugin)
            # The pods of a DaemonSet each name their node; the outcome is the same.
            known = self._by_pod[key] = self._by_content.setdefault(self._digest(made), made)
        return known if gpu_containers or known.findings else None

    def _digest(self, value: object) -> bytes:
        return blake2b(self._encode(value), digest_size=16).digest()


def _manifest(kind: WorkloadKind, workload: WorkloadObject, pod: Pod) -> dict[str, Any]:
    """An object for ``Checker``, with the typed view in place of the pod."""
    metadata: dict[str, Any] = {"name": workload.name, "namespace": workload.namespace}
    if workload.queue:
        metadata["labels"] = {QUEUE: workload.queue}
    if kind.is_pod:
        annotations = pod.metadata.annotations if pod.metadata else None
        return {"kind": workload.kind, "metadata": metadata | {"annotations": annotations}, "spec": pod.spec}
    inner: Any = pod
    for step in reversed(kind.pods[0]):
        inner = {step: inner}
    return {"kind": workload.kind, "metadata": metadata, **inner}


def _of_one_pod(evaluation: Evaluation) -> Evaluation:
    """The evaluation for one pod, because objects with the same template differ in their number of pods."""
    pods = tuple(msgspec.structs.replace(one, count=PlannedPods()) for one in evaluation.pods)
    return msgspec.structs.replace(evaluation, pods=pods)


def _verdict(evaluation: Evaluation, plugin: DevicePlugin) -> PodVerdict:
    return PodVerdict(
        policy=evaluation.policy.name,
        outcome=evaluation.outcome,
        exempt=evaluation.exempt,
        requests=evaluation.requests,
        becomes=evaluation.changes(would=True),
        forms=gpu_forms(evaluation, plugin),
        findings=evaluation.findings,
        operations=evaluation.operations,
        claims=evaluation.claims,
        not_evaluated=evaluation.not_evaluated,
        uncounted=evaluation.uncounted,
    )

"""The evaluation of one object in manifests: its pods, what becomes of them, and what is not evaluated."""

import msgspec

from ..engine import summary
from ..engine.decision import UNTOUCHED, Decision, Outcome
from ..engine.edits import Annotate
from ..engine.findings import Finding
from ..engine.patch import Operation, patch
from ..engine.pods import Pod
from ..engine.policy import LabelProblem, Policy
from .pod_counts import PlannedPods
from .type_mismatches import TypeMismatch
from .unevaluated import Unevaluated
from .unevaluated_parts import UnevaluatedPart
from .workload_kinds import WorkloadPod

_WORST = {Outcome.DENIED: 2, Outcome.REWRITTEN: 1, Outcome.UNCHANGED: 0}


class EvaluatedPod(msgspec.Struct, frozen=True):
    """A pod or template of an object, and what becomes of the pods.

    Attributes:
        decision: edits and findings, their paths within the pod.
        title: the prefix of each sentence about it, if an object may describe several.
        count: how many pods there will be of it.
        is_exempt: whether its scheduler or runtime class exempts it; the decision then has only what it requests.
    """

    where: WorkloadPod
    pod: Pod
    decision: Decision
    title: str = ""
    is_exempt: bool = False
    count: PlannedPods = PlannedPods()


class Evaluation(msgspec.Struct, frozen=True):
    """The evaluation of one object: the outcome for its pods.

    Attributes:
        kind, namespace, name: the object; ``namespace`` is the one whose policy counts.
        pods: its pods and templates, and what becomes of each.
        operations: the JSON Patch of the object; empty for an operator's kind, of which only the pods are rewritten.
        exempt: why the object is exempt, if it is.
        unevaluated: what is known about an object of a kind that is not evaluated; the decision is then not about its pods.
        claims: its pod's names for their resource claims.
        claims_unknown: the claims that are not evaluated, and why.
        beside: other parts of its pod that are not evaluated.
        other_requests: what its pod requests besides the decision's requests: KAI's shares, and names that are misspelt.
        label_problems: what is wrong with its labels and annotations.
        notes: what is special about its kind, and whether it is suspended, for people.
        mismatches: fields of the wrong type; if there are any, nothing else is known about the object.
        ignored: the rules whose findings are ignored, each with the reason.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    policy: Policy
    pods: tuple[EvaluatedPod, ...] = ()
    operations: tuple[Operation, ...] = ()
    findings: tuple[Finding, ...] = ()
    exempt: str | None = None
    unevaluated: Unevaluated | None = None
    claims: tuple[str, ...] = ()
    claims_unknown: tuple[UnevaluatedPart, ...] = ()
    beside: tuple[UnevaluatedPart, ...] = ()
    other_requests: tuple[str, ...] = ()
    label_problems: tuple[LabelProblem, ...] = ()
    mismatches: tuple[TypeMismatch, ...] = ()
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def decision(self) -> Decision:
        """The decision on the pods of an object that describes them in one place."""
        return self.pods[0].decision if self.pods else UNTOUCHED

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its pods, or that of a claim itself."""
        if not self.pods:
            return Outcome.DENIED if any(finding.denies for finding in self.findings) else Outcome.UNCHANGED
        return max((one.decision.outcome for one in self.pods), key=_WORST.__getitem__)

    @property
    def requests(self) -> tuple[str, ...]:
        """The requests of each container."""
        found = (f"{one.title}{gpu_container}" for one in self.pods for gpu_container in summary.requests(one.decision))
        return (*found, *self.other_requests)

    @property
    def uncounted(self) -> str:
        """Why there may be more or fewer of its pods with GPUs than were counted; empty if their number is known."""
        reasons = (one.count.unknown for one in self.pods if one.decision.gpu_containers)
        return "; ".join(dict.fromkeys(filter(None, reasons)))

    def changes(self, *, would: bool = False) -> tuple[str, ...]:
        """Return the changes of its pods, as sentences without their end; ``would`` if nothing is done."""
        found = (f"{one.title}{change}" for one in self.pods for change in summary.changes(one.decision, would=would))
        return (*found, *self.notes)

    @property
    def of_the_cluster(self) -> "Evaluation":
        """The evaluation of an object that is in no namespace: no policy is known to apply to its pods."""
        found = "; ".join(filter(None, (*self.requests, self.not_evaluated)))
        beside = f"{found}; it is in no namespace, so no policy is known to apply; its pods are evaluated when they are created"
        return msgspec.structs.replace(
            self,
            namespace="",
            pods=(),
            findings=(),
            other_requests=(),
            exempt=None,
            claims_unknown=(),
            notes=(),
            beside=(UnevaluatedPart("", beside),),
        )

    @property
    def of_templates(self) -> tuple[Operation, ...]:
        """The JSON Patch that rewrites the templates of an operator's object, if that is wanted.

        Annotations are left out: not every kind has metadata next to the spec of its pods.
        """
        return tuple(operation for one in self.pods for operation in _of_template(one))

    @property
    def not_evaluated(self) -> str | None:
        """The reason why not everything that may request GPUs was evaluated; ``None`` if it was, or the object is exempt."""
        if self.exempt:
            return None
        if parts := (*self.claims_unknown, *self.beside):
            return "; ".join(one.text for one in parts)
        return self.unevaluated.message if self.unevaluated else None

    @property
    def not_evaluated_path(self) -> str:
        """The first field that ``not_evaluated`` is about; empty if it is the whole object."""
        if parts := (*self.claims_unknown, *self.beside):
            return parts[0].path
        return self.unevaluated.path if self.unevaluated else ""


def _of_template(one: EvaluatedPod) -> list[Operation]:
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

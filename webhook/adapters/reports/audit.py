"""The document of an audit, which ``gpuwarden audit -o json`` prints, and from which its other formats are made."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from ...application.audit_rows import Row
from ...application.audit_totals import totals
from ...application.auditing import BARE_POD, PodVerdict
from ...application.claims import PLURALS
from ...application.deciders import DecidedPolicy
from ...application.evaluation import Evaluation
from ...application.kind_lookup import qualified
from ...application.other_kinds import OtherKind, unknown_kinds
from ...application.rule_texts import INEFFECTIVE_LABEL, NOT_EVALUATED, NOT_READ
from ...application.workload_kinds import BUILT_IN
from ...engine.decision import Outcome
from ...engine.namespace_labels import NamespaceLabels
from ..manifests.items import ManifestProblem
from .audit_changes import Changes, EarlierAudit, changes
from .check_report import (
    FieldPlaces,
    FormChange,
    ObjectLine,
    Part,
    counts_note,
    finding_lines,
    object_line,
    patch_place,
)
from .deciders import DeciderLine, decider_lines
from .fleet_report import FleetPart

OUTCOMES = ("denied", "rewritten", NOT_EVALUATED, "unchanged", "exempt")
"""Decisions on workloads, the most severe first."""
ALL = "*"
"""The name of a line that is about all objects of a kind."""
FILES = "files"
"""The origin of objects in files."""


@dataclass(slots=True)
class AuditInput:
    """The results of an audit, from which its report is made.

    Attributes:
        origin: the API server, or ``FILES``.
        labels: the namespaces' own labels, of those that were checked.
        seen: how many objects of each kind were checked.
        places: the lines of the objects of files, by source and first line.
        others: objects that are not evaluated, and those with a label that names no policy or has no effect; with their places.
        kinds_unknown: why there may be more kinds; empty if all are known.
        deciders: who decides new pods of a cluster; ``None`` if that is not known.
    """

    origin: str
    labels: Mapping[str, NamespaceLabels]
    rows: list[Row]
    seen: dict[str, int]
    others: list[tuple[str | None, int | None, Evaluation]] = field(default_factory=list)
    problems: list[ManifestProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kinds: list[OtherKind] = field(default_factory=list)
    kinds_unknown: str = ""
    deciders: list[DecidedPolicy] | None = None
    places: dict[tuple[str | None, int | None], FieldPlaces | None] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not any(problem.fatal for problem in self.problems)


class Outcomes(Part):
    """Numbers by outcome; each object counts once, an exempt one only as exempt."""

    unchanged: int
    rewritten: int
    denied: int
    exempt: int
    not_evaluated: int

    @classmethod
    def of(cls, counted: Mapping[str, int]) -> "Outcomes":
        """The numbers, by the words of ``OUTCOMES``."""
        return cls(**{outcome.replace("-", "_"): counted.get(outcome, 0) for outcome in OUTCOMES})

    @property
    def sum(self) -> int:
        """All of them."""
        return self.unchanged + self.rewritten + self.denied + self.exempt + self.not_evaluated

    def number(self, outcome: str) -> int:
        """Return the number with an outcome, by the word for it in ``ObjectLine.decision``."""
        found: int = getattr(self, outcome.replace("-", "_"))
        return found


class WorkloadLine(ObjectLine):
    """One workload: a controller, a pod without one, or an object in a file.

    ``decision``, ``requests``, ``patch``, ``claims`` and ``findings`` are those of the pods created from it from now on: of its
    template, or of its pods if the template has neither GPU requests nor resource claims, or can't be seen.
    It is ``suspended`` if it has no pods until it is resumed.
    ``pods`` is what would become of its pods, running or pending, if they were created now; those that have ended are left out.
    """

    api_version: str
    uid: str
    evaluated: str  # "template" or "pods"
    suspended: bool
    becomes: list[str]
    forms: list[FormChange]
    pods: Outcomes


class NamespaceLine(Part):
    """A namespace that requests GPUs, and what becomes of its workloads."""

    name: str
    policy: str
    workloads: Outcomes


class PolicyLine(Part):
    """A policy, and its decisions on workloads."""

    name: str
    workloads: Outcomes


class FlowLine(FormChange):
    """The numbers of workloads, and of their pods, that request one form and get another, with one outcome.

    ``gpus`` are the GPUs (slots, for shared forms) that the pods request; for a workload without pods, those that its future pods
    will request, as far as their number is known.
    """

    outcome: str

    workloads: int
    pods: int
    gpus: int


class OtherTotals(Part):
    """The numbers of other objects by decision; each has exactly one."""

    unchanged: int
    denied: int
    not_evaluated: int
    not_read: int


class AuditTotals(Part):
    """All totals.

    ``workloads`` and ``others`` count the report's workloads and other objects by decision. ``suspended`` is how many workloads
    are suspended. ``kinds`` are the kinds that were not checked. ``pods`` counts the workloads' pods that have not ended, by
    what would become of each. ``seen`` is how many objects of each kind were checked. ``not_evaluated`` is the sum of workloads,
    other objects and kinds that were not evaluated. ``unread_parts`` are the lists, files and documents that could not be read,
    so that their objects are not known.
    """

    workloads: Outcomes
    suspended: int
    others: OtherTotals
    kinds: int
    unread_parts: int
    pods: Outcomes
    seen: dict[str, int]
    namespaces: list[NamespaceLine]
    policies: list[PolicyLine]
    rules: dict[str, int]
    forms: list[FlowLine]
    not_evaluated: int


class AuditReport(Part):
    """The whole report.

    Attributes:
        origin: the API server, or ``files``.
        evaluated_by: the label whose policy was applied: ``enforce``, ``warn`` or ``audit``.
        assumptions: the policies that were assumed in place of labels.
        problems: what is wrong with the input; if one is fatal, something is missing from the report.
        scope: which kinds were checked in a cluster, and what that leaves out.
        notes: further notes for people.

    Each object is one of ``objects`` (or of the pods that these count) or one of ``others``, never both.
    """

    api_version: str = "gpuwarden.io/v1"
    kind: str = "AuditReport"
    generated_at: datetime
    origin: str
    evaluated_by: str
    assumptions: list[str]
    totals: AuditTotals
    objects: list[WorkloadLine] = Field(description="One per workload, in the order of namespace, kind and name.")
    others: list[ObjectLine] = Field(
        description="Objects without pods of their own that are not evaluated or can't be read, or with a label that names no "
        "policy or has no effect; and ResourceClaims and ResourceClaimTemplates that would be denied if they were created now."
    )
    kinds: list[ObjectLine] = Field(
        description="Kinds with objects in the cluster that could not be checked, each as an object named *."
    )
    problems: list[ManifestProblem]
    scope: str
    notes: list[str]
    fleet: FleetPart | None = Field(description="The nodes, if ``--fleet`` names them.")
    deciders: list[DeciderLine] | None = Field(
        default=None, description="For a cluster, who decides new pods now; null if that is not known, with a note."
    )
    changes: Changes | None = Field(
        default=None, description="The workloads that differ from the audit that ``--since`` named."
    )

    @property
    def denies(self) -> bool:
        """Whether anything is denied: a workload, a claim or its template, or a label that names no policy."""
        return bool(self.totals.workloads.denied) or any(line.decision == Outcome.DENIED for line in self.others)

    @property
    def strictly_fine(self) -> bool:
        """Whether everything was evaluated and nothing would be changed, as ``--strict`` requires."""
        mislabelled = any(finding.rule == INEFFECTIVE_LABEL for line in self.objects for finding in line.findings)
        return not (
            self.denies or self.totals.workloads.rewritten or self.totals.not_evaluated or self.others or mislabelled
        )

    @property
    def everything(self) -> list[ObjectLine]:
        """The workloads, other objects and kinds."""
        return [*self.objects, *self.others, *self.kinds]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not any(problem.fatal for problem in self.problems)

    @property
    def otherwise(self) -> str:
        """The addition to "request GPUs" if workloads are listed only because they reach GPUs otherwise, or have claims."""
        is_one = len(self.objects) == 1
        silent = [line for line in self.objects if not line.requests]
        reach = ", or reaches them otherwise" if is_one else ", or reach them otherwise"
        claim = ", or has resource claims" if is_one else ", or have resource claims"
        return (reach if any(line.findings for line in silent) else "") + (
            claim if any(line.claims for line in silent) else ""
        )


def audit_report(  # noqa: PLR0913 - the parts of one document
    gathered: AuditInput,
    *,
    now: datetime,
    evaluated_by: str,
    assumptions: Iterable[str] = (),
    fleet: FleetPart | None = None,
    earlier: EarlierAudit | None = None,
) -> AuditReport:
    """The document of an audit's results."""
    rows = gathered.rows
    counted = totals(rows)
    policies = {row.namespace: row.verdict.policy for row in rows}
    namespaces = [
        NamespaceLine(name=name, policy=policies[name], workloads=Outcomes.of(tally))
        for name, tally in counted.namespaces.items()
    ]
    flows = [
        FlowLine(before=before, after=after, outcome=outcome, workloads=flow.workloads, pods=flow.pods, gpus=flow.gpus)
        for (before, after, outcome), flow in sorted(counted.flows.items())
    ]
    shared: dict[PodVerdict, dict[str, Any]] = {}
    others = [
        object_line(source, line, evaluation, gathered.places.get((source, line)))
        for source, line, evaluation in gathered.others
    ]
    objects, apart = _once([_line(row, shared, gathered.places.get((row.source, row.line))) for row in rows], others)
    decisions = Counter(line.decision for line in apart)
    unseen = [_kind_line(kind.api_version, kind.kind, kind.message) for kind in gathered.kinds]
    if gathered.kinds_unknown:
        unseen.append(_kind_line("", "custom resources", unknown_kinds(gathered.kinds_unknown)))
    return AuditReport(
        generated_at=now.astimezone(UTC).replace(microsecond=0),
        origin=gathered.origin,
        evaluated_by=evaluated_by,
        assumptions=list(assumptions),
        totals=AuditTotals(
            workloads=Outcomes.of(counted.workloads),
            suspended=counted.suspended,
            others=OtherTotals(
                unchanged=decisions[Outcome.UNCHANGED.value],
                denied=decisions[Outcome.DENIED.value],
                not_evaluated=decisions[NOT_EVALUATED],
                not_read=decisions[NOT_READ],
            ),
            kinds=len(unseen),
            unread_parts=sum(problem.is_unread_part for problem in gathered.problems),
            pods=Outcomes.of(counted.pods),
            seen=gathered.seen,
            namespaces=namespaces,
            policies=[PolicyLine(name=name, workloads=Outcomes.of(tally)) for name, tally in counted.policies.items()],
            rules=counted.rules,
            forms=flows,
            not_evaluated=counted.workloads[NOT_EVALUATED] + decisions[NOT_EVALUATED] + len(unseen),
        ),
        objects=objects,
        others=apart,
        kinds=unseen,
        problems=gathered.problems,
        scope=_scope(rows) if gathered.origin != FILES else "",
        notes=[
            *gathered.notes,
            *filter(None, [counts_note(objects)]),
            *(note for line in others for note in _notes(line)),
        ],
        fleet=fleet,
        deciders=None if gathered.deciders is None else decider_lines(gathered.deciders),
        changes=changes(earlier, objects) if earlier else None,
    )


def _once(lines: list[WorkloadLine], others: Sequence[ObjectLine]) -> tuple[list[WorkloadLine], list[ObjectLine]]:
    """Move the findings of other objects to their lines as workloads, if they have one; return the lines and the others."""
    numbers = {_identity(line): number for number, line in enumerate(lines)}
    apart = []
    for other in others:
        number = numbers.get(_identity(other))
        if number is None:
            apart.append(other)
        else:
            line = lines[number]
            lines[number] = line.model_copy(update={"findings": [*line.findings, *other.findings]})
    return lines, apart


def _identity(line: ObjectLine) -> tuple[str | None, int | None, str, str, str]:
    return line.source, line.line, qualified(line.api_version, line.kind), line.namespace, line.name


def _kind_line(api_version: str, kind: str, message: str) -> ObjectLine:
    """A kind whose objects were not checked, as a line."""
    return ObjectLine(
        source=None,
        line=None,
        api_version=api_version,
        kind=kind,
        namespace="",
        name=ALL,
        policy="",
        requests=[],
        decision=NOT_EVALUATED,
        exempt=None,
        patch=[],
        findings=[],
        not_evaluated=message,
    )


def _scope(rows: Sequence[Row]) -> str:
    """Return the kinds that an audit of a cluster reads, as a sentence."""
    others = dict.fromkeys(qualified(row.api_version, row.kind) for row in rows if row.kind_is_unread)
    checked = ", ".join(kind.kind for kind in BUILT_IN)
    by_pods = f"; only the pods of: {', '.join(others)}" if others else ""
    return (
        f"checked: {checked}, operators' kinds that are in the cluster, and custom resources whose schemas have room for pods or "
        f"GPU requests{by_pods}"
    )


def _notes(line: ObjectLine) -> Iterator[str]:
    """Yield the notes about an object's labels, or about a claim that would be denied."""
    if line.kind == "Namespace" or line.kind in PLURALS:
        what = f"namespace {line.namespace}"
    else:
        what = f"{line.kind} {line.namespace}/{line.name}"
    where = "" if line.source is None else f"{line.source}:{line.line}: "
    for finding in line.findings:
        yield f"{where}{what}: {finding.message}"


def _line(row: Row, shared: dict[PodVerdict, dict[str, Any]], lines: FieldPlaces | None) -> WorkloadLine:
    """A row's line, built without validation, which would copy what thousands of lines share."""
    verdict = row.verdict
    if verdict not in shared:
        shared[verdict] = {
            "policy": verdict.policy,
            "requests": list(verdict.requests),
            "decision": verdict.outcome_or_exempt,
            "exempt": verdict.exempt,
            "becomes": list(verdict.becomes),
            "forms": [FormChange(before=form.before, after=form.after) for form in verdict.forms],
            "patch": list(verdict.operations),
            "findings": finding_lines(verdict.findings),
            "not_evaluated": verdict.not_evaluated,
            "claims": list(verdict.claims),
        }
    return WorkloadLine.model_construct(
        source=row.source,
        line=row.line,
        api_version=row.api_version,
        kind=row.kind,
        namespace=row.namespace,
        name=row.name,
        uid=row.uid,
        evaluated="template" if row.template else "pods",
        suspended=row.suspended,
        uncounted=row.uncounted,
        pods=Outcomes.of(row.outcomes),
        **shared[verdict] | _if_bare(row) | _placed(verdict, lines),
    )


def _if_bare(row: Row) -> dict[str, Any]:
    """Return the note on an existing pod that would change and has no controller: nothing recreates it."""
    verdict = row.verdict
    if row.kind != "Pod" or not row.pods or verdict.exempt or verdict.outcome is Outcome.UNCHANGED:
        return {}
    return {"becomes": [*verdict.becomes, f"this pod has no controller: {BARE_POD}"]}


def _placed(verdict: PodVerdict, lines: FieldPlaces | None) -> dict[str, Any]:
    if lines is None:
        return {}
    return {
        "findings": finding_lines(verdict.findings, lines),
        "patch_line": patch_place(verdict.operations, lines)[0],
    }

"""The content of a report: a line for each object, the problems with the input, and totals."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ...application.auditing import decided
from ...application.evaluation import Evaluation
from ...application.gpu_forms import GpuForm
from ...application.rule_texts import (
    EXEMPT,
    INEFFECTIVE_LABEL,
    NOT_EVALUATED,
    NOT_READ,
    REWRITTEN,
    UNREADABLE_LABEL,
)
from ...application.type_mismatches import TypeMismatchError
from ...engine.decision import Outcome
from ...engine.findings import Finding, Severity
from ...engine.patch import Operation
from ...engine.policy import LabelProblem
from ...engine.text import first_of, plural
from ..manifests.items import ManifestProblem


class Part(BaseModel):
    """An immutable part of a report, in camel case in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class FieldPlaces(Protocol):
    """The places of an object's fields: lines and columns, from 1."""

    def of_field(self, path: str) -> tuple[int, int]:
        """The place of a field, as findings name it."""

    def of_pointer(self, pointer: str) -> tuple[int, int]:
        """The place of a JSON pointer, as patches write it."""


class FindingLine(Part):
    """One finding about the field ``path`` of an object; ``line`` and ``column`` are its place in a file (null in a cluster)."""

    rule: str
    severity: str
    path: str
    message: str
    line: int | None = None
    column: int | None = None


class ObjectLine(Part):
    """One object, with its place (null in a cluster), its identity, and the decision on it.

    ``decision`` is exactly one of ``unchanged``, ``rewritten``, ``denied``, ``exempt``, ``not-evaluated`` and ``not-read``.
    ``not_evaluated`` says what was not evaluated and why: the whole object, or a part such as its pod's resource claims, which a
    rewritten or denied object may have too. ``not_read`` says which fields keep it from being read. ``unknown_kind`` is whether
    nothing is known about the kind and nothing in the object leads to pods.
    """

    source: str | None
    line: int | None
    api_version: str
    kind: str
    namespace: str
    name: str
    policy: str
    requests: list[str]
    decision: str
    exempt: str | None
    patch: list[dict[str, Any]]
    findings: list[FindingLine]
    patch_line: int | None = Field(default=None, description="The line of the first field that is rewritten.")
    patch_column: int | None = None
    not_evaluated: str | None = None
    not_evaluated_line: int | None = Field(
        default=None, description="The line of the first field that is not evaluated."
    )
    not_evaluated_column: int | None = None
    not_read: str | None = None
    claims: list[str] = Field(default=[], description="The pod's names for its resource claims.")
    ignored: list[str] = Field(default=[], description="Rules whose findings are ignored, with the reasons.")
    unknown_kind: bool = False
    uncounted: str = Field(
        default="", description="Why the number of its pods is not known, so that only what is certain is counted."
    )

    @property
    def named(self) -> str:
        """Its kind, namespace and name, for people."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def reported(self) -> Iterator[FindingLine]:
        """The findings, and notes on a rewrite and on what is not evaluated; each with its place."""
        for finding in self.findings:
            yield finding.model_copy(update={"line": finding.line or self.line})
        if self.decision == REWRITTEN:
            message = f'{"; ".join(self.requests)}: would be rewritten by policy "{self.policy}"'
            yield _note(REWRITTEN, message, self.patch_line or self.line, self.patch_column)
        if self.not_evaluated:
            yield _note(
                NOT_EVALUATED, self.not_evaluated, self.not_evaluated_line or self.line, self.not_evaluated_column
            )


def _note(rule: str, message: str, line: int | None, column: int | None) -> FindingLine:
    return FindingLine(rule=rule, severity="note", path="", message=message, line=line, column=column)


class FormChange(Part):
    """A form that is requested, and the one that results."""

    before: str
    after: str


class FormTotal(FormChange):
    """The numbers of objects, and of GPUs that all their pods request in one form and get in another, with one decision."""

    decision: str
    objects: int
    gpus: int


class CheckTotals(Part):
    """The numbers of objects by decision: each has exactly one, so that the six add up to ``objects``.

    Among the unchanged, ``without_request`` are those without a GPU request, and ``unknown_kind`` those of an unknown kind in
    which nothing leads to pods. ``requesting`` are those that request GPUs, or are denied. ``unread_parts`` are the files and
    documents that could not be read, so that their objects are not known; ``problems`` is the number of messages.
    """

    objects: int
    unchanged: int
    rewritten: int
    denied: int
    exempt: int
    not_evaluated: int
    not_read: int
    requesting: int
    without_request: int
    unknown_kind: int
    unread_parts: int
    problems: int
    rules: dict[str, int]
    forms: list[FormTotal] = Field(
        default=[],
        description="GPUs (or slots, of shared forms) by form: those of every pod that the objects will have, by their replicas, "
        "parallelism and the like.",
    )

    @property
    def strictly_fine(self) -> bool:
        """Whether everything was evaluated and nothing would be changed, as ``--strict`` requires."""
        return not (self.denied or self.rewritten or self.not_evaluated or INEFFECTIVE_LABEL in self.rules)


class Report(Part):
    """The whole report."""

    api_version: str = "gpuwarden.io/v1"
    kind: str = "CheckReport"
    objects: list[ObjectLine]
    problems: list[ManifestProblem]
    skipped: list[str] = Field(default=[], description="Files in searched folders that contain no Kubernetes object.")
    totals: CheckTotals


NOWHERE = (None, None)


def object_line(
    source: str | None, line: int | None, evaluation: Evaluation, lines: FieldPlaces | None = None
) -> ObjectLine:
    """One object's line."""
    is_rewritten = _decision(evaluation) == Outcome.REWRITTEN
    # Only the pods of an operator's object are rewritten.
    first, column = patch_place(evaluation.operations or (evaluation.of_templates if is_rewritten else ()), lines)
    unevaluated = evaluation.unevaluated
    not_evaluated_at = lines.of_field(evaluation.not_evaluated_path) if lines and evaluation.not_evaluated else NOWHERE
    return ObjectLine(
        source=source,
        line=line,
        api_version=evaluation.api_version,
        kind=evaluation.kind,
        namespace=evaluation.namespace,
        name=evaluation.name,
        policy=evaluation.policy.name,
        requests=list(evaluation.requests),
        decision=_decision(evaluation),
        exempt=evaluation.exempt,
        patch=list(evaluation.operations),
        findings=[*finding_lines(evaluation.findings, lines), *label_lines(evaluation.label_problems, lines)],
        patch_line=first,
        patch_column=column,
        not_evaluated=evaluation.not_evaluated,
        not_evaluated_line=not_evaluated_at[0],
        not_evaluated_column=not_evaluated_at[1],
        not_read=str(TypeMismatchError(evaluation.mismatches)) if evaluation.mismatches else None,
        claims=list(evaluation.claims),
        ignored=list(evaluation.ignored),
        unknown_kind=unevaluated is not None and not unevaluated.built_in and not unevaluated,
        uncounted=evaluation.uncounted,
    )


def _decision(evaluation: Evaluation) -> str:
    if evaluation.mismatches:
        return NOT_READ
    if not all(problem.ignored for problem in evaluation.label_problems):
        return Outcome.DENIED.value  # as the webhook denies a namespace whose label names no policy
    return EXEMPT if evaluation.exempt else decided(evaluation.outcome, evaluation.not_evaluated)


def finding_lines(findings: Iterable[Finding], lines: FieldPlaces | None = None) -> list[FindingLine]:
    """Findings as lines."""
    return [_finding_line(f.rule.id, f.severity, f.path, f.message, lines) for f in findings]


def _finding_line(rule: str, severity: Severity, path: str, message: str, lines: FieldPlaces | None) -> FindingLine:
    line, column = lines.of_field(path) if lines else NOWHERE
    return FindingLine(rule=rule, severity=severity.value, path=path, message=message, line=line, column=column)


def patch_place(operations: Sequence[Operation], lines: FieldPlaces | None) -> tuple[int, int] | tuple[None, None]:
    """The line and column of the first field that a patch changes."""
    if not operations or lines is None:
        return NOWHERE
    first = operations[0]
    return lines.of_pointer(first["from"] if "from" in first else first["path"])


def label_lines(problems: Iterable[LabelProblem], lines: FieldPlaces | None = None) -> list[FindingLine]:
    """Problems with labels as lines."""
    return [
        _finding_line(
            INEFFECTIVE_LABEL if problem.ignored else UNREADABLE_LABEL,
            Severity.WARN if problem.ignored else Severity.DENY,
            problem.path,
            f"{problem.path}: {problem.message}",
            lines,
        )
        for problem in problems
    ]


def counts_note(lines: Sequence[ObjectLine], most: int = 5) -> str:
    """Return which objects' pods could not be counted and why, the first few by name; empty if all were counted."""
    uncounted = [line for line in lines if line.uncounted]
    if not uncounted:
        return ""
    named = first_of([f"{line.kind} {line.name}: {line.uncounted}" for line in uncounted], most, "; ")
    objects = plural(len(uncounted), "object")
    return f"the number of pods of {objects} is not known, so only what is certain is counted ({named})"


def form_totals(objects: Iterable[tuple[str, Iterable[GpuForm]]]) -> list[FormTotal]:
    """Return the GPUs of objects by form; each object has its decision and its forms."""
    numbers: Counter[tuple[str, str, str]] = Counter()
    gpus: Counter[tuple[str, str, str]] = Counter()
    for decision, forms in objects:
        for form in forms:
            numbers[form.before, form.after, decision] += 1
            gpus[form.before, form.after, decision] += form.planned
    return [
        FormTotal(before=key[0], after=key[1], decision=key[2], objects=number, gpus=gpus[key])
        for key, number in sorted(numbers.items())
    ]


def report(
    objects: list[ObjectLine],
    problems: list[ManifestProblem],
    skipped: Sequence[str] = (),
    forms: Sequence[FormTotal] = (),
) -> Report:
    """The lines with their totals."""
    decisions = Counter(line.decision for line in objects)
    unchanged = [line for line in objects if line.decision == Outcome.UNCHANGED]
    rules = Counter(finding.rule for line in objects for finding in line.findings)
    totals = CheckTotals(
        objects=len(objects),
        unchanged=len(unchanged),
        rewritten=decisions[Outcome.REWRITTEN.value],
        denied=decisions[Outcome.DENIED.value],
        exempt=decisions[EXEMPT],
        not_evaluated=decisions[NOT_EVALUATED],
        not_read=decisions[NOT_READ],
        requesting=sum(bool(line.requests) or line.decision == Outcome.DENIED.value for line in objects),
        without_request=sum(not (line.requests or line.claims or line.unknown_kind) for line in unchanged),
        unknown_kind=sum(line.unknown_kind for line in unchanged),
        unread_parts=sum(problem.is_unread_part for problem in problems),
        problems=len(problems),
        rules=dict(sorted(rules.items())),
        forms=list(forms),
    )
    return Report(objects=objects, problems=problems, skipped=list(skipped), totals=totals)

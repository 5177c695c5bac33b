"""Response messages: a decision as warnings (for the user) and audit annotations (for the audit log)."""

from ..engine.claims import NO_CLAIMS, Claims
from ..engine.decision import Decision, Outcome
from ..engine.findings import LONGEST_WARNINGS
from ..engine.patch import Operation
from ..engine.pods import Pod
from ..engine.policy import Policy
from ..engine.summary import changes
from ..engine.text import cut
from .review import LONGEST_MESSAGE, to_json

_PATCH_BUDGET = 8192


def would_be(decision: Decision, policy: Policy) -> list[str]:
    """Return what a policy would do, one sentence per container, for the user."""
    if decision.outcome is Outcome.DENIED:
        return [f"would be denied: {finding.reason}" for finding in decision.denials]
    would_change = changes(decision, would=True, nodes=False)
    return [*(f'{change} by policy "{policy.name}"' for change in would_change), *advice(decision)]


def advice(decision: Decision) -> list[str]:
    """The warnings of rules that only warn."""
    return [finding.message for finding in decision.warnings]


def within_budget(warnings: list[str]) -> list[str] | None:
    """The warnings without repetition, as many as fit in a response; the last has the number that were left out."""
    if not warnings:
        return None
    distinct = list(dict.fromkeys(cut(warning, LONGEST_MESSAGE) for warning in warnings))
    total = 0
    for number, warning in enumerate(distinct):
        total += len(warning)
        if total > LONGEST_WARNINGS:
            return [*distinct[:number], f"gpuwarden: {len(distinct) - number} more, see gpuwarden check"]
    return distinct


def annotate(annotations: dict[str, str], mode: str, policy: Policy, decision: Decision) -> None:
    """Add the decision of a mode's policy: policy, outcome and rule ids, under keys that begin with the mode."""
    annotations[f"{mode}-policy"] = policy.name
    annotations[f"{mode}-outcome"] = str(decision.outcome)
    if decision.findings:
        annotations[f"{mode}-rules"] = ",".join(dict.fromkeys(finding.rule.id for finding in decision.findings))


def annotate_claims(annotations: dict[str, str], pod: Pod, claims: Claims = NO_CLAIMS) -> None:
    """Add to a decision's annotations that some of the pod's resource claims (DRA) were not evaluated."""
    if annotations and pod.spec is not None and pod.spec.resource_claims and (claims.unknown or claims is NO_CLAIMS):
        annotations["not-evaluated"] = "spec.resourceClaims"


def annotate_patch(annotations: dict[str, str], mode: str, operations: list[Operation]) -> None:
    """Add the patch that was not applied, up to a limit: always valid JSON, with all operations on a container or none.

    Operations on the pod as a whole come first, then those of each container while there is room. The number of operations
    that did not fit is added.
    """
    if not operations:
        return
    groups: dict[tuple[bool, str], list[Operation]] = {}
    for operation in operations:
        groups.setdefault(_subject(operation), []).append(operation)
    kept = set()
    room = _PATCH_BUDGET
    for subject in sorted(groups, key=lambda subject: subject[0]):  # stable: containers in their order
        size = sum(len(to_json(operation)) + 1 for operation in groups[subject])
        if size <= room:
            kept.add(subject)
            room -= size
    recorded = [operation for operation in operations if _subject(operation) in kept]
    annotations[f"{mode}-patch"] = to_json(recorded)
    if omitted := len(operations) - len(recorded):
        annotations[f"{mode}-patch-omitted"] = str(omitted)


def _subject(operation: Operation) -> tuple[bool, str]:
    """Whether an operation changes a container, and the pointer of that container, or otherwise of the changed field."""
    path: str = operation["path"]
    match path.split("/", 4):
        case ["", "spec", "containers" | "initContainers" as section, index, _]:
            return True, f"{section}/{index}"
    return False, path

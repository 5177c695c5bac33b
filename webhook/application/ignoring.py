"""Findings that users ignore: with ``--ignore``, or with an annotation of the object that gives the reason.

Only reports on manifests know them. Admission does not: anyone who may annotate a pod could otherwise bypass its policy.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from ..engine.rules.catalog import RULES
from .evaluation import Evaluation
from .manifest_labels import labels_and_annotations
from .operator_traps import OPERATOR_TRAP

ANNOTATION = "gpuwarden.io/ignore"
"""``<rule>, <rule>: <reason>``"""
_IDS = [rule.id for rule in (*RULES, OPERATOR_TRAP)]


class IgnoreError(Exception):
    """A rule to ignore can't be read; the message has the reason and the fix."""


def rules_of(names: Sequence[str], reason: str) -> dict[str, str]:
    """Return the reason for each rule.

    Raises:
        IgnoreError: a name is not that of a rule.
    """
    for name in names:
        if name not in _IDS:
            close = get_close_matches(name, _IDS, n=1)
            fix = f"did you mean {close[0]}?" if close else "docs/reference/policies.md lists the rules"
            raise IgnoreError(f'"{name}" is not a rule; {fix}')
    return dict.fromkeys(names, reason)


def annotated(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the reason for each rule that the annotation of an object names; none without the annotation.

    Raises:
        IgnoreError: it gives no reason, or a name is not that of a rule.
    """
    value = labels_and_annotations(manifest)[1].get(ANNOTATION)
    if value is None:
        return {}
    names, _, reason = value.partition(":")
    if not reason.strip():
        raise IgnoreError(f'"{value}" gives no reason; write <rule>: <reason>')
    return rules_of([name.strip() for name in names.split(",")], reason.strip())


def without(evaluation: Evaluation, reasons: Mapping[str, str]) -> Evaluation:
    """Return an evaluation without the findings of these rules; an object that nothing else denies is then left alone."""
    ignored = [finding for finding in evaluation.findings if finding.rule.id in reasons]
    if not ignored:
        return evaluation
    kept = tuple(finding for finding in evaluation.findings if finding.rule.id not in reasons)
    ignored_rules = tuple(dict.fromkeys(f"{each.rule.id} ({reasons[each.rule.id]})" for each in ignored))
    evaluation = msgspec.structs.replace(evaluation, findings=kept, ignored=ignored_rules)
    if any(each.denies for each in ignored) and not any(each.denies for each in kept):
        return msgspec.structs.replace(evaluation, exempt=f"ignored: {', '.join(ignored_rules)}", operations=())
    return evaluation

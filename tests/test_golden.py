"""Golden AdmissionReviews: every answer as a file that was read by a person, and nothing answered otherwise."""

import os
import re

import pytest
import yaml

from testing.reviews import Json, a_review
from tests.golden.cases import MUTATE, VALIDATE, Case
from tests.golden.files import FOLDER, ask, every_case, path_of, written
from webhook.engine.findings import Rule
from webhook.engine.rules.catalog import RULES
from webhook.engine.rules.not_rewritten import NOT_REWRITTEN

CASES = every_case()
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
# A pattern for each way to name a form.
ROWS = (
    "exclusive",
    "shared",
    "time-slicing",
    "mps",
    r"mig-[\w.]+",
    r"mig-[\w.]+-shared",
    "gke-exclusive",
    r"gke-time-sharing-\d+",
    r"gke-mps-\d+",
    r"gke-mig-[\w.]+",
    r"gke-mig-[\w.]+-time-sharing-\d+",
    r"gke-mig-[\w.]+-mps-\d+",
    "any",
    "none",
)


def of(kind: str, rule: Rule) -> list[Case]:
    return [case for case in CASES if case.name.startswith(f"rules/{rule.id}.{kind}.")]


def rules_told(case: Case) -> set[str]:
    """The rules that the answer to a case names: as causes of a refusal, or to the audit log by the mutating side."""
    on_arrival = ask(case, MUTATE, case.review).annotations.get("enforce-rules", "")
    return {*ask(case, VALIDATE, case.review).rules, *filter(None, on_arrival.split(","))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer_is_the_one_in_the_file(case: Case) -> None:
    path = path_of(case)
    now = written(case, ask(case, case.path, case.review))

    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(now, encoding="utf-8")

    assert path.exists(), f"{path.name} is missing; make it with UPDATE_GOLDEN=1 and read it"
    assert path.read_text(encoding="utf-8") == now


@pytest.mark.parametrize("case", [case for case in CASES if case.path == MUTATE], ids=lambda case: case.name)
def test_a_mutated_pod_is_not_changed_again_and_is_valid_unless_it_was_refused_on_arrival(case: Case) -> None:
    arriving = ask(case, MUTATE, case.review)
    final = a_review(arriving.applied_to(case.pod))

    refused = arriving.annotations.get("enforce-outcome") == "denied" and "mode" not in arriving.annotations
    assert ask(case, MUTATE, final).patch is None
    assert ask(case, VALIDATE, final).allowed is not refused


def test_no_two_cases_share_a_file() -> None:
    names = [case.name for case in CASES]

    assert sorted(names) == sorted(set(names))


def test_no_file_is_without_its_case() -> None:
    orphans = set(FOLDER.rglob("*.yaml")) - {path_of(case) for case in CASES}
    if UPDATE:
        for orphan in orphans:
            orphan.unlink()
        return

    assert not orphans


# Rules of the fleet evaluate nodes, which no review holds.
OF_PODS = [rule for rule in RULES if not rule.fleet]


@pytest.mark.parametrize("rule", OF_PODS, ids=lambda rule: rule.id)
def test_every_rule_fires_in_one_case_and_is_just_missed_in_another(rule: Rule) -> None:
    fires, misses = of("fires", rule), of("near-miss", rule)

    assert fires
    assert misses
    assert all(rule.id in rules_told(case) for case in fires)
    assert not [case.name for case in misses if rule.id in rules_told(case) - later(case)]
    assert all(ask(case, case.path, case.review).allowed for case in misses)


def later(case: Case) -> set[str]:
    """What the validating side says of a pod that the mutating side was asked about: that it has yet to be rewritten."""
    return {NOT_REWRITTEN.id} if case.path == MUTATE else set()


def test_every_case_of_a_rule_is_named_after_one() -> None:
    named = {case.name for rule in RULES for kind in ("fires", "near-miss") for case in of(kind, rule)}

    assert {case.name for case in CASES if case.name.startswith("rules/")} == named


def test_every_kind_of_policy_value_is_enforced_in_a_case() -> None:
    values = {case.labels.get("gpuwarden.io/enforce", "") for case in CASES if case.path == MUTATE}

    assert not [row for row in ROWS if not any(re.fullmatch(row, value) for value in values)]


def test_the_files_read_back_as_the_answers_they_show() -> None:
    """A file is YAML for people and for other programs alike: nothing is lost in writing it."""
    for case in CASES:
        document: Json = yaml.safe_load(path_of(case).read_text(encoding="utf-8"))

        assert set(document) - {"result"} == {"about", "given", "request", "response"}
        assert document["request"] == {"path": case.path, "review": case.review}
        assert ("result" in document) == ("patch" in document["response"])

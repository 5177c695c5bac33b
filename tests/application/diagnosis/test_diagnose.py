"""The diagnosis as a whole: a healthy installation, one that nothing is known of, and the checks' own order."""

import dataclasses
from typing import Any

import pytest

from tests.application.diagnosis.world import MANIFEST, complete, documents, healthy, troubled
from webhook.application.diagnosis.diagnose import CHECKS, diagnose
from webhook.application.diagnosis.facts import Facts, Neighbours, Unread
from webhook.application.diagnosis.results import CheckOutcome, CheckStatus, listed, totals

READ = {field.name for field in dataclasses.fields(Facts)} - {"now", "namespace", "name", "contacts", "probe"}


def test_every_check_of_the_charts_own_objects_is_well() -> None:
    found = diagnose(healthy())
    assert {result.status for result in found} == {CheckStatus.OK}, troubled(healthy())
    assert [result.check for result in found] == [check.id for check in CHECKS if check.id != "probe"]
    assert complete(found)


@pytest.mark.parametrize("fact", sorted(READ))
def test_a_fact_that_cannot_be_read_makes_checks_unknown_and_never_fails(fact: str) -> None:
    unread = Unread("list secrets of kings", "GET /x: 403 forbidden", forbidden=True)
    value: Any = dict.fromkeys(getattr(healthy(), fact), unread) if fact in {"services", "slices"} else unread
    if fact == "neighbours":
        value = Neighbours(**dict.fromkeys([one.name for one in dataclasses.fields(Neighbours)], unread))
    found = diagnose(healthy(**{fact: value}))
    assert {result.status for result in found} <= {CheckStatus.OK, CheckStatus.UNKNOWN}
    assert complete(found)
    unsure = [result for result in found if result.status is CheckStatus.UNKNOWN]
    assert unsure
    assert all("list secrets of kings" in r.fix or "--config" in r.fix for r in unsure), unsure


def test_what_failed_for_another_reason_than_rights_names_no_right() -> None:
    (result,) = [
        r for r in diagnose(healthy(nodes=Unread("list nodes", "GET: 500", forbidden=False))) if r.check == "nodes"
    ]
    # Without labelled namespaces nothing is asked of nodes, and nothing is unknown for lack of them.
    assert (result.status, result.fix) == (CheckStatus.UNKNOWN, "fix what the API server reports, and run doctor again")


def test_ids_are_unique_and_every_check_says_what_it_is_about() -> None:
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
    assert all(check.about for check in CHECKS)


def test_results_are_counted_the_worst_first() -> None:
    found = [CheckOutcome(status, "") for status in (CheckStatus.OK, CheckStatus.FAIL, CheckStatus.OK)]
    assert list(totals(found)) == [
        CheckStatus.FAIL,
        CheckStatus.WARN,
        CheckStatus.UNKNOWN,
        CheckStatus.SKIPPED,
        CheckStatus.OK,
    ]
    assert list(totals(found).values()) == [1, 0, 0, 0, 2]


def test_names_are_listed_in_order_and_the_rest_is_counted() -> None:
    assert listed(["b", "a"]) == "a, b"
    assert listed(map(str, range(12)), 2) == "0, 1 and 10 more"


def test_the_manifest_has_what_the_facts_are_made_of() -> None:
    kinds = {document["kind"] for document in documents()}
    assert {"Deployment", "Service", "PodDisruptionBudget", "ConfigMap"} <= kinds


def test_the_reference_lists_every_check_in_its_order() -> None:
    text = (MANIFEST.parents[1] / "docs" / "reference" / "doctor.md").read_text()
    table = text.partition("## Checks\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{check.id}` | {check.about} |" for check in CHECKS]

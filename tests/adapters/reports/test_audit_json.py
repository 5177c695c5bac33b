"""The JSON in pieces is the JSON."""

import json

import pytest
from pydantic_core import to_json

from tests.adapters.reports.fleets import evaluated, labelled, many, reported, seen, three
from tests.builders import a_pod, gpu
from webhook.adapters.reports.audit import AuditReport
from webhook.adapters.reports.audit_json import pieces

HOSTILE = '"objects": []\n  ]\\'


@pytest.mark.parametrize(
    "report",
    [
        reported([]),
        reported(three()),
        reported(many(200, 20)),
        reported(
            evaluated([seen(a_pod(gpu(2, name=HOSTILE)), name=HOSTILE)], labelled(team_a="shared")),
            notes=[HOSTILE],
            origin=HOSTILE,
        ),
    ],
    ids=["empty", "three", "many", "hostile"],
)
def test_the_pieces_are_the_document(report: AuditReport) -> None:
    assert b"".join(pieces(report)) == to_json(report, by_alias=True, indent=2) + b"\n"


def test_the_document_reads_back_as_the_report() -> None:
    report = reported(three(), assumptions=["*=shared"])
    assert AuditReport.model_validate(json.loads(b"".join(pieces(report)))) == report


def test_names_are_in_camel_case_as_in_kubernetes() -> None:
    document = json.loads(b"".join(pieces(reported(three()))))
    assert {"apiVersion", "kind", "generatedAt", "evaluatedBy", "totals", "objects", "problems", "notes"} <= set(
        document
    )
    assert document["apiVersion"] == "gpuwarden.io/v1"
    assert document["kind"] == "AuditReport"
    assert document["generatedAt"] == "2026-03-01T12:30:00Z"
    assert {
        "apiVersion",
        "kind",
        "namespace",
        "name",
        "uid",
        "policy",
        "decision",
        "evaluated",
        "pods",
        "forms",
        "patch",
    } <= set(document["objects"][0])

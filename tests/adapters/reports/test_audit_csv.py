"""CSV: a line a workload, and nothing that a spreadsheet would compute."""

import csv as standard
import io
from typing import Any

import pytest

from tests.adapters.reports.fleets import evaluated, labelled, many, reported, seen, three
from tests.builders import a_pod, gpu
from webhook.adapters.reports.audit_csv import COLUMNS, csv


def table(report: Any) -> list[dict[str, str]]:
    return list(standard.DictReader(io.StringIO(csv(report.objects), newline="")))


def test_a_workload_is_a_line_with_everything_that_counts() -> None:
    inference, notebooks, training = table(reported(three()))

    assert inference == {
        "namespace": "inference",
        "kind": "StatefulSet",
        "name": "llm",
        "policy": "mig-1g.5gb",
        "outcome": "rewritten",
        "evaluated": "template",
        "pods": "2",
        "pods_unchanged": "0",
        "pods_rewritten": "2",
        "pods_denied": "0",
        "pods_exempt": "0",
        "pods_not_evaluated": "0",
        "requests": "vllm: nvidia.com/gpu: 1",
        "form_before": "plain",
        "form_after": "mig-1g.5gb",
        "becomes": 'container "vllm": nvidia.com/gpu: 1 would become nvidia.com/mig-1g.5gb: 1',
        "rules": "",
        "messages": "",
        "source": "",
        "line": "",
    }
    assert (notebooks["outcome"], notebooks["rules"]) == ("denied", "shared-request-above-one")
    assert training["outcome"] == "unchanged"


def test_several_things_in_one_cell_are_set_apart() -> None:
    made = evaluated([seen(a_pod(gpu(2), gpu(3, name="other")))], labelled(team_a="shared"))
    (line,) = table(reported(made))
    assert line["requests"] == "train: nvidia.com/gpu: 2; other: nvidia.com/gpu: 3"
    assert line["rules"] == "shared-request-above-one", "a rule once"


def test_every_line_has_every_column() -> None:
    read = list(standard.reader(io.StringIO(csv(reported(many(100, 10)).objects), newline="")))
    assert tuple(read[0]) == COLUMNS
    assert {len(line) for line in read} == {len(COLUMNS)}
    assert len(read) == 101


def test_lines_end_as_the_rfc_has_it() -> None:
    assert csv([]) == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("formula", ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_formula_is_text(formula: str) -> None:
    made = evaluated(
        [seen(a_pod(gpu(1, name=formula)), name=formula, source=formula, line=1)], labelled(team_a="shared")
    )
    (line,) = table(reported(made))
    for column in ("name", "requests", "source"):
        assert line[column].startswith("'"), column


def test_separators_and_quotes_in_text_stay_in_their_cell_and_line_ends_are_escaped() -> None:
    made = evaluated([seen(a_pod(gpu(1)), name='a,"b"\nc')], labelled(team_a="shared"))
    (line,) = table(reported(made))
    assert line["name"] == 'a,"b"\\nc'
    assert line["policy"] == "shared"

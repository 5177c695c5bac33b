"""What changed since an earlier audit."""

from collections.abc import Callable

import pytest

from tests.adapters.reports.fleets import evaluated, labelled, reported, seen, three
from tests.builders import a_pod, gpu
from webhook.adapters.reports.audit import AuditReport
from webhook.adapters.reports.audit_changes import EarlierError, changes, read_earlier
from webhook.adapters.reports.html import html


def earlier(report: AuditReport) -> bytes:
    """The report as ``-o json`` prints it."""
    return report.model_dump_json(by_alias=True).encode()


def team(*names: str, policy: str = "shared", count: int = 1) -> AuditReport:
    """Workloads of one namespace."""
    return reported(evaluated([seen(a_pod(gpu(count)), name=name) for name in names], labelled(team_a=policy)))


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        (lambda: team("a"), lambda: team("a"), []),
        (team, team, []),
        (lambda: team("a"), lambda: team("a", "b"), [("new", "b", None, "rewritten")]),
        (lambda: team("a", "b"), lambda: team("b"), [("gone", "a", "rewritten", None)]),
        (lambda: team("a"), lambda: team("a", policy="any"), [("changed", "a", "rewritten", "unchanged")]),
        (lambda: team("a"), lambda: team("a", count=2), [("changed", "a", "rewritten", "denied")]),
    ],
)
def test_workloads_are_compared(
    before: Callable[[], AuditReport], now: Callable[[], AuditReport], found: list[tuple[str, str, str, str]]
) -> None:
    made = changes(read_earlier(earlier(before())), now().objects)
    assert [(line.change, line.name, line.before, line.after) for line in made.workloads] == found


def test_other_rules_are_a_change_even_with_the_same_outcome() -> None:
    before = team("a", count=2)
    denied = before.objects[0]
    other = denied.model_copy(update={"findings": [denied.findings[0].model_copy(update={"rule": "other"})]})
    [line] = changes(read_earlier(earlier(before)), [other]).workloads
    assert (line.change, line.rules_before, line.rules_after) == ("changed", ["shared-request-above-one"], ["other"])


def test_another_version_of_the_same_kind_is_the_same_workload() -> None:
    before = team("a")
    newer = before.objects[0].model_copy(update={"api_version": "apps/v2"})
    assert changes(read_earlier(earlier(before)), [newer]).workloads == []


def test_a_decision_that_was_only_renamed_is_no_change() -> None:
    before = team("a")
    now = before.objects[0].model_copy(update={"decision": "not-evaluated"})
    written = earlier(before).replace(b'"decision":"rewritten"', b'"decision":"not-judged"')
    assert changes(read_earlier(written), [now]).workloads == []
    [line] = changes(read_earlier(written), before.objects).workloads
    assert (line.before, line.after) == ("not-evaluated", "rewritten")


def test_a_file_that_was_moved_is_no_change() -> None:
    before = reported(evaluated([seen(name="a", source="old/a.yaml", line=1)], labelled(team_a="shared")))
    moved = before.objects[0].model_copy(update={"source": "new/a.yaml"})
    assert changes(read_earlier(earlier(before)), [moved]).workloads == []


def test_a_name_that_several_files_have_is_compared_file_by_file() -> None:
    both = [seen(name="a", source=f"{folder}/a.yaml", line=1) for folder in ("base", "overlay")]
    before = reported(evaluated(both, labelled(team_a="shared")))
    base, overlay = before.objects
    assert changes(read_earlier(earlier(before)), [base, overlay]).workloads == []
    [line] = changes(read_earlier(earlier(before)), [base]).workloads
    assert (line.change, line.source) == ("gone", "overlay/a.yaml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"kind": "CheckReport"}', r"'CheckReport' - at `\$\.kind`"),
        (b'{"kind": "AuditReport", "origin": "\xff"}', "utf-8"),
    ],
)
def test_what_is_not_an_audit_is_rejected(text: bytes, why: str) -> None:
    with pytest.raises(EarlierError, match=why):
        read_earlier(text)


def test_the_page_shows_them() -> None:
    page = html(reported(three(), earlier=read_earlier(earlier(team("a")))))
    assert 'id="changes"' in page
    assert "<strong>3</strong> new, <strong>1</strong> gone, <strong>0</strong> changed" in page
    assert 'id="changes"' not in html(reported(three()))

"""The drawing of the fleet: every bar as high as its share, no label on another, and everything that goes in comes out."""

import re
from itertools import pairwise

import pytest

from tests.adapters.reports.fleets import many, reported
from webhook.adapters.reports.audit import FlowLine
from webhook.adapters.reports.flow_drawing import BARS, LEAST, MOST, OTHERS, SLOT, Drawing, Node, draw


def flow(  # noqa: PLR0913 - the fields of a flow
    before: str, after: str, workloads: int, outcome: str = "rewritten", *, pods: int = 0, gpus: int = 0
) -> FlowLine:
    return FlowLine(before=before, after=after, outcome=outcome, workloads=workloads, pods=pods, gpus=gpus)


def drawn(*flows: FlowLine) -> Drawing:
    drawing = draw(flows)
    assert drawing is not None
    return drawing


def spans(nodes: list[Node]) -> list[tuple[float, float]]:
    return [(node.top, node.top + node.height) for node in nodes]


def test_gpus_add_up_and_are_slots_of_a_shared_form() -> None:
    drawing = drawn(flow("plain", "shared", 2, gpus=3), flow("plain", "mps", 1, gpus=1), flow("plain", "denied", 1))
    assert [(node.gpus, node.unit) for node in drawing.before] == [(4, "GPUs")]
    assert [(node.form, node.gpus, node.unit) for node in drawing.after] == [
        ("shared", 3, "slots"),
        ("mps", 1, "slot"),
        ("denied", 0, "GPUs or slots"),
    ]


def test_nothing_is_no_drawing() -> None:
    assert draw([]) is None


def test_a_bar_is_as_high_as_its_share() -> None:
    drawing = drawn(flow("plain", "shared", 75), flow("plain", "mps", 25))
    (plain,), (shared, mps) = drawing.before, drawing.after
    assert plain.bar_height == BARS
    assert (shared.bar_height, mps.bar_height) == (BARS * 0.75, BARS * 0.25)


def test_a_bar_is_seen_however_small_its_share() -> None:
    drawing = drawn(flow("plain", "shared", 100_000), flow("plain", "mps", 1))
    assert drawing.after[1].bar_height == LEAST


def test_labels_have_room_and_bars_stand_in_the_middle_of_it() -> None:
    drawing = draw(reported(many(500, 50)).totals.forms)
    assert drawing is not None
    for nodes in (drawing.before, drawing.after):
        ends = spans(nodes)
        assert all(end - start >= SLOT for start, end in ends)
        assert all(one[1] <= other[0] for one, other in pairwise(ends))
        assert ends[0][0] >= 0
        assert ends[-1][1] <= drawing.height
        assert all(node.bar_top + node.bar_height / 2 == pytest.approx(node.top + node.height / 2) for node in nodes)


def test_what_is_refused_stands_last_and_the_rest_by_size() -> None:
    drawing = drawn(flow("plain", "denied", 90, "denied"), flow("plain", "a", 1), flow("plain", "b", 9))
    assert [node.form for node in drawing.after] == ["b", "a", "denied"]


def test_ribbons_fill_the_bars_of_both_sides() -> None:
    flows = [flow("plain", "shared", 30), flow("mig-1g.5gb", "shared", 10), flow("plain", "denied", 5, "denied")]
    drawing = drawn(*flows)
    for node in (*drawing.before, *drawing.after):
        assert node.joined == pytest.approx(node.bar_height)
    assert {ribbon.outcome for ribbon in drawing.ribbons} == {"rewritten", "denied"}


def test_a_form_that_stays_for_some_and_is_a_rewrite_for_others_has_two_ribbons() -> None:
    drawing = drawn(flow("plain", "mps", 1), flow("plain", "mps", 1, "unchanged"))
    assert [ribbon.outcome for ribbon in drawing.ribbons] == ["rewritten", "unchanged"]


def test_more_forms_than_anyone_tells_apart_are_one() -> None:
    flows = [
        flow(f"gke-mps-{number}", "denied" if number == 2 else f"to-{number}", 50 - number) for number in range(2, 40)
    ]
    drawing = drawn(*flows)
    assert len(drawing.before) <= MOST
    assert len(drawing.after) <= MOST
    assert [node.form for node in drawing.after][-2:] == [OTHERS, "denied"]
    for nodes in (drawing.before, drawing.after):
        assert sum(node.workloads for node in nodes) == sum(one.workloads for one in flows)


def test_paths_are_numbers_within_the_drawing() -> None:
    drawing = draw(reported(many(300, 30)).totals.forms)
    assert drawing is not None
    for ribbon in drawing.ribbons:
        assert re.fullmatch(r"[MCVZ0-9. ]+", ribbon.path)
        assert max(map(float, re.findall(r"[0-9.]+", ribbon.path))) <= max(drawing.height, 100)

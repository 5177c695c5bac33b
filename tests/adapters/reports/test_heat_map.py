"""Findings by namespace and rule."""

import pytest

from tests.adapters.reports.fleets import evaluated, labelled, reported, seen, three
from tests.builders import a_pod, gpu
from webhook.adapters.reports import heat_map
from webhook.adapters.reports.heat_map import HeatMap, findings_by_namespace


def test_without_findings_there_is_none() -> None:
    assert findings_by_namespace(reported([]).objects) is None


def test_counts_each_workload_once_a_rule() -> None:
    made = findings_by_namespace(reported(three()).objects)
    assert made is not None
    assert (made.rules, made.rows) == (["shared-request-above-one"], [("notebooks", [1])])
    two = a_pod(gpu(2, name="a"), gpu(2, name="b"))
    twice = findings_by_namespace(reported(evaluated([seen(two)], labelled(team_a="shared"))).objects)
    assert twice is not None
    assert twice.rows[0][1][0] == 1


def test_levels_go_up_to_the_largest() -> None:
    made = HeatMap([], [], 0, 9)
    assert [made.level(number) for number in (1, 3, 4, 6, 7, 9)] == [1, 1, 2, 2, 3, 3]
    assert HeatMap([], [], 0, 1).level(1) == 2


def test_leaves_out_namespaces_with_fewest_and_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_map, "MOST", 1)
    objects = [seen(a_pod(gpu(2)), namespace=name, name=f"{name}{n}") for name, n in (("a", 1), ("b", 1), ("b", 2))]
    made = findings_by_namespace(reported(evaluated(objects, labelled(a="shared", b="shared"))).objects)
    assert made is not None
    assert ([name for name, _ in made.rows], made.left_out) == (["b"], 1)

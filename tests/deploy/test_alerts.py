"""Every alert fires when it should and not when it should not, as Prometheus itself sees it: alerts.yaml, run by promtool."""

from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from hack.render_manifests import CHART
from tests.promtool import Promtool

RULES = CHART / "rules/gpuwarden.yaml"
TESTS = Path(__file__).with_name("alerts.yaml")


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The tests with the rules beside them, where they look for them."""
    (tmp_path / RULES.name).write_text(RULES.read_text())
    (tmp_path / TESTS.name).write_text(TESTS.read_text())
    return tmp_path / TESTS.name


def test_every_alert_is_tested_firing_and_not_firing() -> None:
    alerts = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    tested: dict[str, set[bool]] = defaultdict(set)
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for one in test["alert_rule_test"]:
            tested[one["alertname"]].add(bool(one.get("exp_alerts")))
    assert tested == {key: {True, False} for key in alerts}


def test_every_one_does_what_is_expected_of_it(promtool: Promtool, beside: Path) -> None:
    assert promtool.test_rules(beside) == ""


@pytest.mark.parametrize(
    ("was", "becomes", "alert"),
    [
        ("> 0.01", "> 0.1", "GpuwardenErrors"),
        ("== 1", "== 2", "GpuwardenReloadFailing"),
        ('path="validate",outcome="denied",acted="true"', 'path="validate",outcome="denied"', "GpuwardenManyDenials"),
    ],
)
def test_one_that_does_something_else_is_found(
    promtool: Promtool, beside: Path, was: str, becomes: str, alert: str
) -> None:
    rules = beside.with_name(RULES.name)
    text = rules.read_text()
    assert was in text
    # One test at a time is enough, and quicker.
    tests = yaml.safe_load(beside.read_text())
    tests["tests"] = [t for t in tests["tests"] if any(o["alertname"] == alert for o in t["alert_rule_test"])]
    beside.write_text(yaml.safe_dump(tests))
    assert promtool.test_rules(beside) == ""
    rules.write_text(text.replace(was, becomes))
    assert f"alertname: {alert}" in promtool.test_rules(beside)

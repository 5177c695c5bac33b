"""Uninstalling, as far as it can be read: no hook, so that no tool runs, keeps or drops one in a way of its own.

tests/e2e/test_chart.py uninstalls, with Helm and with kubectl.
"""

from tests.deploy.argo import api_versions
from tests.deploy.chart import MODES, Chart, Rendered, is_hook


def test_there_are_no_hooks_with_a_cluster_or_without(chart: Chart, mode: str) -> None:
    for more in ((), api_versions()):
        assert not [o for o in chart.render(MODES[mode], more=more).objects if is_hook(o)]


def test_nothing_is_kept_when_the_release_goes(in_each_mode: dict[str, Rendered], mode: str) -> None:
    annotations = [o["metadata"].get("annotations") or {} for o in in_each_mode[mode].objects]
    assert not [a for a in annotations if "helm.sh/resource-policy" in a]

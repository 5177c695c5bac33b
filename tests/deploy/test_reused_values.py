"""Values of an older chart, as `helm upgrade --reuse-values` leaves them: what they lack has its default, and all renders.

Helm replaces the new chart's defaults by the values of the release that it upgrades (pkg/action/upgrade.go reuseValues), so
here they take the place of values.yaml in a copy of the chart. tests/e2e/test_chart.py lets Helm do it.
"""

import shutil
from collections.abc import Iterator
from functools import reduce
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.chart_defaults import TEMPLATE, text
from hack.render_manifests import CHART, KUBERNETES, NAMESPACE
from tests.deploy.chart import MODES, Chart, Json, RefusedError, Rendered, merged
from tests.deploy.test_gitops import FEATURES
from webhook.application.certificates.tokens import ANNOTATION

VALUES: Json = yaml.safe_load((CHART / "values.yaml").read_text())
OLDER = sorted((Path(__file__).parent / "older_values").glob("*.yaml"))
# A value that is on, so that the templates that need the rest are rendered.
ALL_ON: Json = merged(
    *(FEATURES[name] for name in ("reports", "monitor", "rules", "dashboard", "backstop", "namespace"))
)


@pytest.fixture
def reusing(chart: Chart, tmp_path: Path) -> "Reusing":
    return Reusing(chart, tmp_path / "chart")


class Reusing:
    """The chart with other defaults, or with none."""

    def __init__(self, chart: Chart, copy: Path) -> None:
        self._chart = chart
        self._copy = copy
        shutil.copytree(CHART, copy)

    def render(self, reused: Json, values: Json | None = None) -> Rendered:
        (self._copy / "values.yaml").write_text(yaml.safe_dump(reused))
        done = self._chart.helm(
            "template", "gpuwarden", str(self._copy), "--namespace", NAMESPACE, "--kube-version", KUBERNETES,
            "--values", "-", values=values,
        )  # fmt: skip
        return Rendered.of(done)


def test_the_template_is_what_values_and_schema_say() -> None:
    assert TEMPLATE.read_text() == text(), "run `make manifests`"


def test_every_template_of_objects_fills_in_what_is_missing_before_it_reads_a_value() -> None:
    templates = [t for t in (CHART / "templates").rglob("*") if t.suffix != ".tpl" and t.is_file()]
    assert len(templates) > 15
    for template in templates:
        assert template.read_text().startswith('{{- include "gpuwarden.defaults" . -}}\n'), template.name


@pytest.mark.parametrize("file", OLDER, ids=[file.stem for file in OLDER])
@pytest.mark.parametrize("features", [{}, ALL_ON], ids=["defaults", "everything"])
def test_an_older_charts_values_are_taken(reusing: Reusing, file: Path, features: Json, mode: str) -> None:
    chosen = merged(MODES[mode], features)
    rendered = reusing.render(yaml.safe_load(file.read_text()), chosen)
    now = reusing.render(VALUES, chosen)
    names = [(o["kind"], o["metadata"]["name"]) for o in now.objects]
    assert [(o["kind"], o["metadata"]["name"]) for o in rendered.objects] == names
    assert rendered.container["args"] == now.container["args"]
    assert rendered.pod["securityContext"] == now.pod["securityContext"]
    assert rendered.webhooks == now.webhooks


def test_no_values_at_all_are_the_defaults_but_for_what_users_fill_themselves(reusing: Reusing) -> None:
    bare, full = reusing.render({}), reusing.render(VALUES)
    assert bare.container["args"] == full.container["args"]
    assert bare.pod["securityContext"] == full.pod["securityContext"]
    assert bare.webhooks == full.webhooks
    assert bare.configuration_file == full.configuration_file


def paths(values: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from paths(value, (*path, key))


def without(values: Json, path: tuple[str, ...]) -> Json:
    first, *rest = path
    if not rest:
        return {key: value for key, value in values.items() if key != first}
    return {**values, first: without(values[first], tuple(rest))}


def of_each_section() -> Iterator[list[tuple[str, ...]]]:
    """Every path, in lists of at most one of each section of the values: sections do not share defaults."""
    for row in zip_longest(*(paths({section: value}) for section, value in VALUES.items())):
        yield [path for path in row if path]


@pytest.mark.parametrize("missing", [*of_each_section()])
def test_each_value_may_be_missing(reusing: Reusing, missing: list[tuple[str, ...]]) -> None:
    rendered = reusing.render(reduce(without, missing, VALUES), ALL_ON)
    for document in rendered.objects:
        assert document["kind"]
        assert nulls(document) == []


def nulls(value: Any, key: str = "") -> list[str]:
    """Every key that says nothing: what a missing value would leave."""
    if isinstance(value, dict):
        return [found for inner, below in value.items() for found in nulls(below, inner)]
    if isinstance(value, list):
        return [found for below in value for found in nulls(below, key)]
    return [key] if value is None else []


def test_what_is_false_empty_or_zero_stays_so(reusing: Reusing) -> None:
    chosen: Json = {
        "networkPolicy": {"create": False},
        "webhooks": {"guard": {"enabled": False}},
        "priorityClassName": "",
        "shutdownDelaySeconds": 0,
        "config": {"devicePlugin": {"renameByDefault": False}, "exemptions": {"schedulers": []}},
    }
    rendered = reusing.render(VALUES, chosen)
    assert rendered.all("NetworkPolicy") == []
    assert "guard.gpuwarden.io" not in rendered.webhooks
    assert "priorityClassName" not in rendered.pod
    assert "--shutdown-delay=0" in rendered.arguments
    configuration = yaml.safe_load(rendered.configuration_file)
    assert configuration["devicePlugin"] == {"renameByDefault": False, "migStrategy": "mixed", "products": []}
    assert configuration["exemptions"]["schedulers"] == []


def test_null_still_removes_what_users_fill_themselves(chart: Chart) -> None:
    rendered = chart.render(
        {
            "resources": {"limits": None},
            "nodeSelector": None,
            "podSecurityContext": {"runAsUser": None},
            "webhooks": {"annotations": {"admissions.enforcer/disabled": None}},
        }
    )
    assert rendered.container["resources"].get("limits", {}) == {}
    assert "nodeSelector" not in rendered.pod
    assert "runAsUser" not in rendered.pod["securityContext"]
    assert rendered.pod["securityContext"]["runAsNonRoot"] is True
    assert rendered.the("MutatingWebhookConfiguration")["metadata"]["annotations"] == {ANNOTATION: "true"}


def test_a_value_that_no_chart_had_is_still_denied(reusing: Reusing) -> None:
    with pytest.raises(RefusedError, match="replica"):
        reusing.render({**VALUES, "replica": 3})

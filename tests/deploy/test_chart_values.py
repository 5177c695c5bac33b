"""`values.yaml` and `values.schema.json`: what is accepted, what is refused, and that the two agree with each other."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.render_manifests import CHART
from hack.tools import ROOT
from tests.deploy.chart import MODES, Chart, Json, RefusedError
from webhook import __version__

VALUES = CHART / "values.yaml"
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())


def test_lint_has_nothing_to_say_in_any_mode(chart: Chart, mode: str) -> None:
    said = chart.helm("lint", "--strict", str(CHART), "--values", "-", values=MODES[mode])
    assert "0 chart(s) failed" in said


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replica": 3}, "replica"),
        ({"replicas": 0}, "replicas"),
        ({"install": {"mode": "warn"}}, "install/mode"),
        ({"install": {"modus": "audit"}}, "modus"),
        ({"webhooks": {"validate": {"timeoutSeconds": 1}}}, "timeoutSeconds"),
        ({"webhooks": {"mutate": {"timeoutSeconds": 6}}}, "timeoutSeconds"),
        ({"webhooks": {"advise": {"timeoutSeconds": 6}}}, "timeoutSeconds"),
        ({"webhooks": {"validateNamespace": {"timeoutSeconds": 11}}}, "timeoutSeconds"),
        ({"webhooks": {"mutate": {"failurePolicy": "Fail"}}}, "failurePolicy"),
        ({"webhooks": {"mutate": {"configurationName": "ZZ"}}}, "configurationName"),
        ({"webhooks": {"mutate": {"configurationName": "zz gpuwarden"}}}, "configurationName"),
        ({"config": {"resources": {"gpus": ["vgpu"]}}}, "gpus"),
        ({"config": {"resources": {"notGPUs": ["a.com/x'y"]}}}, "notGPUs"),
        ({"config": {"resources": {"notGPUs": ["a.com/*x"]}}}, "notGPUs"),
        ({"webhooks": {"matchConditions": "disabled"}}, "matchConditions"),
        ({"webhooks": {"excludedNamespaces": ["Team_A"]}}, "excludedNamespaces"),
        ({"certificates": {"mode": "generated"}}, "certificates/mode"),
        ({"certificates": {"mode": "provided"}}, "secretName"),
        ({"certificates": {"certManager": {"issuerRef": {"kind": "ClusterIssuer"}}}}, "issuerRef"),
        ({"certificates": {"certManager": {"duration": "90 days"}}}, "duration"),
        ({"config": {"mode": "audit"}}, "mode"),
        ({"config": {"policies": {"team": {"forms": []}}}}, "policies"),
        ({"config": {"policies": {"team": {"forms": ["mps"], "maxPerContainer": "1"}}}}, "maxPerContainer"),
        ({"config": {"policies": {"team": {"forms": ["mps"], "env": {"A": 1}}}}}, "policies"),
        ({"config": {"policies": {"-team": {"forms": ["mps"]}}}}, "-team"),
        ({"image": {"digest": "sha256:abc"}}, "digest"),
        ({"ports": {"webhook": 443}}, "ports/webhook"),
        ({"shutdownDelaySeconds": -1}, "shutdownDelaySeconds"),
        ({"serviceAccount": {"create": False}}, "serviceAccount/name"),
        ({"podLabels": {"app.kubernetes.io/name": "other"}}, "app.kubernetes.io/name"),
        ({"networkPolicy": {"apiServerPorts": []}}, "apiServerPorts"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "tolerations"),
        ({"audit": {"report": {"schedule": "hourly"}}}, "schedule"),
        ({"audit": {"report": {"mode": "dry-run"}}}, "mode"),
        ({"audit": {"report": {"enable": True}}}, "enable"),
        ({"monitoring": {"serviceMonitor": {"enabled": True}}}, "enabled"),
        ({"monitoring": {"serviceMonitor": {"interval": "often"}}}, "interval"),
        ({"monitoring": {"prometheusRule": {"selector": "{job=a}"}}}, "selector"),
        ({"monitoring": {"prometheusRule": {"disabled": ["Watchdog"]}}}, "disabled"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(chart: Chart, values: Json, named: str) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render(values)
    assert re.search(named.replace("/", "[/.]"), str(refused.value)), refused.value


LABEL_KEY = "is not a key of labels or annotations; write <name> or <domain>/<name>, such as example.com/team"
SCHEDULE = 'is not a schedule of cron; write five fields, such as "17 3 * * *", or @hourly, @daily, @weekly or @monthly'


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"audit": {"report": {"schedule": "hourly"}}}, f'audit.report.schedule: "hourly" {SCHEDULE}'),
        (
            {"podLabels": {"app.kubernetes.io/name": "x"}},
            'podLabels: "app.kubernetes.io/name" is a label that the chart sets itself; remove it',
        ),
        (
            {"commonLabels": {"helm.sh/chart": "x"}},
            'commonLabels: "helm.sh/chart" is a label that the chart sets itself',
        ),
        *(
            ({outer: {"a b": "c"}}, f'{outer}: "a b" {LABEL_KEY}')
            for outer in ("commonLabels", "podLabels", "podAnnotations", "nodeSelector")
        ),
        ({"webhooks": {"annotations": {"a b": "c"}}}, f'webhooks.annotations: "a b" {LABEL_KEY}'),
        ({"service": {"annotations": {"-": "c"}}}, f'service.annotations: "-" {LABEL_KEY}'),
        (
            {"config": {"policies": {"team": {"forms": ["mps"], "nodeSelector": {"a b": "c"}}}}},
            f'config.policies.team.nodeSelector: "a b" {LABEL_KEY}',
        ),
        (
            {"config": {"policies": {"team": {"forms": ["mps"], "env": {"A=B": "c"}}}}},
            'config.policies.team.env: "A=B" is not the name of an environment variable; use ASCII characters other than "="',
        ),
        (
            {"config": {"policies": {"-team": {"forms": ["mps"]}}}},
            'config.policies: "-team" can\'t be the value of a namespace label; use at most 63 letters, digits, ".", "_" and "-"',
        ),
    ],
)
def test_a_wrong_value_is_answered_by_a_sentence_and_not_by_a_pattern(
    chart: Chart, values: Json, sentence: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render(values)
    assert sentence in str(refused.value)
    assert "does not match pattern" not in str(refused.value)


def test_lint_refuses_them_too(chart: Chart) -> None:
    with pytest.raises(RefusedError, match="replica"):
        chart.helm("lint", "--strict", str(CHART), "--values", "-", values={"replica": 3})


def test_the_schema_knows_exactly_the_values_that_there_are() -> None:
    values = yaml.safe_load(VALUES.read_text())
    assert set(settings(values, SCHEMA)) == set(settings_of(SCHEMA)) - OPTIONAL


# Settings that values.yaml shows in a comment only: a default would be one more thing to merge with. The last one is of older
# charts, whose values are still taken.
OPTIONAL = {
    "global",
    *(f"certificates.certManager.issuerRef.{field}" for field in ("name", "kind", "group")),
    "webhooks.matchConditions",
}


def settings_of(schema: Json, path: str = "") -> Iterator[str]:
    """The paths of everything that a schema lists by name."""
    schema = resolved(schema)
    for key, inner in schema.get("properties", {}).items():
        below = f"{path}.{key}" if path else key
        nested = list(settings_of(inner, below))
        yield below
        yield from nested


def settings(values: Any, schema: Json, path: str = "") -> Iterator[str]:
    """The paths of everything in the values, down to where the schema names no more."""
    for key, inner in values.items():
        below = f"{path}.{key}" if path else key
        yield below
        known = resolved(resolved(schema)["properties"][key])
        if "properties" in known and isinstance(inner, dict):
            yield from settings(inner, known, below)


def resolved(schema: Json) -> Json:
    if "$ref" not in schema:
        return schema
    definition: Json = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    return definition


def test_every_object_in_the_schema_says_whether_it_takes_more() -> None:
    """An object of Kubernetes' own may take anything; one of ours must not by oversight."""
    kubernetes = {"affinity", "extraEnv", "global", "networkPolicy.opsFrom", "topologySpreadConstraints"}

    def unbounded(schema: Json, path: str) -> Iterator[str]:
        schema = resolved(schema)
        if schema.get("type") == "object" and "additionalProperties" not in schema:
            yield path
        for key, inner in schema.get("properties", {}).items():
            yield from unbounded(inner, f"{path}.{key}" if path else key)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                yield from unbounded(schema[key], path)

    assert set(unbounded(SCHEMA, "")) == kubernetes


def test_chart_package_and_project_have_one_version() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert described["version"] == described["appVersion"] == project == __version__


def test_no_template_makes_certificates_or_asks_the_cluster() -> None:
    """What they make differs at every rendering: GitOps tools would replace it again and again."""
    forbidden = re.compile(r"\b(genCA|genSelfSigned|genSigned|genPrivateKey|lookup|rand[A-Z]\w+|now|uuidv4)\b")
    for template in sorted((CHART / "templates").iterdir()):
        actions = re.findall(r"{{.*?}}", re.sub(r"(?s){{-?\s*/\*.*?\*/\s*-?}}", "", template.read_text()))
        # _checks.tpl renders nothing: it may refuse an upgrade by what there is.
        allowed = {"lookup"} if template.name == "_checks.tpl" else set[str]()
        assert {found for action in actions for found in forbidden.findall(action)} <= allowed, template.name

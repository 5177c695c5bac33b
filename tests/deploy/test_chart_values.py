"""`values.yaml` and `values.schema.json`: what is accepted, what is refused, and that the two agree with each other."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.chart_tables import checks
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
        ({"config": {"policies": {"a": {"forms": [{"claimTemplate": "A", "deviceClass": "b"}]}}}}, "claimTemplate"),
        ({"config": {"policies": {"a": {"forms": [{"claimTemplate": "a", "deviceClass": "B"}]}}}}, "deviceClass"),
        ({"config": {"policies": {"a": {"forms": [{"claimTemplate": "a"}]}}}}, "deviceClass"),
        (
            {
                "config": {
                    "policies": {"a": {"forms": [{"claimTemplate": "a", "deviceClass": "b"}], "mismatch": "rewrite"}}
                }
            },
            "mismatch",
        ),
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


TEXT_CHECKS = [*checks(SCHEMA, SCHEMA)]
# Fits none of the patterns.
WRONG = "é *"


def written_at(path: str, text: str) -> Json:
    """Values with a text at a place of the table of texts (templates/_tables.tpl), and what must be beside it."""

    def below(steps: list[str], schema: Json) -> Any:
        schema = resolved(schema)
        beside: Json = {"forms": ["mps"]} if schema.get("required") == ["forms"] else {}
        if "plural" in schema.get("required", ()):
            resources = {"resources": ["spec.x"]} if steps[0] != "templates" else {}
            beside = {"group": "example.com", "versions": ["v1"], "kind": "X", "plural": "xs", **resources}
        elif schema.get("required") == ["path"]:
            beside = {"path": "spec.x"}
        match steps:
            case []:
                return text
            case ["{}"]:
                return {text: {"forms": ["mps"]} if path == "config.policies.{}" else "x"}
            case ["*", *rest] if "items" in schema:
                return [below(rest, schema["items"])]
            case ["*", *rest]:
                return {"x": below(rest, schema["additionalProperties"])}
            case [step, *rest]:
                return {**beside, step: below(rest, schema["properties"][step])}
        raise AssertionError(path)

    values: Json = below(path.split("."), SCHEMA)
    for constraint in values.get("topologySpreadConstraints", ()):
        constraint |= {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    return values


@pytest.mark.parametrize(("path", "check"), TEXT_CHECKS, ids=[path for path, _ in TEXT_CHECKS])
def test_a_wrong_text_is_answered_by_a_sentence_and_not_by_a_pattern(chart: Chart, path: str, check: Json) -> None:
    text = check.get("of", "").removeprefix("^") + WRONG
    assert "; write" in check["fault"] or "; use" in check["fault"]
    with pytest.raises(RefusedError) as refused:
        chart.render(written_at(path, text))
    said = str(refused.value)
    place = re.escape(path).replace(r"\.\{\}", "").replace(r"\.\*", r"(\[0\]|\.x)")
    assert re.search(f'{place}: "{re.escape(text)}" {re.escape(check["fault"])}', said), said


def test_no_text_is_left_to_a_pattern_of_the_schema() -> None:
    """Helm would print the pattern, and not what to write."""
    assert not [path for path in places_of("pattern", SCHEMA) if "x-checks" not in path]


def places_of(key: str, schema: Any, path: str = "") -> Iterator[str]:
    """Where a keyword is anywhere in the schema."""
    parts = schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    for step, part in parts:
        below = f"{path}.{step}" if path else str(step)
        if step == key:
            yield below
        yield from places_of(key, part, below)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"podLabels": {"app.kubernetes.io/name": "x"}},
            'podLabels: "app.kubernetes.io/name" is a label that the chart sets itself; remove it',
        ),
        (
            {"commonLabels": {"helm.sh/chart": "x"}},
            'commonLabels: "helm.sh/chart" is a label that the chart sets itself',
        ),
        (
            {"nodeSelector": {"example.com/pool": "a b"}},
            'nodeSelector[example.com/pool]: "a b" is not the value of a label',
        ),
        ({"certificates": {"mode": "provided"}}, "certificates.provided.secretName: empty, and certificates.mode is"),
        ({"clientAuth": {"allowedCNs": ["a"]}}, "clientAuth.caSecret: empty, and clientAuth.allowedCNs is set; name"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: empty, and serviceAccount.create is false; name"),
    ],
)
def test_what_must_be_set_or_is_the_charts_own_is_said(chart: Chart, values: Json, sentence: str) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render(values)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("duration", "renew_before", "said"),
    [
        ("59m", "10m", "certificates.certManager.duration: cert-manager denies less than 1h, and it is 59m; set 1h"),
        (
            "2h",
            "299s",
            "certificates.certManager.renewBefore: cert-manager denies less than 5m, and it is 299s; set 5m",
        ),
        ("1h30m", "90m", "certificates.certManager.renewBefore: 90m is not less than duration, 1h30m"),
    ],
)
def test_lifetimes_that_cert_manager_denies_are_denied(
    chart: Chart, duration: str, renew_before: str, said: str
) -> None:
    values = {"mode": "cert-manager", "certManager": {"duration": duration, "renewBefore": renew_before}}
    with pytest.raises(RefusedError, match=re.escape(said)):
        chart.render({"certificates": values})
    assert chart.render({"certificates": {**values, "mode": "self-managed"}}).objects


def test_shorter_lifetimes_that_it_takes_are_taken(chart: Chart) -> None:
    values = {"mode": "cert-manager", "certManager": {"duration": "1h", "renewBefore": "59m59s"}}
    (certificate,) = [c for c in chart.render({"certificates": values}).all("Certificate") if "isCA" not in c["spec"]]
    assert certificate["spec"]["renewBefore"] == "59m59s"


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_a_namespace_of_the_cluster_is_not_made_one_of_the_release(chart: Chart, namespace: str) -> None:
    with pytest.raises(RefusedError, match=f'namespace.create: the namespace "{namespace}" belongs to the cluster'):
        chart.render({"namespace": {"create": True}}, namespace=namespace)
    assert chart.render(namespace=namespace).all("Namespace") == []


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
    *(f"dnsConfig.{field}" for field in ("nameservers", "options", "searches")),
    *(f"webhooks.objectSelector.{field}" for field in ("matchLabels", "matchExpressions")),
    *(
        f"updateStrategy.{field}"
        for field in ("type", "rollingUpdate", "rollingUpdate.maxSurge", "rollingUpdate.maxUnavailable")
    ),
    *(
        f"probes.{probe}.{field}"
        for probe in ("startup", "liveness", "readiness")
        for field in ("initialDelaySeconds", "successThreshold", "terminationGracePeriodSeconds")
    ),
    "inTree.compiled.configuration",
    "inTree.compiled.policies",
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
    kubernetes = {
        *("affinity", "extraEnv", "global", "networkPolicy.opsFrom", "topologySpreadConstraints"),
        *("volumes", "volumeMounts", "webhooks.objectSelector.matchExpressions", "inTree.compiled.policies"),
        *(f"monitoring.serviceMonitor.{rules}" for rules in ("relabelings", "metricRelabelings")),
    }

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
    for template in sorted(file for file in (CHART / "templates").rglob("*") if file.is_file()):
        actions = re.findall(r"{{.*?}}", re.sub(r"(?s){{-?\s*/\*.*?\*/\s*-?}}", "", template.read_text()))
        # _checks.tpl renders nothing: it may refuse an upgrade by what there is. _in_tree.tpl asks with inTree.webhooks=auto
        # alone, which is Helm's: docs/how-to/in-tree.md has the setting for GitOps tools.
        allowed = {"lookup"} if template.name in {"_checks.tpl", "_in_tree.tpl"} else set[str]()
        assert {found for action in actions for found in forbidden.findall(action)} <= allowed, template.name

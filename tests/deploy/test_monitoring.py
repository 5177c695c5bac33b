"""What Prometheus and Grafana are given: every metric and label that is named exists, and every expression can be read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack import metrics_reference
from hack.render_manifests import CHART, NAMESPACE
from hack.tools import ROOT
from tests.deploy import promql
from tests.deploy.chart import Chart, Json, RefusedError, Rendered
from tests.promtool import Promtool
from webhook.adapters.kubernetes.watched_namespaces import FRESHNESS_BOUND
from webhook.adapters.metrics import Metrics
from webhook.adapters.prometheus import dcgm
from webhook.application.recommendation.thresholds import Thresholds
from webhook.application.recommendation.usage import Metric

RULES = CHART / "rules/gpuwarden.yaml"
DASHBOARD = CHART / "dashboards/gpuwarden.json"
SHARING = CHART / "dashboards/gpu-sharing.json"
RUNBOOK = ROOT / "docs/operations/runbook.md"
# What Prometheus itself and its operator put on every series.
OF_THE_TARGET = {"cluster", "job", "instance", "namespace", "pod", "container", "service", "endpoint"}
ON = {"create": True}
OF_API_SERVERS = "GpuwardenAdmissionPolicyFailing"
"""The alert about metrics that gpuwarden's replicas don't have."""
RELEASED: Json = {"monitoring": {"serviceMonitor": ON, "prometheusRule": ON, "dashboard": ON}}


# Of dcgm-exporter and kube-state-metrics, with the labels that are used: https://github.com/NVIDIA/dcgm-exporter (Hostname became
# hostname in 2026), https://github.com/kubernetes/kube-state-metrics, namespace metrics.
OF_DEVICES = {"Hostname", "hostname", "gpu", "UUID", "GPU_I_ID", "GPU_I_PROFILE", "exported_namespace", "exported_pod"}
OF_OTHERS = {
    **dict.fromkeys(
        (dcgm.USED, dcgm.FREE, dcgm.ENCODER, dcgm.DECODER, Metric.SM_ACTIVE.value, Metric.GR_ENGINE_ACTIVE.value),
        OF_DEVICES,
    ),
    "kube_namespace_labels": {"label_gpuwarden_io_enforce"},
}


def known() -> dict[str, set[str]]:
    """The names of all samples there can be, with their labels."""
    ours = {name: set(metric.labels) for metric in metrics_reference.metrics() for name in metric.samples}
    ours["gpuwarden_request_duration_seconds_bucket"].add("le")
    python: dict[str, set[str]] = {}
    for family in Metrics().registry.collect():
        for sample in family.samples if not family.name.startswith("gpuwarden") else ():
            python.setdefault(sample.name, set()).update(sample.labels)
    return {**python, **ours, **OF_OTHERS, **OF_THE_API_SERVER}


# Kubernetes 1.36: apiserver/pkg/admission/plugin/policy/{mutating,validating}/metrics; tests/e2e sees them on a real one.
_CHECK = {"policy", "policy_binding", "error_type"}
OF_THE_API_SERVER = {
    f"apiserver_{which}_admission_policy_check_{name}": {*_CHECK, *more, *(["le"] if "bucket" in name else [])}
    for which, more in (("mutating", ()), ("validating", ("enforcement_action",)))
    for name in ("total", "duration_seconds_bucket")
}
KNOWN = known()
VALUES = {
    (name, label): values
    for metric in metrics_reference.metrics()
    for name in metric.samples
    for label in metric.labels
    if (values := metrics_reference.VALUES.get((metric.name, label)))
}


def rules(document: Any) -> Iterator[Json]:
    for group in document["groups"]:
        yield from group["rules"]


ALERTS = {rule["alert"]: rule for rule in rules(yaml.safe_load(RULES.read_text()))}
PANELS: list[Json] = [
    panel for file in (DASHBOARD, SHARING) for panel in json.loads(file.read_text())["panels"] if panel["type"] != "row"
]
TARGETS = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}
EXPRESSIONS = {**{name: rule["expr"] for name, rule in ALERTS.items()}, **TARGETS}


@pytest.mark.parametrize("name", TARGETS)
def test_panels_show_the_selected_clusters(name: str) -> None:
    """A Prometheus of several clusters (Thanos, Mimir) has the label ``cluster``; without it, "All" selects everything."""
    named = promql.matchers(TARGETS[name])
    selected = {each.metric for each in named if (each.label, each.value) == ("cluster", "$cluster")}
    assert selected == promql.metrics(TARGETS[name])


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_metric_label_and_value_that_is_named_exists(name: str) -> None:
    expression = EXPRESSIONS[name]
    named = promql.metrics(expression)
    assert named
    assert named <= set(KNOWN)
    labels = set().union(*(KNOWN[metric] for metric in named))
    assert promql.grouped_by(expression) <= labels | OF_THE_TARGET
    for matcher in promql.matchers(expression):
        assert matcher.label in KNOWN[matcher.metric] | OF_THE_TARGET, matcher
        if (values := VALUES.get((matcher.metric, matcher.label))) and matcher.how in {"=", "!="}:
            assert matcher.value in values, matcher


@pytest.mark.parametrize(
    ("expression", "metrics", "labels"),
    [
        ('sum by (le, a) (rate(x_bucket{b="1",c=~"2|{}"}[5m])) / y_total > 0.5', {"x_bucket", "y_total"}, {"b", "c"}),
        ("histogram_quantile(0.5, x_bucket) - time()", {"x_bucket"}, set()),
        (
            'label_replace(DCGM_FI_A{exported_pod="",pod!=""}, "a_b", "$1", "c_d", "(.+)") * on (e_f) group_left (g_h) i_j',
            {"DCGM_FI_A", "i_j"},
            {"exported_pod", "pod"},
        ),
        ('max(min without (part_b) (a_b{job="x"})) == 0', {"a_b"}, {"job"}),
    ],
)
def test_names_are_found_in_expressions(expression: str, metrics: set[str], labels: set[str]) -> None:
    assert promql.metrics(expression) == metrics
    assert {matcher.label for matcher in promql.matchers(expression)} == labels


class TestAsRecommendReadsThem:
    """What alerts and dashboards say of dcgm-exporter's metrics is what ``gpuwarden recommend`` goes by."""

    def test_the_best_metric_of_compute_comes_first(self) -> None:
        order = [metric.value for metric in Metric if metric is not Metric.GPU_UTIL]
        found = [re.sub(r"\{.*?\}", "", query) for query in TARGETS.values() if promql.metrics(query) & {*order}]
        assert found
        assert all(" or ".join(order) in query for query in found)

    def test_utilisation_that_says_nothing_of_slices_is_nowhere(self) -> None:
        every = (*TARGETS.values(), *(rule["expr"] for rule in ALERTS.values()))
        assert not any(Metric.GPU_UTIL in promql.metrics(query) for query in every)

    def test_a_policy_is_idle_where_its_gpus_are_idle_all_the_time(self) -> None:
        rule = ALERTS["GpuwardenPolicyIdle"]["expr"]
        # No part of a GPU is active for longer than the engine, so that what is below by this is below by SM_ACTIVE too.
        assert promql.metrics(rule) == {Metric.GR_ENGINE_ACTIVE.value, "kube_namespace_labels"}
        assert float(rule.rpartition("<")[2]) == Thresholds().idle_below

    def test_pods_and_nodes_have_the_same_labels(self) -> None:
        pods = {label for family in dcgm.FAMILIES[:2] for label in (family.namespace, family.pod)}
        rule = ALERTS["GpuwardenSharedMemoryNearlyFull"]["expr"]
        assert all(re.search(rf"\b{label}\b", rule) for label in pods)
        assert {dcgm.node_of({label: "a"}) for label in ("Hostname", "hostname")} == {"a"}


def test_every_alert_says_what_it_is_and_where_the_way_out_stands() -> None:
    for name, rule in ALERTS.items():
        assert rule["labels"] == {"severity": rule["labels"]["severity"]}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/operations/runbook.md#{name.lower()}"


def test_every_alert_has_its_heading_in_the_runbook_and_every_heading_its_alert() -> None:
    headings = re.findall(r"(?m)^### (Gpuwarden\w+)$", RUNBOOK.read_text())
    assert headings == list(ALERTS)


def test_every_metric_of_the_runbook_exists() -> None:
    assert set(re.findall(r"`(gpuwarden_\w+)`", RUNBOOK.read_text())) <= set(KNOWN)


def test_the_watch_is_called_stale_when_a_replica_calls_itself_unready() -> None:
    assert ALERTS["GpuwardenWatchStale"]["expr"].endswith(f"> {FRESHNESS_BOUND:g}")


class TestDashboard:
    def test_every_panel_can_be_read_by_who_has_never_seen_it(self) -> None:
        for panel in PANELS:
            assert panel["description"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"

    @pytest.mark.parametrize("file", [DASHBOARD, SHARING], ids=lambda file: file.stem)
    def test_no_two_panels_share_an_id_or_a_place(self, file: Path) -> None:
        panels = json.loads(file.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(taken) == len(set(taken))
        assert all(x < 24 for x, _ in taken)

    def test_every_metric_of_ours_is_shown_but_for_two(self) -> None:
        text = DASHBOARD.read_text()
        left_out = {"gpuwarden_namespaces", "gpuwarden_reload_success_timestamp_seconds"}
        shown = {metric.name for metric in metrics_reference.metrics() if metric.name in text}
        assert {metric.name for metric in metrics_reference.metrics()} - shown == left_out

    def test_every_expression_can_be_read_by_prometheus(self, promtool: Promtool, tmp_path: Path) -> None:
        """As recording rules, with what Grafana puts in place of its variables."""
        assert promtool.check_rules(self.as_rules(tmp_path, TARGETS)) == ""

    def test_and_one_that_cannot_is_found(self, promtool: Promtool, tmp_path: Path) -> None:
        assert "parse" in promtool.check_rules(self.as_rules(tmp_path, {"broken": 'sum(rate(up{job="$job"}[5m])'}))

    def as_rules(self, folder: Path, expressions: dict[str, str]) -> Path:
        recording = []
        for number, expression in enumerate(expressions.values()):
            recording.append({"record": f"panel:{number}", "expr": promql.without_variables(expression)})
        file = folder / "panels.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recording}]}))
        return file


@pytest.fixture(scope="module")
def released(chart: Chart) -> Rendered:
    return chart.render(RELEASED)


class TestInTheChart:
    def test_nothing_of_it_is_there_unless_asked_for(self, rendered: Rendered) -> None:
        assert not rendered.all("ServiceMonitor")
        assert not rendered.all("PrometheusRule")
        assert [o["metadata"]["name"] for o in rendered.all("ConfigMap")] == ["gpuwarden"]

    def test_the_service_monitor_finds_the_metrics_port_of_the_service(self, released: Rendered) -> None:
        spec = released.the("ServiceMonitor")["spec"]
        service = released.the("Service")
        assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert spec["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
        (endpoint,) = spec["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert endpoint["path"] == "/metrics"

    def test_the_rules_go_by_the_labels_that_it_gives(
        self, released: Rendered, promtool: Promtool, tmp_path: Path
    ) -> None:
        spec = released.the("PrometheusRule")["spec"]
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
        assert promtool.check_rules(tmp_path / "rules.yaml") == ""
        assert [rule["alert"] for rule in rules(spec)] == list(ALERTS)
        for rule in rules(spec):
            if rule["alert"] == OF_API_SERVERS or promql.metrics(rule["expr"]) <= set(OF_OTHERS):
                continue
            wanted = {(m.label, m.value) for m in promql.matchers(rule["expr"]) if m.label in OF_THE_TARGET}
            assert wanted == {("job", "gpuwarden"), ("namespace", NAMESPACE)}, rule["alert"]

    def test_another_releases_rules_are_its_own(self, chart: Chart) -> None:
        values = {"replicas": 5, "certificates": {"mode": "provided", "provided": {"secretName": "a"}}}
        spec = chart.render({**RELEASED, **values}, release="east").the("PrometheusRule")["spec"]
        expressions = {rule["alert"]: " ".join(rule["expr"].split()) for rule in rules(spec)}
        ours = f'job="east-gpuwarden",namespace="{NAMESPACE}"'
        assert expressions["GpuwardenReplicaMissing"] == f"count(gpuwarden_build_info{{{ours}}}) < 5"
        assert expressions["GpuwardenCertificateExpiring"].endswith("- time() < 14 * 86400")
        assert all('job="gpuwarden"' not in expression for expression in expressions.values())

    def test_selector_runbook_and_what_is_left_out_can_be_chosen(self, chart: Chart) -> None:
        chosen = {
            "create": True, "selector": 'job="pods",cluster="a"', "runbookUrl": "https://wiki/gpu", "disabled": ["GpuwardenSlow"],
        }  # fmt: skip
        spec = chart.render({"monitoring": {"prometheusRule": chosen}}).the("PrometheusRule")["spec"]
        assert [rule["alert"] for rule in rules(spec)] == [name for name in ALERTS if name != "GpuwardenSlow"]
        for rule in rules(spec):
            ours = rule["alert"] != OF_API_SERVERS and not promql.metrics(rule["expr"]) <= set(OF_OTHERS)
            assert ('job="pods",cluster="a"' in rule["expr"]) is ours
            assert rule["annotations"]["runbook_url"] == f"https://wiki/gpu#{rule['alert'].lower()}"
            assert "runbook" not in rule["annotations"]

    @pytest.mark.parametrize("url", ["", "docs/operations.md"])
    def test_a_link_is_absolute_or_not_there(self, chart: Chart, url: str) -> None:
        """Alerts are read in Alertmanager, chats and mails, where a relative one leads nowhere."""
        chosen = {"create": True, "runbookUrl": url}  # the second: what older charts had as the default
        spec = chart.render({"monitoring": {"prometheusRule": chosen}}).the("PrometheusRule")["spec"]
        for rule in rules(spec):
            assert "runbook_url" not in rule["annotations"]
            assert rule["annotations"]["runbook"] == f"docs/operations/runbook.md#{rule['alert'].lower()}"

    def test_an_alert_that_is_not_there_cannot_be_left_out(self, chart: Chart) -> None:
        with pytest.raises(RefusedError, match='"GpuwardenSlown" is not an alert'):
            chart.render({"monitoring": {"prometheusRule": {"create": True, "disabled": ["GpuwardenSlown"]}}})

    def test_dashboards_link_to_the_runbook_if_its_url_is_known(self, chart: Chart, released: Rendered) -> None:
        url = "https://git.example/runbook.md?a=1&b=2"
        linked = chart.render({"monitoring": {"dashboard": ON, "prometheusRule": {"runbookUrl": url}}})
        for rendered, urls in ((released, []), (linked, [url])):
            data = rendered.the("ConfigMap", "gpuwarden-dashboard")["data"]
            assert set(data) == {"gpuwarden.json", "gpu-sharing.json"}
            for text in data.values():
                assert [link["url"] for link in json.loads(text)["links"]] == urls

    def test_the_dashboard_is_the_file_with_the_label_that_grafana_looks_for(self, released: Rendered) -> None:
        found = released.the("ConfigMap", "gpuwarden-dashboard")
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert found["data"]["gpuwarden.json"].strip() == DASHBOARD.read_text().strip()
        assert found["data"]["gpu-sharing.json"].strip() == SHARING.read_text().strip()

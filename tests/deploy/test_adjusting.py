"""What people adjust in a chart: images, arguments, volumes, annotations, probes, strategy, budget, permissions, tests."""

from typing import Any

import pytest

from tests.deploy.chart import Chart, RefusedError, merged

EVERYTHING = {
    "namespace": {"create": True},
    "backstop": {"enabled": True},
    "audit": {"report": {"enabled": True}},
    "recommend": {"report": {"enabled": True, "prometheus": {"url": "http://prometheus:9090"}}},
    "inTree": {"enabled": True},
    "monitoring": {
        "serviceMonitor": {"create": True},
        "prometheusRule": {"create": True},
        "dashboard": {"create": True},
    },
}


@pytest.mark.parametrize("mode", ["self-managed", "cert-manager"])
def test_common_annotations_are_on_every_object_beside_its_own(chart: Chart, mode: str) -> None:
    values = {"certificates": {"mode": mode}, "commonAnnotations": {"team": "gpu", "service": "common"}}
    own = {"service": {"annotations": {"service": "own"}}}
    rendered = chart.render(merged(merged(EVERYTHING, values), own), kubernetes="1.36.0")
    for each in rendered.objects:
        assert each["metadata"]["annotations"]["team"] == "gpu", each["kind"]
    assert rendered.the("Service")["metadata"]["annotations"] == {"team": "gpu", "service": "own"}
    [mutating] = rendered.all("MutatingWebhookConfiguration")
    assert mutating["metadata"]["annotations"]["admissions.enforcer/disabled"] == "true"


def test_without_annotations_objects_have_none(chart: Chart) -> None:
    assert "annotations" not in chart.render().the("Deployment")["metadata"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"registry": "mirror.example:5000", "tag": "1"}, "mirror.example:5000/gpuwarden/gpuwarden:1"),
        ({"registry": "mirror.example/proxy", "repository": "a/b", "tag": "1"}, "mirror.example/proxy/a/b:1"),
        ({"registry": "r.example", "digest": "sha256:" + "0" * 64}, "r.example/gpuwarden/gpuwarden@sha256:" + "0" * 64),
        ({"repository": "r.example/gpuwarden", "tag": "1"}, "r.example/gpuwarden:1"),
    ],
)
def test_a_registry_is_put_before_the_repository(chart: Chart, image: dict[str, str], expected: str) -> None:
    rendered = chart.render({"image": image, "audit": {"report": {"enabled": True}}})
    assert rendered.container["image"] == expected
    job = rendered.the("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert job["containers"][0]["image"] == expected


def test_arguments_and_volumes_come_after_the_charts_own(chart: Chart) -> None:
    plain = chart.render()
    added = chart.render(
        {
            "extraArgs": ["--max-lag=0.5"],
            "volumes": [{"name": "x", "emptyDir": {}}],
            "volumeMounts": [{"name": "x", "mountPath": "/x"}],
        }
    )
    assert added.container["args"] == [*plain.container["args"], "--max-lag=0.5"]
    assert added.pod["volumes"] == [*plain.pod["volumes"], {"name": "x", "emptyDir": {}}]
    assert added.container["volumeMounts"] == [*plain.container["volumeMounts"], {"name": "x", "mountPath": "/x"}]


def test_further_objects_are_rendered_with_the_release(chart: Chart) -> None:
    as_map = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{{ .Release.Name }}-map"}}
    as_text = "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Chart.Name }}-text}\n"
    added = chart.render({"extraObjects": [as_map, as_text]}).all("Secret")
    assert {each["metadata"]["name"] for each in added} == {"gpuwarden-map", "gpuwarden-text"}


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({}, {"minAvailable": 1}),
        ({"minAvailable": "60%"}, {"minAvailable": "60%"}),
        ({"maxUnavailable": 1}, {"maxUnavailable": 1}),
        ({"maxUnavailable": "1%", "minAvailable": 3}, {"maxUnavailable": "1%"}),
    ],
)
def test_the_disruption_budget_has_one_number(chart: Chart, budget: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = chart.render({"replicas": 3, "podDisruptionBudget": budget}).the("PodDisruptionBudget")["spec"]
    assert {key: spec[key] for key in ("minAvailable", "maxUnavailable") if key in spec} == expected


@pytest.mark.parametrize(
    ("replicas", "budget", "said"),
    [
        (2, {"minAvailable": 2}, "minAvailable: with 2 of 2"),
        (2, {"minAvailable": "51%"}, "minAvailable: with 51% of 2"),
        (3, {"maxUnavailable": 0}, "maxUnavailable: with 0 of 3"),
        (3, {"maxUnavailable": "0%"}, "maxUnavailable: with 0% of 3"),
    ],
)
def test_a_budget_that_permits_no_eviction_is_denied(
    chart: Chart, replicas: int, budget: dict[str, Any], said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        chart.render({"replicas": replicas, "podDisruptionBudget": budget})
    off = chart.render({"replicas": replicas, "podDisruptionBudget": {**budget, "create": False}})
    assert off.all("PodDisruptionBudget") == []
    assert chart.render({"replicas": 1, "podDisruptionBudget": budget}).all("PodDisruptionBudget") == []


def test_dns_is_the_clusters_unless_set_or_on_the_host_network(chart: Chart) -> None:
    own = {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "1"}]}
    plain = chart.render().pod
    assert {"dnsPolicy", "dnsConfig"} & set(plain) == set()
    assert chart.render({"hostNetwork": True}).pod["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert chart.render({"hostNetwork": True, "dnsPolicy": "Default"}).pod["dnsPolicy"] == "Default"
    pod = chart.render({"dnsPolicy": "None", "dnsConfig": own}).pod
    assert (pod["dnsPolicy"], pod["dnsConfig"]) == ("None", own)


def test_a_scrape_timeout_may_be_the_interval(chart: Chart) -> None:
    monitor = {"create": True, "scrapeTimeout": "60s", "interval": "1m"}
    [endpoint] = chart.render({"monitoring": {"serviceMonitor": monitor}}).the("ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scrapeTimeout"], endpoint["interval"]) == ("60s", "1m")


def test_a_volume_of_the_chart_may_be_mounted_again(chart: Chart) -> None:
    mounts = [{"name": "config", "mountPath": "/config"}]
    assert chart.render({"volumeMounts": mounts}).container["volumeMounts"][-1:] == mounts


def test_strategy_history_and_probes(chart: Chart) -> None:
    plain = chart.render().the("Deployment")["spec"]
    assert plain["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    values = {
        "updateStrategy": {"type": "Recreate"},
        "revisionHistoryLimit": 0,
        "probes": {"readiness": {"periodSeconds": 1, "initialDelaySeconds": 3}},
    }
    rendered = chart.render(values)
    changed = rendered.the("Deployment")["spec"]
    assert changed["strategy"] == {"type": "Recreate"}
    assert changed["revisionHistoryLimit"] == 0
    probe = rendered.container["readinessProbe"]
    assert probe == {
        "httpGet": {"path": "/readyz", "port": "ops"},
        "periodSeconds": 1,
        "initialDelaySeconds": 3,
        "timeoutSeconds": 3,
        "failureThreshold": 2,
    }


def test_without_rbac_nothing_is_granted_and_the_accounts_stay(chart: Chart) -> None:
    rendered = chart.render(merged(EVERYTHING, {"rbac": {"create": False}}), kubernetes="1.36.0")
    assert {each["kind"] for each in rendered.objects} & {
        "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
    } == set()  # fmt: skip
    assert len(rendered.all("ServiceAccount")) == 3


def test_an_object_selector_is_of_every_webhook_but_the_namespaces(chart: Chart) -> None:
    selector = {"matchLabels": {"gpus": "shared"}}
    rendered = chart.render({"webhooks": {"objectSelector": selector}})
    for configuration in (
        *rendered.all("MutatingWebhookConfiguration"),
        *rendered.all("ValidatingWebhookConfiguration"),
    ):
        for webhook in configuration["webhooks"]:
            wanted = None if webhook["name"] == "validate-namespace.gpuwarden.io" else selector
            assert webhook.get("objectSelector") == wanted, webhook["name"]


def test_how_prometheus_scrapes(chart: Chart) -> None:
    rules = [{"action": "drop", "sourceLabels": ["pod"], "regex": "x"}]
    monitor = {"create": True, "scrapeTimeout": "5s", "relabelings": rules, "metricRelabelings": rules}
    rendered = chart.render({"monitoring": {"serviceMonitor": {**monitor, "annotations": {"a": "b"}}}}).the(
        "ServiceMonitor"
    )
    assert rendered["metadata"]["annotations"] == {"a": "b"}
    [endpoint] = rendered["spec"]["endpoints"]
    assert (endpoint["scrapeTimeout"], endpoint["relabelings"], endpoint["metricRelabelings"]) == ("5s", rules, rules)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"image": {"registry": "https://r.example"}}, 'image.registry: "https://r.example" is not a registry'),
        (
            {"podDisruptionBudget": {"minAvailable": "most"}},
            'minAvailable: "most" is neither a number nor a percentage',
        ),
        ({"probes": {"liveness": {"httpGet": {}}}}, "httpGet"),
        ({"extraArgs": [1]}, "extraArgs"),
        (
            {"extraArgs": ["--max-lag", "0.5", "--max-lagg=1"]},
            r'extraArgs\[2\]: "--max-lagg" is not an option of gpuwarden serve',
        ),
        ({"extraEnv": [{"name": "GPUWARDEN_MAX_LAG", "value": 1}]}, "extraEnv/0/value"),
        (
            {"volumes": [{"name": "config", "emptyDir": {}}]},
            r'volumes\[0\].name: "config" is the name of one of the chart',
        ),
        (
            {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]},
            r'volumes\[1\].name: "a" is the name of an earlier volume',
        ),
        (
            {"volumeMounts": [{"name": "ca", "mountPath": "/ca"}]},
            r'volumeMounts\[0\].name: there is no volume "ca"',
        ),
        (
            {"volumeMounts": [{"name": "config", "mountPath": "/a"}, {"name": "tls", "mountPath": "/b"}]},
            r'volumeMounts\[1\].name: there is no volume "tls"',
        ),
        (
            {"monitoring": {"serviceMonitor": {"create": True, "scrapeTimeout": "1m1ms", "interval": "60s"}}},
            "scrapeTimeout: 1m1ms is more than the interval, 60s",
        ),
        (
            {"monitoring": {"prometheusRule": {"create": True, "disabled": ["Nope"]}}},
            'prometheusRule.disabled: "Nope" is not an alert',
        ),
        ({"dnsPolicy": "None"}, "dnsConfig.nameservers: empty, and dnsPolicy is None"),
        ({"dnsPolicy": "none"}, "dnsPolicy"),
    ],
)
def test_what_can_not_be_meant_is_refused(chart: Chart, values: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        chart.render(values)


def test_helm_test_is_hooks_alone_and_off_by_default(chart: Chart) -> None:
    assert chart.render().objects == chart.render({"helmTest": {"enabled": False}}).objects
    on = chart.render({"helmTest": {"enabled": True}})
    added = [each for each in on.objects if each not in chart.render().objects]
    assert {each["metadata"]["annotations"]["helm.sh/hook"] for each in added} == {"test"}
    [pod] = on.all("Pod", hooks=True)
    assert pod["spec"]["containers"][0]["args"] == [
        "doctor",
        "--gpuwarden-namespace=gpuwarden-system",
        "--name=gpuwarden",
    ]
    assert pod["spec"]["containers"][0]["image"] == on.container["image"]
    # The pods of the Service are not the test's.
    name = "app.kubernetes.io/name"
    assert pod["metadata"]["labels"][name] != on.the("Service")["spec"]["selector"][name]

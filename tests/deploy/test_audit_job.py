"""The CronJob that writes reports: off unless asked for, restricted, apart from the webhook's pods, with no right to spare."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.deploy.chart import Chart, Json, RefusedError, Rendered, merged
from tests.deploy.report_jobs import (
    MOUNTED,
    a_pod_of,
    asked,
    check_added_objects,
    granted,
    options_of_job,
    pod_of,
    run_job,
)
from webhook.application.operator_kinds import AUDITED
from webhook.application.report_api import REPORT_APIS
from webhook.cli.audit import audit

ENABLED: Json = {"audit": {"report": {"enabled": True}}}


@pytest.fixture(scope="module")
def enabled(chart: Chart) -> Rendered:
    return chart.render(ENABLED)


def test_nothing_of_it_is_there_unless_asked_for(rendered: Rendered, enabled: Rendered) -> None:
    check_added_objects(rendered, enabled, "gpuwarden-audit")


def test_the_command_is_an_audit_that_writes_reports_by_the_configuration_that_is_mounted(enabled: Rendered) -> None:
    assert set(options_of_job(enabled, audit)) == {"--write-reports", f"--config={MOUNTED}", "--mode=enforce"}
    (container,) = pod_of(enabled)["containers"]
    (volume,) = pod_of(enabled)["volumes"]
    assert volume["configMap"]["name"] == enabled.the("ConfigMap")["metadata"]["name"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [str(Path(MOUNTED).parent)]


def test_its_pods_have_room_and_no_more_than_they_need(enabled: Rendered) -> None:
    (container,) = pod_of(enabled)["containers"]
    assert container["resources"]["limits"]["memory"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_runs_do_not_meet_and_come_to_an_end(enabled: Rendered) -> None:
    spec = enabled.the("CronJob")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 1800
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 2
    assert pod_of(enabled)["restartPolicy"] == "Never"
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 3)


def test_nothing_that_selects_the_webhooks_pods_selects_its_pods(chart: Chart) -> None:
    """The Service would send reviews to it."""
    rendered = chart.render(merged(ENABLED, {"podLabels": {"team": "a"}, "commonLabels": {"cost": "b"}}))
    labels = rendered.the("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        rendered.the("Service")["spec"]["selector"],
        rendered.the("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        rendered.the("NetworkPolicy", "gpuwarden")["spec"]["podSelector"]["matchLabels"],
    ]
    assert not [selector for selector in selectors if selector.items() <= labels.items()]
    own = rendered.the("NetworkPolicy", "gpuwarden-audit")["spec"]
    assert own["podSelector"]["matchLabels"].items() <= labels.items()
    assert "Ingress" in own["policyTypes"]
    assert "ingress" not in own  # nothing comes in; an empty list is not stored, and would be a difference for ever


def test_a_long_name_is_cut_to_what_a_cron_job_may_have(chart: Chart) -> None:
    name = chart.render(merged(ENABLED, {"fullnameOverride": "g" * 60})).the("CronJob")["metadata"]["name"]
    assert name.endswith("-audit")
    assert len(name) <= 52


def test_it_may_list_the_kinds_of_the_configuration(chart: Chart) -> None:
    row = {
        "group": "example.com",
        "versions": ["v1"],
        "kind": "Training",
        "plural": "trainings",
        "templates": [{"path": "spec"}],
    }
    role = chart.render(merged(ENABLED, {"config": {"workloadKinds": [row]}})).the("ClusterRole", "gpuwarden-audit")
    assert {"apiGroups": ["example.com"], "resources": ["trainings"], "verbs": ["list"]} in role["rules"]


def test_it_may_list_what_its_log_asks_for(chart: Chart) -> None:
    rule = {"apiGroups": ["example.com"], "resources": ["trainers"], "verbs": ["list"]}
    values = merged(ENABLED, {"audit": {"report": {"rules": [rule]}}})
    assert rule in chart.render(values).the("ClusterRole", "gpuwarden-audit")["rules"]
    with pytest.raises(RefusedError):
        chart.render(merged(ENABLED, {"audit": {"report": {"rules": [rule | {"verbs": ["*"]}]}}}))


class TestRights:
    @pytest.fixture
    def cluster(self) -> Iterator[WorkloadServer]:
        with WorkloadServer() as server:
            server.objects["/apis/resource.k8s.io"] = {"versions": [{"version": "v1"}]}
            for plural in ("resourceclaims", "resourceclaimtemplates"):
                server.lists[f"/apis/resource.k8s.io/v1/{plural}"] = []
            # DeviceClasses matter where anything is claimed.
            claim = {"metadata": {"name": "one", "namespace": "team"}, "spec": {"devices": {}}}
            server.lists["/apis/resource.k8s.io/v1/resourceclaims"] = [json.dumps(claim).encode()]
            server.lists["/apis/resource.k8s.io/v1/deviceclasses"] = []
            for row in AUDITED:
                server.serve(row.api_version, row.plural)
            yield server

    def test_it_asks_for_what_it_is_granted_and_is_granted_what_it_asks_for(
        self, cluster: WorkloadServer, enabled: Rendered, tmp_path: Path
    ) -> None:
        """With each API for reports in turn: reports are made, changed and removed."""
        for api in REPORT_APIS:
            cluster.serves = {api.api_version}
            for enforce in ("shared", "none", "mistyped", "misspelt"):
                cluster.set_namespace("team", enforce=enforce)
                cluster.lists["/api/v1/pods"].clear()
                if not enforce.startswith("mis"):
                    cluster.add(a_pod_of("team"))
                run_job(cluster, enabled, tmp_path)
            cluster.set_namespace("team", enforce="shared")
            run_job(cluster, enabled, tmp_path)
        assert asked(cluster) == granted(enabled, "gpuwarden-audit")

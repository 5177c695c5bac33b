"""The CronJob that writes reports: off unless asked for, restricted, apart from the webhook's pods, with no right to spare."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperOption

from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.deploy.chart import Chart, Json, RefusedError, Rendered, merged
from webhook.application.operator_kinds import AUDITED
from webhook.application.report_api import REPORT_APIS
from webhook.cli.audit import audit

ENABLED: Json = {"audit": {"report": {"enabled": True}}}
MOUNTED = "/etc/gpuwarden/config/config.yaml"


@pytest.fixture(scope="module")
def enabled(chart: Chart) -> Rendered:
    return chart.render(ENABLED)


def pod_of(rendered: Rendered) -> Json:
    """The spec of the CronJob's pods."""
    spec: Json = rendered.the("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def test_nothing_of_it_is_there_unless_asked_for(rendered: Rendered, enabled: Rendered) -> None:
    without, with_it = ({(o["kind"], o["metadata"]["name"]) for o in r.objects} for r in (rendered, enabled))
    assert without < with_it
    assert with_it - without == {
        (kind, "gpuwarden-audit")
        for kind in ("CronJob", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy")
    }


def test_the_command_is_an_audit_that_writes_reports_by_the_configuration_that_is_mounted(enabled: Rendered) -> None:
    app = typer.Typer()
    app.command()(audit)
    options = {name for p in typer.main.get_command(app).params if isinstance(p, TyperOption) for name in p.opts}
    (container,) = pod_of(enabled)["containers"]
    program, *words = container["args"]
    assert program == "audit"
    assert {word.partition("=")[0] for word in words} <= options
    assert {"--write-reports", f"--config={MOUNTED}", "--mode=enforce"} == set(words)
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
                self.run(cluster, enabled, tmp_path)
            cluster.set_namespace("team", enforce="shared")
            self.run(cluster, enabled, tmp_path)
        assert asked(cluster) == granted(enabled, "gpuwarden-audit")

    def run(self, cluster: WorkloadServer, rendered: Rendered, home: Path) -> None:
        (home / "config.yaml").write_text(rendered.configuration_file)
        kubeconfig = write_kubeconfig(home / "kubeconfig", cluster.url, token="t")  # noqa: S106 - a test's own
        (container,) = pod_of(rendered)["containers"]
        arguments = [argument.replace(MOUNTED, str(home / "config.yaml")) for argument in container["args"]]
        environment = {"PATH": os.defpath, "HOME": str(home), "GPUWARDEN_KUBECONFIG": str(kubeconfig)}
        command = [sys.executable, "-m", "webhook", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def asked(cluster: WorkloadServer) -> set[tuple[str, str, str]]:
    """Verb, group and resource of each request, as RBAC sees them; discovery is everybody's."""
    found = set()
    for seen in cluster.requests:
        if seen.path == "/apis":
            continue
        match = re.fullmatch(
            r"/(?:api/v1|apis/(?P<group>[^/]+)(?:/[^/]+)?)"
            r"(?:/namespaces/[^/]+(?=/))?(?:/(?P<resource>[^/]+)(?P<name>/[^/]+)?)?",
            seen.path,
        )
        assert match, seen.path
        if match["resource"]:
            read = "get" if match["name"] else "list"
            verb = {"POST": "create", "PUT": "update", "DELETE": "delete", "GET": read}[seen.method]
            found.add((verb, match["group"] or "", match["resource"]))
    return found


def granted(rendered: Rendered, name: str) -> set[tuple[str, str, str]]:
    """What the ClusterRole of that name, which its ServiceAccount has, grants."""
    rules = rendered.the("ClusterRole", name)["rules"]
    (binding,) = (b for b in rendered.all("ClusterRoleBinding") if b["metadata"]["name"] == name)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "gpuwarden-system"}]
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def a_pod_of(namespace: str) -> Json:
    """A pod that asks for a GPU."""
    resources = {"limits": {"nvidia.com/gpu": "1"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train", "namespace": namespace, "uid": "u"},
        "spec": {"containers": [{"name": "train", "resources": resources}]},
    }

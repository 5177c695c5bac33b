"""The chart's audit CronJob on a real API server: its own command, as its own ServiceAccount, writes reports and no more.

Nothing runs Jobs here, so the command of the CronJob's container is run beside the cluster, with a token of the account that
the chart makes and the rights that the chart grants.
"""

import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from hack.render_manifests import NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart, Rendered
from tests.e2e.gpuwarden import PROGRAM
from tests.e2e.installation import render
from tests.e2e.objects import ENFORCE, GPU, deployment, pod, pod_spec
from tests.e2e.report_definitions import installed
from webhook.application.report_api import LABEL, LABEL_VALUE, REPORT_APIS, ReportApi

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
NAME = "gpuwarden-audit"
VALUES = {"audit": {"report": {"enabled": True}}, "namespace": {"create": True}}
# What the command needs in the cluster; the webhook itself is not installed.
KINDS = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding")


@dataclass
class Audit:
    """The CronJob's command, and who runs it."""

    rendered: Rendered
    control_plane: ControlPlane
    home: Path
    token: str

    def run(self) -> str:
        """Run it; what it says."""
        (container,) = self.rendered.the("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        mounted = f"--config={self.home / 'config.yaml'}"
        arguments = [mounted if argument.startswith("--config=") else argument for argument in container["args"]]
        assert mounted in arguments
        environment = {"HOME": str(self.home), "GPUWARDEN_KUBECONFIG": str(self.home / "kubeconfig")}
        done = subprocess.run(
            [PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def ask(self, method: str, path: str, body: Json | None = None) -> int:
        """What the API server answers to the account."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = json.dumps(body) if body is not None else None
        trust = ssl.create_default_context(cafile=str(self.control_plane.files.ca))
        with httpx.Client(base_url=self.control_plane.server, verify=trust, trust_env=False) as client:
            return client.request(method, path, headers=headers, content=content).status_code


@pytest.fixture(scope="module")
def audit(control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    """The chart's account with the chart's rights; the CronJob itself is accepted by the API server, and not made."""
    rendered = render(control_plane, chart, VALUES)
    objects = [o for o in rendered.objects if o["kind"] in KINDS]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    done = control_plane.kubectl("apply", "-f", "-", stdin=manifest)
    assert done.returncode == 0, done.stderr
    done = control_plane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(rendered.the("CronJob")))
    assert done.returncode == 0, done.stderr
    asked = {"spec": {"audiences": [], "expirationSeconds": 3600}}
    answer = control_plane.api.post(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token", json=asked)
    answer.raise_for_status()
    home = tmp_path_factory.mktemp("audit")
    (home / "config.yaml").write_text(rendered.configuration_file)
    token = answer.json()["status"]["token"]
    kubeconfig = json.loads(control_plane.kubeconfig().read_text())
    for user in kubeconfig["users"]:
        user["user"] = {"token": token}
    (home / "kubeconfig").write_text(json.dumps(kubeconfig))
    made = Audit(rendered, control_plane, home, token)
    wait_for("the authorizer to see its rights", lambda: made.ask("GET", "/api/v1/pods") == httpx.codes.OK)
    yield made
    rest = [o for o in objects if o["kind"] != "Namespace"]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": rest})
    done = control_plane.kubectl("delete", "--wait=false", "-f", "-", stdin=manifest)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", params=REPORT_APIS, ids=lambda api: api.group)
def api(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Iterator[ReportApi]:
    """Each API for reports, installed alone."""
    chosen: ReportApi = request.param
    with installed(control_plane, chosen):
        yield chosen


def in_namespace(api: ReportApi, namespace: str, name: str = "") -> str:
    return f"/apis/{api.api_version}/namespaces/{namespace}/{api.plural}" + (f"/{name}" if name else "")


def of_cluster(api: ReportApi, name: str) -> str:
    return f"/apis/{api.api_version}/{api.cluster_plural}/{name}"


def test_reports_are_written_changed_and_removed_and_others_are_left_alone(
    control_plane: ControlPlane, audit: Audit, api: ReportApi, make_namespace: Callable[..., str]
) -> None:
    team, mistyped, taken = (make_namespace({ENFORCE: policy}) for policy in ("shared", "sharde", "shared"))
    workloads = f"/apis/apps/v1/namespaces/{team}/deployments"
    train = deployment(pod_spec(GPU, count=2))
    train["spec"]["replicas"] = 0  # no pods: what is evaluated is the template
    control_plane.api.post(workloads, json=train).raise_for_status()
    control_plane.api.post(f"/apis/apps/v1/namespaces/{taken}/deployments", json=train).raise_for_status()
    for namespace, name in ((team, "kyverno"), (taken, "gpuwarden")):
        foreign = {"apiVersion": api.api_version, "kind": api.kind, "metadata": {"name": name}, "results": []}
        control_plane.api.post(in_namespace(api, namespace), json=foreign).raise_for_status()
    others = [control_plane.get(in_namespace(api, *place)) for place in ((team, "kyverno"), (taken, "gpuwarden"))]

    said = audit.run()

    report = control_plane.get(in_namespace(api, team, "gpuwarden"))
    assert report["metadata"]["labels"][LABEL] == LABEL_VALUE
    assert results(report) == [("fail", "shared-request-above-one", "Deployment", "train")]
    unreadable = control_plane.get(of_cluster(api, "gpuwarden"))
    assert ("fail", "unreadable-label", "Namespace", mistyped) in results(unreadable)
    assert "another report with that name exists" in said

    audit.run()  # nothing has changed: nothing is written
    assert control_plane.get(in_namespace(api, team, "gpuwarden")) == report

    fewer = {"spec": {"template": {"spec": {"containers": [{"name": "train", "resources": {"limits": {GPU: "1"}}}]}}}}
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    control_plane.api.patch(f"{workloads}/train", json=fewer, headers=headers).raise_for_status()
    relabel = {"metadata": {"labels": {ENFORCE: "shared"}}}
    control_plane.api.patch(f"/api/v1/namespaces/{mistyped}", json=relabel, headers=headers).raise_for_status()
    audit.run()
    changed = control_plane.get(in_namespace(api, team, "gpuwarden"))
    assert results(changed) == [("pass", "rewritten", "Deployment", "train")]
    assert changed["metadata"]["uid"] == report["metadata"]["uid"]
    cluster = control_plane.api.get(of_cluster(api, "gpuwarden"))
    assert cluster.status_code == httpx.codes.NOT_FOUND or mistyped not in cluster.text

    control_plane.api.request(
        "DELETE", f"{workloads}/train", json={"propagationPolicy": "Foreground"}
    ).raise_for_status()
    wait_until_gone(control_plane, f"{workloads}/train")
    audit.run()
    assert control_plane.api.get(in_namespace(api, team, "gpuwarden")).status_code == httpx.codes.NOT_FOUND
    assert others == [control_plane.get(in_namespace(api, *p)) for p in ((team, "kyverno"), (taken, "gpuwarden"))]


def results(report: Json) -> list[tuple[str, str, str, str]]:
    """Result, rule and workload of each line."""
    found = ((line, line["resources"][0]) for line in report["results"])
    return [(line["result"], line["rule"], subject["kind"], subject["name"]) for line, subject in found]


def wait_until_gone(control_plane: ControlPlane, path: str) -> None:
    wait_for(f"{path} to be gone", lambda: control_plane.api.get(path).status_code == httpx.codes.NOT_FOUND)


def test_the_account_may_read_workloads_and_nothing_else(
    control_plane: ControlPlane, audit: Audit, make_namespace: Callable[..., str]
) -> None:
    team = make_namespace()
    control_plane.api.post(f"/api/v1/namespaces/{team}/pods", json=pod(pod_spec("cpu"))).raise_for_status()
    secret = {"metadata": {"name": "token"}, "stringData": {"password": "hunter2"}}
    control_plane.api.post(f"/api/v1/namespaces/{team}/secrets", json=secret).raise_for_status()
    core, apps = f"/api/v1/namespaces/{team}", f"/apis/apps/v1/namespaces/{team}"

    allowed = {audit.ask("GET", path) for path in ("/api/v1/pods", "/api/v1/namespaces", "/apis/apps/v1/deployments")}
    assert allowed == {200}
    forbidden: list[tuple[str, str, Json | None]] = [
        ("GET", f"{core}/pods/train", None),
        ("DELETE", f"{core}/pods/train", None),
        ("POST", f"{core}/pods", pod(pod_spec("cpu"), "another")),
        ("PUT", f"{core}/pods/train", pod(pod_spec("cpu"))),
        ("GET", "/api/v1/secrets", None),
        ("GET", f"{core}/secrets/token", None),
        ("GET", "/api/v1/configmaps", None),
        ("GET", f"{core}/pods/train/log", None),
        ("POST", f"{core}/pods/train/eviction", {"metadata": {"name": "train"}}),
        ("POST", f"{apps}/deployments", deployment(pod_spec("cpu"))),
        ("DELETE", core, None),
        ("GET", "/api/v1/nodes", None),
        ("GET", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", None),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles", None),
        ("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token", {"spec": {"audiences": []}}),
    ]
    assert {(method, path): audit.ask(method, path, body) for method, path, body in forbidden} == {
        (method, path): 403 for method, path, _ in forbidden
    }
    assert control_plane.get(f"{core}/pods/train")["metadata"].get("deletionTimestamp") is None

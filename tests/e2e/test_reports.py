"""The chart's audit CronJob on a real API server: its own command, as its own ServiceAccount, writes reports and no more."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from hack.render_manifests import NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.objects import ENFORCE, GPU, deployment, pod, pod_spec
from tests.e2e.report_definitions import installed
from tests.e2e.report_jobs import ReportJob, account_of
from webhook.application.report_api import LABEL, LABEL_VALUE, REPORT_APIS, ReportApi

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
NAME = "gpuwarden-audit"
VALUES: Json = {"audit": {"report": {"enabled": True}}}


@pytest.fixture(scope="module")
def audit(control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportJob]:
    """The audit's CronJob and its account."""
    with account_of(control_plane, chart, NAME, VALUES, tmp_path_factory.mktemp("audit")) as job:
        yield job


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
    control_plane: ControlPlane, audit: ReportJob, api: ReportApi, make_namespace: Callable[..., str]
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
    control_plane: ControlPlane, audit: ReportJob, make_namespace: Callable[..., str]
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

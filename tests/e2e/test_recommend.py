"""``gpuwarden recommend`` on a real API server, and a real Prometheus that it finds by its Service and reaches through it.

The pods are those that the controllers made for the workloads, and the series name them.
"""

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from testing.gpu_usage import busy, device
from testing.prometheus import DAY, served, write_blocks
from tests.deploy.chart import Chart
from tests.e2e.fleet import MERGE_PATCH, Fleet
from tests.e2e.gpuwarden import PROGRAM
from tests.e2e.objects import GPU, deployment, pod_spec
from tests.e2e.report_definitions import installed
from tests.e2e.report_jobs import account_of
from tests.prometheus_programs import needed_programs
from webhook.application.report_api import REPORT_APIS

pytestmark = [pytest.mark.e2e, pytest.mark.programs]

Json = dict[str, Any]
A100 = ("NVIDIA A100-SXM4-40GB", 40_960)
WINDOW = 14 * DAY
LABELS = {"tenancy": "internal"}


def _own_address() -> str:
    """An address of this machine that a Service may have: not one of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no address other than loopback, and a Service can't have that")
        return str(one.getsockname()[0])


@pytest.fixture(scope="module")
def team(control_plane: ControlPlane, fleet: Fleet, module_namespaces: Any) -> str:
    """A namespace with two Deployments whose pods run."""
    name: str = module_namespaces.make(LABELS)
    spec = pod_spec(GPU, tolerated=True, selector={"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"})
    for app in ("notebook", "viewer"):
        body = deployment(spec, app)
        control_plane.api.post(f"/apis/apps/v1/namespaces/{name}/deployments", json=body).raise_for_status()
    wait_for("the pods to be scheduled", lambda: len(_pods(control_plane, name)) == 2)
    started = datetime.fromtimestamp(time.time() - 30 * DAY, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for pod in _pods(control_plane, name):
        _report(control_plane, name, pod, {"phase": "Running", "startTime": started})
    return name


def _pods(control_plane: ControlPlane, namespace: str) -> list[str]:
    """The names of the pods that are on a node."""
    pods = control_plane.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    return [one["metadata"]["name"] for one in pods if one["spec"].get("nodeName")]


def _report(control_plane: ControlPlane, namespace: str, pod: str, status: Json) -> None:
    """Report a pod's status, as its kubelet would."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/status"
    control_plane.api.patch(path, json={"status": status}, headers=MERGE_PATCH).raise_for_status()


@pytest.fixture(scope="module")
def prometheus(
    control_plane: ControlPlane, team: str, module_namespaces: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A Prometheus with two weeks of the pods' usage, behind a Service with the labels of kube-prometheus-stack; its URL."""
    program, promtool = needed_programs()
    folder = tmp_path_factory.mktemp("prometheus")
    begin = int(time.time()) // 60 * 60 - WINDOW
    of_container = {"exported_container": "train"}
    devices = [
        device(team, pod, model=A100, sm=busy(0.9, 0.03), used=2_000.0, labels=of_container)
        for pod in _pods(control_plane, team)
    ]
    write_blocks(promtool, devices, begin, folder)
    address = _own_address()
    with served(program, folder, host="0.0.0.0") as url:  # noqa: S104 - the API server does not connect to loopback
        port = int(url.rpartition(":")[2])
        monitoring = module_namespaces.make()
        core = f"/api/v1/namespaces/{monitoring}"
        container = {"name": "prometheus", "image": "prometheus", "ports": [{"containerPort": port}]}
        spec = {"nodeName": "cpu", "containers": [container]}
        metadata = {"name": "prometheus-0", "labels": {"app": "p"}}
        control_plane.api.post(f"{core}/pods", json={"metadata": metadata, "spec": spec}).raise_for_status()
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        _report(
            control_plane,
            monitoring,
            "prometheus-0",
            {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], **ready},
        )
        service = {
            "metadata": {"name": "kps-prometheus", "labels": {"app": "kube-prometheus-stack-prometheus"}},
            "spec": {"selector": {"app": "p"}, "ports": [{"name": "http-web", "port": 9090, "targetPort": port}]},
        }
        control_plane.api.post(f"{core}/services", json=service).raise_for_status()
        proxied = f"{core}/services/kps-prometheus:9090/proxy/-/ready"
        wait_for("the Service to have its pod", lambda: control_plane.api.get(proxied).is_success)
        yield url


def _run(control_plane: ControlPlane, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"HOME": str(folder), "KUBECONFIG": str(control_plane.kubeconfig())}
    return subprocess.run(
        [PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.usefixtures("prometheus")
def test_the_printed_commands_preview_and_set_the_recommended_policy(
    control_plane: ControlPlane, team: str, tmp_path: Path
) -> None:
    saved = tmp_path / "usage.json"
    found = _run(
        control_plane, tmp_path, "recommend", "-n", team, "--trusted", "tenancy=internal", "--save", str(saved)
    )
    assert (found.returncode, found.stderr) == (0, "")
    for name in ("notebook", "viewer"):
        assert f"Deployment {name}: time-slicing\n  asks    nvidia.com/gpu: 1; 1 pod runs\n" in found.stdout
    assert "policy time-slicing: 2 of 2 workloads fit\n" in found.stdout
    assert _run(control_plane, tmp_path, "recommend", "--usage", str(saved)).stdout == found.stdout

    lines = dict(line.split(maxsplit=1) for line in found.stdout.splitlines() if line[2:9] in {"preview", "set    "})
    program, *preview = shlex.split(lines["preview"])
    assert program == "gpuwarden"
    audited = _run(control_plane, tmp_path, *preview, "-o", "json")
    assert audited.returncode == 0, audited.stderr
    assert {one["decision"] for one in json.loads(audited.stdout)["objects"]} == {"rewritten"}

    program, *label = shlex.split(lines["set"])
    assert program == "kubectl"
    assert control_plane.kubectl(*label).returncode == 0
    again = _run(control_plane, tmp_path, "recommend", "-n", team, "--trusted", "tenancy=internal")
    assert "its label already names it" in again.stdout
    assert "kubectl label" not in again.stdout


@pytest.mark.usefixtures("prometheus")
@pytest.mark.parametrize("label", ["=x", "a b=c"])
def test_what_the_api_server_rejects_names_the_option_or_the_fix(
    control_plane: ControlPlane, tmp_path: Path, label: str
) -> None:
    ran = _run(control_plane, tmp_path, "recommend", "-n", "nosuch")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.endswith('404 namespaces "nosuch" not found; check the name\n')
    ran = _run(control_plane, tmp_path, "recommend", "--trusted", label)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(
        f'error: --trusted: "{label}" is not a label and its value (GET /api/v1/namespaces: 400 '
    )


def test_the_cron_job_writes_reports_as_its_account_and_may_do_no_more(  # noqa: PLR0913, PLR0917 - fixtures
    control_plane: ControlPlane,
    chart: Chart,
    team: str,
    prometheus: str,
    make_namespace: Callable[..., str],
    tmp_path: Path,
) -> None:
    report: Json = {"enabled": True, "prometheus": {"url": prometheus}, "trusted": ["tenancy=internal"]}
    values = {"recommend": {"report": report}}
    (api, *_) = REPORT_APIS
    with (
        installed(control_plane, api),
        account_of(control_plane, chart, "gpuwarden-recommend", values, tmp_path) as job,
    ):
        assert "0 updated, 0 unchanged, 0 removed" in job.run()
        path = f"/apis/{api.api_version}/namespaces/{team}/{api.plural}/gpuwarden-recommendation"
        written = control_plane.get(path)
        rules = {line["resources"][0]["name"]: line["rule"] for line in written["results"]}
        assert rules == {team: "recommended-policy", "notebook": "shared", "viewer": "shared"}
        assert "0 created, 0 updated, " in job.run()
        assert control_plane.get(path) == written
        other = make_namespace()
        core = f"/api/v1/namespaces/{other}"
        assert {
            job.ask("GET", "/api/v1/secrets"),
            job.ask("GET", "/api/v1/services"),
            job.ask("DELETE", f"/api/v1/namespaces/{team}/pods/x"),
            job.ask("POST", f"{core}/pods", {"metadata": {"name": "x"}}),
            job.ask("POST", f"{core}/services/x:80/proxy/"),
            job.ask("PATCH", core, {"metadata": {"labels": {}}}),
        } == {403}

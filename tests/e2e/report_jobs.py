"""The chart's CronJobs that write reports: their own command, as their own ServiceAccount.

Nothing runs Jobs here, so the command of the CronJob's container is run beside the cluster, with a token of the account that
the chart makes and the rights that the chart grants.
"""

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hack.render_manifests import NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart, Rendered
from tests.e2e.gpuwarden import PROGRAM
from tests.e2e.installation import render

Json = dict[str, Any]
# What the command needs in the cluster; the webhook itself is not installed.
KINDS = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding")


@dataclass
class ReportJob:
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


@contextmanager
def account_of(control_plane: ControlPlane, chart: Chart, name: str, values: Json, home: Path) -> Iterator[ReportJob]:
    """The chart's account of this name with the chart's rights; the CronJob is accepted by the API server, and not made."""
    rendered = render(control_plane, chart, {"namespace": {"create": True}, **values})
    objects = [o for o in rendered.objects if o["kind"] in KINDS]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    done = control_plane.kubectl("apply", "-f", "-", stdin=manifest)
    assert done.returncode == 0, done.stderr
    done = control_plane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(rendered.the("CronJob")))
    assert done.returncode == 0, done.stderr
    asked = {"spec": {"audiences": [], "expirationSeconds": 3600}}
    answer = control_plane.api.post(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{name}/token", json=asked)
    answer.raise_for_status()
    (home / "config.yaml").write_text(rendered.configuration_file)
    token = answer.json()["status"]["token"]
    kubeconfig = json.loads(control_plane.kubeconfig().read_text())
    for user in kubeconfig["users"]:
        user["user"] = {"token": token}
    (home / "kubeconfig").write_text(json.dumps(kubeconfig))
    made = ReportJob(rendered, control_plane, home, token)
    wait_for("the authorizer to see its rights", lambda: made.ask("GET", "/api/v1/pods") == httpx.codes.OK)
    try:
        yield made
    finally:
        rest = [o for o in objects if o["kind"] != "Namespace"]
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": rest})
        done = control_plane.kubectl("delete", "--wait=false", "-f", "-", stdin=manifest)
        assert done.returncode == 0, done.stderr

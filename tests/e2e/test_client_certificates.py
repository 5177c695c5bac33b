"""An API server that is told to show webhooks a certificate is served; one that isn't is refused, and failurePolicy acts."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
import trustme

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.programs import Programs
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, SHARED, limits_of, pod, pod_spec

pytestmark = pytest.mark.e2e

API_SERVER = "kube-apiserver"
CLIENTS = trustme.CA()


def write_admission_configuration(folder: Path) -> Path:
    """The files of docs/how-to/client-certificates.md: the API server's configuration, and the kubeconfig that it names."""
    leaf = CLIENTS.issue_cert("client.invalid", common_name=API_SERVER)
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "users": [
            {
                "name": "*",  # here are no Services, whose names would stand here
                "user": {
                    "client-certificate-data": base64.b64encode(leaf.cert_chain_pems[0].bytes()).decode(),
                    "client-key-data": base64.b64encode(leaf.private_key_pem.bytes()).decode(),
                },
            }
        ],
    }
    (folder / "webhooks.kubeconfig").write_text(json.dumps(kubeconfig))
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {
                "name": plugin,
                "configuration": {
                    "apiVersion": "apiserver.config.k8s.io/v1",
                    "kind": "WebhookAdmissionConfiguration",
                    "kubeConfigFile": str(folder / "webhooks.kubeconfig"),
                },
            }
            for plugin in ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook")
        ],
    }
    path = folder / "admission.json"
    path.write_text(json.dumps(configuration))
    return path


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clients") / "ca.crt"
    CLIENTS.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="module")
def certified(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own, whose API server shows webhooks a certificate."""
    folder = tmp_path_factory.mktemp("certified")
    flag = f"--admission-control-config-file={write_admission_configuration(folder)}"
    with ControlPlane(programs, folder / "control-plane", apiserver_flags=[flag]) as running:
        yield running


def attempt(control_plane: ControlPlane) -> httpx.Response:
    """Create a pod that asks for a GPU, without leaving one."""
    manifest = pod({**pod_spec(GPU), "automountServiceAccountToken": False})
    return control_plane.api.post("/api/v1/namespaces/guarded/pods", params={"dryRun": "All"}, json=manifest)


def make_guarded_namespace(control_plane: ControlPlane) -> None:
    manifest = {"metadata": {"name": "guarded", "labels": {ENFORCE: "shared"}}}
    control_plane.api.post("/api/v1/namespaces", json=manifest).raise_for_status()
    account = "/api/v1/namespaces/guarded/serviceaccounts/default"
    wait_for("the namespace's service account", lambda: control_plane.get(account))


def replace_replicas(installation: Installation, options: Sequence[str]) -> None:
    """Put a replica with other options in the place of those that run."""
    old = list(installation.replicas)
    installation.wait_until_serving(installation.start_replica(*options))
    for replica in old:
        replica.process.kill()
        installation.forget(replica)
    for relay in installation.relays.values():
        relay.cut()


def test_with_its_certificate_it_is_served_and_with_another_name_it_is_told_why_not(
    certified: ControlPlane, chart: Chart, authorities: Path, tmp_path: Path
) -> None:
    asking = f"--client-ca-file={authorities}"
    with Installation(certified, chart, tmp_path) as installation:
        make_guarded_namespace(certified)
        replace_replicas(installation, [asking, f"--allowed-cn={API_SERVER}"])
        assert limits_of(attempt(certified).json()) == [{SHARED: "1"}]
        (replica,) = installation.replicas
        assert replica.metric("gpuwarden_rejected_total", port="admission") == 0

        replace_replicas(installation, [asking, "--allowed-cn=someone-else"])
        refused = attempt(certified)
        assert refused.status_code == httpx.codes.INTERNAL_SERVER_ERROR
        assert 'failed calling webhook "validate.gpuwarden.io"' in refused.json()["message"]
        assert f'common name is "{API_SERVER}", which is not allowed' in refused.json()["message"]
        (replica,) = installation.replicas
        assert replica.metric("gpuwarden_rejected_total", port="admission", reason="common-name") > 0


def test_without_a_certificate_it_is_refused_and_the_failure_policy_acts(
    control_plane: ControlPlane, chart: Chart, authorities: Path, tmp_path: Path
) -> None:
    with Installation(control_plane, chart, tmp_path) as installation:
        make_guarded_namespace(control_plane)
        try:
            assert limits_of(attempt(control_plane).json()) == [{SHARED: "1"}], "the control"
            replace_replicas(installation, [f"--client-ca-file={authorities}"])
            refused = attempt(control_plane)
            assert refused.status_code == httpx.codes.INTERNAL_SERVER_ERROR
            assert 'failed calling webhook "validate.gpuwarden.io"' in refused.json()["message"]
            (replica,) = installation.replicas
            assert replica.metric("gpuwarden_rejected_total", port="admission", reason="certificate") > 0
        finally:
            control_plane.api.delete("/api/v1/namespaces/guarded")

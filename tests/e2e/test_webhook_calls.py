"""The API server reaches a webhook of the tests' by URL, on loopback, and only if it trusts its certificate."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tests.e2e.cluster import ControlPlane
from tests.e2e.waiting import wait_for

pytestmark = pytest.mark.e2e


class Refuse(BaseHTTPRequestHandler):
    """Refuses whatever it is asked about."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        verdict = {"uid": request["uid"], "allowed": False, "status": {"message": "refused by the test"}}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": verdict})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook(control_plane: ControlPlane, tmp_path: Path) -> Iterator[str]:
    """The URL of a webhook that refuses everything; its certificate is signed by the control plane's authority."""
    pair = tmp_path / "webhook.pem"
    control_plane.authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pair))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair)
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@contextmanager
def registered(control_plane: ControlPlane, namespace: str, url: str, authority: trustme.CA) -> Iterator[None]:
    """Register a webhook for the pods of one namespace."""
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "refuse.gpuwarden.test",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "timeoutSeconds": 5,
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "namespaceSelector": {"matchLabels": {"case": namespace}},
                "clientConfig": {"url": url, "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode()},
            }
        ],
    }
    label = control_plane.kubectl("label", "namespace", namespace, f"case={namespace}")
    assert label.returncode == 0, label.stderr
    made = control_plane.kubectl("create", "-f", "-", stdin=json.dumps(configuration))
    assert made.returncode == 0, made.stderr
    try:
        yield
    finally:
        control_plane.kubectl("delete", "validatingwebhookconfiguration", namespace)


def why_a_pod_is_refused(control_plane: ControlPlane, namespace: str) -> str:
    """Try to create a pod without leaving one; what kubectl says when it is refused, nothing when it is not."""
    run = ("run", "train", "--image=example.test/train", "--restart=Never", "--dry-run=server")
    done = control_plane.kubectl(*run, "-n", namespace)
    return done.stderr if done.returncode else ""


def test_a_webhook_by_url_decides_about_pods(control_plane: ControlPlane, namespace: str, webhook: str) -> None:
    assert why_a_pod_is_refused(control_plane, namespace) == ""
    with registered(control_plane, namespace, webhook, control_plane.authority):
        refusal = wait_for("the webhook to be called", lambda: why_a_pod_is_refused(control_plane, namespace))
        assert 'admission webhook "refuse.gpuwarden.test" denied the request: refused by the test' in refusal
        assert why_a_pod_is_refused(control_plane, "default") == ""
    wait_for("the webhook to be forgotten", lambda: not why_a_pod_is_refused(control_plane, namespace))


def test_a_webhook_whose_certificate_another_authority_signed_is_not_asked(
    control_plane: ControlPlane, namespace: str, webhook: str
) -> None:
    with registered(control_plane, namespace, webhook, trustme.CA()):
        refusal = wait_for("the webhook to be called", lambda: why_a_pod_is_refused(control_plane, namespace))
        assert "failed calling webhook" in refusal
        assert "x509: certificate signed by unknown authority" in refusal
        assert "refused by the test" not in refusal

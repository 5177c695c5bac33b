"""Webhooks that are not gpuwarden's: a server that answers as the test says, and its registration for one namespace."""

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

from testing.control_plane.cluster import ControlPlane

Json = dict[str, Any]
Answer = Callable[[Json], Json]

MUTATING, VALIDATING = "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"


def refusing(message: str) -> Answer:
    """An answer that refuses whatever is asked about."""
    return lambda _request: {"allowed": False, "status": {"message": message}}


def patching(make: Callable[[Json], Sequence[Json]]) -> Answer:
    """An answer that changes the object by the JSON Patch that ``make`` makes of it; none where that is empty."""

    def answer(request: Json) -> Json:
        operations = list(make(request["object"]))
        if not operations:
            return {"allowed": True}
        patch = base64.b64encode(json.dumps(operations).encode()).decode()
        return {"allowed": True, "patchType": "JSONPatch", "patch": patch}

    return answer


@contextmanager
def serving(authority: trustme.CA, directory: Path, answer: Answer) -> Iterator[str]:
    """Serve a webhook on loopback, with a certificate of ``authority``, for the body of a ``with``; its URL."""
    pair = directory / "webhook.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pair))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
            response = {"uid": request["uid"], **answer(request)}
            review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
            body = json.dumps(review).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def registered(  # noqa: PLR0913 - what a webhook configuration consists of
    control_plane: ControlPlane,
    kind: str,
    name: str,
    *,
    namespace: str,
    url: str,
    authority: trustme.CA,
    **more: str,
) -> Iterator[None]:
    """Register a webhook for the pods that are created in one namespace, for the body of a ``with``.

    Args:
        control_plane: where.
        kind: ``MUTATING`` or ``VALIDATING``.
        name: the configuration's; mutating webhooks are called in the order of these.
        namespace: gets a label by which it is selected.
        url: of the webhook.
        authority: goes into the ``caBundle``.
        more: further fields of the webhook, such as ``reinvocationPolicy``.
    """
    webhook = {
        "name": f"{name}.gpuwarden.test",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": {"case": namespace}},
        "clientConfig": {"url": url, "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode()},
        **more,
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": [webhook],
    }
    label = control_plane.kubectl("label", "--overwrite", "namespace", namespace, f"case={namespace}")
    assert label.returncode == 0, label.stderr
    made = control_plane.kubectl("create", "-f", "-", stdin=json.dumps(configuration))
    assert made.returncode == 0, made.stderr
    try:
        yield
    finally:
        control_plane.kubectl("delete", kind, name)

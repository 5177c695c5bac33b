"""The certificates and path tokens of an installation, as they are in the cluster and on the wire."""

import base64
import ssl

import httpx
from cryptography import x509

from testing.control_plane.cluster import ControlPlane
from testing.reviews import a_pod, a_review, encode
from tests.e2e.installation import CONFIGURATION_KINDS, SECRET, configuration_path
from webhook.application.certificates.tokens import token_of


def current_ca(control_plane: ControlPlane) -> x509.Certificate:
    """The authority in the CA Secret that signs now."""
    pem: str = control_plane.get(SECRET)["data"]["ca.crt"]
    return x509.load_pem_x509_certificate(base64.b64decode(pem))


def bundles(control_plane: ControlPlane) -> list[bytes]:
    """The ``caBundle`` of every webhook of ours."""
    webhooks = [
        webhook for kind in CONFIGURATION_KINDS for webhook in control_plane.get(configuration_path(kind))["webhooks"]
    ]
    return [base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in webhooks]


def issuer_of_what_is_served(port: int) -> str:
    """Who signed the certificate that a replica serves."""
    served = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port), timeout=30).encode())
    return served.issuer.rfc4514_string()


def targets(control_plane: ControlPlane) -> dict[str, str]:
    """What the API server calls for every webhook of ours, by its name: a URL, or the path of a Service."""
    webhooks = [w for kind in CONFIGURATION_KINDS for w in control_plane.get(configuration_path(kind))["webhooks"]]
    clients = {webhook["name"]: webhook["clientConfig"] for webhook in webhooks}
    return {name: client.get("url") or client["service"].get("path", "") for name, client in clients.items()}


def tokens(control_plane: ControlPlane) -> set[str]:
    """The tokens that the paths of our webhooks carry: one, where nothing is under way; empty, where one carries none."""
    return {token_of(name, target) for name, target in targets(control_plane).items()}


def stranger_status(port: int, path: str) -> int:
    """How a replica answers a review of somebody who only reaches its port."""
    with httpx.Client(verify=False, trust_env=False) as client:  # noqa: S501 - a stranger need not trust it
        return client.post(
            f"https://127.0.0.1:{port}{path}",
            content=encode(a_review(a_pod(), namespace="default")),
            headers={"Content-Type": "application/json"},
        ).status_code

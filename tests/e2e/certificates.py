"""The certificates of an installation, as they are in the cluster and on the wire."""

import base64
import ssl

from cryptography import x509

from tests.e2e.cluster import ControlPlane
from tests.e2e.installation import CONFIGURATION_KINDS, SECRET, configuration_path


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
    served = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port), timeout=5).encode())
    return served.issuer.rfc4514_string()

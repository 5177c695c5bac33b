"""Certificates and kubeconfig files: one authority for the servers and every client."""

import base64
import json
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ADMIN = "admin"
# Users whose name alone would give them nothing: RBAC knows them by their group.
GROUPS = {ADMIN: "system:masters"}


def write_service_account_key(to: Path) -> None:
    """Write a new key for service account tokens, in the form that every version reads: ``EC PRIVATE KEY``."""
    key = ec.generate_private_key(ec.SECP256R1())
    to.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def write_serving_pair(authority: trustme.CA, certificate: Path, key: Path) -> None:
    """Write a serving certificate for the loopback address and the names that the API server goes by."""
    leaf = authority.issue_cert("127.0.0.1", "localhost", "kubernetes.default.svc")
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())


def write_kubeconfig(authority: trustme.CA, server: str, user: str, group: str | None, to: Path) -> None:
    """Write a kubeconfig with a client certificate: the user is its common name, the group its organization.

    The file is JSON, which every reader of kubeconfigs takes for YAML, with its certificates inside.
    """
    leaf = _client_certificate(authority, user, group)
    name = "control-plane"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, "certificate-authority-data": _text(authority.cert_pem.bytes())},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _text(leaf.cert_chain_pems[0].bytes()),
                    "client-key-data": _text(leaf.private_key_pem.bytes()),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    to.write_text(json.dumps(content, indent=1))
    to.chmod(0o600)


def write_client_pair(authority: trustme.CA, user: str, group: str | None, to: Path) -> None:
    """Write a client's certificate and key into one PEM file, as Python's ssl module reads it."""
    leaf = _client_certificate(authority, user, group)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(to))
    to.chmod(0o600)


def _client_certificate(authority: trustme.CA, user: str, group: str | None) -> trustme.LeafCert:
    # A host name that means nothing here: Go refuses a certificate whose list of names is critical and empty.
    return authority.issue_cert(
        "client.invalid", common_name=user, organization_name=group or GROUPS.get(user, "users")
    )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()

"""Every way to log in to an API server works in the image, where most of the official client has been removed."""

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.image.image import Image, Ran

AUTHORITY = trustme.CA()
HERE = "/login"
EXEC_PLUGIN = """\
#!/bin/sh
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "from-the-plugin"}}'
"""


@pytest.fixture
def secure() -> Iterator[StandIn]:
    """An API server over TLS, which asks for a certificate and takes whatever is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    with StandIn(context) as stand_in:
        yield stand_in


def doctor(image: Image, server: StandIn, folder: Path, user: dict[str, Any]) -> Ran:
    """Run ``gpuwarden doctor`` with a kubeconfig."""
    AUTHORITY.cert_pem.write_to_path(folder / "ca.crt")
    kubeconfig = write_kubeconfig(folder / "kubeconfig", server.url, **user)
    content = json.loads(kubeconfig.read_text())
    content["clusters"][0]["cluster"]["certificate-authority"] = f"{HERE}/ca.crt"
    kubeconfig.write_text(json.dumps(content))
    return image.run(image.entrypoint("doctor", "--kubeconfig", f"{HERE}/kubeconfig"), mounts={folder: HERE})


def authorizations(server: StandIn) -> set[str | None]:
    """What the requests said about who asks."""
    assert server.requests
    return {seen.headers["Authorization"] for seen in server.requests}


def test_with_a_token(image: Image, secure: StandIn, mounted: Path) -> None:
    ran = doctor(image, secure, mounted, {"token": "s3cret"})
    assert authorizations(secure) == {"Bearer s3cret"}, ran.err


def test_with_a_token_in_a_file(image: Image, secure: StandIn, mounted: Path) -> None:
    (mounted / "token").write_text("s3cret\n")
    ran = doctor(image, secure, mounted, {"tokenFile": f"{HERE}/token"})
    assert authorizations(secure) == {"Bearer s3cret"}, ran.err


def test_with_a_plugin(image: Image, secure: StandIn, mounted: Path) -> None:
    plugin = mounted / "plugin"
    plugin.write_text(EXEC_PLUGIN)
    plugin.chmod(0o755)
    exec_ = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": f"{HERE}/plugin", "interactiveMode": "Never",
    }  # fmt: skip
    ran = doctor(image, secure, mounted, {"exec": exec_})
    assert authorizations(secure) == {"Bearer from-the-plugin"}, ran.err


@pytest.mark.parametrize("shown", ["a certificate", ""])
def test_with_a_client_certificate(image: Image, mounted: Path, shown: str) -> None:
    """The server lets nobody in without one, which the second case shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    leaf = AUTHORITY.issue_cert("client.invalid", common_name="alice")
    leaf.cert_chain_pems[0].write_to_path(mounted / "client.crt")
    leaf.private_key_pem.write_to_path(mounted / "client.key")
    user = {"client-certificate": f"{HERE}/client.crt", "client-key": f"{HERE}/client.key"} if shown else {}
    with StandIn(context) as server:
        ran = doctor(image, server, mounted, user)
        assert bool(server.requests) is bool(shown), ran.err


def test_with_the_account_of_a_pod(image: Image, secure: StandIn, mounted: Path) -> None:
    AUTHORITY.cert_pem.write_to_path(mounted / "ca.crt")
    (mounted / "token").write_text("of-the-pod")
    ran = image.run(
        image.entrypoint("doctor"), mounts={mounted: "/run/secrets/kubernetes.io/serviceaccount"},
        KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT=str(secure.port),
    )  # fmt: skip
    assert {str(sent).lower() for sent in authorizations(secure)} == {"bearer of-the-pod"}, ran.err


def test_without_a_cluster_it_says_so(image: Image) -> None:
    ran = image.run(image.entrypoint("doctor"))
    assert ran.code == 2
    assert "no cluster" in ran.err
    assert "Traceback" not in ran.err


def test_certificates_inside_a_kubeconfig_need_a_folder_and_it_says_so(
    image: Image, secure: StandIn, mounted: Path
) -> None:
    kubeconfig = write_kubeconfig(mounted / "kubeconfig", secure.url, token="s3cret")  # noqa: S106 - a test's own
    content = json.loads(kubeconfig.read_text())
    authority = base64.b64encode(AUTHORITY.cert_pem.bytes()).decode()
    content["clusters"][0]["cluster"]["certificate-authority-data"] = authority
    kubeconfig.write_text(json.dumps(content))
    ran = image.run(image.entrypoint("doctor", "--kubeconfig", f"{HERE}/kubeconfig"), mounts={mounted: HERE})
    assert ran.code == 2
    assert "make /tmp writable" in " ".join(ran.err.split())

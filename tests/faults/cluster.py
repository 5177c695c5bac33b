"""A cluster of stand-ins for real replicas: an API server that keeps namespaces, the Secret and the webhook configurations."""

import base64
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme

from testing.reviews import Json
from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.cli.serving import Served

SERVICE = "gpuwarden.gpuwarden-system.svc"
SECRET = "/api/v1/namespaces/gpuwarden-system/secrets/gpuwarden-ca"  # noqa: S105 - a path
CONFIGURATIONS = {
    kind: f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}s/gpuwarden"
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
}
_UNRELATED = trustme.CA()  # `Served` wants an authority; what is served here is evaluated by the bundles alone


def register(apiserver: StandIn) -> None:
    """Put our webhook configurations there, without a bundle, as the chart does."""
    for kind, path in CONFIGURATIONS.items():
        webhooks: list[Json] = [{"name": f"{kind[:8].lower()}.gpuwarden.io", "clientConfig": {"url": "https://x"}}]
        apiserver.store(path, {"kind": kind, "metadata": {"name": "gpuwarden"}, "webhooks": webhooks})


def bundles(apiserver: StandIn) -> list[str]:
    """The ``caBundle`` of every webhook, as PEM; an API server trusts exactly this."""
    with apiserver.changed:
        found = [
            hook["clientConfig"].get("caBundle", "")
            for p in CONFIGURATIONS.values()
            for hook in apiserver.objects[p]["webhooks"]
        ]
    return [base64.b64decode(bundle).decode() for bundle in found]


def shared_state(apiserver: StandIn) -> tuple[Any, list[str]]:
    """What all replicas rely on: the Secret's data and the bundles."""
    with apiserver.changed:
        return apiserver.objects.get(SECRET, {}).get("data"), bundles(apiserver)


def why_refused(port: int, bundle: str) -> str:
    """Why an API server with this bundle can't call who listens on a port; empty when it can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=bundle)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=SERVICE) as secured,
        ):
            # The answer, not only the handshake: in TLS 1.3 a server may refuse after the client is done with it.
            secured.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            return "" if secured.recv(1) else "hung up"
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        return str(error) or type(error).__name__


def refusals(apiserver: StandIn, port: int) -> list[str]:
    """Why API servers refuse a replica, one for each bundle that does."""
    return [reason for bundle in bundles(apiserver) if (reason := why_refused(port, bundle))]


def login(folder: Path, apiserver: StandIn, token: str = "t") -> Path:  # noqa: S107 - a test's own
    """A kubeconfig for the stand-in."""
    return write_kubeconfig(folder / f"kubeconfig-{token}", apiserver.url, token=token)


def managed(
    kubeconfig: Path, *, leaf: float = 604800, ca: float = 31536000, skew: float = 600, propagation: float = 1
) -> list[str | Path]:
    """The options of a replica that keeps the certificates together with the others; lifetimes in seconds."""
    return [
        *("--kubeconfig", kubeconfig, "--manage-certificates"),
        *("--leaf-lifetime", str(leaf), "--ca-lifetime", str(ca)),
        *("--clock-skew", str(skew), "--propagation", str(propagation)),
    ]


def replica(*options: str | Path, command: tuple[str, ...] | None = None, **variables: str) -> Served:
    """A real replica, once it serves."""
    return Served(*options, authority=_UNRELATED, command=command, **variables)


def parts(served: Served) -> dict[str, Json]:
    """What ``/readyz`` says, by part."""
    return {part["name"]: part for part in served.ops("/readyz").json()["parts"]}


def ready(served: Served) -> bool:
    """Whether it says that it is ready."""
    return served.ops("/readyz").code == 200


def within(seconds: float, holds: Callable[[], Any], what: str, every: float = 0.05) -> float:
    """Wait until something holds; how many seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds} s"
        time.sleep(every)
    return time.monotonic() - began

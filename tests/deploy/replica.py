"""One replica as the chart would start it: the container's own command line and environment, its volumes as folders here."""

import json
import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from testing.control_plane.processes import Process, free_port
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Rendered

GPUWARDEN = (sys.executable, "-m", "webhook")
MOUNTS = "/etc/gpuwarden"


@dataclass
class Replica:
    """A running replica."""

    process: Process
    port: int
    ops_port: int

    def review(self, path: str, body: bytes, trusted: str, name: str) -> httpx.Response:
        """Ask as the API server does: trusting a caBundle, and insisting on the Service's name."""
        context = ssl.create_default_context(cadata=trusted)
        with httpx.Client(verify=context, trust_env=False) as client:
            return client.post(
                f"https://127.0.0.1:{self.port}{path}?timeout=3s",
                content=body,
                headers={"Content-Type": "application/json"},
                extensions={"sni_hostname": name},
            )

    def readiness(self) -> httpx.Response:
        """Ask whether it is ready."""
        return httpx.get(f"http://127.0.0.1:{self.ops_port}/readyz", trust_env=False)


@contextmanager
def replica(rendered: Rendered, kubeconfig: Path, mounted: Mapping[str, str], folder: Path) -> Iterator[Replica]:
    """Start a replica.

    Args:
        rendered: the chart's output.
        kubeconfig: in place of the pod's own account.
        mounted: the files that its volumes hold, by their paths in the container.
        folder: where they are laid.
    """
    for path, content in mounted.items():
        file = folder / path.removeprefix(f"{MOUNTS}/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    ports = {"--port": free_port(), "--ops-port": free_port()}
    arguments = [_here(argument, ports, folder) for argument in rendered.arguments]
    environment = {"PATH": os.defpath, "HOME": str(folder), "GPUWARDEN_KUBECONFIG": str(kubeconfig)}
    namespace = rendered.the("Deployment")["metadata"]["namespace"]
    environment |= {
        variable["name"]: namespace for variable in rendered.container["env"]
    }  # all are the pod's namespace
    process = Process("gpuwarden", [*GPUWARDEN, *arguments], folder / "log", environment)
    try:
        yield Replica(process, ports["--port"], ports["--ops-port"])
    finally:
        process.kill()


def _here(argument: str, ports: Mapping[str, int], folder: Path) -> str:
    name, _, value = argument.partition("=")
    if name in ports:
        return f"{name}={ports[name]}"
    return f"{name}={folder}{value.removeprefix(MOUNTS)}" if value.startswith(MOUNTS) else argument


def wait_until_ready(running: Replica) -> None:
    """Wait until it says that it is ready; the end of its log comes with the failure."""

    def ready() -> bool:
        return running.process.exit_code is not None or running.readiness().status_code == httpx.codes.OK

    try:
        wait_for("the replica to be ready", ready)
    except TimeoutError as error:
        try:
            said = json.dumps(running.readiness().json())
        except httpx.HTTPError:
            said = "nothing"
        raise AssertionError(f"{error}; /readyz: {said}\n{running.process.tail()}") from error
    assert running.process.exit_code is None, running.process.tail()

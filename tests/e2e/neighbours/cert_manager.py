"""cert-manager: its CRDs, its controller and its cainjector, and gpuwarden with certificates of theirs."""

from pathlib import Path
from typing import Any, Self

from hack.render_manifests import NAME, NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.processes import Process
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.gpuwarden import Replica
from tests.e2e.installation import Installation
from tests.e2e.neighbours.mount import Mount
from tests.e2e.neighbours.programs import built, crds
from tests.e2e.objects import as_list
from tests.e2e.post_render import with_local_services

CONTROLLER, CAINJECTOR = "cert-manager-controller", "cert-manager-cainjector"
CERTIFICATES = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificates"
SECRETS = (f"{NAME}-tls", f"{NAME}-issuer")
TLS_SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/{NAME}-tls"

Json = dict[str, Any]


class CertManager:
    """cert-manager beside the control plane. A context manager: leaving it ends its programs and removes its CRDs."""

    def __init__(self, control_plane: ControlPlane, directory: Path) -> None:
        """Find its programs, or skip the test; ``directory`` takes their logs."""
        self._control_plane = control_plane
        self._directory = directory
        self._programs = {name: built(name) for name in (CONTROLLER, CAINJECTOR)}
        self._crds = crds("cert-manager")
        self._crd_names = [crd["metadata"]["name"] for crd in self._crds]
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Install the CRDs."""
        done = self._control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=as_list(tuple(self._crds)))
        assert done.returncode == 0, done.stderr
        established = ("--for=condition=Established", "--timeout=60s")
        waited = self._control_plane.kubectl("wait", *established, "crd", *self._crd_names)
        assert waited.returncode == 0, waited.stderr
        return self

    def __exit__(self, *_: object) -> None:
        """End the programs, and remove the CRDs with all objects."""
        for process in self._processes.values():
            process.kill()
        self._control_plane.kubectl("delete", "--ignore-not-found", "crd", *self._crd_names)

    def start(self, name: str) -> None:
        """Start one of its programs."""
        kubeconfig = self._control_plane.kubeconfig("cert-manager", "system:masters")
        command = [str(self._programs[name]), f"--kubeconfig={kubeconfig}"]
        environment = {"HOME": str(self._directory)}
        self._processes[name] = Process(name, command, self._directory / f"{name}.log", environment)

    def stop(self, name: str) -> None:
        """End one of its programs."""
        self._processes[name].stop()

    def tails(self) -> str:
        """The end of its programs' logs."""
        return "\n".join(f"{process.name}:\n{process.tail()}" for process in self._processes.values())


class CertManagerInstallation(Installation):
    """gpuwarden with ``certificates.mode: cert-manager``. Its Service leads to loopback: its name is in the certificates."""

    def __init__(self, control_plane: ControlPlane, chart: Chart, directory: Path, settings: Json) -> None:
        """Render the chart with these ``certificates.certManager`` values."""
        values = {"certificates": {"mode": "cert-manager", "certManager": settings}}
        super().__init__(control_plane, chart, directory, values=values, replicas=2)
        self.objects = with_local_services(self.rendered.objects, self.ports)
        self._mount = Mount(control_plane, TLS_SECRET, directory)

    def start_replica(self, *options: str) -> Replica:
        """Start one more replica as a kubelet does: when its certificate is mounted."""
        if not self.replicas:
            self._mount.follow()
        wait_for("cert-manager to issue", self._mount.certificate.exists)
        files = (f"--tls-cert-file={self._mount.certificate}", f"--tls-private-key-file={self._mount.key}")
        return super().start_replica(*files, *options)

    def __exit__(self, *arguments: object) -> None:
        """Remove everything but the namespaces, and the Secrets that cert-manager leaves behind."""
        self._mount.stop()
        super().__exit__(*arguments)
        self._control_plane.kubectl("delete", "-n", NAMESPACE, "--ignore-not-found", "secret", *SECRETS)

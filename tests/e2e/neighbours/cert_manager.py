"""cert-manager: its CRDs, its controller and its cainjector, and a kubelet's part in what they make."""

import base64
import threading
from pathlib import Path
from typing import Any, Self

from hack.render_manifests import NAMESPACE
from tests.deploy.chart import Chart
from tests.e2e.cluster import ControlPlane
from tests.e2e.gpuwarden import NAME, Replica
from tests.e2e.installation import Installation
from tests.e2e.neighbours.programs import built, manifests
from tests.e2e.objects import as_list
from tests.e2e.post_render import with_local_services
from tests.e2e.processes import Process
from tests.e2e.waiting import wait_for

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
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Install the CRDs."""
        crds = tuple(manifests("cert-manager"))
        done = self._control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=as_list(crds))
        assert done.returncode == 0, done.stderr
        names = [crd["metadata"]["name"] for crd in crds]
        waited = self._control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", *names)
        assert waited.returncode == 0, waited.stderr
        return self

    def __exit__(self, *_: object) -> None:
        """End the programs, and remove the CRDs with all objects."""
        for process in self._processes.values():
            process.kill()
        names = [crd["metadata"]["name"] for crd in manifests("cert-manager")]
        self._control_plane.kubectl("delete", "--ignore-not-found", "crd", *names)

    def start(self, name: str) -> None:
        """Start one of its programs."""
        kubeconfig = self._control_plane.kubeconfig("cert-manager", "system:masters")
        command = [self._programs[name], f"--kubeconfig={kubeconfig}"]
        environment = {"HOME": str(self._directory)}
        self._processes[name] = Process(name, command, self._directory / f"{name}.log", environment)

    def stop(self, name: str) -> None:
        """End one of its programs."""
        self._processes[name].stop()

    def tails(self) -> str:
        """The end of its programs' logs."""
        return "\n".join(f"{process.name}:\n{process.tail()}" for process in self._processes.values())


class Mount:
    """The Secret of a Certificate as a kubelet mounts it: files that are replaced when it changes.

    All files of one version are behind one link, ``..data``, which is moved in one step (Kubernetes,
    ``pkg/volume/util/atomic_writer.go``). A kubelet takes up to a minute, this one half a second.
    """

    def __init__(self, control_plane: ControlPlane, directory: Path) -> None:
        self.certificate = directory / "tls.crt"
        self.key = directory / "tls.key"
        self._control_plane = control_plane
        self._directory = directory
        self._versions = 0
        self._mounted: Json = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mount", daemon=True)

    def follow(self) -> None:
        """Wait for the Secret, mount it, and follow it from then on; nothing is done the second time."""
        if self._thread.is_alive():
            return
        secret = wait_for("cert-manager to issue", lambda: self._control_plane.get(TLS_SECRET))
        self._write(secret["data"])
        for file in (self.certificate, self.key):
            file.symlink_to(f"..data/{file.name}")
        self._thread.start()

    def stop(self) -> None:
        """Follow it no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with self._control_plane.client() as api:
            while not self._stopping.wait(0.5):
                self._write(api.get(TLS_SECRET).raise_for_status().json()["data"])

    def _write(self, data: Json) -> None:
        if data == self._mounted:
            return
        self._versions += 1
        version = self._directory / f"..{self._versions}"
        version.mkdir()
        for name, content in data.items():
            (version / name).write_bytes(base64.b64decode(content))
        link = self._directory / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(self._directory / "..data")
        self._mounted = data


class CertManagerInstallation(Installation):
    """gpuwarden with ``certificates.mode: cert-manager``. Its Service leads to loopback: its name is in the certificates."""

    def __init__(self, control_plane: ControlPlane, chart: Chart, directory: Path, settings: Json) -> None:
        """Render the chart with these ``certificates.certManager`` values."""
        values = {"certificates": {"mode": "cert-manager", "certManager": settings}}
        super().__init__(control_plane, chart, directory, values=values, replicas=2)
        self.objects = with_local_services(self.rendered.objects, self.ports)
        self._mount = Mount(control_plane, directory)

    def start_replica(self, *options: str) -> Replica:
        """Start one more replica as a kubelet does: when its certificate is mounted."""
        self._mount.follow()
        files = (f"--tls-cert-file={self._mount.certificate}", f"--tls-private-key-file={self._mount.key}")
        return super().start_replica(*files, *options)

    def __exit__(self, *arguments: object) -> None:
        """Remove everything but the namespaces, and the Secrets that cert-manager leaves behind."""
        self._mount.stop()
        super().__exit__(*arguments)
        self._control_plane.kubectl("delete", "-n", NAMESPACE, "--ignore-not-found", "secret", *SECRETS)

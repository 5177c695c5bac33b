"""A Secret as a kubelet mounts it into a pod: files that are replaced when it changes."""

import base64
import threading
from pathlib import Path
from typing import Any

import httpx

from testing.control_plane.cluster import ControlPlane

SECONDS = 0.5  # a kubelet takes up to a minute


class Mount:
    """Files that follow a Secret, on a thread, from when it has data.

    All files of one version are behind one link, ``..data``, which is moved in one step (Kubernetes,
    ``pkg/volume/util/atomic_writer.go``).

    Attributes:
        certificate: the path of ``tls.crt``.
        key: the path of ``tls.key``.
    """

    def __init__(self, control_plane: ControlPlane, secret: str, directory: Path) -> None:
        """Prepare to mount the Secret at an API path in a directory."""
        self.certificate = directory / "tls.crt"
        self.key = directory / "tls.key"
        self._control_plane = control_plane
        self._secret = secret
        self._directory = directory
        self._versions = 0
        self._mounted: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mount", daemon=True)

    def follow(self) -> None:
        """Begin to follow the Secret."""
        self._thread.start()

    def stop(self) -> None:
        """Follow it no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with self._control_plane.client() as api:
            while not self._stopping.wait(SECONDS):
                answer = api.get(self._secret)
                data = answer.json().get("data") if answer.status_code == httpx.codes.OK else None
                if data and data != self._mounted:
                    self._write(data)

    def _write(self, data: dict[str, Any]) -> None:
        self._versions += 1
        version = self._directory / f"..{self._versions}"
        version.mkdir()
        for name, content in data.items():
            (version / name).write_bytes(base64.b64decode(content))
        link = self._directory / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(self._directory / "..data")
        for name in data.keys() - self._mounted.keys():
            (self._directory / name).symlink_to(f"..data/{name}")
        self._mounted = data

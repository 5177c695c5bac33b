"""A neighbour's manager: its objects as it ships them, and its program beside the cluster in the name of its account."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.processes import Process, free_port
from testing.control_plane.waiting import wait_for
from tests.e2e.neighbours.mount import Mount
from tests.e2e.neighbours.programs import built, configuration
from tests.e2e.objects import as_list
from tests.e2e.post_render import with_local_services

# Pods are not run here, and nobody calls Kueue's own aggregated API.
LEFT_OUT = ("Deployment", "APIService")

Json = dict[str, Any]


class Manager:
    """JobSet or Kueue, installed and running. A context manager: leaving it ends the program and removes the objects.

    What differs from a cluster: the webhooks' Service leads to loopback, and the program listens on ports of its own.
    """

    def __init__(self, control_plane: ControlPlane, name: str, directory: Path, settings: Mapping[str, Any]) -> None:
        """Read what the neighbour ships, or skip the test where it was not built.

        Args:
            control_plane: where it goes.
            name: ``jobset`` or ``kueue``.
            directory: an empty one, for its files.
            settings: what to change in its configuration file.
        """
        self._program = built(name)
        self._control_plane = control_plane
        self._name = name
        self._directory = directory
        self._certificates = directory / "certificates"
        self._webhook, self._health = free_port(), free_port()
        shipped = control_plane.kubectl("kustomize", str(configuration(name)))
        assert shipped.returncode == 0, shipped.stderr
        documents = [document for document in yaml.load_all(shipped.stdout, yaml.CSafeLoader) if document]
        manages = settings.get("internalCertManagement", {}).get("enable", True)
        self._ca = "" if manages else base64.b64encode(control_plane.authority.cert_pem.bytes()).decode()
        kept = [document for document in documents if document["kind"] not in LEFT_OUT]
        self._objects = _on_loopback(kept, self._webhook, self._ca)
        self._settings = settings

    def __enter__(self) -> Self:
        """Apply the objects, start the program, and wait until its webhooks answer."""
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the program, and remove everything."""
        if hasattr(self, "process"):
            self.process.kill()
        if hasattr(self, "_mount"):
            self._mount.stop()
        kinds = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "CustomResourceDefinition")
        first = tuple(o for o in self._objects if o["kind"] in kinds)
        self._control_plane.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=as_list(first))
        self._control_plane.kubectl(
            "delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=as_list(tuple(self._objects))
        )

    @contextmanager
    def configured(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Run it with further settings for the body of a ``with``."""
        self.process.stop()
        self._run({**self._settings, **settings})
        try:
            yield
        finally:
            self.process.stop()
            self._run(self._settings)

    def _start(self) -> None:
        namespace = f"{self._name}-system"

        def gone() -> bool:
            found = self._control_plane.kubectl("get", "namespace", namespace, "-o", "jsonpath={.status.phase}")
            return found.stdout != "Terminating"

        wait_for(f"what was removed before of {self._name} to be gone", gone, 120)
        done = self._control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=as_list(tuple(self._objects)))
        assert done.returncode == 0, done.stderr
        self._certificates.mkdir()
        if self._ca:
            leaf = self._control_plane.authority.issue_cert(f"{self._name}-webhook-service.{namespace}.svc")
            (self._certificates / "tls.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
            (self._certificates / "tls.key").write_bytes(leaf.private_key_pem.bytes())
        else:  # what the manager makes and rotates, mounted into its pod
            secret = f"/api/v1/namespaces/{namespace}/secrets/{self._name}-webhook-server-cert"
            self._mount = Mount(self._control_plane, secret, self._certificates)
            self._mount.follow()
        self._run(self._settings)

    def _run(self, settings: Mapping[str, Any]) -> None:
        file = self._directory / "configuration.yaml"
        file.write_text(yaml.safe_dump(self._configuration(settings)))
        account = f"system:serviceaccount:{self._name}-system:{self._name}-controller-manager"
        command = [str(self._program), f"--config={file}", f"--kubeconfig={self._control_plane.kubeconfig(account)}"]
        log = self._directory / "log"
        self.process = Process(self._name, command, log, {"HOME": str(self._directory), "PATH": ""})
        url = f"http://127.0.0.1:{self._health}/readyz"

        def ready() -> bool:
            return self.process.exit_code is not None or (
                httpx.get(url, trust_env=False).status_code == httpx.codes.OK and self._webhooks_are_served()
            )

        try:
            wait_for(f"{self._name} to be ready", ready, 120)
        except TimeoutError as error:
            raise RuntimeError(f"{error}; the end of its log:\n{self.process.tail()}") from error
        assert self.process.exit_code is None, self.process.tail()

    def _webhooks_are_served(self) -> bool:
        """Whether each path is there: the managers are ready when they listen, and add their handlers after that."""
        webhooks = [webhook for o in self._objects for webhook in o.get("webhooks", [])]
        paths = {webhook["clientConfig"]["service"]["path"] for webhook in webhooks}
        with httpx.Client(base_url=f"https://127.0.0.1:{self._webhook}", verify=False, trust_env=False) as client:  # noqa: S501 -- no secret is sent
            return all(client.post(path, json={}).status_code != httpx.codes.NOT_FOUND for path in paths)

    def _configuration(self, settings: Mapping[str, Any]) -> Json:
        (shipped,) = (o for o in self._objects if o["kind"] == "ConfigMap")
        (text,) = shipped["data"].values()
        ours = {
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self._health}"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"port": self._webhook, "certDir": str(self._certificates)},
            "leaderElection": {"leaderElect": False},
        }
        content: Json = yaml.safe_load(text)
        return content | ours | dict(settings)


def _on_loopback(objects: Sequence[Json], port: int, ca: str) -> list[Json]:
    """The objects with their webhooks, and the conversion of their CRDs, on a port of loopback, and trusting ``ca``."""
    webhooks = [webhook["name"] for o in objects for webhook in o.get("webhooks", [])]
    changed = with_local_services(objects, dict.fromkeys(webhooks, port))
    for o in changed:
        conversion = o.get("spec", {}).get("conversion", {}).get("webhook")
        for called in [*o.get("webhooks", []), *([conversion] if conversion else [])]:
            called["clientConfig"]["service"]["port"] = port
            if ca:
                called["clientConfig"]["caBundle"] = ca
    return changed

"""A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import trustme

from testing.control_plane import credentials, flags
from testing.control_plane.credentials import ADMIN
from testing.control_plane.processes import Process, free_port
from testing.control_plane.programs import Programs, parse_version
from testing.control_plane.waiting import wait_for

START_SECONDS = 120.0  # 3 to 10 are usual; a machine that builds something else at the same time is slow

# What the API server records: the pods, namespaces and workloads that admission is about, without their contents.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Metadata",
            "verbs": ["create", "update", "patch", "delete"],
            "resources": [
                {
                    "group": "",
                    "resources": ["pods", "pods/ephemeralcontainers", "namespaces", "replicationcontrollers"],
                },
                {"group": "apps"},
                {"group": "batch"},
            ],
        },
        {"level": "None"},
    ],
}


class ControlPlane:
    """A running control plane. Use it as a context manager; leaving it kills every process.

    Attributes:
        files: where its files are: ``files.ca``, ``files.log("etcd")``, ``files.audit_log``.
        server: the API server's URL.
        version: what the API server says it is, such as ``(1, 36)``. Known once started.
        authority: signs the certificates of servers and users.
        api: an HTTP client as the administrator, for paths such as ``/api/v1/namespaces``. One thread may use it at a time.
    """

    version: tuple[int, int]
    api: httpx.Client

    def __init__(
        self, programs: Programs, directory: Path, *, apiserver_flags: Sequence[str] = (), features: Sequence[str] = ()
    ) -> None:
        """Prepare a control plane below ``directory``.

        Args:
            programs: the programs.
            directory: for its files.
            apiserver_flags: added to the API server's.
            features: feature gates that are on in the API server, the controller manager and the scheduler.
        """
        self.files = flags.Files(directory)
        self.authority = trustme.CA()
        self._programs = programs
        self._features = [f"--feature-gates={one}=true" for one in features]
        self._apiserver_flags = (*apiserver_flags, *self._features)
        self._ports = flags.Ports(*(free_port() for _ in range(5)))
        self._processes: dict[str, Process] = {}
        self._users: dict[tuple[str, str | None], Path] = {}
        self._users_lock = threading.Lock()
        self.server = f"https://127.0.0.1:{self._ports.apiserver}"

    def __enter__(self) -> Self:
        """Start everything and wait until it serves."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill everything."""
        self.stop()

    # --- what tests ask -------------------------------------------------------------------------------------------

    def kubeconfig(self, user: str = ADMIN, group: str | None = None) -> Path:
        """Answer a kubeconfig file of a user, made on first use.

        ``admin`` may do everything; any other user may do what RBAC grants it or its ``group``.
        """
        with self._users_lock:
            if (user, group) not in self._users:
                file = self.files.kubeconfig(f"{user}@{group}" if group else user)
                credentials.write_kubeconfig(self.authority, self.server, user, group, file)
                self._users[user, group] = file
            return self._users[user, group]

    def kubectl(
        self, *arguments: str, stdin: str | None = None, user: str = ADMIN, seconds: float = 180.0
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as a user; ``stdin`` is a manifest for ``-f -``. The caller evaluates the return code."""
        command = [
            str(self._programs.kubectl),
            f"--kubeconfig={self.kubeconfig(user)}",
            f"--cache-dir={self.files.directory / 'kubectl-cache'}",
            *arguments,
        ]
        return subprocess.run(
            command, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True,
            env=self._environment(), text=True, timeout=seconds, check=False,
        )  # fmt: skip

    def client(self, user: str = ADMIN, group: str | None = None) -> httpx.Client:
        """Open an HTTP client of the API server as a user. The caller closes it. One thread may use it at a time."""
        context = ssl.create_default_context(cafile=str(self.files.ca))
        pair = self.files.directory / f"{threading.get_ident()}-client.pem"
        credentials.write_client_pair(self.authority, user, group, pair)
        context.load_cert_chain(pair)
        pair.unlink()
        return httpx.Client(base_url=self.server, verify=context, timeout=30.0, trust_env=False)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Read an object or list as the administrator, or raise :class:`httpx.HTTPStatusError`."""
        answer = self.api.get(path, params=parameters)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content

    def audit_events(self) -> list[dict[str, Any]]:
        """Answer the audit events so far: writes of pods, namespaces and workloads, with their annotations."""
        if not self.files.audit_log.exists():
            return []
        whole, _, _ = self.files.audit_log.read_bytes().rpartition(b"\n")  # the last line may be half written
        return [json.loads(line) for line in whole.splitlines()]

    def tails(self, lines: int = 30) -> dict[str, str]:
        """Answer the end of each component's log, by component."""
        return {name: process.tail(lines) for name, process in self._processes.items()}

    # --- what tests do to it --------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Freeze the API server: connections stay open and nothing answers."""
        self._processes["kube-apiserver"].signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen API server go on."""
        self._processes["kube-apiserver"].signal(signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze the API server for the body of a ``with``."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def restart_apiserver(self, *, grace: float = 5.0) -> None:
        """End the API server, by SIGKILL after ``grace`` seconds (0: at once), start it anew and wait for it.

        Its address, its certificates and its data stay. Controllers and scheduler are started anew too, where they run:
        after some failed watches they wait for up to half a minute, and the next test would find them blind.
        """
        self.stop_apiserver(grace=grace)
        self.start_apiserver()
        for name in ("kube-controller-manager", "kube-scheduler"):
            if name in self._processes:
                self._processes[name].kill()
                self._start_component(name)

    def stop_apiserver(self, *, grace: float = 5.0) -> None:
        """End the API server: connections are refused from then on."""
        process = self._processes["kube-apiserver"]
        if grace > 0:
            process.stop(grace)
        else:
            process.kill()

    def start_apiserver(self) -> None:
        """Start the API server after :meth:`stop_apiserver` and wait until it is ready."""
        self._run("kube-apiserver", self._programs.kube_apiserver, self._apiserver_command())
        self._wait("kube-apiserver", f"{self.server}/readyz")

    def kill_controllers(self) -> None:
        """Kill the controller manager for good: nothing reacts to what is made from then on."""
        self._processes.pop("kube-controller-manager").kill()

    def kill_scheduler(self) -> None:
        """Kill the scheduler for good."""
        self._processes.pop("kube-scheduler").kill()

    def stop(self) -> None:
        """Kill every process, the ones that depend on others first."""
        for process in reversed(self._processes.values()):
            process.kill()
        if hasattr(self, "api"):
            self.api.close()
        shutil.rmtree(self.files.etcd_data, ignore_errors=True)

    @property
    def port(self) -> int:
        """The API server's port on loopback."""
        return self._ports.apiserver

    @property
    def etcd(self) -> str:
        """Etcd's URL."""
        return f"http://127.0.0.1:{self._ports.etcd}"

    # --- starting -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        files, ports, programs = self.files, self._ports, self._programs
        files.directory.mkdir(parents=True, exist_ok=True)
        self.authority.cert_pem.write_to_path(str(files.ca))
        credentials.write_serving_pair(self.authority, files.serving_certificate, files.serving_key)
        credentials.write_service_account_key(files.service_account_key)
        files.audit_policy.write_text(json.dumps(AUDIT_POLICY))
        self.api = self.client()
        for user in ("system:kube-controller-manager", "system:kube-scheduler"):
            self.kubeconfig(user)

        self._run("etcd", programs.etcd, flags.etcd(files, ports))
        self._wait("etcd", f"{self.etcd}/health")
        self.start_apiserver()
        self.version = parse_version(self.get("/version")["gitVersion"])

        self._start_component("kube-controller-manager")
        self._start_component("kube-scheduler")
        wait_for(
            "the controllers to make the default service account",
            lambda: self.get("/api/v1/namespaces/default/serviceaccounts/default"),
            START_SECONDS,
        )

    def _start_component(self, name: str) -> None:
        """Start the controllers or the scheduler, and wait for their health."""
        files, ports = self.files, self._ports
        if name == "kube-scheduler":
            program, port = self._programs.kube_scheduler, ports.scheduler
            arguments = flags.scheduler(files, ports)
        else:
            program, port = self._programs.kube_controller_manager, ports.controller_manager
            arguments = flags.controller_manager(files, ports)
        self._run(name, program, [*arguments, *self._features])
        self._wait(name, f"https://127.0.0.1:{port}/healthz")

    def _apiserver_command(self) -> list[str]:
        return [*flags.apiserver(self.files, self._ports), *self._apiserver_flags]

    def _run(self, name: str, program: Path, arguments: Sequence[str]) -> None:
        self._processes[name] = Process(name, [program, *arguments], self.files.log(name), self._environment())

    def _environment(self) -> Mapping[str, str]:
        """No proxy, no kubeconfig and no home of the user's: what the tests see is what they made."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.files.directory)}

    def _wait(self, name: str, url: str) -> None:
        process = self._processes[name]

        def healthy() -> bool:
            return process.exit_code is not None or self.api.get(url, timeout=5.0).status_code == httpx.codes.OK

        try:
            wait_for(f"{name} at {url}", healthy, START_SECONDS)
        except TimeoutError as error:
            raise RuntimeError(f"{error}; the end of {process.log}:\n{process.tail()}") from error
        if process.exit_code is not None:
            raise RuntimeError(f"{name} ended with {process.exit_code}; the end of {process.log}:\n{process.tail()}")

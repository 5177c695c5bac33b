"""Running replicas behind relays: what pods behind a Service are to a cluster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from hack.render_manifests import ACCOUNT
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Rendered
from tests.e2e.gpuwarden import Replica, arguments_of, environment_of
from tests.e2e.objects import ENFORCE, GPU, SHARED, limits_of, pod_spec
from tests.e2e.relay import Relay
from webhook.application.certificates.tokens import PATHS, path_of

PROBE = "e2e-probe"  # a labelled namespace that shows whether gpuwarden acts


class Running:
    """Replicas, and a relay for each path. A context manager: leaving it ends them all.

    Attributes:
        relays: by the path of a webhook (``/mutate``), what the API server reaches it through.
        replicas: those that run.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        rendered: Rendered,
        directory: Path,
        *,
        options: Sequence[str] = (),
        kubeconfig: Path | None = None,
    ) -> None:
        """Prepare the relays.

        Args:
            control_plane: what the replicas serve.
            rendered: the chart, which says how to start them.
            directory: for their files.
            options: further options of ``gpuwarden serve``.
            kubeconfig: how they reach the API server, if not directly.
        """
        self.rendered = rendered
        paths = {path for name in rendered.webhooks if (path := path_of(name))}
        self.relays = {path: Relay() for path in sorted(paths)}
        self.replicas: list[Replica] = []
        self._control_plane = control_plane
        self._directory = directory
        self._options = list(options)
        self._kubeconfig = kubeconfig or control_plane.kubeconfig(ACCOUNT)
        self._started = 0

    @property
    def ports(self) -> dict[str, int]:
        """Where the API server reaches each webhook on loopback, by its name."""
        return {name: self.relays[path].port for name, path in PATHS.items() if path in self.relays}

    def __enter__(self) -> Self:
        """Let the relays listen; replicas are started one by one."""
        for relay in self.relays.values():
            relay.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the replicas and end the relays."""
        self.kill_all()
        for relay in self.relays.values():
            relay.__exit__()

    def start_replica(self, *options: str) -> Replica:
        """Start one more replica, with further options of ``gpuwarden serve``; the relays find out when it is ready."""
        self._started += 1
        home = self._directory / f"replica-{self._started}"
        home.mkdir()
        configuration = home / "config.yaml"
        configuration.write_text(self.rendered.configuration_file)
        instead = {
            "--config": str(configuration),
            "--kubeconfig": str(self._kubeconfig),
            "--tls-name": "127.0.0.1",  # what the API server dials here
            "--host": "127.0.0.1",
            "--port": "",
            "--ops-port": "",
            "--log-format": "text",
        }
        arguments = [*arguments_of(self.rendered.container, instead), *self._options, *options]
        replica = Replica(arguments, home, environment_of(self.rendered.container, home))
        self.replicas.append(replica)
        for relay in self.relays.values():
            relay.add(replica.port, replica.ops_port)
        return replica

    def reconfigure(self, rendered: Rendered) -> None:
        """Give every replica another configuration file, as the kubelet does when a ConfigMap changes."""
        self.rendered = rendered
        for replica in self.replicas:
            new = replica.home / "config.yaml.new"
            new.write_text(rendered.configuration_file)
            new.rename(replica.home / "config.yaml")

    def wait_until_serving(self, *replicas: Replica) -> None:
        """Wait until replicas are ready and every relay knows it."""
        for replica in replicas:
            replica.wait_until_ready()
        wanted = {replica.port for replica in replicas}
        for path, relay in self.relays.items():
            wait_for(f"the relay of {path} to see that", lambda relay=relay: wanted <= relay.ready)  # type: ignore[misc]  # mypy can't infer a lambda's default

    @contextmanager
    def down(self, path: str) -> Iterator[None]:
        """Let nobody answer under a path for the body of a ``with``."""
        relay = self.relays[path]
        relay.open = False
        relay.cut()
        try:
            yield
        finally:
            relay.open = True

    def kill_all(self) -> None:
        """Kill every replica; nobody answers any more."""
        for replica in list(self.replicas):
            replica.process.kill()
            self.forget(replica)

    def forget(self, replica: Replica) -> None:
        """Let the relays forget a replica that has ended, as a Service forgets a pod that is gone."""
        for relay in self.relays.values():
            relay.remove(replica.port)
        self.replicas.remove(replica)

    def acts(self) -> bool:
        """Whether a pod that is created now is rewritten, or warned of in audit mode; nothing is left behind."""
        answer = probe(self._control_plane)
        return answer.status_code == httpx.codes.CREATED and changed_by_us(answer)

    def tails(self, lines: int = 30) -> dict[str, str]:
        """Answer the end of each replica's log, by its name."""
        return {f"gpuwarden on port {replica.port}": replica.process.tail(lines) for replica in self.replicas}


def prepare_probe(control_plane: ControlPlane) -> None:
    """Make the namespace of :func:`probe`, if it is not there."""
    manifest = {"metadata": {"name": PROBE, "labels": {ENFORCE: "shared"}}}
    made = control_plane.api.post("/api/v1/namespaces", json=manifest)
    if made.status_code != httpx.codes.CONFLICT:
        made.raise_for_status()
    account = f"/api/v1/namespaces/{PROBE}/serviceaccounts/default"
    wait_for("the service account of the probe's namespace", lambda: control_plane.get(account))


def probe(control_plane: ControlPlane) -> httpx.Response:
    """Create a pod that asks for a GPU, in a namespace whose policy is ``shared``, as a dry run."""
    manifest: dict[str, Any] = {
        "metadata": {"name": "probe"},
        "spec": {**pod_spec(GPU), "automountServiceAccountToken": False},
    }
    return control_plane.api.post(f"/api/v1/namespaces/{PROBE}/pods", params={"dryRun": "All"}, json=manifest)


def changed_by_us(answer: httpx.Response) -> bool:
    """Whether gpuwarden rewrote the pod of an answer, or warned that it would."""
    return limits_of(answer.json()) == [{SHARED: "1"}] or "would become" in answer.headers.get("Warning", "")


def is_forgotten(control_plane: ControlPlane) -> bool:
    """Whether the API server asks gpuwarden no more."""
    answer = probe(control_plane)
    return answer.status_code == httpx.codes.CREATED and not changed_by_us(answer)

"""gpuwarden on the control plane of the tests: the chart's own objects, and its replicas as processes beside it.

Two things differ from a cluster's. The webhooks are reached by URL on loopback (here is no network for Services), through
a :class:`Relay` for each path; and the processes log in with a client certificate in the name of the chart's
ServiceAccount, so that they may do exactly what the chart grants.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import httpx

from hack.render_manifests import NAMESPACE
from tests.deploy.chart import Chart, Rendered
from tests.e2e.cluster import ControlPlane
from tests.e2e.gpuwarden import Replica, arguments_of
from tests.e2e.objects import ENFORCE, GPU, SHARED, limits_of, pod_spec
from tests.e2e.relay import Relay
from tests.e2e.waiting import wait_for

NAME = "gpuwarden"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{NAME}"
MUTATING, VALIDATING = "mutatingwebhookconfigurations", "validatingwebhookconfigurations"
CONFIGURATIONS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/{NAME}-ca"
PROBE = "e2e-probe"  # a labelled namespace that shows whether gpuwarden acts
# A replica that is told to stop need not wait longer for a relay than for kube-proxy.
VALUES = {"shutdownDelaySeconds": 1, "namespace": {"create": True}}

Json = dict[str, Any]


class Installation:
    """gpuwarden, installed and running. A context manager: leaving it removes everything that it made.

    Attributes:
        rendered: what the chart became.
        relays: by the path of a webhook (``/mutate``), what the API server reaches it through.
        replicas: those that run.
    """

    def __init__(  # noqa: PLR0913 - the parts, and the two things that tests vary
        self,
        control_plane: ControlPlane,
        chart: Chart,
        directory: Path,
        *,
        values: Mapping[str, Any] | None = None,
        replicas: int = 1,
        options: Sequence[str] = (),
        kubeconfig: Path | None = None,
    ) -> None:
        """Render the chart for the control plane's version.

        Args:
            control_plane: where it goes.
            chart: the chart.
            directory: for the replicas' files.
            values: the chart's values.
            replicas: how many processes to start.
            options: further options of ``gpuwarden serve``.
            kubeconfig: how the replicas reach the API server, if not directly.
        """
        version = control_plane.get("/version")["gitVersion"]
        self.rendered = chart.render({**VALUES, **(values or {})}, kubernetes=version)
        self.relays = {webhook["clientConfig"]["service"]["path"]: Relay() for webhook in webhooks_of(self.rendered)}
        self.replicas: list[Replica] = []
        self._control_plane = control_plane
        self._directory = directory
        self._count = replicas
        self._options = list(options)
        self._kubeconfig = kubeconfig or control_plane.kubeconfig(ACCOUNT)
        self._started = 0
        self.objects = with_urls(self.rendered.objects, self.urls)

    @property
    def urls(self) -> dict[str, str]:
        """Where the API server reaches each path."""
        return {path: f"https://127.0.0.1:{relay.port}{path}" for path, relay in self.relays.items()}

    def __enter__(self) -> Self:
        """Apply the objects, start the replicas, and wait until pods are changed."""
        for relay in self.relays.values():
            relay.__enter__()
        try:
            self._install()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Remove everything but the namespaces, which take their time, and end the processes."""
        kinds = [o for o in self.objects if o["kind"] in CONFIGURATIONS]
        self._kubectl("delete", "--ignore-not-found", objects=kinds)
        self.kill_all()
        rest = [o for o in self.objects if o["kind"] not in (*CONFIGURATIONS, "Namespace")]
        self._kubectl("delete", "--ignore-not-found", "--wait=false", objects=rest)
        self._control_plane.api.delete(SECRET)
        for relay in self.relays.values():
            relay.__exit__()
        wait_for("the API server to forget the webhooks", self._is_forgotten)

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
        replica = Replica(arguments, home / "log", environment_of(self.rendered.container, home))
        self.replicas.append(replica)
        for relay in self.relays.values():
            relay.add(replica.port, replica.ops_port)
        return replica

    def wait_until_serving(self, replica: Replica) -> None:
        """Wait until a replica is ready and every relay knows it."""
        replica.wait_until_ready()
        for path, relay in self.relays.items():
            wait_for(f"the relay of {path} to see that", lambda relay=relay: replica.port in relay.ready)  # type: ignore[misc]  # mypy can't infer a lambda's default

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
        answer = self._probe()
        return answer.status_code == httpx.codes.CREATED and changed_by_us(answer)

    def tails(self, lines: int = 30) -> dict[str, str]:
        """Answer the end of each replica's log, by its name."""
        return {f"gpuwarden on port {replica.port}": replica.process.tail(lines) for replica in self.replicas}

    def configuration(self, kind: str) -> Json:
        """Read one of our webhook configurations (by :data:`MUTATING` or :data:`VALIDATING`) as it is now."""
        return self._control_plane.get(configuration_path(kind))

    def _probe(self) -> httpx.Response:
        """Create a pod that asks for a GPU in a labelled namespace, as a dry run."""
        spec = {**pod_spec(GPU), "automountServiceAccountToken": False}
        return self._control_plane.api.post(
            f"/api/v1/namespaces/{PROBE}/pods",
            params={"dryRun": "All"},
            json={"metadata": {"name": "probe"}, "spec": spec},
        )

    def _is_forgotten(self) -> bool:
        answer = self._probe()
        return answer.status_code == httpx.codes.CREATED and not changed_by_us(answer)

    def _install(self) -> None:
        prepare_namespaces(self._control_plane)
        done = self._kubectl("apply", objects=self.objects)
        assert done == "", done
        for _ in range(self._count):
            self.start_replica()
        for replica in self.replicas:
            self.wait_until_serving(replica)
        wait_for("gpuwarden to act on pods", self.acts)

    def _kubectl(self, *arguments: str, objects: Sequence[Json]) -> str:
        """Run kubectl on objects; answer what it says when it fails."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        done = self._control_plane.kubectl(*arguments, "-f", "-", stdin=manifest)
        return done.stderr if done.returncode else ""


def changed_by_us(answer: httpx.Response) -> bool:
    """Whether gpuwarden rewrote the pod of an answer, or warned that it would."""
    return limits_of(answer.json()) == [{SHARED: "1"}] or "would become" in answer.headers.get("Warning", "")


def prepare_namespaces(control_plane: ControlPlane) -> None:
    """Make the namespace that shows whether gpuwarden acts; and do by hand what the chart's notes ask before 1.21."""
    probe = {"metadata": {"name": PROBE, "labels": {ENFORCE: "shared"}}}
    made = control_plane.api.post("/api/v1/namespaces", json=probe)
    assert made.status_code in (httpx.codes.CREATED, httpx.codes.CONFLICT), made.text
    account = f"/api/v1/namespaces/{PROBE}/serviceaccounts/default"
    wait_for("the service account of the probe's namespace", lambda: control_plane.get(account))
    if control_plane.version < (1, 21):
        name = "kubernetes.io/metadata.name=kube-system"
        done = control_plane.kubectl("label", "--overwrite", "namespace", "kube-system", name)
        assert done.returncode == 0, done.stderr


def webhooks_of(rendered: Rendered) -> list[Json]:
    """Every webhook of the chart."""
    return list(rendered.webhooks.values())


def with_urls(objects: Sequence[Json], urls: Mapping[str, str]) -> list[Json]:
    """The chart's objects, with webhooks that are reached by URL: nothing else of them is changed."""
    changed = deepcopy(list(objects))
    for webhook in (webhook for o in changed if o["kind"] in CONFIGURATIONS for webhook in o["webhooks"]):
        service = webhook["clientConfig"].pop("service")
        webhook["clientConfig"]["url"] = urls[service["path"]]
    return changed


def configuration_path(kind: str) -> str:
    """The path of one of our webhook configurations."""
    return f"/apis/admissionregistration.k8s.io/v1/{kind}/{NAME}"


def environment_of(container: Mapping[str, Any], home: Path) -> dict[str, str]:
    """The container's environment, with what its references stand for in our one namespace."""
    known = {"metadata.namespace": NAMESPACE}
    environment = {"HOME": str(home)}
    for variable in container.get("env", []):
        reference = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        environment[variable["name"]] = known[reference] if reference else variable["value"]
    return environment

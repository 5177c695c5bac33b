"""Prometheus scrapes replicas, and the chart's alerts fire when there is a reason, and only then."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.gpuwarden import Replica
from tests.e2e.installation import Installation, render
from tests.e2e.neighbours.programs import installed
from tests.e2e.neighbours.prometheus import Prometheus
from tests.e2e.objects import ENFORCE, GPU, create, pod, pod_spec
from tests.e2e.relay import Relay
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

# Installed without the PrometheusRule, whose kind is of Prometheus' operator: Prometheus itself reads its rules from a file.
VALUES = {"replicas": 2}
WITH_RULES = {**VALUES, "monitoring": {"prometheusRule": {"create": True}}}


class Pods:
    """Two replicas as Prometheus sees pods: the address stays when the container starts again."""

    def __init__(self, installation: Installation, relays: dict[str, Relay]) -> None:
        self._installation = installation
        self.relays = relays
        self._replicas = dict(zip(relays, installation.replicas, strict=True))
        for name, replica in self._replicas.items():
            relays[name].add(replica.ops_port)

    @property
    def rewritten(self) -> float:
        """How many pods the replicas have rewritten, by their own count."""
        return sum(
            replica.metric("gpuwarden_decisions_total", path="mutate", outcome="rewritten")
            for replica in self._replicas.values()
        )

    def kill(self, name: str) -> None:
        replica = self._replicas[name]
        replica.process.kill()
        self.relays[name].remove(replica.ops_port)
        self._installation.forget(replica)

    def start(self, name: str) -> Replica:
        replica = self._replicas[name] = self._installation.start_replica()
        replica.wait_until_ready()
        self.relays[name].add(replica.ops_port)
        return replica


@pytest.fixture
def pods(
    control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pods, Prometheus]]:
    program = installed("prometheus")
    directory = tmp_path_factory.mktemp("gpuwarden")
    with ExitStack() as stack:
        installation = stack.enter_context(Installation(control_plane, chart, directory, values=VALUES, replicas=2))
        relays = {name: stack.enter_context(Relay()) for name in ("first", "second")}
        made = Pods(installation, relays)
        ports = {name: relay.port for name, relay in relays.items()}
        rules = render(control_plane, chart, WITH_RULES)
        scraping = Prometheus(program, rules, ports, tmp_path_factory.mktemp("prometheus"))
        yield made, stack.enter_context(scraping)


def test_no_alert_while_all_is_well_one_where_a_replica_starts_again_and_again_and_one_where_none_is_left(
    control_plane: ControlPlane, pods: tuple[Pods, Prometheus], make_namespace: Callable[..., str]
) -> None:
    replicas, prometheus = pods

    # All is well: everything is scraped, every rule can be evaluated, reviews are counted, and there is no alert.
    namespace = make_namespace({ENFORCE: "shared"})
    counted = 'sum(gpuwarden_decisions_total{path="mutate",outcome="rewritten"})'
    before = replicas.rewritten
    wait_for("every decision to be scraped", lambda: prometheus.query(counted)[""] == before)
    create(control_plane, namespace, pod(pod_spec(GPU)))
    wait_for("one more decision", lambda: prometheus.query(counted)[""] == before + 1)
    wait_for("both to be scraped", lambda: prometheus.query('up{job="gpuwarden"}') == {"first": 1, "second": 1})
    assert [rule for rule in prometheus.rules() if rule["health"] != "ok"] == []
    assert prometheus.alerts() == {}

    # One replica starts three times anew, which the rule calls again and again.
    for _ in range(3):
        assert "GpuwardenRestarting" not in prometheus.alerts()
        replicas.kill("first")
        replica = replicas.start("first")
        started = replica.metric("process_start_time_seconds")
        wait_for(
            "Prometheus to see it",
            lambda started=started: prometheus.query("process_start_time_seconds")["first"] == started,  # type: ignore[misc]  # mypy can't infer a lambda's default
        )
    (restarting,) = wait_for("the alert", lambda: prometheus.alerts().get("GpuwardenRestarting", []))
    tell(restarting["annotations"]["description"])
    assert (restarting["state"], restarting["labels"]["instance"]) == ("firing", "first")
    assert restarting["annotations"]["description"] == "first was started 3 times in the last hour."
    assert "GpuwardenDown" not in prometheus.alerts()

    # With no replica left, the other alert begins its two minutes, and ends when one is back.
    replicas.kill("first")
    replicas.kill("second")
    (down,) = wait_for("the other alert", lambda: prometheus.alerts().get("GpuwardenDown", []))
    assert (down["state"], down["labels"]["severity"]) == ("pending", "critical")
    replicas.start("second")
    wait_for("it to end", lambda: "GpuwardenDown" not in prometheus.alerts())

"""The CronJob that writes recommendations as reports: off unless asked for, with no right to spare."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.gpu_usage import device, steady
from testing.prometheus import programs, served, write_blocks
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.deploy.chart import Chart, Json, RefusedError, Rendered, merged
from tests.deploy.report_jobs import (
    MOUNTED,
    a_pod_of,
    asked,
    check_added_objects,
    granted,
    options_of_job,
    pod_of,
    run_job,
)
from webhook.application.operator_kinds import AUDITED
from webhook.application.report_api import REPORT_APIS
from webhook.cli.recommend import recommend

URL = "http://prometheus-operated.monitoring:9090"
# What may control pods: a pod does, too, of which the cluster has none by this name.
CONTROLLERS = [("v1", "Pod"), *((row.api_version, row.kind) for row in AUDITED if not row.passive)]
ENABLED: Json = {"recommend": {"report": {"enabled": True, "prometheus": {"url": URL}}}}


def prometheus(**values: object) -> Json:
    """The job with other values of Prometheus."""
    return merged(ENABLED, {"recommend": {"report": {"prometheus": values}}})


@pytest.fixture(scope="module")
def enabled(chart: Chart) -> Rendered:
    return chart.render(ENABLED)


def test_nothing_of_it_is_there_unless_asked_for(rendered: Rendered, enabled: Rendered) -> None:
    check_added_objects(rendered, enabled, "gpuwarden-recommend")


def test_the_command_has_only_options_that_there_are(chart: Chart) -> None:
    values = prometheus(args=["--prometheus-token-file=/etc/gpuwarden/prometheus/token"], secretName="scrape")
    values["recommend"]["report"] |= {"trusted": ["team-*", "gpu=trusted"], "window": "7d"}
    rendered = chart.render(values)
    assert options_of_job(rendered, recommend) == [
        "--write-reports",
        f"--config={MOUNTED}",
        "--window=7d",
        f"--prometheus={URL}",
        "--trusted=team-*",
        "--trusted=gpu=trusted",
        "--prometheus-token-file=/etc/gpuwarden/prometheus/token",
    ]
    (container,) = pod_of(rendered)["containers"]
    assert {"name": "prometheus", "secret": {"secretName": "scrape"}} in pod_of(rendered)["volumes"]
    assert "/etc/gpuwarden/prometheus" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_it_may_connect_to_prometheus_the_api_server_and_dns_only(chart: Chart) -> None:
    policy = chart.render(prometheus(ports=[9090, 10902])).the("NetworkPolicy", "gpuwarden-recommend")["spec"]
    ports = [port["port"] for rule in policy["egress"] for port in rule["ports"]]
    assert (ports[:2], ports[-2:]) == ([9090, 10902], [53, 53])
    labels = chart.render(ENABLED).the("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert labels["app.kubernetes.io/name"] == "gpuwarden-recommend"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (prometheus(url=""), r"recommend\.report\.prometheus\.url: is empty; write the URL of Prometheus"),
        (prometheus(url="prometheus:9090"), r'"prometheus:9090" is not a URL; write one such as'),
        (prometheus(args=["--output=json"]), r'"--output=json" is not an option for Prometheus; write one'),
        (merged(ENABLED, {"recommend": {"report": {"window": "two weeks"}}}), r'"two weeks" is not a time; write one'),
        (
            merged(ENABLED, {"serviceAccount": {"name": "gpuwarden-recommend"}}),
            r"gpuwarden-recommend is the name of recommend's own ServiceAccount",
        ),
    ],
)
def test_what_could_not_work_is_denied(chart: Chart, values: Json, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        chart.render(values)


class TestRights:
    @pytest.fixture
    def cluster(self) -> Iterator[WorkloadServer]:
        with WorkloadServer() as server:
            server.objects["/apis/resource.k8s.io"] = {"versions": [{"version": "v1"}]}
            server.lists["/api/v1/nodes"] = []
            held = {"metadata": {"name": "one", "namespace": "team"}, "spec": {"devices": {}}}
            offers = {"metadata": {"name": "gpus"}, "spec": {"extendedResourceName": "nvidia.com/gpu"}}
            server.lists["/apis/resource.k8s.io/v1/deviceclasses"] = [json.dumps(offers).encode()]
            server.lists["/apis/resource.k8s.io/v1/resourceslices"] = []
            server.lists["/apis/resource.k8s.io/v1/resourceclaims"] = [json.dumps(held).encode()]
            server.lists["/apis/resource.k8s.io/v1/resourceclaimtemplates"] = []
            for row in AUDITED:
                server.serve(row.api_version, row.plural)
            yield server

    @pytest.fixture
    def usage(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        """A Prometheus with the usage of one pod."""
        found = programs()
        if found is None:
            pytest.skip("no prometheus; on Debian: apt-get install prometheus")
        folder = tmp_path_factory.mktemp("prometheus")
        write_blocks(found[1], [device("team", "train", sm=steady(0.5), used=10_000.0)], 1_700_000_000, folder)
        with served(found[0], folder) as url:
            yield url

    def test_it_asks_for_what_it_is_granted_and_is_granted_what_it_asks_for(
        self, cluster: WorkloadServer, chart: Chart, usage: str, tmp_path: Path
    ) -> None:
        """With each API for reports in turn: reports are made, changed and removed."""
        rendered = chart.render(prometheus(url=usage))
        for api in REPORT_APIS:
            cluster.serves = {api.api_version}
            for pods in (1, 2, 0):
                cluster.set_namespace("team", enforce="shared")
                cluster.lists["/api/v1/pods"].clear()
                for number in range(pods):
                    pod = a_pod_of("team")
                    pod["metadata"] |= {"name": f"train-{number}", "uid": f"u{number}"}
                    cluster.add(pod)
                for number, (api_version, kind) in enumerate(CONTROLLERS) if pods else ():
                    pod = a_pod_of("team")
                    owner = {"apiVersion": api_version, "kind": kind, "name": "x", "controller": True}
                    pod["metadata"] |= {"name": f"made-{number}", "uid": f"m{number}", "ownerReferences": [owner]}
                    cluster.add(pod)
                done = run_job(cluster, rendered, tmp_path)
                assert done.stdout == ""
                assert " of " in done.stderr
        assert asked(cluster) == granted(rendered, "gpuwarden-recommend")

"""The exposition of a real server, after requests of every kind, as Prometheus' own checker sees it."""

from pathlib import Path

import pytest

from testing.reviews import TEAM, a_gpu_container, a_pod, a_review
from tests.cli.serving import Served, replace_file
from tests.promtool import Promtool
from tests.wire import request

CONFIGURATION = (
    "apiVersion: gpuwarden.io/v1\nkind: Configuration\ndefaults: {enforce: shared, warn: mps, audit: none}\n"
)


@pytest.fixture(scope="module")
def exposition(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``/metrics`` says after a rewrite, a refusal, advice, a request that fails and a reload."""
    file: Path = tmp_path_factory.mktemp("server") / "config.yaml"
    file.write_text(CONFIGURATION)
    with Served("--tls-self-signed", "--config", file) as server:
        server.ask("/mutate", a_review(a_pod()))
        server.ask("/validate", a_review(a_pod(a_gpu_container("2"))))
        template = {"kind": "Deployment", "metadata": {"name": "web", "namespace": TEAM}, "spec": {"template": a_pod()}}
        kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
        server.ask("/advise", a_review(template, kind=kind, operation="UPDATE"))
        with server.connect() as wire:
            wire.send(request("/mutate", b"{"))
            assert wire.reply().code == 400
        replace_file(file, f"{CONFIGURATION}mode: audit\n")
        server.wait_for("file reloaded", file="configuration")
        return server.ops("/metrics").body.decode()


@pytest.mark.programs
def test_prometheus_finds_nothing_wrong_with_the_names_and_texts(exposition: str, promtool: Promtool) -> None:
    assert promtool.check_metrics(exposition) == ""


@pytest.mark.programs
def test_and_would_find_what_is_wrong(exposition: str, promtool: Promtool) -> None:
    assert "_total" in promtool.check_metrics(exposition.replace("gpuwarden_decisions_total", "gpuwarden_decisions"))


@pytest.mark.parametrize(
    "sample",
    [
        (
            'gpuwarden_decisions_total{acted="true",mode="enforce",operation="CREATE",outcome="rewritten",path="mutate",'
            'policy="shared"} 1.0'
        ),
        (
            'gpuwarden_decisions_total{acted="false",mode="warn",operation="UPDATE",outcome="rewritten",path="advise",'
            'policy="mps"} 1.0'
        ),
        (
            'gpuwarden_findings_total{acted="true",mode="enforce",path="validate",rule="shared-request-above-one",'
            'severity="deny"} 1.0'
        ),
        'gpuwarden_request_duration_seconds_count{code="400",path="/mutate"} 1.0',
        'gpuwarden_reloads_total{file="configuration",result="success"} 1.0',
        'gpuwarden_ready{part="serving"} 1.0',
        'gpuwarden_ready{part="configuration"} 1.0',
    ],
)
def test_what_happened_is_in_it(exposition: str, sample: str) -> None:
    assert sample in exposition.splitlines()

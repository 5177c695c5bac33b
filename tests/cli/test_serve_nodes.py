"""``gpuwarden serve`` beside an API server: what the log and the metrics say of nodes, and that nothing waits for them."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.reviews import TEAM, a_pod, a_review
from testing.stand_in.apiserver import StandIn
from testing.stand_in.documents import status
from testing.stand_in.http_side import PATIENCE, Handler
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.cli.serving import Served

SLICES = "nvidia.com/mig-1g.5gb"
LABELS = {"nvidia.com/gpu.present": "true"}


@pytest.fixture
def apiserver() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        stand_in.set_namespace(TEAM, enforce="mig-1g.5gb")
        stand_in.set_node("whole", gpus={"nvidia.com/gpu": 8}, labels=LABELS)
        yield stand_in


def served(apiserver: StandIn, folder: Path, *options: str) -> Served:
    kubeconfig = write_kubeconfig(folder / "kubeconfig", apiserver.url)
    return Served("--tls-self-signed", "--kubeconfig", str(kubeconfig), *options)


def wait_for_metric(server: Served, sample: str, value: float) -> None:
    until = time.monotonic() + PATIENCE
    while f"{sample} {value}\n" not in server.ops("/metrics").body.decode():
        assert time.monotonic() < until, server.ops("/metrics")
        time.sleep(0.05)


def test_what_nodes_offer_is_in_the_metrics_and_what_they_do_not_in_the_answers(
    apiserver: StandIn, tmp_path: Path
) -> None:
    offered = 'gpuwarden_policy_form_offered{form="mig-1g.5gb",policy="mig-1g.5gb"}'
    with served(apiserver, tmp_path) as server:
        server.wait_for("nodes listed")
        wait_for_metric(server, offered, 0.0)
        (warning,) = server.ask("/mutate", a_review(a_pod())).warnings
        assert "no node offers mig-1g.5gb" in warning
        apiserver.set_node("cut", gpus={SLICES: 7}, labels=LABELS)
        wait_for_metric(server, 'gpuwarden_offered_gpus{form="mig-1g.5gb"}', 7.0)
        wait_for_metric(server, offered, 1.0)
        assert server.ask("/mutate", a_review(a_pod())).warnings == []
        assert server.metric("gpuwarden_node_watch_age_seconds") < PATIENCE


def test_a_policy_that_comes_into_use_later_is_in_the_metrics(apiserver: StandIn, tmp_path: Path) -> None:
    """And one that no namespace has any more is not."""
    with served(apiserver, tmp_path) as server:
        wait_for_metric(server, 'gpuwarden_policy_form_offered{form="mig-1g.5gb",policy="mig-1g.5gb"}', 0.0)
        apiserver.set_namespace(TEAM, enforce="exclusive")
        wait_for_metric(server, 'gpuwarden_policy_form_offered{form="exclusive",policy="exclusive"}', 1.0)
        assert 'policy="mig-1g.5gb"' not in server.ops("/metrics").body.decode()


def test_what_pods_hold_and_wait_for_is_in_the_metrics(apiserver: StandIn, tmp_path: Path) -> None:
    def pod(name: str, node: str = "") -> dict[str, Any]:
        container = {"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
        metadata = {"name": name, "namespace": TEAM}
        return {"metadata": metadata, "spec": {"containers": [container], "nodeName": node or None}}

    pods = [pod("runs", "whole"), pod("elsewhere", "gone"), pod("waits"), pod("waits too")]
    apiserver.objects["/api/v1/pods"] = {"metadata": {}, "items": pods}
    with served(apiserver, tmp_path) as server:
        wait_for_metric(server, 'gpuwarden_allocated_gpus{form="exclusive"}', 1.0)
        wait_for_metric(server, 'gpuwarden_pending_gpus{form="exclusive"}', 2.0)
        wait_for_metric(server, 'gpuwarden_nodes{selected="true"}', 1.0)
        assert server.ops("/readyz").json()["parts"][3] == {"name": "nodes", "ready": True, "message": "1 with GPUs"}
    with served(apiserver, tmp_path, "--no-count-pods") as server:
        wait_for_metric(server, 'gpuwarden_nodes{selected="true"}', 1.0)
        assert "gpuwarden_allocated_gpus{" not in server.ops("/metrics").body.decode()


def test_pods_that_can_not_be_listed_are_said_once(apiserver: StandIn, tmp_path: Path) -> None:
    with served(apiserver, tmp_path) as server:
        line = server.wait_for("pods can't be listed, so what they hold is not in the metrics")
        assert "not found" in line["detail"]
        assert "gpuwarden_allocated_gpus{" not in server.ops("/metrics").body.decode()


def test_where_no_node_is_selected_log_readiness_and_metrics_say_so(apiserver: StandIn, tmp_path: Path) -> None:
    apiserver.delete_node("whole")
    with served(apiserver, tmp_path) as server:
        server.wait_for("no node has GPUs, so requests that no node can run are not reported")
        assert server.ask("/mutate", a_review(a_pod())).warnings == []
        wait_for_metric(server, 'gpuwarden_nodes{selected="false"}', 0.0)
    apiserver.set_node("bare", gpus={"nvidia.com/gpu": 8})
    with served(apiserver, tmp_path) as server:
        seen = "no node selector selects the nodes with GPUs, so all nodes are read every 5 minutes instead"
        line = server.wait_for(seen)
        assert (line["nodes"], line["fix"]) == (
            "bare",
            "set --node-selector (nodes.selectors in the chart) to labels that the nodes with GPUs have",
        )
        wait_for_metric(server, 'gpuwarden_nodes{selected="false"}', 1.0)
        ready = server.ops("/readyz")
        assert (ready.code, ready.json()["parts"][3]["message"].startswith(f"{seen}; set ")) == (200, True)
        (warning,) = server.ask("/mutate", a_review(a_pod())).warnings
        assert "no node offers mig-1g.5gb" in warning


def test_without_the_right_everything_works_and_that_is_said_once(apiserver: StandIn, tmp_path: Path) -> None:
    def forbidden(handler: Handler) -> None:
        handler.say(403, status(403, 'nodes is forbidden: User "x" cannot list resource "nodes"'))

    apiserver.always("nodes-list", forbidden)
    with served(apiserver, tmp_path) as server:
        server.wait_for("namespaces listed")
        apiserver.wait_for_requests("nodes-list", 5)
        answered = server.ask("/mutate", a_review(a_pod()))
        assert answered.patch
        assert answered.warnings == []
        assert server.ops("/readyz").code == 200
        assert server.metric('gpuwarden_node_watch_failures_total{fault="forbidden"}') >= 4
        assert math.isnan(server.metric("gpuwarden_node_watch_age_seconds"))
        said = [line for line in server.log if line["logger"] == "gpuwarden.nodes"]
        assert [line["event"] for line in said] == [
            "nodes can't be read, so requests that no node can run are not reported"
        ]
        assert "cannot list" in said[0]["detail"]


def test_no_node_is_asked_for_where_that_is_switched_off(apiserver: StandIn, tmp_path: Path) -> None:
    with served(apiserver, tmp_path, "--no-watch-nodes") as server:
        server.wait_for("namespaces listed")
        assert server.ask("/mutate", a_review(a_pod())).warnings == []
        assert apiserver.count("nodes-list") == 0
        assert apiserver.count("object") == 0


def test_a_claim_has_the_form_that_the_resource_name_of_its_class_says(apiserver: StandIn, tmp_path: Path) -> None:
    root = "/apis/resource.k8s.io/v1"
    requests = [{"name": "gpu", "exactly": {"deviceClassName": "slices.example"}}]
    template = {"metadata": {"name": "one"}, "spec": {"spec": {"devices": {"requests": requests}}}}
    apiserver.objects[f"{root}/namespaces/{TEAM}/resourceclaimtemplates/one"] = template
    apiserver.set_classes(**{"slices.example": SLICES})
    apiserver.objects[f"{root}/resourceslices"] = {"metadata": {}, "items": []}
    container = {"name": "train", "image": "i", "resources": {"claims": [{"name": "gpu"}]}}
    pod = a_pod(container, resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}])
    with served(apiserver, tmp_path) as server:
        until = time.monotonic() + PATIENCE
        while not server.ask("/validate", a_review(pod)).allowed:
            assert time.monotonic() < until, "the DeviceClass is not known"
            time.sleep(0.05)

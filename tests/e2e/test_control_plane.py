"""What the other end-to-end tests rely on: pods land where their requests say, and nothing is left behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from testing.control_plane import credentials
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import FLEET, Fleet
from tests.e2e.objects import (
    create,
    deployment,
    event_messages,
    node_of,
    node_of_the_only_pod,
    pod,
    pod_spec,
    pods_in,
)
from webhook.application.diagnosis.api_server import OLDEST

pytestmark = pytest.mark.e2e


def test_the_version_is_what_the_server_reports(control_plane: ControlPlane) -> None:
    reported = control_plane.get("/version")
    assert control_plane.version == (int(reported["major"]), int(reported["minor"].rstrip("+")))
    assert control_plane.version >= OLDEST


@pytest.mark.parametrize(
    ("spec", "node"),
    [
        pytest.param(pod_spec("nvidia.com/gpu"), "whole", id="a whole GPU"),
        pytest.param(pod_spec("nvidia.com/mig-1g.5gb", tolerated=True), "mig", id="a MIG slice"),
        pytest.param(
            pod_spec(
                "nvidia.com/gpu.shared",
                tolerated=True,
                selector={"nvidia.com/gpu.sharing-strategy": "time-slicing"},
            ),
            "shared",
            id="a time-sliced GPU",
        ),
        pytest.param(
            pod_spec("nvidia.com/gpu.shared", tolerated=True, selector={"nvidia.com/gpu.sharing-strategy": "mps"}),
            "mps",
            id="an MPS GPU",
        ),
        pytest.param(
            pod_spec(
                "nvidia.com/gpu",
                tolerated=True,
                selector={
                    "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
                    "cloud.google.com/gke-max-shared-clients-per-gpu": "8",
                },
            ),
            "gke-sharing",
            id="a GKE time-shared GPU",
        ),
        pytest.param(
            pod_spec("nvidia.com/gpu", tolerated=True, selector={"cloud.google.com/gke-gpu-partition-size": "1g.5gb"}),
            "gke-mig",
            id="a GKE MIG slice",
        ),
        pytest.param(pod_spec("cpu", selector={"kubernetes.io/hostname": "cpu"}), "cpu", id="no GPU"),
    ],
)
def test_a_deployments_pod_lands_on_the_node_that_advertises_what_it_asks_for(
    control_plane: ControlPlane, fleet: Fleet, namespace: str, spec: dict[str, Any], node: str
) -> None:
    create(control_plane, namespace, deployment(spec))
    assert node_of_the_only_pod(control_plane, namespace) == node


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(pod_spec("nvidia.com/gpu.shared"), id="no toleration for the tainted nodes"),
        pytest.param(pod_spec("nvidia.com/mig-2g.10gb", tolerated=True), id="a resource that no node has"),
    ],
)
def test_a_pod_that_fits_no_node_stays_pending_and_an_event_says_so(
    control_plane: ControlPlane, fleet: Fleet, namespace: str, spec: dict[str, Any]
) -> None:
    create(control_plane, namespace, deployment(spec))
    messages = wait_for(
        "a FailedScheduling event", lambda: event_messages(control_plane, namespace, "FailedScheduling")
    )
    assert f"0/{len(FLEET)} nodes are available" in messages[0]
    (only,) = control_plane.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    assert only["status"]["phase"] == "Pending"
    assert "nodeName" not in only["spec"]


def test_a_cordoned_node_takes_no_pod_until_it_is_opened_again(
    control_plane: ControlPlane, fleet: Fleet, namespace: str
) -> None:
    with fleet.cordoned("whole"):
        create(control_plane, namespace, pod(pod_spec("nvidia.com/gpu")))
        wait_for("a FailedScheduling event", lambda: event_messages(control_plane, namespace, "FailedScheduling"))
    assert node_of_the_only_pod(control_plane, namespace) == "whole"


def test_a_namespace_with_bound_and_pending_pods_is_deleted_to_the_end(
    control_plane: ControlPlane, fleet: Fleet, make_namespace: Callable[..., str]
) -> None:
    name = make_namespace()
    create(control_plane, name, deployment(pod_spec("nvidia.com/gpu")))
    create(control_plane, name, pod(pod_spec("nvidia.com/gpu.shared")))
    wait_for("the Deployment's pod to be bound", lambda: "whole" in nodes_in(control_plane, name))
    done = control_plane.kubectl("delete", "namespace", name, "--timeout=180s", seconds=240)
    assert done.returncode == 0, done.stderr
    assert control_plane.api.get(f"/api/v1/namespaces/{name}").status_code == httpx.codes.NOT_FOUND


def nodes_in(control_plane: ControlPlane, namespace: str) -> set[str]:
    return {node_of(found) for found in pods_in(control_plane, namespace)}


def test_a_user_may_do_what_rbac_grants_and_nothing_else(control_plane: ControlPlane, namespace: str) -> None:
    user = "auditor"
    for command in (
        ("create", "role", "reader", "--verb=get,list", "--resource=pods"),
        ("create", "rolebinding", "reader", "--role=reader", f"--user={user}"),
    ):
        assert control_plane.kubectl("-n", namespace, *command).returncode == 0
    wait_for(
        "the authorizer to see the binding",
        lambda: control_plane.kubectl("get", "pods", "-n", namespace, user=user).returncode == 0,
    )
    for forbidden in (("get", "secrets", "-n", namespace), ("get", "pods", "-n", "default"), ("get", "nodes")):
        done = control_plane.kubectl(*forbidden, user=user)
        assert done.returncode != 0
        assert "forbidden" in done.stderr.lower()
        assert user in done.stderr
    assert control_plane.kubectl("get", "nodes").returncode == 0  # the administrator may


def test_a_client_certificate_of_another_authority_is_nobody(control_plane: ControlPlane, tmp_path: Path) -> None:
    config = tmp_path / "stranger.kubeconfig"
    credentials.write_kubeconfig(trustme.CA(), control_plane.server, "admin", None, config)
    stranger = json.loads(config.read_text())
    stranger["clusters"] = json.loads(control_plane.kubeconfig().read_text())["clusters"]  # it trusts the server
    config.write_text(json.dumps(stranger))
    done = control_plane.kubectl("get", "nodes", f"--kubeconfig={config}")
    assert done.returncode != 0
    assert "logged in" in done.stderr or "Unauthorized" in done.stderr


def test_a_paused_api_server_answers_nobody_and_goes_on_where_it_was(control_plane: ControlPlane) -> None:
    with control_plane.paused(), control_plane.client() as impatient, pytest.raises(httpx.TimeoutException):
        impatient.get("/readyz", timeout=0.5)
    wait_for("it to be ready again", lambda: control_plane.api.get("/readyz").text == "ok")


def test_after_a_restart_of_the_api_server_objects_are_there_and_controllers_scheduler_and_kubelets_go_on(
    control_plane: ControlPlane, fleet: Fleet, namespace: str
) -> None:
    create(control_plane, namespace, pod(pod_spec("nvidia.com/gpu")))
    assert node_of_the_only_pod(control_plane, namespace) == "whole"
    control_plane.restart_apiserver(grace=0)
    assert nodes_in(control_plane, namespace) == {"whole"}
    create(control_plane, namespace, deployment(pod_spec("nvidia.com/mig-1g.5gb", tolerated=True)))
    wait_for("the new Deployment's pod to be bound", lambda: "mig" in nodes_in(control_plane, namespace))
    done = control_plane.kubectl("delete", "pod", "train", "-n", namespace, "--timeout=180s", seconds=240)
    assert done.returncode == 0, done.stderr


def test_the_audit_log_has_a_pods_creation_when_the_answer_arrives(
    control_plane: ControlPlane, fleet: Fleet, namespace: str
) -> None:
    create(control_plane, namespace, pod(pod_spec("nvidia.com/gpu")))
    created = [
        event
        for event in control_plane.audit_events()
        if event["verb"] == "create"
        and event["objectRef"]["resource"] == "pods"
        and event["objectRef"]["namespace"] == namespace
        and "subresource" not in event["objectRef"]
    ]
    assert [event["user"]["username"] for event in created] == ["admin"]
    assert "requestObject" not in created[0]

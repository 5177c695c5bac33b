"""Scenario 2: a request that cannot work is refused where the user sees it, in words that help."""

import json
from collections.abc import Callable

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import Fleet
from tests.e2e.installation import Installation
from tests.e2e.objects import (
    ENFORCE,
    GPU,
    create,
    deployment,
    event_messages,
    node_of_the_only_pod,
    pod,
    pod_spec,
    pods_in,
)

pytestmark = pytest.mark.e2e

REFUSAL = (
    'admission webhook "validate.gpuwarden.io" denied the request: container "train": nvidia.com/gpu: 2 cannot be shared '
    'under namespace policy "shared"; a shared GPU is access, not capacity, and the kubelet would reject it '
    '("maximum request size for shared resources is 1; found 2"); request 1, or use a namespace whose policy permits '
    "whole GPUs"
)


def test_kubectl_create_of_two_shared_gpus_is_refused_with_the_reason_and_the_remedy(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    manifest = json.dumps(pod(pod_spec(GPU, count=2)))
    done = control_plane.kubectl("create", "-n", namespace, "-f", "-", stdin=manifest)
    assert done.returncode == 1
    assert done.stderr.strip() == f'Error from server (Forbidden): error when creating "STDIN": {REFUSAL}'
    assert pods_in(control_plane, namespace) == []


def test_a_program_reads_which_field_it_was_and_which_rule(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    answer = control_plane.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod(pod_spec(GPU, count=2)))
    assert answer.status_code == httpx.codes.FORBIDDEN
    (cause,) = answer.json()["details"]["causes"]
    assert cause["field"] == "spec.containers[0].resources.limits[nvidia.com/gpu]"
    assert cause["reason"] == "shared-request-above-one"


def test_a_deployments_replica_set_says_so_in_an_event_and_there_is_no_pod(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, make_namespace: Callable[..., str]
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    create(control_plane, namespace, deployment(pod_spec(GPU, count=2)))
    messages = wait_for("a FailedCreate event", lambda: event_messages(control_plane, namespace, "FailedCreate"))
    assert set(messages) == {f"Error creating: {REFUSAL}"}
    assert pods_in(control_plane, namespace) == []


def test_without_the_label_two_gpus_are_two_whole_gpus(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, namespace: str
) -> None:
    create(control_plane, namespace, deployment(pod_spec(GPU, count=2)))
    assert node_of_the_only_pod(control_plane, namespace) == "whole"

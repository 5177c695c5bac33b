"""Scenario 6: who is affected while the mutating webhook, or all of gpuwarden, does not answer, and who never is.

matchConditions keep pods without a GPU from depending on gpuwarden at all.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from hack.render_manifests import NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.e2e.fleet import Fleet
from tests.e2e.installation import MUTATING, VALIDATING, Installation, configuration_path
from tests.e2e.objects import (
    ENFORCE,
    GPU,
    SHARED,
    create,
    deployment,
    event_messages,
    limits_of,
    node_of_the_only_pod,
    pod,
    pod_spec,
    pods_in,
)

pytestmark = pytest.mark.e2e

NO_GPU = pod_spec("cpu")
PLAIN = pod_spec(GPU)
SPELLED = pod_spec(SHARED, tolerated=True)
NOT_REWRITTEN = (
    'admission webhook "validate.gpuwarden.io" denied the request: pod: not rewritten as namespace policy "shared" requires '
    "(spec.containers[0]: nvidia.com/gpu becomes nvidia.com/gpu.shared; toleration nvidia.com/gpu NoSchedule); "
    "gpuwarden's mutating webhook did not answer or another webhook undid its change; create the pod again, "
    "and if that fails, contact the cluster's operators"
)


@pytest.fixture
def labelled(installation: Installation, make_namespace: Callable[..., str]) -> str:
    """A namespace whose policy is ``shared``, which gpuwarden has heard of."""
    return make_namespace({ENFORCE: "shared"})


def attempt(control_plane: ControlPlane, namespace: str, spec: dict[str, Any], *, dry: bool = True) -> httpx.Response:
    """Try to create a pod; nothing is left behind of a dry run."""
    body = pod({**spec, "automountServiceAccountToken": False})
    parameters = {"dryRun": "All"} if dry else {}
    return control_plane.api.post(f"/api/v1/namespaces/{namespace}/pods", params=parameters, json=body)


def refusal(control_plane: ControlPlane, namespace: str, spec: dict[str, Any]) -> str:
    """Why a pod is refused; empty when it is not."""
    answer = attempt(control_plane, namespace, spec)
    return "" if answer.status_code == httpx.codes.CREATED else str(answer.json()["message"])


def test_while_the_mutator_is_down_only_pods_that_it_would_change_are_refused(
    control_plane: ControlPlane, installation: Installation, labelled: str, namespace: str
) -> None:
    assert limits_of(attempt(control_plane, labelled, PLAIN).json()) == [{SHARED: "1"}]
    with installation.down("/mutate"):
        assert refusal(control_plane, labelled, PLAIN) == NOT_REWRITTEN
        assert refusal(control_plane, labelled, NO_GPU) == ""
        assert refusal(control_plane, labelled, SPELLED) == ""
        assert limits_of(attempt(control_plane, namespace, PLAIN).json()) == [{GPU: "1"}]
    assert limits_of(attempt(control_plane, labelled, PLAIN).json()) == [{SHARED: "1"}]


def test_a_deployment_gets_its_pod_when_the_mutator_is_back(
    control_plane: ControlPlane, fleet: Fleet, installation: Installation, labelled: str
) -> None:
    with installation.down("/mutate"):
        create(control_plane, labelled, deployment(PLAIN))
        messages = wait_for("a FailedCreate event", lambda: event_messages(control_plane, labelled, "FailedCreate"))
        assert set(messages) == {f"Error creating: {NOT_REWRITTEN}"}
        assert pods_in(control_plane, labelled) == []
    wait_for("the ReplicaSet to try again", lambda: pods_in(control_plane, labelled))
    assert node_of_the_only_pod(control_plane, labelled) in {"shared", "mps"}


@pytest.fixture
def dead(installation: Installation, labelled: str) -> Iterator[None]:
    """Nobody answers under any path."""
    with ExitStack() as stack:
        for path in installation.relays:
            stack.enter_context(installation.down(path))
        yield


def test_while_nobody_answers_only_pods_with_gpus_or_other_devices_are_refused(
    control_plane: ControlPlane, dead: None, labelled: str, namespace: str
) -> None:
    for name in (labelled, namespace):  # in every namespace: a shared request above one is refused in all of them
        for spec in (
            PLAIN,
            SPELLED,
            pod_spec("example.com/nic"),
        ):  # any such name can be that of a DeviceClass for GPUs
            assert 'failed calling webhook "validate.gpuwarden.io"' in refusal(control_plane, name, spec)
        for spec in (NO_GPU, pod_spec("rdma/hca")):
            assert refusal(control_plane, name, spec) == ""


def test_while_nobody_answers_kube_system_gets_every_pod(control_plane: ControlPlane, dead: None) -> None:
    for spec in (NO_GPU, PLAIN, SPELLED):
        assert refusal(control_plane, "kube-system", spec) == ""


def test_while_nobody_answers_gpuwardens_own_namespace_gets_gpuwardens_pods(
    control_plane: ControlPlane, installation: Installation, dead: None
) -> None:
    spec = installation.rendered.pod
    assert refusal(control_plane, NAMESPACE, spec) == ""
    gpu = {**spec["containers"][0], "resources": {"limits": {GPU: "1"}}}
    assert refusal(control_plane, NAMESPACE, {**spec, "containers": [gpu]}) == ""


def test_while_nobody_answers_pods_that_exist_are_changed_and_deleted(
    control_plane: ControlPlane, installation: Installation, labelled: str, request: pytest.FixtureRequest
) -> None:
    created = attempt(control_plane, labelled, PLAIN, dry=False)
    assert created.status_code == httpx.codes.CREATED, created.text
    request.getfixturevalue("dead")
    assert refusal(control_plane, labelled, PLAIN) != ""
    changed = control_plane.kubectl("annotate", "pod", "train", "note=kept", "-n", labelled)
    assert changed.returncode == 0, changed.stderr
    path = f"/api/v1/namespaces/{labelled}/pods/train"
    assert control_plane.api.delete(path).is_success
    wait_for("the pod to be gone", lambda: control_plane.api.get(path).status_code == httpx.codes.NOT_FOUND)


def test_namespaces_are_made_and_relabelled_while_nobody_answers(
    control_plane: ControlPlane, dead: None, make_namespace: Callable[..., str]
) -> None:
    name = make_namespace()
    done = control_plane.kubectl("label", "namespace", name, "team=vision")
    assert done.returncode == 0, done.stderr


def test_without_its_webhook_configurations_pods_are_created_though_nobody_answers(
    control_plane: ControlPlane, installation: Installation, labelled: str
) -> None:
    installation.kill_all()
    assert refusal(control_plane, labelled, PLAIN) != ""
    for kind in (VALIDATING, MUTATING):  # what the chart's notes tell who has to get out of this at night
        assert control_plane.api.delete(configuration_path(kind)).is_success
    wait_for("the API server to know", lambda: refusal(control_plane, labelled, PLAIN) == "")
    assert limits_of(attempt(control_plane, labelled, PLAIN).json()) == [{GPU: "1"}]
